//! The one writer: commands are decided as they come, their entries wait, and a commit makes them durable together.
//!
//! The ledger in memory is ahead of the log between a command and its commit. That is why nothing of it is shown while
//! anything waits, and why a failed log stops the economy: what is in memory then may be more than what is true. The writer
//! is fenced by the ids of its records: entry n has the id of n, an id names one fact for ever, so of two writers one learns
//! at its next commit that it was replaced, and has told nobody.

use std::collections::{BTreeMap, VecDeque};

use arbiter_contracts::Envelope;
use arbiter_contracts::quarantine::{Full, Quarantine, WAITING_MAX, Waiting};
use arbiter_eventlog::{AppendError, Appended, CommitError, EventStore, Record};
use arbiter_ledger::{Applied, Broken, Cause, Command, Entry, Name, Order, State, Time, apply};

use crate::error::{CommitFailed, ConsumeError, SubmitError};
use crate::payments::Payments;
use crate::rewards::Rewards;
use crate::things::Things;

/// Entries that may wait for a commit: a full disk must stop the economy from growing, not the machine.
pub const WAITING_ENTRIES_MAX: usize = 65_536;

/// Positions of a source that may be passed without an entry: so many are read again after a crash, and give nothing again.
pub const PASSED_MAX: u64 = 256;

// What the ledger decides must fit what the log takes.
const _: () = assert!(arbiter_ledger::entry::ENTRY_BYTES_MAX <= arbiter_eventlog::RECORD_BYTES_MAX);

/// What became of a command, and when it may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// It may be told when [`Economy::acknowledged`] is at least this.
    pub after: u64,
    /// What became of it.
    pub applied: Applied,
}

/// The economy over a store.
#[derive(Debug)]
pub struct Economy<S: EventStore> {
    pub(crate) store: S,
    pub(crate) books: Books,
    /// Bytes of entries that the store has not taken yet, the oldest first.
    unwritten: VecDeque<Vec<u8>>,
    /// Number of the first of them.
    next_unwritten: u64,
    stopped: bool,
}

/// All that follows from the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Books {
    pub ledger: State,
    pub quarantine: BTreeMap<Name, Quarantine>,
    pub payments: Payments,
    pub things: Things,
}

/// The id of an entry in the log.
pub fn entry_id(number: u64) -> u128 {
    u128::from_be_bytes(*b"arbiter ledger 1") & !u128::from(u64::MAX) | u128::from(number)
}

impl<S: EventStore> Economy<S> {
    pub(crate) fn with(store: S, books: Books) -> Self {
        let next_unwritten = books.ledger.entries();
        Self { store, books, unwritten: VecDeque::new(), next_unwritten, stopped: false }
    }

    /// Decides on a command at a time. Nobody may be told before [`Self::commit`] has brought [`Self::acknowledged`] so far.
    pub fn submit(&mut self, command: &Command, time: Time) -> Result<Told, SubmitError> {
        if self.stopped {
            return Err(SubmitError::Stopped);
        }
        if self.unwritten.len() >= WAITING_ENTRIES_MAX {
            return Err(SubmitError::Full(self.unwritten.len()));
        }
        let mut applied = apply(&mut self.books.ledger, command, time)?;
        if let Applied::New { entry, bytes } = &mut applied {
            let noted = self.books.note(entry);
            assert!(noted.is_ok(), "a note of our own cannot be: {noted:?}");
            self.unwritten.push_back(bytes.clone());
        }
        // What was answered before may itself still wait.
        Ok(Told { after: self.books.ledger.entries(), applied })
    }

    /// Consumes a record of a source: what its event is worth by the rewards. Positions that are worth nothing are passed
    /// without an entry, at most [`PASSED_MAX`] of them. `None` if nothing was to be done.
    ///
    /// A player's order that is refused is put aside, and so is everything for that player that follows from the same source,
    /// until it is amended: see [`Self::amend`].
    pub fn consume(
        &mut self,
        source: &Name,
        record: &Record,
        rewards: &Rewards,
        time: Time,
    ) -> Result<Option<Told>, ConsumeError> {
        let (position, cursor) = (record.position, self.books.ledger.cursor(source));
        if position < cursor {
            return Ok(None);
        }
        let orders = rewards.orders(&event_of(source, record)?);
        if orders.is_empty() && position - cursor < PASSED_MAX {
            return Ok(None);
        }
        let waiting = self.books.quarantine.get(source);
        // Each order puts aside one event at most.
        if waiting.map_or(0, Quarantine::len) + orders.len() > WAITING_MAX {
            return Err(ConsumeError::QuarantineFull(source.clone()));
        }
        let held = |order: &Order| waiting.is_some_and(|waiting| waiting.holds(order.subject));
        let aside = |order: Order| if held(&order) { Order { claim: None, steps: Vec::new(), ..order } } else { order };
        let orders = orders.into_iter().map(aside).collect();
        let command = Command::Consume { source: source.clone(), position, orders };
        Ok(Some(self.submit(&command, time)?))
    }

    /// Does once more what was refused or put aside for a player at a position: `record` is that of [`Self::waiting`]'s first
    /// position. What was done already is not done again.
    pub fn amend(
        &mut self,
        source: &Name,
        record: &Record,
        player: u64,
        rewards: &Rewards,
        time: Time,
    ) -> Result<Told, ConsumeError> {
        let waiting = self.waiting(source).find(|(waits, _)| *waits == player);
        let first = waiting.and_then(|(_, waiting)| waiting.positions.first().copied());
        if first != Some(record.position) {
            return Err(ConsumeError::NotFirst { origin: source.clone(), player, found: record.position, first });
        }
        let mut orders = rewards.orders(&event_of(source, record)?);
        orders.retain(|order| order.subject == player);
        let (source, position) = (source.clone(), record.position);
        Ok(self.submit(&Command::Amend { source, position, subject: player, orders }, time)?)
    }

    /// Makes everything that waits durable; returns [`Self::acknowledged`].
    pub fn commit(&mut self) -> Result<u64, CommitFailed> {
        if self.stopped {
            return Err(CommitFailed::Stopped);
        }
        let committed = self.write_all();
        self.stopped = committed.as_ref().is_err_and(|error| !matches!(error, CommitFailed::Waits(_)));
        committed
    }

    fn write_all(&mut self) -> Result<u64, CommitFailed> {
        while let Some(bytes) = self.unwritten.front() {
            let number = self.next_unwritten;
            match self.store.append(entry_id(number), bytes) {
                Ok(Appended::New(position)) if position == number => {
                    self.unwritten.pop_front();
                    self.next_unwritten += 1;
                }
                Ok(_) | Err(AppendError::Conflict { .. }) => return Err(CommitFailed::Fenced(number)),
                Err(AppendError::BatchFull) => drop(self.store.commit().map_err(failed)?),
                Err(error) => return Err(CommitFailed::Append(error)),
            }
        }
        self.store.commit().map_err(failed)
    }

    /// Entries below this are on disk: what they decided is so.
    pub fn acknowledged(&self) -> u64 {
        self.store.acknowledged()
    }

    /// The ledger, if all of it is on disk; `None` while anything waits or after the log failed.
    pub fn ledger(&self) -> Option<&State> {
        let settled = !self.stopped && self.store.acknowledged() == self.books.ledger.entries();
        settled.then_some(&self.books.ledger)
    }

    /// When the next hold comes back by itself: then [`Command::Elapse`] is worth submitting.
    pub fn ledger_next_due(&self) -> Option<Time> {
        self.books.ledger.next_due()
    }

    /// The first position of a source that is to be read: everything before it was consumed or was worth nothing.
    pub fn cursor(&self, source: &Name) -> u64 {
        self.books.ledger.cursor(source)
    }

    /// Players of whose events of a source some wait, why, and at which positions.
    pub fn waiting(&self, source: &Name) -> impl Iterator<Item = (u64, &Waiting)> {
        self.books.quarantine.get(source).into_iter().flat_map(Quarantine::players)
    }

    /// The store below, for reading.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back. What was not committed is lost, and was told to nobody.
    pub fn into_store(self) -> S {
        self.store
    }
}

fn failed(error: CommitError) -> CommitFailed {
    match error {
        CommitError::NoSpace(..) | CommitError::NoRandomness | CommitError::UnderWay(_) => CommitFailed::Waits(error),
        CommitError::Disk(..) | CommitError::Failed => CommitFailed::Log(error),
    }
}

fn event_of(source: &Name, record: &Record) -> Result<Envelope, ConsumeError> {
    Envelope::decode(&record.data).map_err(|error| ConsumeError::Event {
        position: record.position,
        origin: source.clone(),
        error,
    })
}

impl Books {
    /// What an entry says of who waits, of payments and of what assets are, after the ledger has it.
    pub fn note(&mut self, entry: &Entry) -> Result<(), Broken> {
        self.wait(entry);
        self.payments.fold(entry)?;
        self.things.fold(entry)
    }

    fn wait(&mut self, entry: &Entry) {
        let open = |outcome: &&arbiter_ledger::entry::Outcome| outcome.is_open();
        match &entry.cause {
            Cause::Consumed { source, position } => {
                for outcome in entry.orders.iter().filter(open) {
                    let reason = outcome.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
                    let quarantine = self.quarantine.entry(source.clone()).or_default();
                    // Room was made sure of before the record was consumed.
                    let put: Result<(), Full> = quarantine.put(outcome.subject, *position, &reason);
                    assert!(put.is_ok(), "more events wait than were let in");
                }
            }
            Cause::Amended { source, position, subject } => {
                let Some(quarantine) = self.quarantine.get_mut(source) else { return };
                let still = entry.orders.iter().find(open).and_then(|outcome| outcome.result.as_ref().err());
                let later = "it follows one that waited".to_owned();
                quarantine.replay(*subject, |waiting| match still {
                    None if waiting == *position => Ok(()),
                    None => Err(later.clone()),
                    Some(refusal) => Err(refusal.to_string()),
                });
                if quarantine.is_empty() {
                    self.quarantine.remove(source);
                }
            }
            Cause::Requested { .. } | Cause::Elapsed => (),
        }
    }
}
