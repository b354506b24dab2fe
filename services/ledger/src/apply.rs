//! Deciding: a command and a time become an entry.
//!
//! In this order: was it here before; is it of a size that can be taken; which holds are over; what becomes of each order.
//! Refused orders are part of the entry, since a refusal is an answer too and a consumed position stays consumed.

use crate::command::{Command, POSTINGS_MAX, STEPS_MAX};
use crate::entry::{Answer, Cause, ENTRY_BYTES_MAX, Entry, Outcome};
use crate::key::{AHEAD_MS_MAX, Key};
use crate::refusal::Unanswered;
use crate::state::State;
use crate::transaction::Transaction;
use crate::{Order, Time, wire};

/// Holds that come back with one entry at most, so that it fits a record; the others come with the next.
pub const RELEASED_MAX: usize = 512;

// What comes back moves twice, and may pay what is owed, which are two movements more.
const _: () = assert!(RELEASED_MAX * 4 <= POSTINGS_MAX);

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It changed the state. It is so when the bytes are in the log; until then nobody may be told.
    New {
        /// What changed.
        entry: Entry,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The request was answered before, and this was the answer. It may be told when the entry of that time is in the log.
    Known(Answer),
    /// The position was consumed before, or there was nothing to do.
    Nothing,
}

impl Applied {
    /// What a client is told, if a client asked.
    pub fn answer(&self) -> Option<Answer> {
        match self {
            Applied::New { entry, .. } => entry.answer(),
            Applied::Known(answer) => Some(*answer),
            Applied::Nothing => None,
        }
    }
}

/// Applies a command at a time; an earlier time than the last one counts as the last one.
///
/// # Errors
/// The command cannot be answered; the state is as it was.
///
/// # Panics
/// When the ledger contradicts itself: to go on would be to spend what is not there.
pub fn apply(state: &mut State, command: &Command, time: Time) -> Result<Applied, Unanswered> {
    let now = time.max(state.time);
    let (cause, orders) = match begin(state, command, now)? {
        Begun::Done(applied) => return Ok(applied),
        Begun::New(cause, orders) => (cause, orders),
    };
    let steps = orders.iter().map(|order| order.steps.len().max(1)).sum();
    if steps > STEPS_MAX {
        return Err(Unanswered::TooManySteps(steps));
    }
    let (number, before) = (state.entries, state.history);
    let mut transaction = Transaction::begin(state, now);
    let released = transaction.release(RELEASED_MAX);
    if cause == Cause::Elapsed && released.is_none() {
        return Ok(Applied::Nothing);
    }
    let outcome = |order: &Order| Outcome { subject: order.subject, result: transaction.order(order) };
    let orders = orders.iter().map(outcome).collect();
    let entry = Entry { number, before, time: now, cause, released, orders };
    let bytes = wire::to_bytes(&entry);
    if bytes.len() > ENTRY_BYTES_MAX {
        transaction.abandon();
        return Err(Unanswered::TooLarge(bytes.len()));
    }
    state.finish(&entry, &bytes);
    Ok(Applied::New { entry, bytes })
}

enum Begun<'a> {
    Done(Applied),
    New(Cause, &'a [Order]),
}

fn begin<'a>(state: &State, command: &'a Command, now: Time) -> Result<Begun<'a>, Unanswered> {
    match command {
        Command::Consume { source, position, orders } => {
            // The last position has none behind it that a cursor could stand at.
            if *position < state.cursor(source) || *position == u64::MAX {
                return Ok(Begun::Done(Applied::Nothing));
            }
            Ok(Begun::New(Cause::Consumed { source: source.clone(), position: *position }, orders))
        }
        Command::Amend { source, position, subject, orders } => {
            let claimed = orders.iter().all(|order| order.claim.is_some() && order.subject == *subject);
            if *position >= state.cursor(source) || !claimed {
                return Err(Unanswered::Amendment);
            }
            let (source, position, subject) = (source.clone(), *position, *subject);
            Ok(Begun::New(Cause::Amended { source, position, subject }, orders))
        }
        Command::Request { key, request, order } => {
            let known = known_answer(state, *key, *request, now)?;
            let cause = Cause::Requested { key: *key, request: *request };
            Ok(known.map_or(Begun::New(cause, std::slice::from_ref(order)), |known| Begun::Done(Applied::Known(known))))
        }
        Command::Elapse => Ok(Begun::New(Cause::Elapsed, &[])),
    }
}

fn known_answer(state: &State, key: Key, request: u128, now: Time) -> Result<Option<Answer>, Unanswered> {
    if key.forgotten_at() <= now {
        return Err(Unanswered::TooOld(key));
    }
    match state.answer(key) {
        Some((known, answer)) if known == request => return Ok(Some(answer)),
        Some(_) => return Err(Unanswered::Conflict(key)),
        None => (),
    }
    if key.time() > now.after(AHEAD_MS_MAX) { Err(Unanswered::Ahead(key)) } else { Ok(None) }
}
