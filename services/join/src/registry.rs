//! What servers said last, and which places were given out since. No I/O and no clock: times are passed in, as time passed since
//! some moment.
//!
//! A place that is given out counts as taken until its server says that the player has it, or until nobody can come with the
//! token any more: so that many who join at once do not overfill a room whose server speaks once a second. Who asks for something
//! else gives the first place back, though its token is still good: whoever comes with both finds that the server has the last
//! word. Next: `place` for who is put where.

mod place;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use arbiter_contracts::servers::{
    ADDRESSES_MAX, BUILD_BYTES_MAX, NAME_BYTES_MAX, PLACES_MAX, ROOMS_MAX, Registration, RoomState, hex64, hex128,
};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

pub(crate) use place::{Place, Refusal, Wish};

/// A server that was not heard of for so long is gone: five registrations that did not come.
pub const SILENCE: Duration = Duration::from_secs(5);

/// Servers at once.
pub(crate) const SERVERS_MAX: usize = 4_096;

/// Rooms of all servers: each join looks at all of them, in less than a millisecond.
pub(crate) const ROOMS_TOTAL_MAX: usize = 16_384;

/// Behind the end of a connect token: a handshake, and until the server has spoken again.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// Bytes of a server's id.
const ID_BYTES_MAX: usize = 64;

/// A server's id: 1 to 64 letters, digits, `.`, `_` and `-` of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerId(String);

impl ServerId {
    pub fn parse(text: String) -> Option<Self> {
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        ((1..=ID_BYTES_MAX).contains(&text.len()) && fits).then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a registration is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BeatError {
    #[error("{field}: expected {expected}")]
    Field { field: &'static str, expected: String },
    #[error("rooms: expected each room once, found room {0} twice")]
    RoomTwice(u16),
    #[error("{SERVERS_MAX} servers or {ROOMS_TOTAL_MAX} rooms are registered: start another service for further ones")]
    Full,
}

/// A server, as it said last.
#[derive(Debug)]
struct Server {
    heard: Duration,
    addresses: Vec<SocketAddr>,
    build: String,
    protocol_hash: u64,
    protocol_id: u64,
    rooms: BTreeMap<u16, Room>,
}

#[derive(Debug)]
struct Room {
    state: RoomState,
    /// Players who were sent here and may still come.
    given: Vec<Given>,
    /// Spectators who were sent here a moment ago. Servers do not say who watches.
    watching: Vec<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Given {
    player: u64,
    until: Duration,
    /// There may be a token left when the server says that the player is there: they asked twice, or had the place already.
    spare: bool,
}

impl Room {
    /// Places that are taken or may be.
    fn taken(&self) -> usize {
        usize::from(self.state.players).max(self.state.holders.len()) + self.under_way()
    }

    /// Players who may come and whom the server's own figure has not.
    fn under_way(&self) -> usize {
        self.given.iter().filter(|given| !self.is_held_by(given.player)).count()
    }

    fn has_place(&self) -> bool {
        self.state.open && self.taken() < usize::from(self.state.players_max)
    }

    fn may_be_watched(&self) -> bool {
        usize::from(self.state.spectators) + self.watching.len() < usize::from(self.state.spectators_max)
    }

    /// Whether the server says that a player has a place here. Its list is sorted.
    fn is_held_by(&self, player: u64) -> bool {
        self.state.holders.binary_search(&player).is_ok()
    }

    /// Whether a player was sent here a moment ago.
    fn is_given_to(&self, player: u64) -> bool {
        self.given.iter().any(|given| given.player == player)
    }

    fn forget_before(&mut self, now: Duration) {
        self.given.retain(|given| given.until > now);
        self.watching.retain(|until| *until > now);
    }
}

/// All servers.
#[derive(Debug)]
pub(crate) struct Registry {
    servers: BTreeMap<ServerId, Server>,
    /// A place that nobody has taken by then is free again.
    given_for: Duration,
}

impl Registry {
    pub fn new(connect_lifetime: Duration) -> Self {
        Self { servers: BTreeMap::new(), given_for: connect_lifetime + UNDER_WAY }
    }

    /// Takes what a server says; true if it is new.
    pub fn beat(&mut self, now: Duration, id: &ServerId, said: Registration) -> Result<bool, BeatError> {
        check(&said)?;
        self.forget(now);
        let before = self.servers.get(id);
        let others: usize = self.servers.values().map(|server| server.rooms.len()).sum();
        let others = others - before.map_or(0, |server| server.rooms.len());
        let is_new = before.is_none();
        if (is_new && self.servers.len() >= SERVERS_MAX) || others + said.rooms.len() > ROOMS_TOTAL_MAX {
            return Err(BeatError::Full);
        }
        let mut before = self.servers.remove(id).map(|server| server.rooms).unwrap_or_default();
        let mut rooms = BTreeMap::new();
        for mut state in said.rooms {
            state.holders.sort_unstable();
            state.holders.dedup();
            let known = before.remove(&state.room);
            let (given, watching) = known.map(|room| (room.given, room.watching)).unwrap_or_default();
            let number = state.room;
            let mut room = Room { state, given, watching };
            // They have come, and cannot come again once they have left.
            let Room { state, given, .. } = &mut room;
            given.retain(|given| given.spare || state.holders.binary_search(&given.player).is_err());
            rooms.insert(number, room);
        }
        let Registration { addresses, build, protocol_hash, protocol_id, .. } = said;
        self.servers.insert(id.clone(), Server { heard: now, addresses, build, protocol_hash, protocol_id, rooms });
        Ok(is_new)
    }

    /// Forgets a server; true if it was there.
    pub fn drain(&mut self, now: Duration, id: &ServerId) -> bool {
        self.forget(now);
        self.servers.remove(id).is_some()
    }

    /// All that can be heard.
    pub fn list(&mut self, now: Duration) -> Vec<ServerView> {
        self.forget(now);
        self.servers.iter().map(|(id, server)| ServerView::of(id, server, now)).collect()
    }

    /// Forgets who is silent, and places that nobody has taken.
    fn forget(&mut self, now: Duration) {
        self.servers.retain(|_, server| now.saturating_sub(server.heard) < SILENCE);
        let rooms = self.servers.values_mut().flat_map(|server| server.rooms.values_mut());
        rooms.for_each(|room| room.forget_before(now));
    }
}

fn check(said: &Registration) -> Result<(), BeatError> {
    let wrong = |field, expected: &str| Err(BeatError::Field { field, expected: expected.to_owned() });
    if said.addresses.is_empty() || said.addresses.len() > ADDRESSES_MAX {
        return wrong("addresses", &format!("1 to {ADDRESSES_MAX}"));
    }
    if said.addresses.iter().any(|address| address.port() == 0 || address.ip().is_unspecified()) {
        return wrong("addresses", "addresses that players can reach: give the server's with --public-address");
    }
    if said.build.len() > BUILD_BYTES_MAX || said.build.chars().any(char::is_control) {
        return wrong("build", &format!("up to {BUILD_BYTES_MAX} bytes without control characters"));
    }
    if said.rooms.len() > ROOMS_MAX {
        return wrong("rooms", &format!("up to {ROOMS_MAX}"));
    }
    let mut numbers: Vec<u16> = said.rooms.iter().map(|room| room.room).collect();
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BeatError::RoomTwice(pair[0]));
    }
    for room in &said.rooms {
        let is_name = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len());
        if room.room == u16::MAX {
            return wrong("room", "0 to 65,534");
        }
        if !is_name(&room.mode) || !is_name(&room.map) {
            return wrong("mode and map", &format!("1 to {NAME_BYTES_MAX} bytes"));
        }
        if !(1..=PLACES_MAX).contains(&room.players_max) {
            return wrong("players_max", &format!("1 to {PLACES_MAX}"));
        }
        if room.holders.len() > usize::from(PLACES_MAX) || room.holders.contains(&0) {
            return wrong("holders", &format!("up to {PLACES_MAX} players with numbers from 1"));
        }
    }
    Ok(())
}

/// A server, for services and operators.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerView {
    /// Its id.
    id: String,
    /// How long ago it was heard of.
    heard_ms: u64,
    /// Where players reach it.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<SocketAddr>,
    /// Its version.
    build: String,
    /// What its clients have to agree to: 16 hexadecimal digits.
    #[serde(with = "hex64")]
    #[schema(value_type = String)]
    protocol_hash: u64,
    /// Its rooms.
    rooms: Vec<RoomView>,
}

/// A room, for services and operators.
#[derive(Debug, Serialize, ToSchema)]
struct RoomView {
    /// Its number on its server.
    room: u16,
    /// The match: 32 hexadecimal digits.
    #[serde(rename = "match", with = "hex128")]
    #[schema(value_type = String)]
    match_id: u128,
    /// How often the match was taken up again after a failure.
    epoch: u32,
    /// Name of the mode.
    mode: String,
    /// Name of the map.
    map: String,
    /// Ticks a second.
    tick_rate: u16,
    /// Places that are taken, as the server says.
    players: u16,
    /// Places that were given out since.
    under_way: usize,
    /// Places.
    players_max: u16,
    /// Spectators, as the server says.
    spectators: u16,
    /// Spectators at most.
    spectators_max: u16,
    /// Whether it takes players.
    open: bool,
}

impl ServerView {
    fn of(id: &ServerId, server: &Server, now: Duration) -> Self {
        let heard_ms = u64::try_from(now.saturating_sub(server.heard).as_millis()).unwrap_or(u64::MAX);
        let rooms = server.rooms.values().map(|room| RoomView {
            room: room.state.room,
            match_id: room.state.match_id,
            epoch: room.state.epoch,
            mode: room.state.mode.clone(),
            map: room.state.map.clone(),
            tick_rate: room.state.tick_rate,
            players: room.state.players,
            under_way: room.under_way(),
            players_max: room.state.players_max,
            spectators: room.state.spectators,
            spectators_max: room.state.spectators_max,
            open: room.state.open,
        });
        Self {
            id: id.as_str().to_owned(),
            heard_ms,
            addresses: server.addresses.clone(),
            build: server.build.clone(),
            protocol_hash: server.protocol_hash,
            rooms: rooms.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
