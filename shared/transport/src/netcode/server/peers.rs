//! Who is known at which address: connected clients and pending handshakes, in memory that is allocated once.

use super::bits::Bits;
use crate::netcode::address::AddressKey;
use crate::netcode::crypto::Key;
use crate::netcode::history::TokenTag;
use crate::netcode::index::Index;
use crate::netcode::private::{PrivateToken, USER_DATA_BYTES};
use crate::netcode::replay::ReplayWindow;

/// A connection of one server: a slot, and which of its tenants. One that is gone is never mistaken for the next tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    slot: u32,
    generation: u32,
}

impl ConnectionId {
    /// The slot, below the server's number of slots: an index for what the caller keeps of its connections.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Everything that a packet needs to know of a client, in three cache lines.
#[repr(C, align(64))]
pub(super) struct Slot {
    pub to_client: Key,
    pub to_server: Key,
    pub replay: ReplayWindow,
    /// Of the next packet to the client.
    pub sequence: u64,
    pub address: AddressKey,
    pub client_id: u64,
    /// 0 is never.
    pub timeout_ms: u32,
    generation: u32,
    is_connected: bool,
    /// Has the client been heard of since it connected? Until then it may not know that it is connected.
    pub is_confirmed: bool,
}

/// When a client last was told something and heard of. Apart from the slots, so that the walk over all of them reads 32 KB
/// for 4,096 clients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub sent_ms: u32,
    pub heard_ms: u32,
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
    times: Box<[Times]>,
    live: Bits,
    free: Vec<u32>,
    pending: Box<[Pending]>,
    pending_live: Bits,
    pending_free: Vec<u32>,
    /// Values below the number of slots are clients, those above it pending.
    by_address: Index,
    by_client: Index,
}

impl Peers {
    pub fn new(clients_max: usize, pending_max: usize) -> Self {
        Self {
            slots: (0..clients_max).map(|_| Slot::empty()).collect(),
            times: vec![Times::default(); clients_max].into_boxed_slice(),
            live: Bits::new(clients_max),
            // The lowest is given out first, and again first: few slots in use stay close together.
            free: (0..clients_max as u32).rev().collect(),
            pending: (0..pending_max).map(|_| Pending::empty()).collect(),
            pending_live: Bits::new(pending_max),
            pending_free: (0..pending_max as u32).rev().collect(),
            by_address: Index::new(clients_max + pending_max),
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
        let clients_max = self.slots.len();
        let at = self.by_address.get(self.by_address.hash(&address), |at| {
            let at = at as usize;
            let known = self.slots.get(at).map_or_else(|| self.pending[at - clients_max].address, |slot| slot.address);
            known == address
        })? as usize;
        Some(if at < clients_max { Peer::Client(at) } else { Peer::Pending(at - clients_max) })
    }

    pub fn has_client(&self, client_id: u64) -> bool {
        let is = |at: u32| self.slots[at as usize].client_id == client_id;
        self.by_client.get(self.by_client.hash(&client_id), is).is_some()
    }

    pub fn slot(&mut self, at: usize) -> &mut Slot {
        &mut self.slots[at]
    }

    pub fn times(&mut self, at: usize) -> &mut Times {
        &mut self.times[at]
    }

    pub fn pending(&mut self, at: usize) -> &mut Pending {
        &mut self.pending[at]
    }

    pub fn id(&self, at: usize) -> ConnectionId {
        ConnectionId { slot: at as u32, generation: self.slots[at].generation }
    }

    /// The slot of a connection, unless that is gone.
    pub fn resolve(&self, connection: ConnectionId) -> Option<usize> {
        let slot = self.slots.get(connection.slot())?;
        (slot.is_connected && slot.generation == connection.generation).then_some(connection.slot())
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
                self.by_address.insert(self.by_address.hash(&address), (self.slots.len() + at) as u32);
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
        let hash = self.by_address.hash(&self.pending[at].address);
        self.by_address.remove(hash, (self.slots.len() + at) as u32);
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
        let generation = self.slots[at].generation;
        self.slots[at] = Slot {
            to_client: from.to_client.clone(),
            to_server: from.to_server.clone(),
            address: from.address,
            client_id: from.client_id,
            timeout_ms: from.timeout_ms,
            generation,
            is_connected: true,
            ..Slot::empty()
        };
        self.forget(pending);
        self.times[at] = Times { sent_ms: now_ms, heard_ms: now_ms };
        self.live.set(at);
        let slot = &self.slots[at];
        self.by_address.insert(self.by_address.hash(&slot.address), at as u32);
        self.by_client.insert(self.by_client.hash(&slot.client_id), at as u32);
        Some(at)
    }

    /// Frees a connected slot and forgets its keys.
    pub fn release(&mut self, at: usize) {
        let slot = &self.slots[at];
        let hash = self.by_address.hash(&slot.address);
        self.by_address.remove(hash, at as u32);
        let hash = self.by_client.hash(&slot.client_id);
        self.by_client.remove(hash, at as u32);
        let generation = slot.generation.wrapping_add(1);
        self.slots[at] = Slot { generation, ..Slot::empty() };
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
            to_server: Key::zero(),
            replay: ReplayWindow::default(),
            sequence: 0,
            address: AddressKey::default(),
            client_id: 0,
            timeout_ms: 0,
            generation: 0,
            is_connected: false,
            is_confirmed: false,
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
    fn what_a_packet_needs_of_a_client_is_three_cache_lines() {
        assert_eq!(size_of::<Slot>(), 3 * 64);
    }
}
