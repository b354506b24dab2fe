//! Contract: what is encoded is decoded as it was; anything else is an error, never a panic.

use arbiter_protocol::input::{BUTTONS_ALL, INPUTS_PER_PACKET_MAX, PITCH_MAX};
use arbiter_protocol::sound::{Area, Report, SOUND_BYTES_MAX, Source, Spot, write_sounds};
use arbiter_protocol::{
    Cause, ClientMessage, Datagram, Goodbye, GoodbyeReason, InputPacket, Join, KIND_INPUT, KIND_SNAPSHOT, KIND_SOUNDS,
    LeaveReason, MESSAGE_BYTES_MAX, MatchMessage, Noise, Notice, Outcome, PROTOCOL_VERSION, ProtocolError, Refused,
    RefusedReason, ServerMessage, SnapshotHeader, Sound, SoundList, Sounds, Target, TeamScore, USER_DATA_BYTES,
    UserData, Watching, Welcome, WireInput,
};
use arbiter_schema::StableId;
use proptest::prelude::*;

fn join() -> ClientMessage {
    let protocol_hash = 0x0123_4567_89AB_CDEF;
    ClientMessage::Join(Join { version: PROTOCOL_VERSION, protocol_hash, hero: 2, team: 1, watch: None })
}

fn server_messages() -> Vec<ServerMessage> {
    let mut all = vec![ServerMessage::Welcome(Welcome {
        slot: 7,
        player: StableId(99),
        tick_rate: 60,
        tick: 12_345,
        number: 3,
        small_parts: true,
        match_id: [3; 16],
        map: "arena".into(),
        map_hash: [4; 32],
        rules_hash: [5; 32],
        mode: "team deathmatch".into(),
        teams: 2,
        players_max: 10,
    })];
    for reason in [
        RefusedReason::Version { server: 1, client: 2 },
        RefusedReason::ProtocolHash { server: 1, client: u64::MAX },
        RefusedReason::Full,
        RefusedReason::Stopping,
        RefusedReason::Malformed,
        RefusedReason::Token,
        RefusedReason::NoRoom,
        RefusedReason::NoSpectators,
        RefusedReason::Role,
    ] {
        all.push(ServerMessage::Refused(reason.into()));
    }
    for reason in [
        GoodbyeReason::Quit,
        GoodbyeReason::Idle,
        GoodbyeReason::Stopping,
        GoodbyeReason::Failed,
        GoodbyeReason::TakenOver,
    ] {
        all.push(ServerMessage::Goodbye(Goodbye { reason }));
    }
    let notices = [
        Notice::Killed { victim: 1, killer: Some(2), assist: None, cause: Cause::Weapon(3), headshot: true },
        Notice::Killed { victim: 1, killer: None, assist: None, cause: Cause::World, headshot: false },
        Notice::Score { scores: (1..=64).map(|team| TeamScore { team, points: -5 }).collect() },
        Notice::RoundStarted { round: 1 },
        Notice::RoundEnded { round: 1, outcome: Outcome::Won(2) },
        Notice::MatchEnded { outcome: Outcome::Draw },
        Notice::PlayerJoined { slot: 3, team: 1, hero: 2 },
        Notice::PlayerLeft { slot: 3, reason: LeaveReason::Idle },
        Notice::PointCaptured { point: 0, team: 2 },
        Notice::Streak { slot: 3, kills: 10 },
        Notice::Custom { kind: 9, a: -1, b: i32::MAX },
    ];
    for target in [Target::Free, Target::Player(9)] {
        all.push(ServerMessage::Watching(Watching { target, tick: 12_345, delay_ms: 10_000 }));
    }
    all.extend(notices.map(|notice| ServerMessage::Match(MatchMessage { tick: 600, notice })));
    all
}

fn packet() -> InputPacket {
    let input = |tick, buttons, yaw, lag| WireInput {
        tick,
        buttons,
        move_right: -127,
        move_forward: 127,
        yaw,
        pitch: -PITCH_MAX,
        view_tick: tick - lag,
        view_fraction: 17,
    };
    InputPacket {
        inputs: [input(1_000, 5, 40_000, 9), input(999, 4, 39_000, 9), input(998, 4, 39_000, 10)].into_iter().collect(),
        match_number: 2,
        discarded: Some(990),
    }
}

#[test]
fn every_server_message_survives_the_round_trip_and_fits_into_one_message() {
    for message in server_messages() {
        let bytes = message.encode();
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "{message:?} takes {} bytes", bytes.len());
        assert_eq!(ServerMessage::decode(&bytes), Ok(message));
    }
}

#[test]
fn every_client_message_survives_the_round_trip() {
    let ClientMessage::Join(join_to_play) = join() else { panic!("a join") };
    let watch = Some(Target::Player(3));
    for message in [
        join(),
        ClientMessage::Join(Join { watch, ..join_to_play }),
        ClientMessage::Watch(Target::Free),
        ClientMessage::Goodbye(Goodbye { reason: GoodbyeReason::Quit }),
    ] {
        assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn every_truncation_is_an_error() {
    type Refused = fn(&[u8]) -> bool;
    let mut all: Vec<(Vec<u8>, Refused)> = Vec::new();
    for message in server_messages() {
        all.push((message.encode(), |bytes| ServerMessage::decode(bytes).is_err()));
    }
    all.push((join().encode(), |bytes| ClientMessage::decode(bytes).is_err()));
    let mut bytes = Vec::new();
    Datagram::Input(packet()).encode(&mut bytes);
    all.push((bytes, |bytes| Datagram::decode(KIND_INPUT, bytes).is_err()));
    for (bytes, refused) in all {
        for end in 0..bytes.len() {
            assert!(refused(&bytes[..end]), "{end} of {} bytes were taken for a message", bytes.len());
        }
    }
}

#[test]
fn bytes_behind_a_message_are_an_error() {
    let mut bytes = join().encode();
    bytes.push(0);
    assert!(ClientMessage::decode(&bytes).is_err());
}

#[test]
fn a_join_of_another_version_is_read_as_far_as_its_version() {
    let mut bytes = join().encode();
    bytes[1..3].copy_from_slice(&77_u16.to_le_bytes());
    bytes.extend_from_slice(b"what a later version says");
    let Ok(ClientMessage::Join(join)) = ClientMessage::decode(&bytes) else { panic!("not read as a join") };
    assert_eq!(join.version, 77);
}

#[test]
fn a_refusal_of_a_later_version_keeps_its_text() {
    let refused = Refused { reason: RefusedReason::Other(200), text: "come back on Tuesday".into() };
    let mut bytes = ServerMessage::Refused(refused.clone()).encode();
    bytes.extend_from_slice(b"more");
    assert_eq!(ServerMessage::decode(&bytes), Ok(ServerMessage::Refused(refused)));
}

#[test]
fn an_input_that_repeats_its_successor_costs_one_byte() {
    let mut packet = packet();
    let newest = packet.inputs[0];
    packet.inputs = (0..8).map(|age| WireInput { tick: 1_000 - age, view_tick: 991 - age, ..newest }).collect();
    let mut bytes = Vec::new();
    Datagram::Input(packet.clone()).encode(&mut bytes);
    assert!(bytes.len() <= 25, "{} bytes", bytes.len());
    assert_eq!(Datagram::decode(KIND_INPUT, &bytes), Ok(Datagram::Input(packet)));
}

#[test]
fn what_was_discarded_long_ago_or_ahead_of_the_inputs_is_told_as_near_as_it_can_be() {
    for (discarded, read) in [(745, 745), (744, 745), (0, 745), (1_000, 999), (2_000, 999)] {
        let mut bytes = Vec::new();
        Datagram::Input(InputPacket { discarded: Some(discarded), ..packet() }).encode(&mut bytes);
        let Ok(Datagram::Input(packet)) = Datagram::decode(KIND_INPUT, &bytes) else { panic!("not an input") };
        assert_eq!(packet.discarded, Some(read));
    }
}

#[test]
fn a_snapshot_datagram_keeps_its_part() {
    for (input_margin, read) in [(None, None), (Some(-7), Some(-7)), (Some(i8::MAX), Some(31)), (Some(-127), Some(-31))]
    {
        for match_number in 0..4 {
            let header = SnapshotHeader { input_margin, match_number };
            let mut bytes = Vec::new();
            Datagram::Snapshot(header, b"part").encode(&mut bytes);
            assert_eq!(bytes.len(), SnapshotHeader::BYTES + 4);
            let header = SnapshotHeader { input_margin: read, match_number };
            assert_eq!(Datagram::decode(KIND_SNAPSHOT, &bytes), Ok(Datagram::Snapshot(header, b"part")));
        }
    }
}

/// A body of sounds before a part, and what is to be read of it.
fn sounding(lists: &[(u8, Vec<Sound>)]) -> (Vec<u8>, Vec<(u8, Sound)>) {
    let list_of = |sounds: &[Sound]| {
        let mut list = SoundList::default();
        let told = sounds.iter().take_while(|sound| list.push(sound)).count();
        (list, told)
    };
    let made: Vec<_> = lists.iter().map(|(age, sounds)| (*age, list_of(sounds))).collect();
    let mut bytes = vec![0x59];
    write_sounds(made.iter().map(|(age, (list, _))| (*age, list)), &mut bytes);
    bytes.extend_from_slice(b"part");
    let told = lists
        .iter()
        .zip(&made)
        .flat_map(|((age, sounds), (_, (_, told)))| sounds.iter().take(*told).map(|sound| (*age, *sound)));
    (bytes, told.collect())
}

#[test]
fn sounds_stand_before_the_part_and_say_themselves_where_they_end() {
    let shot = Sound::Fired { report: Report::Shot, by: Source::Player(3) };
    let (bytes, told) = sounding(&[(7, vec![shot]), (0, vec![shot, shot])]);
    assert_eq!(bytes.len(), 1 + 3 + 3 + 4);
    let Ok(Datagram::Sounds(header, sounds, part)) = Datagram::decode(KIND_SOUNDS, &bytes) else { panic!("no sounds") };
    assert_eq!((header.match_number, part), (1, &b"part"[..]));
    assert_eq!(sounds.iter().collect::<Vec<_>>(), told);
}

#[test]
fn more_sounds_than_a_body_may_have_are_refused() {
    let burst = Sound::Burst { at: Spot([1, 2, 3]), cause: Cause::Prop(1) };
    let (bytes, _) = sounding(&[(9, vec![burst; 3]), (0, vec![burst; 2])]);
    assert!(matches!(Datagram::decode(KIND_SOUNDS, &bytes), Ok(Datagram::Sounds(..))));
    let (bytes, _) = sounding(&[(9, vec![burst; 3]), (0, vec![burst; 3])]);
    let refused = Datagram::decode(KIND_SOUNDS, &bytes);
    assert!(matches!(refused, Err(ProtocolError::TooLong { max: SOUND_BYTES_MAX, .. })), "{refused:?}");
}

fn any_source() -> impl Strategy<Value = Source> {
    prop_oneof![any::<u16>().prop_map(Source::Player), any::<u32>().prop_map(|id| Source::Thing(StableId(id)))]
}

fn any_sound() -> impl Strategy<Value = Sound> {
    let report = prop_oneof![Just(Report::Shot), Just(Report::Launch), Just(Report::Swing), Just(Report::Beam)];
    let cause = prop_oneof![
        any::<u8>().prop_map(Cause::Weapon),
        any::<u8>().prop_map(Cause::Ability),
        any::<u8>().prop_map(Cause::Effect),
        any::<u8>().prop_map(Cause::Prop),
        Just(Cause::World),
    ];
    let area = (any::<[u8; 3]>(), any::<bool>())
        .prop_map(|(cell, wide)| if wide { Area { cell, wide }.widened() } else { Area { cell, wide } });
    prop_oneof![
        (report, any_source()).prop_map(|(report, by)| Sound::Fired { report, by }),
        (any_source(), any::<u8>()).prop_map(|(by, ability)| Sound::Used { by, ability }),
        (any_source(), any::<bool>()).prop_map(|(target, head)| Sound::Dealt { target, head }),
        (proptest::option::of(any_source()), any::<bool>()).prop_map(|(by, head)| Sound::Taken { by, head }),
        (any::<[u16; 3]>(), cause).prop_map(|(at, cause)| Sound::Burst { at: Spot(at), cause }),
        (0..8_usize, area).prop_map(|(noise, area)| Sound::Around { noise: Noise::ALL[noise], area }),
    ]
}

prop_compose! {
    fn any_input()(
        buttons in 0..=BUTTONS_ALL, move_right in -127..=127_i8, move_forward in -127..=127_i8, yaw: u16,
        pitch in -PITCH_MAX..=PITCH_MAX, lag: u16, view_fraction: u8,
    ) -> (u16, WireInput) {
        (lag, WireInput { tick: 0, buttons, move_right, move_forward, yaw, pitch, view_tick: 0, view_fraction })
    }
}

proptest! {
    #[test]
    fn any_input_packet_survives_the_round_trip(
        newest in 70_000..=u32::MAX, behind in proptest::option::of(1..=255_u32), match_number in 0..4_u8,
        drawn in proptest::collection::vec(any_input(), 1..=INPUTS_PER_PACKET_MAX),
    ) {
        let inputs = drawn.iter().zip(0..).map(|((lag, input), age)| {
            let tick = newest - age;
            WireInput { tick, view_tick: tick - u32::from(*lag), ..*input }
        }).collect();
        let packet = InputPacket { inputs, match_number, discarded: behind.map(|behind| newest - behind) };
        let mut bytes = Vec::new();
        Datagram::Input(packet.clone()).encode(&mut bytes);
        prop_assert_eq!(Datagram::decode(KIND_INPUT, &bytes), Ok(Datagram::Input(packet)));
    }

    #[test]
    fn any_sounds_survive_the_round_trip(
        ages in proptest::collection::btree_set(any::<u8>(), 1..4),
        sounds in proptest::collection::vec(proptest::collection::vec(any_sound(), 1..4), 3),
    ) {
        let lists: Vec<_> = ages.into_iter().rev().zip(sounds).collect();
        let (bytes, told) = sounding(&lists);
        match Datagram::decode(KIND_SOUNDS, &bytes) {
            Ok(Datagram::Sounds(_, sounds, part)) => {
                prop_assert_eq!(part, b"part");
                prop_assert_eq!(sounds.iter().collect::<Vec<_>>(), told);
            }
            Err(ProtocolError::TooLong { len, .. }) => prop_assert!(len > SOUND_BYTES_MAX && bytes.len() > len),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn there_is_one_way_to_write_sounds(bytes in proptest::collection::vec(any::<u8>(), 0..46)) {
        if let Ok(sounds) = Sounds::new(&bytes) {
            let all: Vec<(u8, Sound)> = sounds.iter().collect();
            let mut lists: Vec<(u8, SoundList)> = Vec::new();
            for (age, sound) in all {
                if lists.last().is_none_or(|last| last.0 != age) {
                    lists.push((age, SoundList::default()));
                }
                let (_, list) = lists.last_mut().expect("one was added");
                prop_assert!(list.push(&sound));
            }
            let mut again = Vec::new();
            write_sounds(lists.iter().map(|(age, list)| (*age, list)), &mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), tag in 0..20_u8) {
        for first in [None, Some(tag)] {
            let mut bytes = bytes.clone();
            if let (Some(first), Some(byte)) = (first, bytes.first_mut()) {
                *byte = first;
            }
            let _ = Datagram::decode(tag, &bytes);
            let _ = ClientMessage::decode(&bytes);
            let _ = ServerMessage::decode(&bytes);
        }
    }

    #[test]
    fn user_data_have_one_way_to_be_written(
        head in proptest::collection::vec(any::<u8>(), 11), build in proptest::collection::vec(any::<u8>(), 0..34),
        stray in proptest::option::of((46..256_usize, 1..=255_u8)),
    ) {
        let mut bytes = [0; USER_DATA_BYTES];
        bytes[0] = 1;
        bytes[1..12].copy_from_slice(&head);
        bytes[12] = build.len() as u8;
        bytes[13..13 + build.len()].copy_from_slice(&build);
        if let Some((at, value)) = stray {
            bytes[at] = value;
        }
        match UserData::decode(&bytes) {
            Ok(data) => prop_assert_eq!(data.encode(), Ok(bytes)),
            Err(_) => {
                let printable = core::str::from_utf8(&build).is_ok_and(|text| !text.chars().any(char::is_control));
                prop_assert!(stray.is_some() || build.len() > 32 || !printable);
            }
        }
    }

    #[test]
    fn what_is_read_is_written_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..60), tag in 1..6_u8) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = tag;
        }
        if let Ok(message) = ServerMessage::decode(&bytes) {
            prop_assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
        }
    }
}
