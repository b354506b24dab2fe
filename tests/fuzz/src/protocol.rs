//! What both ends say: inputs, snapshot headers, joining, notices.

use arbiter_protocol::{ClientMessage, DATAGRAM_BYTES_MAX, Datagram, ServerMessage};

use crate::{Example, Target};

/// Bodies and messages. The first byte chooses: bodies by their kind, 8 a client's message, 9 a server's.
pub const PROTOCOL: Target = Target {
    name: "protocol",
    what: "bodies of payloads and reliable messages, both directions",
    bytes_max: DATAGRAM_BYTES_MAX + 1,
    allocated_max: 16 << 10,
    run: |bytes| {
        let Some((&which, bytes)) = bytes.split_first() else { return };
        match which {
            // Written again it reads the same: nothing is understood in two ways.
            8 => {
                if let Ok(message) = ClientMessage::decode(bytes) {
                    assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
                }
            }
            9 => {
                if let Ok(message) = ServerMessage::decode(bytes) {
                    assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
                }
            }
            kind => {
                if let Ok(body) = Datagram::decode(kind, bytes) {
                    let mut again = Vec::new();
                    body.encode(&mut again);
                    if let Datagram::Sounds(_, sounds, _) = &body {
                        // Checked once, they are there when they are walked over.
                        assert!(sounds.iter().count() > 0);
                    }
                    assert_eq!(Datagram::decode(kind, &again), Ok(body));
                }
            }
        }
    },
    examples,
};

fn examples() -> Vec<Example> {
    use arbiter_protocol::sound::{Area, Report, Source, Spot, write_sounds};
    use arbiter_protocol::*;
    use arbiter_schema::StableId;
    let mut examples = Vec::new();
    let mut add = |name: &str, which: u8, bytes: Vec<u8>| {
        examples.push((name.to_owned(), [vec![which], bytes].concat()));
    };
    let mut packet = InputPacket { match_number: 1, discarded: Some(95), ..InputPacket::default() };
    for age in 0..8_u32 {
        packet.inputs.push(WireInput {
            tick: 100 - age,
            buttons: 1 << age,
            move_right: age as i8 - 4,
            move_forward: 127,
            yaw: 1_000 * age as u16,
            pitch: -300,
            view_tick: 90 - age,
            view_fraction: 20,
        });
    }
    let mut bytes = Vec::new();
    Datagram::Input(packet).encode(&mut bytes);
    add("input", KIND_INPUT, bytes);
    let mut bytes = Vec::new();
    Datagram::Snapshot(SnapshotHeader::new(Some(-3), 1), &[1, 2, 3]).encode(&mut bytes);
    add("snapshot", KIND_SNAPSHOT, bytes);
    let mut lists = [SoundList::default(), SoundList::default()];
    let sounds = [
        Sound::Fired { report: Report::Launch, by: Source::Player(200) },
        Sound::Used { by: Source::Thing(StableId(70_000)), ability: 3 },
        Sound::Dealt { target: Source::Player(2), head: true },
        Sound::Taken { by: None, head: false },
        Sound::Burst { at: Spot([40_000, 33_000, 20_000]), cause: Cause::Prop(1) },
        Sound::Around { noise: Noise::Steps, area: Area { cell: [128, 130, 2], wide: true } },
    ];
    for (at, sound) in sounds.iter().enumerate() {
        assert!(lists[at % 2].push(sound), "they fit");
    }
    let (mut heard, mut bytes_of_sounds) = (Vec::new(), Vec::new());
    write_sounds(lists.iter().zip([9, 0]).map(|(list, age)| (age, list)), &mut heard);
    let heard = Sounds::new(&heard).expect("what was written");
    Datagram::Sounds(SnapshotHeader::new(None, 2), heard, &[1, 2, 3]).encode(&mut bytes_of_sounds);
    add("sounds", KIND_SOUNDS, bytes_of_sounds);
    let mut bytes = Vec::new();
    Datagram::KillCam(KillCamHeader { number: 5, match_number: 1 }, &[1, 2, 3]).encode(&mut bytes);
    add("kill-cam", KIND_KILL_CAM, bytes);
    let join = Join { version: PROTOCOL_VERSION, protocol_hash: 77, hero: 1, team: 2, watch: None };
    add("join", 8, ClientMessage::Join(join).encode());
    add("join-old", 8, ClientMessage::Join(Join { version: 1, ..join }).encode());
    let watch = arbiter_protocol::Target::Player(3);
    add("join-watch", 8, ClientMessage::Join(Join { watch: Some(watch), ..join }).encode());
    add("watch", 8, ClientMessage::Watch(watch).encode());
    let watching = Watching { target: watch, tick: 900, delay_ms: 10_000 };
    add("watching", 9, ServerMessage::Watching(watching).encode());
    let goodbye = Goodbye { reason: GoodbyeReason::Protocol };
    add("client-goodbye", 8, ClientMessage::Goodbye(goodbye).encode());
    add("server-goodbye", 9, ServerMessage::Goodbye(goodbye).encode());
    let welcome = Welcome {
        slot: 3,
        player: StableId(40),
        tick_rate: 60,
        tick: 900,
        number: 1,
        small_parts: true,
        match_id: [5; 16],
        map: "arena".into(),
        map_hash: [1; 32],
        rules_hash: [2; 32],
        mode: "team_deathmatch".into(),
        teams: 2,
        players_max: 10,
    };
    add("welcome", 9, ServerMessage::Welcome(welcome).encode());
    for (name, reason) in [
        ("version", RefusedReason::Version { server: 2, client: 1 }),
        ("hash", RefusedReason::ProtocolHash { server: 2, client: 1 }),
        ("full", RefusedReason::Full),
    ] {
        add(&format!("refused-{name}"), 9, ServerMessage::Refused(Refused::from(reason)).encode());
    }
    let notices = [
        Notice::Killed { victim: 1, killer: Some(2), assist: None, cause: Cause::Weapon(3), headshot: true },
        Notice::RoundStarted { round: 1 },
        Notice::RoundEnded { round: 1, outcome: Outcome::Won(2) },
        Notice::MatchEnded { outcome: Outcome::Draw },
        Notice::PlayerJoined { slot: 1, team: 1, hero: 1 },
        Notice::PlayerLeft { slot: 1, reason: LeaveReason::Idle },
        Notice::PointCaptured { point: 1, team: 2 },
        Notice::Streak { slot: 1, kills: 5 },
        Notice::Custom { kind: 1, a: 2, b: 3 },
    ];
    for (at, notice) in notices.into_iter().enumerate() {
        add(&format!("notice-{at}"), 9, ServerMessage::Match(MatchMessage { tick: 70, notice }).encode());
    }
    examples
}
