//! The thread that keeps Agones told: one loop, in which a health ping is never late for longer than one call takes.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError};

use super::fetch::Fetching;
use super::lifecycle::{Ask, Facts, Lifecycle};
use super::sidecar::{Counter, GameServer, POLICY, Sidecar, SidecarError, State};
use super::tallies::{Tallies, Tally};
use crate::Shared;
use crate::drain::Reason;
use crate::order::{Order, OrderError};
use crate::outward::Patience;

/// Between two health pings: two of them may be lost within the shortest period that Agones counts in by default, 5 s.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Between two looks at the rooms.
const LOOK: Duration = Duration::from_millis(100);

/// Between two tellings of counters and lists: the sidecar writes them once a second.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Whoever counted for us is corrected after so long at the latest.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// At the end it is tried for so long to tell Agones, and waited for so long until it has happened.
const ENDING: Duration = Duration::from_secs(10);

/// Names that an allocation gives a match by, and its settings: annotations of the game server.
pub(super) const MATCH: &str = "arbiter.dev/match";
pub(super) const SETTINGS: &str = "arbiter.dev/settings";

/// What became of the last order: `agones.dev/sdk-arbiter-order`.
const ANSWER: &str = "arbiter-order";

/// What clients must agree to, for selectors: `agones.dev/sdk-arbiter-protocol`.
const PROTOCOL: &str = "arbiter-protocol";

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Word {
    /// A watch begins to tell.
    Connected,
    /// What the sidecar says now.
    Told(Box<GameServer>),
    /// The watch ended.
    Lost,
    /// How a match that was ordered is to be played, as JSON.
    Fetched { match_id: u128, settings: Result<String, OrderError> },
    /// An operator keeps the server for so many seconds.
    Reserve(u32),
    /// The process ends.
    End,
}

pub(super) struct Keeper {
    shared: Arc<Shared>,
    sidecar: Sidecar,
    lifecycle: Lifecycle,
    tallies: Tallies,
    patience: Patience,
    /// Nothing but pings is tried before.
    wait_until: Instant,
    pinged: Option<Instant>,
    told: Instant,
    told_all: Instant,
    /// A watch has told something since the process began.
    knows: bool,
    /// Labels are not told to this sidecar yet.
    unlabelled: bool,
    /// What is said of the last order, and whether this sidecar was told so.
    answer: String,
    unanswered: bool,
    /// Asks the services how matches are to be played, if there are services.
    fetching: Option<Fetching>,
    /// Matches that it is asked for, and the last one that it was.
    fetched: Vec<u128>,
    fetched_last: Option<u128>,
}

impl Keeper {
    pub fn new(shared: Arc<Shared>, sidecar: Sidecar, fetching: Option<Fetching>) -> Self {
        let now = Instant::now();
        let patience = Patience::new(POLICY, &shared.agones.circuit);
        Self {
            shared,
            sidecar,
            lifecycle: Lifecycle::default(),
            tallies: Tallies::default(),
            patience,
            wait_until: now,
            pinged: None,
            told: now,
            told_all: now,
            knows: false,
            unlabelled: true,
            answer: String::new(),
            unanswered: false,
            fetching,
            fetched: Vec::new(),
            fetched_last: None,
        }
    }

    pub fn run(mut self, words: &Receiver<Word>) {
        loop {
            match words.recv_timeout(LOOK) {
                Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(word) => self.hear(word),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.ping();
            if Instant::now() >= self.wait_until {
                self.patience.begin();
                let done = self.ask().and_then(|()| self.tell());
                self.note(done);
            }
        }
        self.end(words);
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Connected => {
                // It may be another sidecar, which knows nothing of what the one before was told.
                self.lifecycle.forget_asks();
                self.tallies.forget();
                (self.unlabelled, self.unanswered) = (true, !self.answer.is_empty());
                self.wait_until = Instant::now();
            }
            Word::Told(told) => self.see(&told),
            Word::Fetched { match_id, settings } => {
                self.fetched.retain(|fetched| *fetched != match_id);
                let name = format!("{match_id:032x}");
                let read = settings.and_then(|text| Order::read(&name, Some(&text), &self.shared.config));
                self.place(&name, read);
                self.shared.orders.announce(self.fetched.len());
            }
            Word::Reserve(seconds) => self.lifecycle.reserve(seconds, Instant::now()),
            Word::Lost | Word::End => {}
        }
    }

    fn see(&mut self, told: &GameServer) {
        let before = self.lifecycle.state();
        if self.lifecycle.hear(told, Instant::now()) {
            tracing::info!(server = told.name, "somebody has allocated this server");
            // The services may know by now what they did not before.
            self.fetched_last = None;
        }
        if before != Some(told.state) {
            tracing::info!(server = told.name, state = told.state.name(), "Agones says what this server is");
            self.shared.agones.set_state(told.state);
        }
        match told.state {
            State::Unhealthy | State::Error if before != Some(told.state) => {
                tracing::error!(
                    server = told.name,
                    "Agones has marked this server unhealthy, for good; it drains. The sidecar's log says which pings were missing"
                );
                self.shared.begin_drain(Reason::Unhealthy);
            }
            State::Shutdown => self.shared.begin_drain(Reason::Deleted),
            _ if told.deleted => self.shared.begin_drain(Reason::Deleted),
            _ => {}
        }
        self.take_order(told);
        self.knows = true;
    }

    /// Takes what an allocation wants to be played. What stands there when the process begins was for the one before it.
    fn take_order(&mut self, told: &GameServer) {
        let Some(name) = told.annotations.get(MATCH) else { return };
        let settings = told.annotations.get(SETTINGS).map(String::as_str);
        if !self.knows {
            if let Ok(match_id) = Order::name(name) {
                self.shared.orders.know(match_id);
            }
        } else if settings.is_none() && self.fetching.is_some() {
            if let Err(error) = self.fetch(name) {
                self.place(name, Err(error));
            }
        } else {
            self.place(name, Order::read(name, settings, &self.shared.config));
        }
    }

    /// Asks the services how a match is to be played, unless they were asked.
    fn fetch(&mut self, name: &str) -> Result<(), OrderError> {
        let match_id = Order::name(name)?;
        let is_known = self.shared.orders.knows(match_id) || self.fetched.contains(&match_id);
        if is_known || self.fetched_last == Some(match_id) {
            return Ok(());
        }
        self.fetched_last = Some(match_id);
        if let Some(fetching) = &self.fetching {
            fetching.fetch(match_id)?;
            self.fetched.push(match_id);
            self.shared.orders.announce(self.fetched.len());
        }
        Ok(())
    }

    /// Gives an order to the rooms, and says what became of it.
    fn place(&mut self, name: &str, read: Result<Order, OrderError>) {
        let placed = read.and_then(|order| match self.shared.stopping() {
            _ if self.shared.orders.knows(order.match_id) => Ok(false),
            Some(_) => Err(OrderError::Stopping),
            None if !self.shared.shed.takes_matches() => Err(OrderError::Overloaded),
            None => self.shared.orders.place(order.try_out(&self.shared.config)?),
        });
        let stats = &self.shared.agones;
        let answer = match placed {
            // Told again.
            Ok(false) => return,
            Ok(true) => {
                tracing::info!(match_id = name, "a match was ordered by an allocation");
                stats.orders.fetch_add(1, Ordering::Relaxed);
                format!("{name} taken")
            }
            Err(error) => format!("{} refused: {error}", name.chars().take(64).collect::<String>()),
        };
        if self.answer == answer {
            return;
        }
        if answer.contains(" refused: ") {
            tracing::error!("an allocation orders what this server cannot play: {answer}");
            stats.orders_refused.fetch_add(1, Ordering::Relaxed);
        }
        (self.answer, self.unanswered) = (answer, true);
    }

    /// Says that the process is well, unless no room advances: then it is not.
    fn ping(&mut self) {
        let due = self.pinged.is_none_or(|pinged| pinged.elapsed() >= PING_EVERY);
        if !due || !self.shared.pulse.feel(&self.shared.rooms).lives() {
            return;
        }
        self.pinged = Some(Instant::now());
        match self.sidecar.health() {
            Ok(()) => drop(self.shared.agones.pings.fetch_add(1, Ordering::Relaxed)),
            Err(error) => self.failed(&error),
        }
    }

    fn ask(&mut self) -> Result<(), SidecarError> {
        let in_use = self.shared.orders.wanted() > 0 || self.shared.rooms.iter().any(|room| room.is_in_use());
        let facts = Facts { now: Instant::now(), open: self.shared.takes_players().is_ok(), in_use };
        match self.lifecycle.next(&facts) {
            Some(Ask::Ready) => self.sidecar.ready(),
            Some(Ask::Allocate) => self.sidecar.allocate(),
            Some(Ask::Reserve(seconds)) => self.sidecar.reserve(seconds),
            None => Ok(()),
        }
    }

    fn tell(&mut self) -> Result<(), SidecarError> {
        if !self.knows || self.told.elapsed() < TELL_EVERY {
            return Ok(());
        }
        self.told = Instant::now();
        if self.told_all.elapsed() >= TELL_AGAIN {
            self.told_all = Instant::now();
            self.tallies.forget();
        }
        if self.unlabelled {
            self.sidecar.set_label(PROTOCOL, &format!("{:016x}", self.shared.protocol_hash))?;
            self.unlabelled = false;
        }
        if self.unanswered {
            self.sidecar.set_annotation(ANSWER, &self.answer)?;
            self.unanswered = false;
        }
        self.ping();
        self.tallies.tell(&self.sidecar, &self.shared.tally())
    }

    fn note(&mut self, done: Result<(), SidecarError>) {
        match done {
            Ok(()) => {
                if self.patience.was_told() {
                    tracing::warn!("Agones' sidecar answers again");
                }
                self.patience.reset();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &SidecarError) {
        self.shared.agones.failures.fetch_add(1, Ordering::Relaxed);
        // What was asked was not heard.
        self.lifecycle.forget_asks();
        self.wait_until = Instant::now() + self.patience.wait();
        if self.patience.is_told() {
            let failures = self.patience.failures();
            tracing::error!(failures, "Agones cannot be told of this server: {error}");
        }
    }

    /// Tells Agones that the process ends, until it says so itself.
    fn end(mut self, words: &Receiver<Word>) {
        let until = Instant::now() + ENDING;
        let mut asked = None::<Instant>;
        while Instant::now() < until {
            if asked.is_none_or(|asked| asked.elapsed() >= super::lifecycle::CONFIRM_WITHIN)
                && Instant::now() >= self.wait_until
            {
                match self.sidecar.shutdown() {
                    Ok(()) => asked = Some(Instant::now()),
                    Err(error) => self.failed(&error),
                }
            }
            self.ping();
            if let Ok(Word::Told(told)) = words.recv_timeout(LOOK) {
                self.shared.agones.set_state(told.state);
                // Who is unhealthy is deleted anyway.
                if told.deleted || matches!(told.state, State::Shutdown | State::Unhealthy | State::Error) {
                    return;
                }
            }
        }
        tracing::error!("Agones did not confirm that this server ends; the pod is deleted when its process has ended");
    }
}

impl Shared {
    /// What Agones is told to choose by. A server that takes nobody has nothing available.
    fn tally(&self) -> Tally {
        let open = self.takes_players().is_ok();
        let places = i64::from(self.config.settings.players_max);
        let (mut rooms, mut players) = (Counter::default(), Counter::default());
        let (matches_max, ids_max) = (self.rooms.len(), self.rooms.len() * places as usize);
        let mut matches = Vec::new();
        for room in self.rooms.iter().filter(|room| !room.is_shut()) {
            rooms.capacity += 1;
            players.capacity += places;
            players.count += i64::from(room.reserved());
            if room.is_in_use() {
                rooms.count += 1;
                matches.extend(room.match_id().map(|id| format!("{id:032x}")));
            }
        }
        rooms.count = (rooms.count + self.orders.wanted() as i64).min(rooms.capacity);
        players.count = players.count.min(players.capacity);
        if !open {
            (rooms.capacity, players.capacity) = (rooms.count, players.count);
        }
        matches.sort_unstable();
        let mut ids: Vec<String> = self.directory.places().iter().map(|(player, _)| player.to_string()).collect();
        ids.sort_unstable();
        Tally { rooms, players, matches, matches_max, ids, ids_max }
    }
}
