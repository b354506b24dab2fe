//! Contract: the client core joins, repeats its inputs, shows states between snapshots, and survives any bytes.

use core::time::Duration;

use arbiter_headless_client::client::{ClientCore, Stage};
use arbiter_protocol::sound::{Report, Source, write_sounds};
use arbiter_protocol::{
    ClientMessage, Datagram, GoodbyeReason, KIND_INPUT, KIND_SNAPSHOT, KIND_SOUNDS, Refused, RefusedReason,
    ServerMessage, SnapshotHeader, Sound, SoundList, Welcome,
};
use arbiter_schema::{Audience, Describe, Predictor, Registry, Spec, StableId, describe};
use arbiter_sim::{Input, Loadout};
use arbiter_snapshot::{Cache, History, Peer, PeerParts, Viewer, Wish};

describe! {
    /// Something that moves.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Thing {
        /// Where.
        pub x: f32 => Spec::new(0.0, 100.0, 0.01, Predictor::Linear, Audience::Everyone),
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add::<Thing>();
    registry
}

fn welcome() -> Vec<u8> {
    ServerMessage::Welcome(Welcome {
        slot: 0,
        player: StableId(1),
        tick_rate: 60,
        tick: 0,
        match_id: [0; 16],
        number: 1,
        small_parts: false,
        map: "arena".into(),
        map_hash: [0; 32],
        rules_hash: [0; 32],
        mode: "team_deathmatch".into(),
        teams: 2,
        players_max: 10,
    })
    .encode()
}

fn playing() -> ClientCore {
    let mut client = ClientCore::new(&registry(), Loadout::default());
    client.connected();
    client.receive_message(&welcome()).unwrap();
    client
}

/// A server that moves the thing by 0.5 a tick.
struct Server {
    history: History,
    cache: Cache,
    peer: Peer,
}

impl Server {
    fn new() -> Self {
        Self { history: History::new(&registry()), cache: Cache::default(), peer: Peer::new(1) }
    }

    /// The datagram of a tick, and the tag that it is acknowledged by.
    fn tell(&mut self, tick: u32) -> (u32, Vec<u8>) {
        let mut lanes = Vec::new();
        Thing { x: tick as f32 * 0.5 }.to_lanes(&mut lanes);
        self.history.begin(tick);
        self.history.row(StableId(1), 0, Some(0), 1, &lanes);
        self.history.finish();
        let mut parts = PeerParts::default();
        let wish = Wish { wanted: &[StableId(1)], gone: &[], always: None, budget_bytes: 1_000 };
        self.peer.encode(&self.history, &mut self.cache, Viewer { slot: Some(0), team: 1 }, &wish, &mut parts);
        let (tag, part) = parts.iter().next().unwrap();
        let mut bytes = Vec::new();
        Datagram::Snapshot(SnapshotHeader::new(None, 1), part).encode(&mut bytes);
        (tag, bytes)
    }
}

fn at(tick: u32) -> Duration {
    Duration::from_secs_f64(1.0 + f64::from(tick) / 60.0)
}

fn heard(count: u32) -> ClientCore {
    let mut client = playing();
    let mut server = Server::new();
    for tick in 1..=count {
        let (tag, bytes) = server.tell(tick);
        client.receive_datagram(KIND_SNAPSHOT, &bytes, at(tick)).unwrap();
        server.peer.delivered(tag);
    }
    client
}

fn discarded(client: &mut ClientCore, tick: u32) -> Option<u32> {
    client.push_input(tick, Input::default());
    let mut bytes = Vec::new();
    client.write_datagram(&mut bytes);
    let Datagram::Input(packet) = Datagram::decode(KIND_INPUT, &bytes).unwrap() else { panic!("not an input") };
    packet.discarded
}

#[test]
fn the_first_message_is_a_join_with_the_hash_of_the_components() {
    let mut client = ClientCore::new(&registry(), Loadout { hero: 3, team: 2 });
    client.connected();
    let message = ClientMessage::decode(&client.next_message().unwrap()).unwrap();
    let ClientMessage::Join(join) = message else { panic!("{message:?}") };
    let hash = arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(&registry()));
    assert_eq!((join.protocol_hash, join.hero, join.team), (hash, 3, 2));
}

#[test]
fn a_refusal_is_told() {
    let mut client = ClientCore::new(&registry(), Loadout::default());
    client.connected();
    let refused = Refused::from(RefusedReason::Full);
    client.receive_message(&ServerMessage::Refused(refused.clone()).encode()).unwrap();
    assert_eq!(*client.stage(), Stage::Refused(refused));
}

#[test]
fn each_datagram_repeats_the_last_inputs() {
    let mut client = heard(10);
    for tick in 20..24 {
        client.push_input(tick, Input { yaw: tick as u16, ..Input::default() });
    }
    let mut bytes = Vec::new();
    assert!(client.write_datagram(&mut bytes));
    let Datagram::Input(packet) = Datagram::decode(KIND_INPUT, &bytes).unwrap() else { panic!("not an input") };
    assert_eq!(packet.inputs.iter().map(|input| input.tick).collect::<Vec<_>>(), [23, 22, 21, 20]);
}

#[test]
fn what_could_not_be_read_is_told_until_it_has_arrived() {
    let (mut client, mut server) = (playing(), Server::new());
    // The first tick is lost, but the server thinks that it came.
    let (tag, _) = server.tell(1);
    server.peer.delivered(tag);
    for tick in 2..=9 {
        let (_, change) = server.tell(tick);
        assert!(client.receive_datagram(KIND_SNAPSHOT, &change, at(tick)).is_err());
    }
    // They are samples of the server's time all the same: without inputs nothing could be said.
    assert!(client.next_input(at(10)).is_some());
    for tick in 15..45 {
        assert_eq!(discarded(&mut client, tick), Some(9));
    }
    assert_eq!(discarded(&mut client, 45), None);
    server.peer.restart(10);
    client.receive_datagram(KIND_SNAPSHOT, &server.tell(10).1, at(10)).unwrap();
    assert_eq!(client.newest().unwrap().tick(), 10);
}

#[test]
fn what_comes_before_the_welcome_or_of_another_match_is_not_kept_and_the_server_is_told_so() {
    let mut client = ClientCore::new(&registry(), Loadout::default());
    client.connected();
    let mut server = Server::new();
    client.receive_datagram(KIND_SNAPSHOT, &server.tell(1).1, at(1)).unwrap();
    client.receive_message(&welcome()).unwrap();
    assert!(client.newest().is_none());
    assert!(discarded(&mut client, 10).is_some());

    let mut client = heard(10);
    let mut other = server.tell(11).1;
    other[0] ^= 0xC0;
    client.receive_datagram(KIND_SNAPSHOT, &other, at(11)).unwrap();
    assert_eq!(client.newest().unwrap().tick(), 10);
    assert!(discarded(&mut client, 20).is_some());
}

#[test]
fn an_entity_that_is_told_rarely_is_shown_between_what_was_told_of_it() {
    let (mut client, mut server) = (playing(), Server::new());
    for tick in [2, 6] {
        client.receive_datagram(KIND_SNAPSHOT, &server.tell(tick).1, at(tick)).unwrap();
    }
    let (before, after, share) = client.around_entity(StableId(1), 3.0).unwrap();
    assert_eq!((before.tick(), after.tick(), share), (2, 6, 0.25));
}

/// A datagram with the shots of some ticks before the part that is in another.
fn with_shots(ages: &[u8], snapshot: &[u8]) -> Vec<u8> {
    let mut list = SoundList::default();
    assert!(list.push(&Sound::Fired { report: Report::Shot, by: Source::Player(4) }));
    let mut sounds = Vec::new();
    write_sounds(ages.iter().map(|age| (*age, &list)), &mut sounds);
    [&snapshot[..1], &sounds, &snapshot[1..]].concat()
}

fn shots(client: &mut ClientCore, until: f64) -> Vec<u32> {
    core::iter::from_fn(|| client.next_sound(until)).map(|heard| heard.tick).collect()
}

#[test]
fn sounds_are_heard_with_what_is_shown_and_once_however_often_they_are_told() {
    let (mut client, mut server) = (playing(), Server::new());
    for tick in 1..=9 {
        let told = with_shots(if tick == 5 { &[4, 1, 0] } else { &[1] }, &server.tell(tick).1);
        client.receive_datagram(KIND_SOUNDS, &told, at(tick)).unwrap();
    }
    assert_eq!(client.newest().unwrap().tick(), 9);
    assert_eq!(shots(&mut client, 2.5), [0, 1, 2]);
    assert_eq!(shots(&mut client, 100.0), [3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_is_heard_beside_a_part_that_rests_on_what_is_not_held_is_heard() {
    let (mut client, mut server) = (playing(), Server::new());
    let (tag, _) = server.tell(1);
    server.peer.delivered(tag);
    let told = with_shots(&[0], &server.tell(2).1);
    assert!(client.receive_datagram(KIND_SOUNDS, &told, at(2)).is_err());
    // The first part that came says nothing of its tick but the low bits, which nothing has placed yet.
    assert!(shots(&mut client, 100.0).is_empty());
    client.receive_datagram(KIND_SNAPSHOT, &Server::new().tell(2).1, at(2)).unwrap();
    let told = with_shots(&[0], &server.tell(3).1);
    assert!(client.receive_datagram(KIND_SOUNDS, &told, at(3)).is_err());
    assert_eq!(shots(&mut client, 100.0), [3]);
}

#[test]
fn what_is_heard_before_the_welcome_or_of_another_match_is_dropped() {
    let mut client = ClientCore::new(&registry(), Loadout::default());
    client.connected();
    let mut server = Server::new();
    client.receive_datagram(KIND_SOUNDS, &with_shots(&[0], &server.tell(1).1), at(1)).unwrap();
    client.receive_message(&welcome()).unwrap();
    let mut other = with_shots(&[0], &server.tell(2).1);
    other[0] ^= 0xC0;
    client.receive_datagram(KIND_SOUNDS, &other, at(2)).unwrap();
    client.receive_datagram(KIND_SOUNDS, &with_shots(&[0], &Server::new().tell(3).1), at(3)).unwrap();
    client.receive_message(&welcome()).unwrap();
    assert!(shots(&mut client, 100.0).is_empty());
}

#[test]
fn nothing_is_sent_without_a_new_input() {
    let mut client = heard(10);
    client.push_input(20, Input::default());
    let mut bytes = Vec::new();
    client.write_datagram(&mut bytes);
    assert!(!client.write_datagram(&mut bytes));
}

#[test]
fn the_world_is_shown_between_two_snapshots() {
    let client = heard(10);
    let (before, after, share) = client.around(6.25).unwrap();
    assert_eq!((before.tick(), after.tick(), share), (6, 7, 0.25));
}

#[test]
fn a_lost_snapshot_is_bridged() {
    let mut client = playing();
    let mut server = Server::new();
    for tick in [4, 8] {
        client.receive_datagram(KIND_SNAPSHOT, &server.tell(tick).1, at(tick)).unwrap();
    }
    let (before, after, share) = client.around(5.0).unwrap();
    assert_eq!((before.tick(), after.tick(), share), (4, 8, 0.25));
}

#[test]
fn the_view_never_goes_back() {
    let mut client = heard(60);
    let first = client.view_time(at(61));
    assert!(client.view_time(at(59)) >= first);
}

#[test]
fn a_new_welcome_forgets_the_match_before() {
    let mut client = heard(10);
    client.receive_message(&welcome()).unwrap();
    assert!(client.newest().is_none());
}

#[test]
fn a_goodbye_ends_the_client() {
    let mut client = playing();
    client.quit();
    assert_eq!(*client.stage(), Stage::Over(GoodbyeReason::Quit));
}

#[test]
fn any_damaged_datagram_leaves_the_client_playing() {
    let mut client = heard(10);
    let (_, good) = Server::new().tell(11);
    for at_byte in 0..good.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bad = good.clone();
            bad[at_byte] ^= flip;
            let _ = client.receive_datagram(KIND_SNAPSHOT, &bad, at(11));
            let _ = client.receive_datagram(KIND_SOUNDS, &bad, at(11));
        }
        let _ = client.receive_datagram(KIND_SNAPSHOT, &good[..at_byte], at(11));
    }
    assert_eq!(*client.stage(), Stage::Playing);
}

#[test]
fn any_damaged_message_is_survived() {
    let mut client = playing();
    let good = welcome();
    for at_byte in 0..good.len() {
        let mut bad = good.clone();
        bad[at_byte] ^= 0xFF;
        let _ = client.receive_message(&bad);
        let _ = client.receive_message(&good[..at_byte]);
    }
    assert!(client.receive_message(&good).is_ok());
}
