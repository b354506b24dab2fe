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
    log: Option<Log<Folder>>,
    running: Option<(Persistence, Running)>,
}

/// Status and JSON of an answer.
type Answer = (u16, Value);

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut house = Self { folder, log: None, running: None };
        house.start_writer();
        house.start();
        house
    }

    /// Opens the log, as after a crash if it was open before.
    fn start_writer(&mut self) {
        self.log = None;
        let options = Options { segment_bytes: 1 << 20, batch_bytes: 512 << 10, ids_max: 1 << 20, masters: None };
        let folder = Folder::make(&self.folder.path().join("events")).expect("a folder");
        self.log = Some(Log::open(folder, options).expect("a log").0);
    }

    fn log(&mut self) -> &mut Log<Folder> {
        self.log.as_mut().expect("it is open")
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
            let envelope = envelope(self.log().next_position(), event);
            self.append(&envelope);
        }
        self.commit()
    }

    fn append(&mut self, envelope: &Envelope) {
        let id = log_id(&envelope.attributes.source, &envelope.attributes.id);
        self.log().append(id, &envelope.encode().expect("an event")).expect("appended");
    }

    fn commit(&mut self) -> u64 {
        let end = self.log().commit().expect("committed");
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

    /// Does as the service says where it is not so far yet: a test must not depend on how busy its machine is.
    fn ask_until_it_is_there(&self, path: &str, bearer: &str) -> Answer {
        loop {
            let (status, answer) = self.ask("GET", path, bearer, "");
            if answer["type"] != "urn:arbiter:problem:not-yet" {
                return (status, answer);
            }
        }
    }

    /// What a player is told.
    fn get(&self, player: u64, path: &str) -> Answer {
        self.ask_until_it_is_there(path, &format!("player-{player}"))
    }

    /// What a service is told.
    fn look(&self, path: &str) -> Answer {
        self.ask_until_it_is_there(path, &ServiceKey::derive(&SECRET).bearer())
    }

    fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, &ServiceKey::derive(&SECRET).bearer(), "")
    }

    fn rename(&self, player: u64, name: &str) -> Answer {
        let body = serde_json::json!({ "display_name": name }).to_string();
        self.ask("PUT", &format!("/player/{player}/profile"), &format!("player-{player}"), &body)
    }

    /// Waits for what the service says of its readiness, and returns what `/readyz` says then. Not over HTTP, where so
    /// many questions would be refused.
    fn until_ready(&self, wanted: impl Fn(&Result<(), String>) -> bool) -> Answer {
        let ready = self.service().service().ready;
        while !wanted(&ready()) {
            std::thread::yield_now();
        }
        self.look("/readyz")
    }

    fn until_it_works(&self) {
        assert_eq!(self.until_ready(Result::is_ok).0, 200);
    }

    /// Waits until the service says that it stopped for a reason with these words.
    fn until_it_says(&self, words: &str) -> String {
        let (status, text) = self.until_ready(|ready| ready.as_ref().is_err_and(|why| why.contains(words)));
        assert_eq!(status, 503);
        text.as_str().expect("text").to_owned()
    }
}
