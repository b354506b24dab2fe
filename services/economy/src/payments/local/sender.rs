//! Saying what happened: one thread posts what is due, and posts it again, later and later, until it was taken.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError};

use super::record::{Record, Waiting};
use super::{NAME, Shared};
use crate::desk::now;
use crate::payments::signature::{ID, SIGNATURE, TIMESTAMP};

/// Until an answer is there; it is more than a service takes at most for one of its own.
const ANSWER: Duration = Duration::from_secs(12);

/// Before something that was not taken is said for the second time; then twice as long each time.
const AGAIN_MS: u64 = 100;

/// The longest time between two attempts.
const AGAIN_MS_MAX: u64 = 10_000;

/// Without anything to say.
const QUIET: Duration = Duration::from_secs(60);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// There is something to say.
    Tell(Waiting),
    /// Something changed.
    Look,
    /// The end.
    End,
}

/// Something to say, and how often it was not taken.
struct Due {
    waiting: Waiting,
    attempts: u32,
}

/// What is to be said, by time and then in the order in which it came.
#[derive(Default)]
struct Queue {
    due: BTreeMap<(u64, u64), Due>,
    next: u64,
}

impl Queue {
    fn put(&mut self, at: u64, due: Due) {
        self.due.insert((at, self.next), due);
        self.next += 1;
    }
}

/// Says what is due until it is told to end.
pub(super) fn run(shared: &Shared, messages: &Receiver<Message>, waiting: Vec<Waiting>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER));
    let agent: ureq::Agent = config.build().into();
    let mut queue = Queue::default();
    for waiting in waiting {
        queue.put(waiting.at, Due { waiting, attempts: 0 });
    }
    loop {
        let first = queue.due.first_key_value().map(|((at, _), _)| *at).filter(|_| shared.url.get().is_some());
        let wait = first.map_or(QUIET, |at| Duration::from_millis(at.saturating_sub(now().0)));
        match messages.recv_timeout(wait) {
            Ok(Message::Tell(waiting)) => queue.put(waiting.at, Due { waiting, attempts: 0 }),
            Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => (),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
        }
        // What was asked for at once is in the queue before the first of it is said.
        if messages.is_empty()
            && let Some(url) = shared.url.get()
        {
            say_one(shared, &agent, url, &mut queue);
        }
    }
}

fn say_one(shared: &Shared, agent: &ureq::Agent, url: &str, queue: &mut Queue) {
    let Some(entry) = queue.due.first_entry().filter(|entry| entry.key().0 <= now().0) else { return };
    let mut due = entry.remove();
    match say(shared, agent, url, &due.waiting) {
        Ok(()) if due.waiting.times > 1 => {
            due.waiting.times -= 1;
            queue.put(now().0, Due { attempts: 0, ..due });
        }
        Ok(()) => {
            let told = Record::Told { id: due.waiting.id };
            if let Err(error) = shared.book(|book| book.write(&[told])) {
                // It is said again after the next start, and does nothing then.
                tracing::warn!(%error, "the local provider does not remember what it said");
            }
        }
        Err(why) => {
            tracing::info!(payment = due.waiting.said.payment, why, "a notification was not taken, and is sent again");
            due.attempts += 1;
            let later = AGAIN_MS.saturating_mul(1 << due.attempts.min(16)).min(AGAIN_MS_MAX);
            queue.put(now().0 + later, due);
        }
    }
}

fn say(shared: &Shared, agent: &ureq::Agent, url: &str, waiting: &Waiting) -> Result<(), String> {
    let body = serde_json::to_vec(&waiting.said).map_err(|error| error.to_string())?;
    let seconds = now().0 / 1_000;
    let request = ureq::http::Request::post(format!("{url}/payments/{NAME}/notifications"))
        .header("Content-Type", "application/json")
        .header(ID, &waiting.id)
        .header(TIMESTAMP, seconds)
        .header(SIGNATURE, shared.secrets.sign(&waiting.id, seconds, &body))
        .body(body)
        .map_err(|error| error.to_string())?;
    let answer = agent.run(request).map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("answered with {}", answer.status())) }
}
