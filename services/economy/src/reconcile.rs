//! Results and the ledger against each other: every difference is named, and nothing is changed.
//!
//! Both logs are read from their beginnings, side by side, and the ledger is built again from its own entries alone. What is
//! compared is what each result is worth by the catalogue with what the entry that consumed it did, and what each entry moved with
//! what the world was told of it. That a result is not consumed or a booking not told yet, or that a grant waits for its player to be
//! put right, is no difference; all are counted.

mod told;

use std::collections::BTreeSet;
use std::fmt;

use arbiter_contracts::Envelope;
use arbiter_eventlog::{OpenError, Record};
use arbiter_ledger::entry::Outcome;
use arbiter_ledger::{Account, Cause, Effect, Entry, Name, Order, Step, Why};
use arbiter_views::Source;
use thiserror::Error;

use crate::desk::events;
use crate::economy::Books;
use crate::payments::{self, reconcile::Statement};
use crate::rewards::Rewards;

/// Bytes of records that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Differences that are listed; more of them say no more.
pub const LISTED_MAX: usize = 1_000;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events that were read.
    pub events: u64,
    /// Of these, results of matches that were consumed.
    pub results: u64,
    /// Grants that results are worth and that were given.
    pub grants: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Events that are worth something and not consumed yet.
    pub behind: u64,
    /// Grants that wait for their players to be put right.
    pub waiting: u64,
    /// Bookings that moved something, and of which the world was told.
    pub told: u64,
    /// Those of which it was not told yet, all of them later ones.
    pub untold: u64,
    /// BLAKE3 of the ledger that was built from its entries.
    pub hash: [u8; 32],
    /// Differences between the payments here and a provider's statement, if there was one.
    pub payments: Vec<payments::reconcile::Difference>,
    /// All differences, the first 1,000 of them listed.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub count: u64,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Position of the event that it is about, if it is about one.
    pub event: Option<u64>,
    /// Number of the entry that it is about, if it is about one.
    pub entry: Option<u64>,
    /// The player, if it is about one.
    pub player: Option<u64>,
    /// What differs.
    pub what: What,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A result is worth something that no entry gives.
    NotGranted(Name),
    /// An entry gives something that the result is not worth.
    NotEarned(Name),
    /// Another amount, asset or account than the result is worth.
    OtherAmount(Name),
    /// An entry consumed what is not in the log of events.
    NoEvent,
    /// The world was not told what an entry moved, and was told what later ones did.
    NotTold,
    /// The world was told something else than an entry moved.
    ToldOtherwise,
    /// The world was told of something that no entry moved, or was told it twice.
    NotMoved,
    /// An event of the economy has not the number that follows, which is this.
    NotInSequence(u64),
    /// An event cannot be read.
    Unreadable(String),
    /// The ledger's entries do not follow each other, or do not sum to zero.
    Unsound(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |name: &str, number: Option<u64>| number.map(|number| format!("{name} {number}"));
        let parts = [part("event", self.event), part("entry", self.entry), part("player", self.player)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "{}: ", parts.join(", "))?;
        match &self.what {
            What::NotGranted(reason) => write!(f, "{reason} was earned and not given"),
            What::NotEarned(reason) => write!(f, "{reason} was given and not earned"),
            What::OtherAmount(reason) => write!(f, "{reason} was given, but not what it is worth"),
            What::NoEvent => f.write_str("the entry consumed what is not in the log of events"),
            What::NotTold => f.write_str("nobody was told what the entry moved, but what later ones did"),
            What::ToldOtherwise => f.write_str("the event says something else than the entry moved"),
            What::NotMoved => f.write_str("the event tells of what no entry moved, or tells it again"),
            What::NotInSequence(expected) => write!(f, "the event is not the economy's {expected}, which follows"),
            What::Unreadable(why) => write!(f, "the event cannot be read: {why}"),
            What::Unsound(why) => write!(f, "the ledger is not sound: {why}"),
        }
    }
}

/// Why nothing can be compared.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// A log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// A log without its beginning.
    #[error("{0} begins at {1}: put its first segments back from a backup, since only whole logs can be compared")]
    NotWhole(&'static str, u64),
}

/// Compares the log of events with the economy's log, and that with a provider's statement. `progress` is told the entry that was compared, and how many there are.
pub fn reconcile(
    events: &impl Source,
    ledger: &impl Source,
    rewards: &Rewards,
    statement: Option<&Statement>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, ReconcileError> {
    for (name, log) in [("the log of events", events.start()), ("the economy's log", ledger.start())] {
        if log > 0 {
            return Err(ReconcileError::NotWhole(name, log));
        }
    }
    let mut compare = Compare {
        events,
        rewards,
        next: 0,
        ahead: Vec::new(),
        books: Books::default(),
        open: BTreeSet::new(),
        report: Report { events: events.end(), entries: ledger.end(), ..Report::default() },
    };
    let mut records = Vec::new();
    let mut next = 0;
    while next < ledger.end() {
        records.clear();
        ledger.read(next, READ_BYTES, &mut records)?;
        for record in &records {
            next = record.position + 1;
            if let Err(why) = compare.entry(record)? {
                compare.differs(None, Some(record.position), None, What::Unsound(why));
                return Ok(compare.finish());
            }
        }
        progress(next, ledger.end());
    }
    compare.pass(compare.books.ledger.cursor(&self::events()))?;
    compare.count_behind()?;
    compare.told(ledger)?;
    if let Some(statement) = statement {
        let Books { payments, ledger, .. } = &compare.books;
        compare.report.payments = payments::reconcile::reconcile(statement, payments, ledger);
    }
    if let Err(broken) = compare.books.ledger.audit() {
        compare.differs(None, None, None, What::Unsound(broken.to_string()));
    }
    Ok(compare.finish())
}

struct Compare<'a, E: Source> {
    events: &'a E,
    rewards: &'a Rewards,
    /// The next event that was not compared.
    next: u64,
    /// Events that were read and are not compared yet, the next one last.
    ahead: Vec<Record>,
    books: Books,
    /// Positions and players whose grants were refused and not amended.
    open: BTreeSet<(u64, u64)>,
    report: Report,
}

impl<E: Source> Compare<'_, E> {
    /// Does an entry again and compares it; the inner error is why it cannot follow what was before.
    fn entry(&mut self, record: &Record) -> Result<Result<(), String>, ReconcileError> {
        let entry = match Entry::from_bytes(&record.data) {
            Ok(entry) => entry,
            Err(broken) => return Ok(Err(broken.to_string())),
        };
        if let Err(broken) = self.books.ledger.redo(&entry) {
            return Ok(Err(broken.to_string()));
        }
        if let Err(broken) = self.books.note(&entry) {
            return Ok(Err(broken.to_string()));
        }
        match &entry.cause {
            Cause::Consumed { source, position } if *source == self::events() => {
                self.pass(*position)?;
                match self.take(*position)? {
                    Some(event) => self.consumed(&entry, *position, &event),
                    None => self.differs(Some(*position), Some(entry.number), None, What::NoEvent),
                }
            }
            Cause::Amended { source, position, subject } if *source == self::events() => {
                let mut records = Vec::new();
                self.events.read(*position, 1, &mut records)?;
                match records.first().filter(|record| record.position == *position) {
                    Some(record) => self.amended(&entry, *subject, record),
                    None => self.differs(Some(*position), Some(entry.number), Some(*subject), What::NoEvent),
                }
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    /// Events before a position that no entry consumed must be worth nothing.
    fn pass(&mut self, position: u64) -> Result<(), ReconcileError> {
        while self.next < position {
            let at = self.next;
            let Some(record) = self.take(at)? else { break };
            for order in self.worth(&record) {
                self.differs(Some(at), None, Some(order.subject), What::NotGranted(order.reason));
            }
        }
        Ok(())
    }

    /// What lies behind all that was consumed. That the ledger has not noted down yet what is worth nothing is no delay.
    fn count_behind(&mut self) -> Result<(), ReconcileError> {
        let results = self.report.results;
        while self.next < self.report.events {
            let at = self.next;
            let Some(record) = self.take(at)? else { break };
            self.report.behind += u64::from(!self.worth(&record).is_empty());
        }
        self.report.results = results;
        Ok(())
    }

    /// The event at a position, which is not before the last one that was taken.
    fn take(&mut self, position: u64) -> Result<Option<Record>, ReconcileError> {
        self.next = position + 1;
        loop {
            match self.ahead.pop() {
                Some(record) if record.position == position => return Ok(Some(record)),
                Some(record) if record.position > position => {
                    self.ahead.push(record);
                    return Ok(None);
                }
                Some(_) => {}
                None if position >= self.events.end() => return Ok(None),
                None => {
                    self.events.read(position, READ_BYTES, &mut self.ahead)?;
                    self.ahead.reverse();
                }
            }
        }
    }

    fn worth(&mut self, record: &Record) -> Vec<Order> {
        match Envelope::decode(&record.data) {
            Ok(event) => {
                let orders = self.rewards.orders(&event);
                self.report.results += u64::from(!orders.is_empty());
                orders
            }
            Err(error) => {
                self.differs(Some(record.position), None, None, What::Unreadable(error.to_string()));
                Vec::new()
            }
        }
    }

    fn consumed(&mut self, entry: &Entry, position: u64, event: &Record) {
        let worth = self.worth(event);
        // Orders stand in the order of results and rewards, on both sides.
        for (number, order) in worth.iter().enumerate() {
            match entry.orders.get(number) {
                Some(outcome) => self.given(entry, position, order, outcome),
                None => {
                    let what = What::NotGranted(order.reason.clone());
                    self.differs(Some(position), Some(entry.number), Some(order.subject), what);
                }
            }
        }
        for outcome in entry.orders.iter().skip(worth.len()) {
            let reason = outcome.result.as_ref().map(|booking| booking.reason.clone());
            let what = What::NotEarned(reason.unwrap_or_else(|_| self::events()));
            self.differs(Some(position), Some(entry.number), Some(outcome.subject), what);
        }
    }

    fn amended(&mut self, entry: &Entry, player: u64, event: &Record) {
        let mut worth = self.worth(event);
        // It was counted when it was consumed.
        self.report.results -= u64::from(!worth.is_empty());
        worth.retain(|order| order.subject == player);
        self.open.remove(&(event.position, player));
        for (order, outcome) in worth.iter().zip(&entry.orders) {
            self.given(entry, event.position, order, outcome);
        }
    }

    /// One order against what became of it.
    fn given(&mut self, entry: &Entry, position: u64, order: &Order, outcome: &Outcome) {
        if outcome.subject != order.subject {
            let what = What::NotGranted(order.reason.clone());
            return self.differs(Some(position), Some(entry.number), Some(order.subject), what);
        }
        match &outcome.result {
            Ok(booking) => {
                let moved = order.steps.iter().all(|step| moves(step, &booking.effects));
                if booking.reason != order.reason {
                    let what = What::NotEarned(booking.reason.clone());
                    self.differs(Some(position), Some(entry.number), Some(order.subject), what);
                } else if !moved {
                    let what = What::OtherAmount(order.reason.clone());
                    self.differs(Some(position), Some(entry.number), Some(order.subject), what);
                } else {
                    self.report.grants += 1;
                }
            }
            Err(refusal) if refusal.why == Why::Claimed => {}
            Err(_) => drop(self.open.insert((position, order.subject))),
        }
    }

    fn differs(&mut self, event: Option<u64>, entry: Option<u64>, player: Option<u64>, what: What) {
        self.report.count += 1;
        if self.report.differences.len() < LISTED_MAX {
            self.report.differences.push(Difference { event, entry, player, what });
        }
    }

    fn finish(mut self) -> Report {
        let source = self::events();
        let waiting = self.books.quarantine.get(&source);
        self.report.waiting = waiting.map_or(0, |waiting| waiting.len() as u64);
        self.report.hash = self.books.ledger.hash();
        // What was refused waits for its player, or nobody will ever give it.
        for (position, player) in std::mem::take(&mut self.open) {
            let waits = waiting_of(&self.books, &source, player, position);
            if !waits {
                self.differs(Some(position), None, Some(player), What::NotGranted(source.clone()));
            }
        }
        self.report
    }
}

fn waiting_of(books: &Books, source: &Name, player: u64, position: u64) -> bool {
    let waiting = books.quarantine.get(source).into_iter().flat_map(|quarantine| quarantine.players());
    waiting.filter(|(waits, _)| *waits == player).any(|(_, waiting)| waiting.positions.contains(&position))
}

/// Whether effects do what a transfer says.
fn moves(step: &Step, effects: &[Effect]) -> bool {
    let Step::Transfer { from, to, amount } = step else { return false };
    let Ok(amount) = i64::try_from(*amount) else { return false };
    let has = |wanted: &Account, by: i64| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Moved { account, amount, .. } if account == wanted && *amount == by))
    };
    has(from, -amount) && has(to, amount)
}
