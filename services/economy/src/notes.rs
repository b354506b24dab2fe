//! Notes in the ledger's entries, in one envelope: a word for what a note is about, and the version of its form. A note that
//! begins with no word of ours is a studio's own, and is left alone.
//!
//! What is written is there for ever: a word keeps its meaning, and another form gets another version. Next: [`crate::payments`] and
//! [`crate::things`] for what is noted.

use arbiter_ledger::Broken;
use arbiter_ledger::wire::{Bytes, Wire};

use crate::payments::Noted;
use crate::things::Kind;

/// Before a note of payments.
const PAYMENT: &[u8] = b"payment\x01";

/// Before a note of what assets are.
const KINDS: &[u8] = b"kinds\x01";

/// One note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// What happened to a payment.
    Payment(Noted),
    /// What some assets are from now on.
    Kinds(Vec<Kind>),
}

impl Note {
    /// Its bytes, for a step of an order.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Payment(noted) => seal(PAYMENT, noted),
            Self::Kinds(kinds) => seal(KINDS, kinds),
        }
    }

    /// Reads a note; `None` if it is a studio's own.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        if let Some(rest) = bytes.strip_prefix(PAYMENT) {
            return open(rest).map(|noted| Some(Self::Payment(noted)));
        }
        if let Some(rest) = bytes.strip_prefix(KINDS) {
            return open(rest).map(|kinds| Some(Self::Kinds(kinds)));
        }
        Ok(None)
    }
}

fn seal(head: &[u8], thing: &impl Wire) -> Vec<u8> {
    let mut out = head.to_vec();
    thing.put(&mut out);
    out
}

fn open<T: Wire>(bytes: &[u8]) -> Result<T, Broken> {
    let mut from = Bytes::new(bytes);
    let thing = T::take(&mut from)?;
    from.end()?;
    Ok(thing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::Item;
    use crate::payments::Reversal;

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_trip(
            head in prop_oneof![Just(PAYMENT), Just(KINDS)],
            kind in 0_u8..8,
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let all = [head, &[kind], &bytes].concat();
            if let Ok(Some(note)) = Note::read(&all) {
                prop_assert_eq!(note.to_bytes(), all);
            }
        }
    }

    #[test]
    fn notes_are_read_as_they_were_written_and_others_are_left_alone() {
        let item = Item { stack: 5, slot: "head".parse().ok() };
        let name = |text: &str| text.parse().expect("a name");
        let kinds = vec![Kind { asset: name("crown"), item: Some(item) }, Kind { asset: name("gold"), item: None }];
        let reversed = Noted::Reversed { payment: 7, reversal: Reversal::ChargedBack, kept: Vec::new() };
        for note in [Note::Payment(reversed), Note::Kinds(kinds)] {
            assert_eq!(Note::read(&note.to_bytes()), Ok(Some(note.clone())));
            let mut cut = note.to_bytes();
            cut.pop();
            assert!(Note::read(&cut).is_err());
        }
        assert_eq!(Note::read(b"a studio's own"), Ok(None));
    }

    /// `payment`, version 1; failed (4); the number 7 in 16 bytes, little endian.
    #[test]
    fn a_note_of_payments_is_read_as_it_always_was() {
        let written = [&b"payment\x01\x04\x07"[..], &[0; 15]].concat();
        assert_eq!(Note::read(&written), Ok(Some(Note::Payment(Noted::Failed { payment: 7 }))));
    }
}
