//! Who is put where.
//!
//! Whoever has a place in a running match goes back there: a player is in one match, and the server would send them there too.
//! Whoever was given a place a moment ago gets the same again, as long as it fits what they ask for. All others go to the
//! fullest room that has a place and fits, so that matches fill one after the other; among equals the highest hash of (player,
//! server, room) decides, so that the choice does not depend on who registered first and one server more or less moves few.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use super::{Given, Registry, Room, Server, ServerId};
use crate::mint::Role;

/// A spectator who was sent to a room counts there for so long. Servers do not say who watches, so that whoever has arrived
/// counts twice for a moment.
const SENT_TO_WATCH: Duration = Duration::from_secs(5);

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub player: u64,
    pub role: Role,
    pub mode: Option<&'a str>,
    pub map: Option<&'a str>,
    pub match_id: Option<u128>,
    pub protocol_hash: Option<u64>,
}

impl Wish<'_> {
    fn fits(&self, room: &Room) -> bool {
        let state = &room.state;
        self.mode.is_none_or(|mode| mode == state.mode)
            && self.map.is_none_or(|map| map == state.map)
            && self.match_id.is_none_or(|match_id| match_id == state.match_id)
    }

    fn speaks_with(&self, server: &Server) -> bool {
        self.protocol_hash.is_none_or(|hash| hash == server.protocol_hash)
    }

    fn finds_a_place(&self, room: &Room) -> bool {
        match self.role {
            Role::Player => room.has_place(),
            Role::Spectator => room.may_be_watched(),
        }
    }
}

/// Where somebody is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub server: String,
    pub addresses: Vec<SocketAddr>,
    pub room: u16,
    pub match_id: u128,
    pub epoch: u32,
    pub mode: String,
    pub map: String,
    pub tick_rate: u16,
    pub protocol_hash: u64,
    pub protocol_id: u64,
    /// They had it before.
    pub returned: bool,
}

/// Why somebody is sent nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("no server plays the match {0:032x} now: it has ended, or its server cannot be heard; join another")]
    NoSuchMatch(u128),
    #[error(
        "the client agrees to protocol {asked:016x}, and what fits is served with {}: get the client of one of these builds",
        list(served)
    )]
    Protocol { asked: u64, served: BTreeSet<(u64, String)> },
    #[error("no open room that fits has a place: try again, or ask for less")]
    NoPlace,
}

/// Protocols and builds that a refusal names: an installation has one or two.
const SERVED_MAX: usize = 8;

fn list(served: &BTreeSet<(u64, String)>) -> String {
    let named = served.iter().take(SERVED_MAX).map(|(hash, build)| format!("{hash:016x} (build {build})"));
    named.collect::<Vec<_>>().join(", ")
}

/// A room as it is chosen among.
type Candidate<'a> = (&'a ServerId, &'a Server, &'a Room);

impl Registry {
    /// Gives somebody a place, and counts it as taken.
    pub fn place(&mut self, now: Duration, wish: &Wish<'_>) -> Result<Place, Refusal> {
        self.forget(now);
        let (candidate, returned) = self.choose(wish)?;
        let (id, place) = (candidate.0.clone(), Place::of(candidate, returned));
        let (player, until) = (wish.player, now + self.given_for);
        // They may have a token for this place already: the one that was given out, or the one that they came with.
        let again = candidate.2.is_given_to(player);
        if wish.role == Role::Player {
            self.withdraw(player);
        }
        if let Some(room) = self.servers.get_mut(&id).and_then(|server| server.rooms.get_mut(&place.room)) {
            match wish.role {
                Role::Player => room.given.push(Given { player, until, spare: returned || again }),
                Role::Spectator => room.watching.push(now + SENT_TO_WATCH),
            }
        }
        Ok(place)
    }

    /// Takes a place back that nobody can use.
    pub fn give_back(&mut self, place: &Place, wish: &Wish<'_>) {
        match wish.role {
            Role::Player => self.withdraw(wish.player),
            Role::Spectator => {
                let server = self.servers.iter_mut().find(|(id, _)| id.as_str() == place.server);
                let room = server.and_then(|(_, server)| server.rooms.get_mut(&place.room));
                // One is as good as another.
                room.map(|room| room.watching.pop());
            }
        }
    }

    /// A player is on the way to one room at most.
    fn withdraw(&mut self, player: u64) {
        let rooms = self.servers.values_mut().flat_map(|server| server.rooms.values_mut());
        rooms.for_each(|room| room.given.retain(|given| given.player != player));
    }

    /// Rooms that have their match: of two that claim one, the one that took it up last has it.
    fn rooms(&self) -> Vec<Candidate<'_>> {
        let rooms =
            self.servers.iter().flat_map(|(id, server)| server.rooms.values().map(move |room| (id, server, room)));
        // Nearly all matches are in their first epoch, so that this is short.
        let mut taken_up: HashMap<u128, u32> = HashMap::new();
        for (_, _, room) in rooms.clone().filter(|(_, _, room)| room.state.epoch > 0) {
            let epoch = taken_up.entry(room.state.match_id).or_default();
            *epoch = room.state.epoch.max(*epoch);
        }
        let newest = |room: &Room| taken_up.get(&room.state.match_id).is_none_or(|epoch| room.state.epoch >= *epoch);
        rooms.filter(|(_, _, room)| newest(room)).collect()
    }

    /// A room, and whether the player has a place there already.
    fn choose(&self, wish: &Wish<'_>) -> Result<(Candidate<'_>, bool), Refusal> {
        let mut rooms = self.rooms();
        if wish.role == Role::Player {
            if let Some(held) = rooms.iter().find(|(_, _, room)| room.is_held_by(wish.player)) {
                return if wish.speaks_with(held.1) { Ok((*held, true)) } else { Err(mismatch(wish, &[*held])) };
            }
            let is_given = |(_, server, room): &&Candidate<'_>| {
                room.is_given_to(wish.player) && room.state.open && wish.fits(room) && wish.speaks_with(server)
            };
            if let Some(given) = rooms.iter().find(is_given) {
                return Ok((*given, false));
            }
        }
        if let Some(id) = wish.match_id.filter(|id| rooms.iter().all(|(_, _, room)| room.state.match_id != *id)) {
            return Err(Refusal::NoSuchMatch(id));
        }
        rooms.retain(|(_, _, room)| wish.fits(room));
        if !rooms.is_empty() && rooms.iter().all(|(_, server, _)| !wish.speaks_with(server)) {
            return Err(mismatch(wish, &rooms));
        }
        rooms.retain(|(_, server, room)| wish.speaks_with(server) && wish.finds_a_place(room));
        let fullest = rooms.iter().map(|(_, _, room)| room.taken()).max().ok_or(Refusal::NoPlace)?;
        rooms.retain(|(_, _, room)| room.taken() == fullest);
        // Rooms of one server stand next to each other, and a server's part of the hash is the dear one.
        let mut part: Option<(&ServerId, u64)> = None;
        let chosen = rooms.into_iter().max_by_key(|(id, _, room)| {
            let of_server = match part {
                Some((known, hash)) if known == *id => hash,
                _ => server_hash(wish.player, id),
            };
            part = Some((id, of_server));
            room_hash(of_server, room.state.room)
        });
        chosen.map(|chosen| (chosen, false)).ok_or(Refusal::NoPlace)
    }
}

fn mismatch(wish: &Wish<'_>, rooms: &[Candidate<'_>]) -> Refusal {
    let served = rooms.iter().map(|(_, server, _)| (server.protocol_hash, server.build.clone())).collect();
    Refusal::Protocol { asked: wish.protocol_hash.unwrap_or_default(), served }
}

/// The weight of a server for a player. The highest wins (highest random weight, Thaler and Ravishankar, 1998).
fn server_hash(player: u64, id: &ServerId) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&player.to_le_bytes()).update(id.as_str().as_bytes());
    let mut hash = [0; 8];
    hasher.finalize_xof().fill(&mut hash);
    u64::from_le_bytes(hash)
}

/// The weight of a room of that server: a step of SplitMix64 (Steele and others, 2014), which is one to one.
fn room_hash(of_server: u64, room: u16) -> u64 {
    let mut hash = of_server.wrapping_add((u64::from(room) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

impl Place {
    fn of((id, server, room): Candidate<'_>, returned: bool) -> Self {
        let state = &room.state;
        Self {
            server: id.as_str().to_owned(),
            addresses: server.addresses.clone(),
            room: state.room,
            match_id: state.match_id,
            epoch: state.epoch,
            mode: state.mode.clone(),
            map: state.map.clone(),
            tick_rate: state.tick_rate,
            protocol_hash: server.protocol_hash,
            protocol_id: server.protocol_id,
            returned,
        }
    }
}
