//! Who is where, and what they say: the part of a socket thread that knows rooms.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, Join, PROTOCOL_VERSION, Refused, RefusedReason, ServerMessage,
    Target, UserData,
};
use arbiter_sim::{LeaveReason, Loadout};
use arbiter_transport::guard::Violation;
use arbiter_transport::{ClientId, DisconnectReason, ServerEvent};
use crossbeam::channel::TrySendError;

use super::{LINGER, Remote};
use crate::Shared;
use crate::room::{Arrival, FromSocket, Landed, Line};

pub(super) enum Stage {
    /// Connected; has not said what it wants.
    Lobby,
    /// In a room.
    Room(usize),
    /// Refused or said goodbye to.
    Leaving { until: Instant },
}

pub(super) struct Place {
    pub stage: Stage,
    pub line: Arc<Line>,
    /// What became of parts, until the room hears of it with the next input.
    landed: Landed,
    /// What the token says of the player; `None` if that cannot be read.
    user: Option<UserData>,
    /// It watches, and does not play.
    watches: bool,
}

/// What has to be done once the transport has told everything that a datagram brought.
pub(super) enum Answer {
    Message(ClientId, ServerMessage),
    Disconnect(ClientId, &'static str),
}

/// See the module.
pub(super) struct Desk<'a> {
    pub shared: &'a Shared,
    shard: u16,
    pub places: HashMap<ClientId, Place>,
    /// Oldest first.
    pub answers: VecDeque<Answer>,
    /// Joins and leaves that found their room's queue full, in order: at most two for each client.
    unsaid: Vec<(usize, FromSocket)>,
    /// What the last client that was expelled did, until it is logged.
    pub expelled: Option<Violation>,
    /// Bodies and messages that were none.
    pub malformed: u64,
    /// Inputs that found their room's queue full.
    pub inputs_dropped: u64,
}

impl<'a> Desk<'a> {
    pub fn new(shared: &'a Shared, shard: u16) -> Self {
        let (places, answers, unsaid) = (HashMap::new(), VecDeque::new(), Vec::new());
        Self { shared, shard, places, answers, unsaid, expelled: None, malformed: 0, inputs_dropped: 0 }
    }
}

impl Desk<'_> {
    fn remote(&self, client: ClientId) -> Remote {
        Remote { shard: self.shard, client }
    }

    pub fn hear(&mut self, event: ServerEvent<'_>) {
        match event {
            ServerEvent::Connected { client, user_data } => {
                let user = UserData::decode(user_data).ok();
                let (line, landed) = (Arc::default(), Landed::new());
                self.places.insert(client, Place { stage: Stage::Lobby, line, landed, user, watches: false });
            }
            ServerEvent::Disconnected { client, reason } => {
                if let Some(Place { stage: Stage::Room(room), .. }) = self.places.remove(&client) {
                    let reason = match reason {
                        DisconnectReason::ByPeer => LeaveReason::Quit,
                        DisconnectReason::Violation(_) => LeaveReason::Kicked,
                        _ => LeaveReason::TimedOut,
                    };
                    self.tell(room, FromSocket::Left { client: self.remote(client), reason });
                }
                if let DisconnectReason::Violation(violation) = reason {
                    self.expelled = Some(violation);
                }
            }
            ServerEvent::Body { client, kind, bytes } => {
                let Some(Place { stage: Stage::Room(room), landed, .. }) = self.places.get_mut(&client) else { return };
                let room = *room;
                match Datagram::decode(kind, bytes) {
                    Ok(Datagram::Input(packet)) => {
                        let landed = landed.take();
                        self.tell(room, FromSocket::Input { client: self.remote(client), packet, landed });
                    }
                    _ => self.malformed += 1,
                }
            }
            ServerEvent::Message { client, bytes } => self.message(client, bytes),
            ServerEvent::Delivered { client, tag } => self.land(client, tag, true),
            ServerEvent::Lost { client, tag } => self.land(client, tag, false),
        }
    }

    /// A part has come, or counts as lost. The room hears of it with the client's next input; of one that sends none, when
    /// enough has gathered.
    pub fn land(&mut self, client: ClientId, tag: u32, came: bool) {
        let Some(Place { stage: Stage::Room(room), landed, .. }) = self.places.get_mut(&client) else { return };
        landed.push((tag, came));
        if landed.is_full() {
            let (room, landed) = (*room, landed.take());
            self.tell(room, FromSocket::Landed { client: self.remote(client), landed });
        }
    }

    fn message(&mut self, client: ClientId, bytes: &[u8]) {
        let place = self.places.get(&client).filter(|place| place.watches);
        if let (Some(place), Ok(ClientMessage::Watch(target))) = (place, ClientMessage::decode(bytes)) {
            return place.line.set_wish(target);
        }
        match (self.places.get(&client).map(|place| &place.stage), ClientMessage::decode(bytes)) {
            (Some(Stage::Lobby), Ok(ClientMessage::Join(join))) => self.join(client, join),
            (Some(Stage::Room(room)), Ok(ClientMessage::Goodbye(_))) => {
                let room = *room;
                self.tell(room, FromSocket::Left { client: self.remote(client), reason: LeaveReason::Quit });
                self.leave(client);
            }
            (Some(Stage::Lobby), Ok(ClientMessage::Goodbye(_))) => self.leave(client),
            (Some(Stage::Lobby), Ok(ClientMessage::Watch(_)) | Err(_)) => {
                self.malformed += 1;
                self.refuse(client, RefusedReason::Malformed);
            }
            (Some(Stage::Room(room)), _) => {
                let room = *room;
                self.malformed += 1;
                let goodbye = ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Protocol });
                self.answers.push_back(Answer::Message(client, goodbye));
                self.tell(room, FromSocket::Left { client: self.remote(client), reason: LeaveReason::Kicked });
                self.leave(client);
            }
            (Some(Stage::Leaving { .. }) | None, _) => {}
        }
    }

    fn join(&mut self, client: ClientId, join: Join) {
        if join.version != PROTOCOL_VERSION {
            return self.refuse(client, RefusedReason::Version { server: PROTOCOL_VERSION, client: join.version });
        }
        let server = self.shared.protocol_hash;
        if join.protocol_hash != server {
            return self.refuse(client, RefusedReason::ProtocolHash { server, client: join.protocol_hash });
        }
        let Some(user) = self.places.get(&client).and_then(|place| place.user.clone()) else {
            return self.refuse(client, RefusedReason::Token);
        };
        if !user.role.allows(join.watch.is_some()) {
            return self.refuse(client, RefusedReason::Role);
        }
        if let Some(target) = join.watch {
            if self.shared.stopping().is_some() {
                return self.refuse(client, RefusedReason::Stopping);
            }
            return self.join_spectators(client, &user, target);
        }
        // Whoever has a place gets it, whatever room the token names.
        let held = self.shared.directory.room_of(user.player).map(usize::from);
        let held = held.filter(|at| !self.shared.rooms[*at].is_shut());
        // A match that is played to its end is played by those who have a place in it.
        if held.is_none() && self.shared.stopping().is_some() {
            return self.refuse(client, RefusedReason::Stopping);
        }
        let wished = user.room.map(usize::from);
        if held.is_none() && wished.is_some_and(|at| at >= self.shared.rooms.len()) {
            return self.refuse(client, RefusedReason::NoRoom);
        }
        let Some(at) = held.or_else(|| self.open_room(wished)) else {
            return self.refuse(client, RefusedReason::Full);
        };
        let (room, reserved) = (&self.shared.rooms[at], held.is_none());
        let loadout = Loadout { hero: join.hero, team: if user.team == 0 { join.team } else { user.team } };
        let line: Arc<Line> = Arc::default();
        let (remote, player) = (self.remote(client), user.player);
        let arrival = Arrival { client: remote, loadout, line: Arc::clone(&line), player, reserved };
        if reserved {
            // Before the room may give the place away again.
            room.reserve();
            self.shared.directory.enter(player, at as u16);
        }
        if let Some(place) = self.places.get_mut(&client) {
            (place.stage, place.line) = (Stage::Room(at), line);
        }
        self.tell(at, FromSocket::Join(arrival));
    }

    /// Spectators have no place in a match, so that none is kept for them: whoever comes back does so as anybody else.
    fn join_spectators(&mut self, client: ClientId, user: &UserData, target: Target) {
        let wished = user.room.map(usize::from);
        if wished.is_some_and(|at| at >= self.shared.rooms.len()) {
            return self.refuse(client, RefusedReason::NoRoom);
        }
        if self.shared.config.spectators_max > 0 && !self.shared.shed.lets_watch() {
            return self.refuse(client, self.shared.refuse_spectator());
        }
        // The fullest: there is most to be seen.
        let rooms = self.shared.rooms.iter().enumerate().filter(|(at, _)| wished.is_none_or(|wished| wished == *at));
        let mut rooms: Vec<_> = rooms.filter(|(_, room)| !room.is_shut()).collect();
        rooms.sort_by_key(|(at, room)| (core::cmp::Reverse(room.reserved()), *at));
        let Some((at, room)) = rooms.into_iter().find(|(_, room)| room.reserve_spectator()) else {
            return self.refuse(client, RefusedReason::NoSpectators);
        };
        let line: Arc<Line> = Arc::default();
        line.set_wish(target);
        let watch = FromSocket::Watch { client: self.remote(client), line: Arc::clone(&line) };
        if room.queue.try_send(watch).is_err() {
            room.release_spectator();
            return self.refuse(client, RefusedReason::NoSpectators);
        }
        if let Some(place) = self.places.get_mut(&client) {
            (place.stage, place.line, place.watches) = (Stage::Room(at), line, true);
        }
    }

    /// A room with a place: the wished one, or the fullest, because a match is more fun than three beginnings of one.
    fn open_room(&self, wished: Option<usize>) -> Option<usize> {
        let rooms = self.shared.rooms.iter().enumerate();
        let open = rooms.filter(|(at, room)| room.has_place() && wished.is_none_or(|wished| wished == *at));
        open.max_by_key(|(at, room)| (room.reserved(), usize::MAX - at)).map(|(at, _)| at)
    }

    fn refuse(&mut self, client: ClientId, reason: RefusedReason) {
        let mut refused = Refused::from(reason);
        if matches!(reason, RefusedReason::Version { .. } | RefusedReason::ProtocolHash { .. }) {
            // Whoever has to get another client, or another server, looks for it by this name.
            refused.text = format!("{} (the server is build {})", refused.text, self.shared.config.build);
        }
        self.answers.push_back(Answer::Message(client, ServerMessage::Refused(refused)));
        self.leave(client);
    }

    pub fn leave(&mut self, client: ClientId) {
        if let Some(place) = self.places.get_mut(&client) {
            place.stage = Stage::Leaving { until: Instant::now() + LINGER };
        }
    }

    /// An input that finds no room is dropped: the next datagram repeats it. A join or a leave is said again until it is heard,
    /// and behind those before it, so that nobody leaves before having come.
    fn tell(&mut self, room: usize, what: FromSocket) {
        let must_be_heard = matches!(what, FromSocket::Join(_) | FromSocket::Left { .. });
        if must_be_heard && !self.unsaid.is_empty() {
            return self.unsaid.push((room, what));
        }
        match self.shared.rooms[room].queue.try_send(what) {
            Ok(()) => {}
            Err(TrySendError::Full(what)) if must_be_heard => self.unsaid.push((room, what)),
            Err(_) => self.inputs_dropped += 1,
        }
    }

    pub fn say_unsaid(&mut self) {
        for (room, what) in core::mem::take(&mut self.unsaid) {
            self.tell(room, what);
        }
    }
}
