//! A record of the log of profiles: who, which change, when, and what only the player's key opens.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | format, now 1 |
//! | 1 | kind: 1 a profile, 2 erased |
//! | 8 | player |
//! | 8 | number of the change of this player, from 1 |
//! | 8 | milliseconds since 1970 |
//! | 12 + n + 16 | of a profile: nonce, AES-256-GCM of its JSON, filled up so that lengths tell little; tag |
//!
//! Numbers are little endian; the first 26 bytes are the associated data, so that a profile is nobody else's and of no
//! other time.

use ring::aead::{Aad, Nonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::{NONCE_BYTES, Secret, TAG_BYTES, cipher};
use super::name::DisplayName;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 26;

/// Sealed texts are of multiples of this.
const FILLED_BYTES: usize = 128;

/// The record as it is without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub kind: Kind,
    pub player: u64,
    pub change: u64,
    pub time_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Profile,
    Erased,
}

#[derive(Serialize, Deserialize)]
struct Content {
    display_name: String,
}

impl Head {
    pub fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        out[0] = FORMAT;
        out[1] = if self.kind == Kind::Profile { 1 } else { 2 };
        out[2..10].copy_from_slice(&self.player.to_le_bytes());
        out[10..18].copy_from_slice(&self.change.to_le_bytes());
        out[18..].copy_from_slice(&self.time_ms.to_le_bytes());
        out
    }

    /// `None` if it is no record of ours.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD_BYTES)?;
        let long = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let kind = match (head[0], head[1]) {
            (FORMAT, 1) => Kind::Profile,
            (FORMAT, 2) => Kind::Erased,
            _ => return None,
        };
        Some(Self { kind, player: long(2)?, change: long(10)?, time_ms: long(18)? })
    }
}

/// A profile's record; `None` without random bytes.
pub(crate) fn seal(head: Head, key: &Secret, name: &DisplayName) -> Option<Vec<u8>> {
    let content = Content { display_name: name.as_str().to_owned() };
    let mut text = Zeroizing::new(serde_json::to_vec(&content).ok()?);
    let filled = text.len().next_multiple_of(FILLED_BYTES);
    text.resize(filled, b' ');
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    let head = head.to_bytes();
    let nonce_used = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key).seal_in_place_separate_tag(nonce_used, Aad::from(head), &mut text).ok()?;
    Some([&head[..], &nonce, &text, tag.as_ref()].concat())
}

/// What a profile's record says; `None` if the key does not open it.
pub(crate) fn unseal(bytes: &[u8], key: &Secret) -> Option<DisplayName> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
    if sealed.len() < TAG_BYTES {
        return None;
    }
    let mut text = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = cipher(key).open_in_place(nonce, Aad::from(head), &mut text).ok()?;
    let content: Content = serde_json::from_slice(plain).ok()?;
    DisplayName::new(&content.display_name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(player: u64) -> Head {
        Head { kind: Kind::Profile, player, change: 3, time_ms: 5 }
    }

    #[test]
    fn only_the_key_and_the_player_open_a_profile() {
        let (key, name) = (Secret::new([1; 32]), DisplayName::new("Ada").expect("a name"));
        let sealed = seal(head(7), &key, &name).expect("sealed");
        assert_eq!((unseal(&sealed, &key), Head::read(&sealed)), (Some(name), Some(head(7))));
        assert_eq!(unseal(&sealed, &Secret::new([2; 32])), None);
        let mut moved = sealed.clone();
        moved[..HEAD_BYTES].copy_from_slice(&head(8).to_bytes());
        assert_eq!(unseal(&moved, &key), None);
    }

    #[test]
    fn names_of_other_lengths_have_records_of_the_same() {
        let sealed = |name| seal(head(7), &Secret::new([1; 32]), &DisplayName::new(name).expect("a name"));
        assert_eq!(sealed("A").map(|bytes| bytes.len()), sealed("A longer name").map(|bytes| bytes.len()));
    }
}
