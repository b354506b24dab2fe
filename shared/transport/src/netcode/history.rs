//! Which connect tokens have been used, and by whom: what makes a token single-use.
//!
//! The one thing that the servers of a process share. It is touched in handshakes only, at most three times in each.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::address::AddressKey;
use super::crypto::{NoRandomness, TAG_BYTES, random};
use super::index::Index;

/// A token is remembered this much longer than it lives: the clocks of two threads may differ by that.
const MARGIN_SECONDS: u64 = 2;

/// Entries that are looked at, at each insertion, for whether they may be forgotten. More than one, so that forgetting keeps
/// ahead of remembering; few, so that a handshake's cost has a bound.
const SWEEP: usize = 8;

/// What identifies a token: the tag of its private part.
pub(crate) type TokenTag = [u8; TAG_BYTES];

/// What may be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// It is this address's to use.
    Bound,
    /// Another address has it, or it has been used up.
    Refused,
    /// There is no room to remember it.
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: TokenTag,
    address: AddressKey,
    expire_seconds: u64,
    is_used: bool,
    is_spent: bool,
}

#[derive(Debug)]
struct Entries {
    entries: Box<[Entry]>,
    index: Index,
    free: Vec<u32>,
    sweep: usize,
}

/// The used tokens of all servers that share it, in bounded memory, about 80 bytes a token.
///
/// A token belongs to the first address that asks to connect with it, until it expires; once a client is connected with it,
/// it is spent, for that address too: a second connection would seal other bytes with the same keys and sequences. When the
/// history is full of tokens that have not expired, new tokens are refused: forgetting one early would make it usable twice.
#[derive(Debug)]
pub struct TokenHistory {
    entries: Mutex<Entries>,
    /// Packets outside of a connection are sealed with a token's keys, and a client may show its token to several servers.
    /// A sequence that they share keeps them from sealing two packets with the same key and sequence.
    global_sequence: AtomicU64,
}

impl TokenHistory {
    /// Room for `capacity` unexpired tokens, at least 16: as many as are handed out in one lifetime of a token, with
    /// something to spare.
    pub fn new(capacity: usize) -> Result<Self, NoRandomness> {
        let capacity = capacity.clamp(16, 1 << 24);
        let empty = Entry {
            tag: [0; TAG_BYTES],
            address: AddressKey::default(),
            expire_seconds: 0,
            is_used: false,
            is_spent: false,
        };
        let mut offset = [0; 8];
        random(&mut offset)?;
        Ok(Self {
            entries: Mutex::new(Entries {
                entries: vec![empty; capacity].into_boxed_slice(),
                index: Index::new(capacity),
                free: (0..capacity as u32).rev().collect(),
                sweep: 0,
            }),
            // The upper half is the standard's; where in it, is random, so that a server that is started again, or another
            // one that the same token names, does not repeat a nonce either.
            global_sequence: AtomicU64::new(super::GLOBAL_SEQUENCE_MIN + (u64::from_le_bytes(offset) >> 3)),
        })
    }

    /// Number of tokens that it remembers.
    pub fn len(&self) -> usize {
        let entries = self.lock();
        entries.entries.len() - entries.free.len()
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sequence that nobody else gets.
    pub(crate) fn next_global_sequence(&self) -> u64 {
        self.global_sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a token must be refused to an address. Says no of tokens that it does not know: nothing about this one has
    /// been proven yet.
    pub(crate) fn is_refused(&self, tag: &TokenTag, address: AddressKey) -> bool {
        self.lock().find(tag).is_some_and(|(_, entry)| entry.is_spent || entry.address != address)
    }

    /// Gives a token to an address. To be called with authentic tokens only.
    pub(crate) fn bind(&self, tag: &TokenTag, address: AddressKey, expire_seconds: u64, now_seconds: u64) -> Binding {
        let mut entries = self.lock();
        if let Some((_, entry)) = entries.find(tag) {
            return if entry.is_spent || entry.address != address { Binding::Refused } else { Binding::Bound };
        }
        entries.sweep(now_seconds);
        let Some(at) = entries.free.pop() else { return Binding::Full };
        entries.entries[at as usize] = Entry { tag: *tag, address, expire_seconds, is_used: true, is_spent: false };
        let hash = entries.index.hash(tag);
        entries.index.insert(hash, at);
        Binding::Bound
    }

    /// Uses a token up. False if it is not this address's, or used up already.
    #[must_use]
    pub(crate) fn spend(&self, tag: &TokenTag, address: AddressKey) -> bool {
        let mut entries = self.lock();
        let Some((at, entry)) = entries.find(tag) else { return false };
        if entry.is_spent || entry.address != address {
            return false;
        }
        entries.entries[at as usize].is_spent = true;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing in here panics half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn find(&self, tag: &TokenTag) -> Option<(u32, &Entry)> {
        let at = self.index.get(self.index.hash(tag), |at| self.entries[at as usize].tag == *tag)?;
        Some((at, &self.entries[at as usize]))
    }

    /// Forgets what has expired among the next few.
    fn sweep(&mut self, now_seconds: u64) {
        for _ in 0..SWEEP {
            let at = self.sweep;
            self.sweep = (at + 1) % self.entries.len();
            let entry = &mut self.entries[at];
            if entry.is_used && entry.expire_seconds.saturating_add(MARGIN_SECONDS) <= now_seconds {
                entry.is_used = false;
                let tag = entry.tag;
                let hash = self.index.hash(&tag);
                self.index.remove(hash, at as u32);
                self.free.push(at as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> AddressKey {
        AddressKey::new(([127, 0, 0, 1], port).into())
    }

    fn tag(number: u32) -> TokenTag {
        let mut tag = [0; TAG_BYTES];
        tag[..4].copy_from_slice(&number.to_le_bytes());
        tag
    }

    #[test]
    fn a_token_is_its_first_users_until_it_is_spent() {
        let history = TokenHistory::new(16).unwrap();
        assert!(!history.is_refused(&tag(1), address(2)) && history.is_empty());
        assert_eq!(history.bind(&tag(1), address(1), 100, 50), Binding::Bound);
        assert_eq!(history.bind(&tag(1), address(1), 100, 50), Binding::Bound);
        assert_eq!(history.bind(&tag(1), address(2), 100, 50), Binding::Refused);
        assert!(history.is_refused(&tag(1), address(2)) && !history.is_refused(&tag(1), address(1)));
        assert!(!history.spend(&tag(1), address(2)));
        assert!(history.spend(&tag(1), address(1)) && !history.spend(&tag(1), address(1)));
        assert!(history.is_refused(&tag(1), address(1)));
        assert_eq!(history.bind(&tag(1), address(1), 100, 50), Binding::Refused);
    }

    #[test]
    fn a_full_history_refuses_until_tokens_expire() {
        let history = TokenHistory::new(16).unwrap();
        for number in 0..16 {
            assert_eq!(history.bind(&tag(number), address(1), 100, 50), Binding::Bound);
        }
        for number in 16..1_000 {
            assert_eq!(history.bind(&tag(number), address(1), 100, 101), Binding::Full);
        }
        assert_eq!(history.len(), 16);
        for number in 1_000..1_016 {
            assert_eq!(history.bind(&tag(number), address(1), 200, 102), Binding::Bound);
        }
        assert_eq!(history.len(), 16);
    }

    #[test]
    fn the_global_sequence_lies_in_the_upper_half_and_never_repeats() {
        let history = TokenHistory::new(16).unwrap();
        let (one, other) = (history.next_global_sequence(), history.next_global_sequence());
        assert!((1 << 63..(1 << 63) + (1 << 62)).contains(&one));
        assert_eq!(other, one + 1);
    }
}
