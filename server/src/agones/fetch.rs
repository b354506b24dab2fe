//! Fetches how a match is to be played, by its id: an allocation that orders a match need only say which. On a thread of its own, so
//! that no health ping waits for the services.
//!
//! Services that do not answer are asked again until whoever was sent to this server would have given up; what they say of an
//! order is final.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use arbiter_contracts::outward::Policy;
use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::Value;

use super::Word;
use crate::Shared;
use crate::order::{OrderError, WAITING_MAX};
use crate::outward::{CircuitFigures, OPEN_AFTER, Patience};
use crate::services::{Client, Services};

/// Services that restart are back by then; players who were sent here have a connect token of 30 s.
const WITHIN: Duration = Duration::from_secs(30);

/// Short enough to try several times within [`WITHIN`].
const POLICY: Policy = Policy {
    connect_max: Duration::from_secs(2),
    call_max: Duration::from_secs(5),
    wait_min: Duration::from_millis(100),
    wait_max: Duration::from_secs(2),
    open_after: OPEN_AFTER,
};

/// The thread; it ends when this is dropped, or when the server stops.
#[derive(Debug)]
pub(super) struct Fetching(Sender<(u128, Instant)>);

impl Fetching {
    /// Starts it; what it finds comes through the queue as [`Word::Fetched`].
    pub fn start(shared: &Arc<Shared>, services: &Services, found: Sender<Word>) -> std::io::Result<Self> {
        let (ask, asked) = bounded(WAITING_MAX);
        let (shared, client) = (Arc::clone(shared), Client::new(services, &POLICY));
        // Nobody waits for it: it may be waiting for an answer.
        std::thread::Builder::new().name("orders".to_owned()).spawn(move || run(&shared, &client, &asked, &found))?;
        Ok(Self(ask))
    }

    /// Fetches the settings of a match.
    pub fn fetch(&self, match_id: u128) -> Result<(), OrderError> {
        self.0.try_send((match_id, Instant::now() + WITHIN)).map_err(|_| OrderError::Full)
    }
}

fn run(shared: &Shared, client: &Client, asked: &Receiver<(u128, Instant)>, found: &Sender<Word>) {
    for (match_id, until) in asked {
        let settings = fetch(shared, client, match_id, until);
        if found.send(Word::Fetched { match_id, settings }).is_err() {
            return;
        }
    }
}

/// The settings as JSON.
fn fetch(shared: &Shared, client: &Client, match_id: u128, until: Instant) -> Result<String, OrderError> {
    let path = format!("/matches/{match_id:032x}/settings");
    let mut patience = Patience::new(POLICY, &CircuitFigures::default());
    loop {
        if shared.stopping().is_some() {
            return Err(OrderError::Stopping);
        }
        patience.begin();
        let why = match client.ask("GET", &path, "application/json", &[]) {
            Ok((200, body)) => return settings(&body),
            Ok((404, _)) => return Err(OrderError::Unknown),
            // Too many at once, or too slow; all else of the kind stays so.
            Ok((status @ (408 | 429 | 500..), body)) => format!("{status}: {}", String::from_utf8_lossy(&body)),
            Ok((status, body)) => {
                return Err(OrderError::Services(format!("{status}: {}", String::from_utf8_lossy(&body))));
            }
            Err(why) => why,
        };
        tracing::warn!(match_id = format!("{match_id:032x}"), "the settings of a match cannot be fetched yet: {why}");
        let wait = patience.wait();
        if Instant::now() + wait >= until {
            return Err(OrderError::Services(why));
        }
        std::thread::sleep(wait);
    }
}

fn settings(body: &[u8]) -> Result<String, OrderError> {
    // Not by its type: a setting that this server does not know must be refused by its name.
    let answer: Value = serde_json::from_slice(body).map_err(|error| OrderError::Services(error.to_string()))?;
    match &answer["settings"] {
        settings @ Value::Object(_) => Ok(settings.to_string()),
        other => Err(OrderError::Services(format!("settings: expected an object, found {other}"))),
    }
}
