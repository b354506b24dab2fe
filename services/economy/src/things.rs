//! What the economy's own log says of assets beyond what a ledger knows: which of them are things. The catalogue says it too,
//! but a catalogue changes, and what is told of an entry must follow from the log alone.
//!
//! An asset of which nothing was noted is money. Next: `store.rs`, which notes what the catalogue says and the log does not.

use arbiter_ledger::command::NOTE_BYTES_MAX;
use arbiter_ledger::name::NAME_BYTES_MAX;
use arbiter_ledger::wire::{Bytes, Wire};
use arbiter_ledger::{Broken, Effect, Entry, Map, Name, Step};

use crate::catalogue::{Catalogue, Item};
use crate::notes::Note;

/// Assets of one note.
const KINDS_MAX: usize = 64;

// Two names with their lengths, the stack and two flags for each, behind the envelope and the count.
const _: () = assert!(KINDS_MAX * (2 * (NAME_BYTES_MAX + 1) + 4 + 2) + 16 <= NOTE_BYTES_MAX);

/// What an asset is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    pub asset: Name,
    /// `None` for money.
    pub item: Option<Item>,
}

/// All assets that are things, as the economy's entries tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Things(Map<Name, Item>);

impl Things {
    /// Takes in what an entry says. Entries come in their order, each once.
    ///
    /// # Errors
    /// A note that cannot be read.
    pub fn fold(&mut self, entry: &Entry) -> Result<(), Broken> {
        for effect in entry.bookings().flat_map(|booking| &booking.effects) {
            let Effect::Noted { bytes } = effect else { continue };
            let Some(Note::Kinds(kinds)) = Note::read(bytes)? else { continue };
            for Kind { asset, item } in kinds {
                match item {
                    Some(item) => drop(self.0.insert(asset, item)),
                    None => drop(self.0.remove(&asset)),
                }
            }
        }
        Ok(())
    }

    /// Notes of all that a catalogue says otherwise.
    pub fn missing(&self, catalogue: &Catalogue) -> Vec<Step> {
        let differs = |asset: &&Name| self.0.get(*asset) != catalogue.items.get(*asset);
        let kind = |asset: &Name| Kind { asset: asset.clone(), item: catalogue.items.get(asset).cloned() };
        let kinds: Vec<Kind> = catalogue.assets.keys().filter(differs).map(kind).collect();
        let note = |kinds: &[Kind]| Step::Note { bytes: Note::Kinds(kinds.to_vec()).to_bytes() };
        kinds.chunks(KINDS_MAX).map(note).collect()
    }
}

impl Wire for Item {
    fn put(&self, out: &mut Vec<u8>) {
        self.stack.put(out);
        self.slot.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(Self { stack: Wire::take(from)?, slot: Wire::take(from)? })
    }
}

impl Wire for Kind {
    fn put(&self, out: &mut Vec<u8>) {
        self.asset.put(out);
        self.item.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(Self { asset: Wire::take(from)?, item: Wire::take(from)? })
    }
}

impl Wire for Things {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Wire::take(from).map(Self)
    }
}
