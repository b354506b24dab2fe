//! Contract: every message is read as `tests/vectors/` says and written as it stands there, so that whoever writes another
//! client can check it against the same files. How to read them: `tests/vectors/README.md`.

use arbiter_protocol::sound::Source;
use arbiter_protocol::{
    Cause, ClientMessage, Datagram, Goodbye, GoodbyeReason, KillCamHeader, LeaveReason, MatchMessage, Noise, Notice,
    Outcome, ProtocolError, Refused, RefusedReason, Role, ServerMessage, SnapshotHeader, Sound, Target,
    USER_DATA_BYTES, UserData, UserDataError, Welcome, WireInput,
};

#[path = "../../../tests/vectors/lines.rs"]
mod lines;
use lines::{READ_ONLY, hex, vectors};

const CLIENT: &str = include_str!("../../../tests/vectors/client_messages.txt");
const SERVER: &str = include_str!("../../../tests/vectors/server_messages.txt");
const BODIES: &str = include_str!("../../../tests/vectors/bodies.txt");
const USER_DATA: &str = include_str!("../../../tests/vectors/user_data.txt");

/// Checks one line: what was read against its meaning, and what is written of it against its bytes.
fn check<T>(bytes: &[u8], meaning: &str, read: Result<T, String>, say: fn(&T) -> String, write: fn(&T) -> Vec<u8>) {
    let said = match &read {
        Ok(read) => say(read),
        Err(refusal) => format!("refused: {refusal}"),
    };
    let (meaning, is_written) = match meaning.strip_prefix(READ_ONLY) {
        Some(meaning) => (meaning.trim_start(), false),
        None => (meaning, true),
    };
    assert_eq!(said, meaning, "{}", hex(bytes));
    if let Some(read) = read.ok().filter(|_| is_written) {
        assert_eq!(hex(&write(&read)), hex(bytes), "{meaning}");
    }
}

fn refusal(error: ProtocolError) -> String {
    match error {
        ProtocolError::Short { .. } => "cut off",
        ProtocolError::Trailing { .. } => "bytes left over",
        ProtocolError::Invalid { .. } => "value",
        ProtocolError::TooLong { .. } => "too long",
        ProtocolError::Text { .. } => "not UTF-8",
    }
    .to_owned()
}

#[test]
fn the_messages_of_a_client_are_read_and_written_as_the_vectors_say() {
    for (bytes, meaning) in vectors(CLIENT) {
        let read = ClientMessage::decode(&bytes).map_err(refusal);
        check(&bytes, meaning, read, say_client, ClientMessage::encode);
    }
}

#[test]
fn the_messages_of_a_server_are_read_and_written_as_the_vectors_say() {
    for (bytes, meaning) in vectors(SERVER) {
        let read = ServerMessage::decode(&bytes).map_err(refusal);
        check(&bytes, meaning, read, say_server, ServerMessage::encode);
    }
}

#[test]
fn bodies_are_read_and_written_as_the_vectors_say() {
    for line in lines::lines(BODIES) {
        let (kind, rest) = line.split_once(' ').expect("a kind");
        let (bytes, meaning) = vectors(rest).next().expect("hex | meaning");
        let read = Datagram::decode(kind.parse().expect("a number"), &bytes).map_err(refusal);
        check(&bytes, meaning, read, say_body, |body| {
            let mut out = Vec::new();
            body.encode(&mut out);
            out
        });
    }
}

#[test]
fn user_data_are_read_and_written_as_the_vectors_say() {
    for (mut bytes, meaning) in vectors(USER_DATA) {
        bytes.resize(USER_DATA_BYTES, 0);
        let whole = bytes.as_slice().try_into().expect("256 bytes");
        let read = UserData::decode(whole).map_err(|error| match error {
            UserDataError::Empty => "empty".to_owned(),
            UserDataError::Version(version) => format!("version {version}"),
            UserDataError::Room => "room".to_owned(),
            UserDataError::Build => "build".to_owned(),
            UserDataError::Role(role) => format!("role {role}"),
            UserDataError::Reserved(at) => format!("byte {at}"),
        });
        check(&bytes, meaning, read, say_user_data, |data| data.encode().expect("what was read").to_vec());
    }
}

#[test]
fn user_data_that_could_not_be_read_back_are_not_written() {
    let with = |room, build: &str| UserData { room, build: build.into(), ..UserData::default() }.encode();
    assert_eq!(with(Some(u16::MAX), ""), Err(UserDataError::Room));
    assert_eq!(with(None, &"b".repeat(33)), Err(UserDataError::Build));
    assert_eq!(with(None, "a\0"), Err(UserDataError::Build));
    assert!(with(None, "").is_ok());
}

fn say_client(message: &ClientMessage) -> String {
    match message {
        ClientMessage::Join(join) if join.version != arbiter_protocol::PROTOCOL_VERSION => {
            format!("join version {}", join.version)
        }
        ClientMessage::Join(join) => format!(
            "join version {} hash {:016x} hero {} team {}{}",
            join.version,
            join.protocol_hash,
            join.hero,
            join.team,
            join.watch.map_or(String::new(), |target| format!(" watch {}", say_target(target)))
        ),
        ClientMessage::Watch(target) => format!("watch {}", say_target(*target)),
        ClientMessage::Goodbye(goodbye) => say_goodbye(goodbye),
    }
}

fn say_target(target: Target) -> String {
    match target {
        Target::Free => "free".to_owned(),
        Target::Player(slot) => format!("player {slot}"),
    }
}

fn say_goodbye(goodbye: &Goodbye) -> String {
    let code = match goodbye.reason {
        GoodbyeReason::Quit => 0,
        GoodbyeReason::Idle => 1,
        GoodbyeReason::Kicked => 2,
        GoodbyeReason::Protocol => 3,
        GoodbyeReason::MatchOver => 4,
        GoodbyeReason::Stopping => 5,
        GoodbyeReason::Failed => 6,
        GoodbyeReason::TakenOver => 7,
        GoodbyeReason::Overloaded => 8,
    };
    format!("goodbye reason {code}")
}

fn say_server(message: &ServerMessage) -> String {
    match message {
        ServerMessage::Welcome(welcome) => say_welcome(welcome),
        ServerMessage::Refused(refused) => say_refused(refused),
        ServerMessage::Match(message) => say_match(message),
        ServerMessage::Watching(watching) => {
            let target = say_target(watching.target);
            format!("watching {target} from tick {} delay {}", watching.tick, watching.delay_ms)
        }
        ServerMessage::Goodbye(goodbye) => say_goodbye(goodbye),
    }
}

fn say_welcome(welcome: &Welcome) -> String {
    let Welcome { slot, player, tick_rate, tick, number, small_parts, map, mode, teams, players_max, .. } = welcome;
    let form = if *small_parts { " small parts" } else { "" };
    let (match_id, map_hash) = (hex(&welcome.match_id), hex(&welcome.map_hash));
    let rules_hash = hex(&welcome.rules_hash);
    format!(
        "welcome slot {slot} player {} rate {tick_rate} tick {tick} match {match_id} number {number}{form} map {map:?} map_hash {map_hash} \
         rules_hash {rules_hash} mode {mode:?} teams {teams} slots {players_max}",
        player.0
    )
}

fn say_refused(refused: &Refused) -> String {
    let (code, more) = match refused.reason {
        RefusedReason::Version { server, client } => (1, format!(" server {server} client {client}")),
        RefusedReason::ProtocolHash { server, client } => (2, format!(" server {server:016x} client {client:016x}")),
        RefusedReason::Full => (3, String::new()),
        RefusedReason::Stopping => (4, String::new()),
        RefusedReason::Malformed => (5, String::new()),
        RefusedReason::Token => (6, String::new()),
        RefusedReason::NoRoom => (7, String::new()),
        RefusedReason::NoSpectators => (8, String::new()),
        RefusedReason::Role => (9, String::new()),
        RefusedReason::Overloaded { retry_s } => (10, format!(" retry {retry_s}")),
        RefusedReason::Other(code) => (code, String::new()),
    };
    format!("refused code {code} text {:?}{more}", refused.text)
}

fn say_match(message: &MatchMessage) -> String {
    let slot = |slot: Option<u16>| slot.map_or("none".to_owned(), |slot| slot.to_string());
    let said = match &message.notice {
        Notice::Killed { victim, killer, assist, cause, headshot } => format!(
            "killed victim {victim} killer {} assist {} cause {} headshot {}",
            slot(*killer),
            slot(*assist),
            say_cause(*cause),
            if *headshot { "yes" } else { "no" }
        ),
        Notice::Score { scores } => {
            let scores: Vec<_> = scores.iter().map(|score| format!(" {} is {}", score.team, score.points)).collect();
            format!("score{}", scores.join(","))
        }
        Notice::RoundStarted { round } => format!("round {round} started"),
        Notice::RoundEnded { round, outcome } => format!("round {round} ended {}", say_outcome(*outcome)),
        Notice::MatchEnded { outcome } => format!("ended {}", say_outcome(*outcome)),
        Notice::PlayerJoined { slot, team, hero } => format!("joined slot {slot} team {team} hero {hero}"),
        Notice::PlayerLeft { slot, reason } => {
            let code = match reason {
                LeaveReason::Quit => 0,
                LeaveReason::TimedOut => 1,
                LeaveReason::Idle => 2,
                LeaveReason::Kicked => 3,
            };
            format!("left slot {slot} reason {code}")
        }
        Notice::PointCaptured { point, team } => format!("captured point {point} team {team}"),
        Notice::Streak { slot, kills } => format!("streak slot {slot} kills {kills}"),
        Notice::Custom { kind, a, b } => format!("custom {kind} a {a} b {b}"),
    };
    format!("match tick {} {said}", message.tick)
}

fn say_cause(cause: Cause) -> String {
    match cause {
        Cause::Weapon(number) => format!("weapon {number}"),
        Cause::Ability(number) => format!("ability {number}"),
        Cause::Effect(number) => format!("effect {number}"),
        Cause::Prop(number) => format!("prop {number}"),
        Cause::World => "world".to_owned(),
    }
}

fn say_outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Won(team) => format!("won {team}"),
        Outcome::Draw => "draw".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
    }
}

fn say_body(body: &Datagram<'_>) -> String {
    match body {
        Datagram::Input(packet) => {
            let inputs: Vec<_> = packet.inputs.iter().map(say_input).collect();
            let discarded = packet.discarded.map_or("none".to_owned(), |tick| tick.to_string());
            format!("input match {} discarded {discarded}; {}", packet.match_number, inputs.join("; "))
        }
        Datagram::Snapshot(header, part) => say_snapshot(*header, part),
        Datagram::Sounds(header, sounds, part) => {
            let heard: Vec<_> = sounds.iter().map(|(age, sound)| format!("age {age} {}", say_sound(sound))).collect();
            format!("{} heard {}", say_snapshot(*header, part), heard.join(", "))
        }
        Datagram::KillCam(header, part) => say_kill_cam(*header, part),
    }
}

fn say_snapshot(header: SnapshotHeader, part: &[u8]) -> String {
    let margin = header.input_margin.map_or("none".to_owned(), |margin| margin.to_string());
    format!("snapshot margin {margin} match {} part [{}]", header.match_number, hex(part))
}

fn say_noise(noise: Noise) -> &'static str {
    match noise {
        Noise::Shot => "shot",
        Noise::Launch => "launch",
        Noise::Swing => "swing",
        Noise::Beam => "beam",
        Noise::Ability => "ability",
        Noise::Hit => "hit",
        Noise::Burst => "burst",
        Noise::Steps => "steps",
    }
}

fn say_source(source: Source) -> String {
    match source {
        Source::Player(slot) => format!("player {slot}"),
        Source::Thing(id) => format!("thing {}", id.0),
    }
}

fn say_sound(sound: Sound) -> String {
    let noise = say_noise(sound.noise());
    let part = |head: bool| if head { " head" } else { "" };
    match sound {
        Sound::Fired { by, .. } => format!("{noise} by {}", say_source(by)),
        Sound::Used { by, ability } => format!("{noise} {ability} by {}", say_source(by)),
        Sound::Dealt { target, head } => format!("{noise} dealt to {}{}", say_source(target), part(head)),
        Sound::Taken { by, head } => {
            format!("{noise} taken by {}{}", by.map_or("nobody known".to_owned(), say_source), part(head))
        }
        Sound::Burst { at, cause } => format!("{noise} at {:?} of {}", at.0, say_cause(cause)),
        Sound::Around { noise, area } => {
            format!("{} around {:?}{}", say_noise(noise), area.cell, if area.wide { " wide" } else { "" })
        }
    }
}

fn say_kill_cam(header: KillCamHeader, part: &[u8]) -> String {
    format!("kill cam {} match {} part [{}]", header.number, header.match_number, hex(part))
}

fn say_input(input: &WireInput) -> String {
    let WireInput { tick, buttons, move_right, move_forward, yaw, pitch, view_tick, view_fraction } = input;
    format!(
        "tick {tick} buttons {buttons:03x} move {move_right} {move_forward} yaw {yaw} pitch {pitch} view {view_tick} \
         {view_fraction}"
    )
}

fn say_user_data(data: &UserData) -> String {
    let room = data.room.map_or("none".to_owned(), |room| room.to_string());
    let role = match data.role {
        Role::Any => String::new(),
        role => format!(" role {role}"),
    };
    format!("player {} room {room} team {} build {:?}{role}", data.player, data.team, data.build)
}
