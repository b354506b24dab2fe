//! Contract: the client core joins, repeats its inputs, shows states between snapshots, and survives any bytes.

use core::time::Duration;

use arbiter_headless_client::client::{ClientCore, Stage};
use arbiter_protocol::{
    ClientMessage, Datagram, GoodbyeReason, KIND_INPUT, KIND_SNAPSHOT, Refused, RefusedReason, ServerMessage,
    SnapshotHeader, Welcome,
};
use arbiter_schema::{Audience, Describe, Predictor, Registry, Spec, StableId, describe};
use arbiter_sim::{Input, Loadout};
use arbiter_snapshot::{Parts, SnapshotEncoder, Viewer};

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

/// The datagrams of a server that moves the thing by 0.5 a tick.
fn snapshot(encoder: &mut SnapshotEncoder, tick: u32) -> Vec<u8> {
    let mut lanes = Vec::new();
    Thing { x: tick as f32 * 0.5 }.to_lanes(&mut lanes);
    encoder.begin(tick);
    encoder.row(StableId(1), 0, Some(0), 1, &lanes);
    let mut parts = Parts::default();
    assert!(encoder.encode(None, Viewer { slot: Some(0), team: 1 }, &mut parts));
    let mut bytes = Vec::new();
    let header = SnapshotHeader { input_margin: None };
    Datagram::Snapshot(header, parts.iter().next().unwrap()).encode(&mut bytes);
    bytes
}

fn at(tick: u32) -> Duration {
    Duration::from_secs_f64(1.0 + f64::from(tick) / 60.0)
}

fn heard(count: u32) -> ClientCore {
    let mut client = playing();
    let mut encoder = SnapshotEncoder::new(&registry(), 1_100);
    for tick in 1..=count {
        client.receive_datagram(KIND_SNAPSHOT, &snapshot(&mut encoder, tick), at(tick)).unwrap();
    }
    client
}

#[test]
fn the_first_message_is_a_join_with_the_hash_of_the_components() {
    let mut client = ClientCore::new(&registry(), Loadout { hero: 3, team: 2 });
    client.connected();
    let message = ClientMessage::decode(&client.next_message().unwrap()).unwrap();
    let ClientMessage::Join(join) = message else { panic!("{message:?}") };
    assert_eq!((join.protocol_hash, join.hero, join.team), (registry().protocol_hash(), 3, 2));
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
fn a_datagram_acknowledges_what_was_received() {
    let mut client = heard(10);
    client.push_input(20, Input::default());
    let mut bytes = Vec::new();
    client.write_datagram(&mut bytes);
    let Datagram::Input(packet) = Datagram::decode(KIND_INPUT, &bytes).unwrap() else { panic!("not an input") };
    assert_eq!(packet.state, Some(10));
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
    let mut encoder = SnapshotEncoder::new(&registry(), 1_100);
    for tick in [4, 8] {
        client.receive_datagram(KIND_SNAPSHOT, &snapshot(&mut encoder, tick), at(tick)).unwrap();
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
    let mut encoder = SnapshotEncoder::new(&registry(), 1_100);
    let good = snapshot(&mut encoder, 11);
    for at_byte in 0..good.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bad = good.clone();
            bad[at_byte] ^= flip;
            let _ = client.receive_datagram(KIND_SNAPSHOT, &bad, at(11));
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
