//! Who is known at which address: connected clients and pending handshakes, in memory that is allocated once.

use core::net::SocketAddr;

use super::bits::Bits;
use crate::netcode::address::AddressKey;
use crate::netcode::crypto::Key;
use crate::netcode::history::TokenTag;
use crate::netcode::index::Index;
use crate::netcode::private::{PrivateToken, USER_DATA_BYTES};
use crate::netcode::replay::ReplayBits;

/// A connection of one server: a slot, and which of its tenants. One that is gone is never mistaken for the next tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    slot: u32,
    generation: u32,
}

impl ConnectionId {
    /// No connection of any server: what is sent there goes nowhere.
    pub const NOBODY: Self = Self { slot: u32::MAX, generation: u32::MAX };

    /// The slot, below the server's number of slots: an index for what the caller keeps of its connections.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What a packet needs of a client: a cache line to seal one, another to open one. They lie side by side, because processors
/// fetch lines in pairs.
#[repr(C, align(128))]
pub(super) struct Slot {
    pub to_client: Key,
    /// Of the next packet to the client.
    pub sequence: u64,
    pub address: AddressKey,

    pub to_server: Key,
    pub received: ReplayBits,
}

/// What the walk over all clients needs, and packets both ways: apart from the slots, so that the walk reads 128 KB for 4,096
/// clients.
#[derive(Debug, Clone, Default)]
#[repr(align(32))]
pub(super) struct Vitals {
    /// The newest sequence in the slot's `received`.
    pub newest: u64,
    pub sent_ms: u32,
    pub heard_ms: u32,
    generation: u32,
    is_connected: bool,
    /// Has the client been heard of since it connected? Until then it may not know that it is connected.
    pub is_confirmed: bool,
}

/// What only a handshake or a long silence needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    pub client_id: u64,
    /// 0 is never.
    pub timeout_ms: u32,
}

/// A token was shown from an address; the address is not proven.
pub(super) struct Pending {
    pub address: AddressKey,
    pub tag: TokenTag,
    pub to_client: Key,
    pub to_server: Key,
    pub client_id: u64,
    pub user_data: [u8; USER_DATA_BYTES],
    pub timeout_ms: u32,
    began_ms: u32,
    lifetime_ms: u32,
}

/// What is known at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A connected client, by its slot.
    Client(usize),
    /// A handshake, by its place.
    Pending(usize),
}

pub(super) struct Peers {
    slots: Box<[Slot]>,
    vitals: Box<[Vitals]>,
    terms: Box<[Terms]>,
    live: Bits,
    free: Vec<u32>,
    pending: Box<[Pending]>,
    pending_live: Bits,
    pending_free: Vec<u32>,
    /// Clients and handshakes apart: what packets of clients look up stays as small as it can be.
    by_address: Index,
    pending_by_address: Index,
    by_client: Index,
}

impl Peers {
    pub fn new(clients_max: usize, pending_max: usize) -> Self {
        Self {
            slots: (0..clients_max).map(|_| Slot::empty()).collect(),
            vitals: vec![Vitals::default(); clients_max].into_boxed_slice(),
            terms: vec![Terms::default(); clients_max].into_boxed_slice(),
            live: Bits::new(clients_max),
            // The lowest is given out first, and again first: few slots in use stay close together.
            free: (0..clients_max as u32).rev().collect(),
            pending: (0..pending_max).map(|_| Pending::empty()).collect(),
            pending_live: Bits::new(pending_max),
            pending_free: (0..pending_max as u32).rev().collect(),
            by_address: Index::new(clients_max),
            pending_by_address: Index::new(pending_max),
            by_client: Index::new(clients_max),
        }
    }

    pub fn clients_max(&self) -> usize {
        self.slots.len()
    }

    pub fn clients(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn pendings(&self) -> usize {
        self.pending.len() - self.pending_free.len()
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    pub fn find(&self, address: AddressKey) -> Option<Peer> {
        let is_client = |at: u32| self.slots[at as usize].address == address;
        if let Some(at) = self.by_address.get(self.by_address.hash(&address), is_client) {
            return Some(Peer::Client(at as usize));
        }
        let is_pending = |at: u32| self.pending[at as usize].address == address;
        let at = self.pending_by_address.get(self.pending_by_address.hash(&address), is_pending)?;
        Some(Peer::Pending(at as usize))
    }

    pub fn has_client(&self, client_id: u64) -> bool {
        let is = |at: u32| self.terms[at as usize].client_id == client_id;
        self.by_client.get(self.by_client.hash(&client_id), is).is_some()
    }

    pub fn client(&mut self, at: usize) -> (&mut Slot, &mut Vitals) {
        (&mut self.slots[at], &mut self.vitals[at])
    }

    pub fn vitals(&self, at: usize) -> &Vitals {
        &self.vitals[at]
    }

    pub fn timeout_ms(&self, at: usize) -> u32 {
        self.terms[at].timeout_ms
    }

    pub fn address(&self, at: usize) -> SocketAddr {
        self.slots[at].address.address()
    }

    pub fn pending(&mut self, at: usize) -> &mut Pending {
        &mut self.pending[at]
    }

    pub fn id(&self, at: usize) -> ConnectionId {
        ConnectionId { slot: at as u32, generation: self.vitals[at].generation }
    }

    /// The slot of a connection, unless that is gone.
    pub fn resolve(&self, connection: ConnectionId) -> Option<usize> {
        let vitals = self.vitals.get(connection.slot())?;
        (vitals.is_connected && vitals.generation == connection.generation).then_some(connection.slot())
    }

    /// Remembers a handshake, in place of another one from the same address, for at most `lifetime_ms`. `None` if all places
    /// are taken.
    pub fn pend(
        &mut self,
        address: AddressKey,
        token: &PrivateToken,
        tag: TokenTag,
        timeout_ms: u32,
        began_ms: u32,
        lifetime_ms: u32,
    ) -> Option<()> {
        let at = match self.find(address) {
            Some(Peer::Pending(at)) => at,
            Some(Peer::Client(_)) => return None,
            None => {
                let at = self.pending_free.pop()? as usize;
                self.pending_live.set(at);
                self.pending_by_address.insert(self.pending_by_address.hash(&address), at as u32);
                at
            }
        };
        self.pending[at] = Pending {
            address,
            tag,
            to_client: token.to_client.clone(),
            to_server: token.to_server.clone(),
            client_id: token.client_id,
            user_data: token.user_data,
            timeout_ms,
            began_ms,
            lifetime_ms,
        };
        Some(())
    }

    /// Forgets a handshake and its keys.
    pub fn forget(&mut self, at: usize) {
        let hash = self.pending_by_address.hash(&self.pending[at].address);
        self.pending_by_address.remove(hash, at as u32);
        self.pending[at] = Pending::empty();
        self.pending_live.clear(at);
        self.pending_free.push(at as u32);
    }

    /// Forgets all handshakes that are too old; returns how many.
    pub fn forget_old(&mut self, now_ms: u32) -> u64 {
        let (mut from, mut forgotten) = (0, 0);
        while let Some(at) = self.pending_live.next(from) {
            let pending = &self.pending[at];
            if now_ms.wrapping_sub(pending.began_ms) >= pending.lifetime_ms {
                self.forget(at);
                forgotten += 1;
            }
            from = at + 1;
        }
        forgotten
    }

    /// Makes a pending handshake a connection; `None` if no slot is free.
    pub fn connect(&mut self, pending: usize, now_ms: u32) -> Option<usize> {
        let at = self.free.pop()? as usize;
        let from = &self.pending[pending];
        self.slots[at] = Slot {
            to_client: from.to_client.clone(),
            sequence: 0,
            address: from.address,
            to_server: from.to_server.clone(),
            received: ReplayBits::default(),
        };
        let vitals = &mut self.vitals[at];
        let generation = vitals.generation;
        *vitals = Vitals { sent_ms: now_ms, heard_ms: now_ms, generation, is_connected: true, ..Vitals::default() };
        self.terms[at] = Terms { client_id: from.client_id, timeout_ms: from.timeout_ms };
        self.forget(pending);
        self.live.set(at);
        self.by_address.insert(self.by_address.hash(&self.slots[at].address), at as u32);
        self.by_client.insert(self.by_client.hash(&self.terms[at].client_id), at as u32);
        Some(at)
    }

    /// Frees a connected slot and forgets its keys.
    pub fn release(&mut self, at: usize) {
        let hash = self.by_address.hash(&self.slots[at].address);
        self.by_address.remove(hash, at as u32);
        let hash = self.by_client.hash(&self.terms[at].client_id);
        self.by_client.remove(hash, at as u32);
        self.slots[at] = Slot::empty();
        self.vitals[at] = Vitals { generation: self.vitals[at].generation.wrapping_add(1), ..Vitals::default() };
        self.terms[at] = Terms::default();
        self.live.clear(at);
        self.free.push(at as u32);
    }

    /// The first connected slot from `at` on.
    pub fn next_client(&self, at: usize) -> Option<usize> {
        self.live.next(at)
    }
}

impl Slot {
    fn empty() -> Self {
        Self {
            to_client: Key::zero(),
            sequence: 0,
            address: AddressKey::default(),
            to_server: Key::zero(),
            received: ReplayBits::default(),
        }
    }
}

impl Pending {
    fn empty() -> Self {
        Self {
            address: AddressKey::default(),
            tag: [0; 16],
            to_client: Key::zero(),
            to_server: Key::zero(),
            client_id: 0,
            user_data: [0; USER_DATA_BYTES],
            timeout_ms: 0,
            began_ms: 0,
            lifetime_ms: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_seals_and_what_opens_a_packet_is_a_cache_line_each() {
        assert_eq!((size_of::<Slot>(), core::mem::offset_of!(Slot, to_server)), (128, 64));
        assert_eq!(size_of::<Vitals>(), 32);
    }
}
