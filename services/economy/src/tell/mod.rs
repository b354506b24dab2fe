//! Telling the world what the economy did: the domain events of accounts, wallets, inventories, purchases and grants.
//!
//! What is told of an entry follows from the economy's own log up to that entry, and from nothing else: no catalogue, no clock, no
//! configuration. So it can be told again, byte for byte, and the log of events, which knows each event by its name, has it once. The
//! state that is needed for it is a view; it is kept only when the log of events has acknowledged what was told
//! ([`arbiter_views::Saying`]), so that nothing is left out, whatever dies when.
//!
//! What was told once must be told so for ever: another [`fold`] may tell new facts of new entries, and never others of old ones.
//! Who brings events to the log is passed in: nothing here knows where that log is. Next: `booking.rs` for what is told of a booking,
//! [`Teller`] for the thread, `docs/decisions/ledger.md` for why it is so.

mod booking;
mod day;
pub mod fold;
mod tables;
mod teller;

use std::path::Path;

use arbiter_contracts::batch;
use arbiter_eventlog::{Folder, Masters, Reader};
use arbiter_views::{Opened, RebuildCheck, SayError, Source, View};
use thiserror::Error;

use crate::ledger_view::CheckError;
pub use fold::{Fact, SOURCE, Telling};
pub use teller::{TellConfig, Teller};

pub(crate) use teller::Status;

/// Bytes of entries that are told together at least, if there are so many: some hundred purchases, so that a flush of the log of
/// events costs little of each, and what is told of them fits the memory of a small machine.
const TOGETHER_BYTES: usize = 256 << 10;

/// Why events are not in the log of events now. All of them will be brought again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotBrought(pub String);

/// What was told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Entries of the economy's log.
    pub entries: usize,
    /// Events of which the world was told.
    pub events: usize,
    /// How many of them the log of events did not have before.
    pub new: usize,
}

/// Tells what a log of the economy says, when it is asked to: [`Teller`] asks all the time.
#[derive(Debug)]
pub struct Publisher {
    view: View<Telling>,
}

impl Publisher {
    /// Opens the view of what was told in a file, or makes it.
    ///
    /// # Errors
    /// Those of [`View::open`].
    pub fn open(path: &Path, source: &impl Source) -> Result<(Self, Opened), arbiter_views::OpenError> {
        let (view, opened) = View::open(path, Telling, source)?;
        Ok((Self { view }, opened))
    }

    /// Entries of which the world was told.
    pub fn entries(&self) -> u64 {
        self.view.position()
    }

    /// Tells what follows in the log: `bring` is given events of one batch ([`batch`]), and says how many of them were new when all are
    /// on disk. Nothing is told if all was.
    ///
    /// # Errors
    /// Something of it may have been told; the same will be told again.
    pub fn tell(
        &mut self,
        source: &impl Source,
        mut bring: impl FnMut(Vec<Fact>) -> Result<usize, NotBrought>,
    ) -> Result<Told, SayError<NotBrought>> {
        let mut told = Told::default();
        told.entries = self.view.follow_and_say(source, TOGETHER_BYTES, |said| {
            let mut facts: Vec<Fact> = said.into_iter().flatten().collect();
            // Only the last try counts: a batch is said again without what cannot be read.
            (told.events, told.new) = (facts.len(), 0);
            while !facts.is_empty() {
                let fitting = batch::fitting(facts.iter().map(|fact| fact.bytes.len()));
                let later = facts.split_off(fitting.max(1));
                told.new += bring(std::mem::replace(&mut facts, later))?;
            }
            Ok(())
        })?;
        Ok(told)
    }

    /// Throws the view away and begins anew: all is told again, and the log of events knows it.
    ///
    /// # Errors
    /// Those of [`View::rebuild`].
    pub fn begin_anew(&mut self, source: &impl Source) -> Result<(), arbiter_views::OpenError> {
        self.view.rebuild(source)
    }
}

/// Builds the view in a file again beside it, from the economy's log in a folder, and compares; nothing is told.
///
/// # Errors
/// Nothing was compared.
pub fn rebuild_check(log: &Path, file: &Path, masters: Option<Masters>) -> Result<RebuildCheck, CheckError> {
    arbiter_views::rebuild_check(file, |_| Ok(()), |()| Ok((Telling, Reader::open(Folder::at(log)?, masters)?)))
}
