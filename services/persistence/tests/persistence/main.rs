//! The service as others see it: a log of events in a folder, JSON over real sockets.

mod erasure;
mod events;
mod lookups;
mod profiles;
mod quarantine;
mod rebuilding;

use std::path::PathBuf;
use std::sync::Arc;

use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Envelope, Event};
use arbiter_eventlog::{Folder, Log, Options};
use arbiter_persistence::{Persistence, PersistenceConfig};
use arbiter_web::{Access, AccessDenied, Limits, Running, ServiceKey, serve};
use serde_json::Value;

use events::envelope;

const MASTER: [u8; 32] = [5; 32];
const SECRET: [u8; 32] = [7; 32];

/// Who comes as `player-N` is player N.
struct Players;

impl Access for Players {
    fn player(&self, token: &str) -> Result<u64, AccessDenied> {
        let number = token.strip_prefix("player-").and_then(|number| number.parse().ok());
        number.ok_or_else(|| AccessDenied("no such token".to_owned()))
    }
}

/// A folder with a log of events, and the service beside it.
struct House {
    folder: tempfile::TempDir,
    log: Log<Folder>,
    running: Option<(Persistence, Running)>,
}

/// Status and JSON of an answer.
type Answer = (u16, Value);

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { segment_bytes: 1 << 20, batch_bytes: 512 << 10, ids_max: 1 << 20, masters: None };
        let log = Log::open(Folder::make(&folder.path().join("events")).expect("a folder"), options).expect("a log").0;
        let mut house = Self { folder, log, running: None };
        house.start();
        house
    }

    fn config(&self) -> PersistenceConfig {
        let path = self.folder.path();
        PersistenceConfig::new(path.join("events"), path.join("persistence"), MASTER)
    }

    fn start(&mut self) {
        let persistence = Persistence::start(self.config()).expect("it starts");
        let (address, key) = (([127, 0, 0, 1], 0).into(), ServiceKey::derive(&SECRET));
        let running = serve(address, vec![persistence.service()], key, Arc::new(Players), Limits::default());
        self.running = Some((persistence, running.expect("a free port")));
    }

    fn stop(&mut self) {
        self.running = None;
    }

    fn service(&self) -> &Persistence {
        &self.running.as_ref().expect("it runs").0
    }

    fn view_path(&self) -> PathBuf {
        self.folder.path().join("persistence/views/persistence.sqlite")
    }

    /// Appends events and commits them; returns the position behind them.
    fn tell(&mut self, events: impl IntoIterator<Item = Event>) -> u64 {
        for event in events {
            let envelope = envelope(self.log.next_position(), event);
            self.append(&envelope);
        }
        self.commit()
    }

    fn append(&mut self, envelope: &Envelope) {
        let id = log_id(&envelope.attributes.source, &envelope.attributes.id);
        self.log.append(id, &envelope.encode().expect("an event")).expect("appended");
    }

    fn commit(&mut self) -> u64 {
        let end = self.log.commit().expect("committed");
        if let Some((persistence, _)) = &self.running {
            persistence.waker().wake();
        }
        end
    }

    fn ask(&self, method: &str, path: &str, bearer: &str, body: &str) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let address = self.running.as_ref().expect("it runs").1.address;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Content-Type", "application/json")
            .body(body.to_owned());
        let mut answer = agent.run(request.expect("a request")).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (answer.status().as_u16(), json)
    }

    /// What a player is told.
    fn get(&self, player: u64, path: &str) -> Answer {
        self.ask("GET", path, &format!("player-{player}"), "")
    }

    /// What a service is told.
    fn look(&self, path: &str) -> Answer {
        self.ask("GET", path, &ServiceKey::derive(&SECRET).bearer(), "")
    }

    fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, &ServiceKey::derive(&SECRET).bearer(), "")
    }

    fn rename(&self, player: u64, name: &str) -> Answer {
        let body = serde_json::json!({ "display_name": name }).to_string();
        self.ask("PUT", &format!("/player/{player}/profile"), &format!("player-{player}"), &body)
    }

    /// Waits for what readiness says.
    fn until_ready(&self, wanted: impl Fn(u16, &str) -> bool) -> String {
        loop {
            let (status, text) = self.look("/readyz");
            let text = text.as_str().unwrap_or_default().to_owned();
            if wanted(status, &text) {
                return text;
            }
            std::thread::yield_now();
        }
    }
}
