//! Somebody who buys all the time with the bots' money, whatever is killed meanwhile: a purchase without an answer is sent again
//! under its key until it has one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use arbiter_cli::lobby::{Lobby, Purchase, Session};
use arbiter_ledger::{Key, Time};

use crate::town::BOTS;

/// Between two purchases.
const PAUSE: Duration = Duration::from_millis(20);

/// Between two tries while nobody answers.
const AGAIN: Duration = Duration::from_millis(100);

/// Purchases that were done, by player.
pub type Receipts = BTreeMap<u64, u64>;

pub struct Customer {
    stop: Arc<AtomicBool>,
    bought: Arc<AtomicU64>,
    thread: JoinHandle<Result<Receipts>>,
}

impl Customer {
    pub fn start(url: String, seed: u64) -> Self {
        let (stop, bought) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&bought));
        let thread = std::thread::spawn(move || shop(&Lobby::new(&url), seed, &stopped, &count));
        Self { stop, bought, thread }
    }

    pub fn bought(&self) -> u64 {
        self.bought.load(Ordering::Relaxed)
    }

    /// Ends behind the last answer.
    pub fn finish(self) -> Result<Receipts> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the customer panicked"))?
    }
}

fn shop(lobby: &Lobby, seed: u64, stop: &AtomicBool, bought: &AtomicU64) -> Result<Receipts> {
    let mut receipts = Receipts::new();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let bot = (number % u64::from(BOTS)) as u16;
        let session = log_in(lobby, &format!("bot-{seed}-{bot}"));
        // Twice under one key, as nervous fingers do: it is one purchase.
        let key = key(session.player, number);
        let (first, second) = (answered(lobby, &session, &key), answered(lobby, &session, &key));
        if first != second {
            return Err(anyhow!("one key, two answers: {first:?}, then {second:?}"));
        }
        if matches!(first, Purchase::Done(_)) {
            *receipts.entry(session.player).or_default() += 1;
            bought.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(receipts)
}

fn log_in(lobby: &Lobby, name: &str) -> Session {
    loop {
        match lobby.log_in(name) {
            Ok(session) => return session,
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

fn answered(lobby: &Lobby, session: &Session, key: &str) -> Purchase {
    loop {
        match lobby.purchase(session, key, "medkit") {
            Ok(answer) => return answer,
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

/// A key of now.
fn key(player: u64, number: u64) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uuid = Key::of(player, Time(since.as_millis() as u64), u128::from(number) << 32 | 0xC0FFEE).uuid();
    let text = format!("{uuid:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
