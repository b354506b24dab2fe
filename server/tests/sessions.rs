//! Contract: players join, play and leave over real sockets; whoever breaks a rule is told or dropped, and nobody else
//! notices.

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use arbiter_protocol::{GoodbyeReason, MatchMessage, Notice, RefusedReason, ServerMessage};
use arbiter_recording::Reader;
use arbiter_server::OnStop;
use arbiter_transport::{DisconnectReason, Key};

use common::{Client, config, registry, start, until};

#[test]
fn two_players_join_play_two_seconds_and_leave() {
    let config = config();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients: Vec<_> = (0..2).map(|_| Client::new(server.local_address(), &config.key, &registry)).collect();
    until("both are welcomed", &mut clients, |clients| clients.iter().all(|client| !client.welcomes.is_empty()));
    assert_ne!(clients[0].welcomes[0].slot, clients[1].welcomes[0].slot);
    let start = Instant::now();
    until("two seconds pass", &mut clients, |_| start.elapsed() > Duration::from_secs(2));
    for client in &clients {
        assert!(client.snapshots > 60, "{} snapshots in two seconds", client.snapshots);
        let round_trip = client.connection.path().round_trip.expect("measured");
        assert!(round_trip < Duration::from_secs(1), "{round_trip:?} on loopback");
        let late = client.margins.iter().skip(30).filter(|margin| **margin < 0).count();
        assert!(late * 4 < client.margins.len(), "{late} of {} inputs came late", client.margins.len());
        let state = client.newest();
        for other in &clients {
            assert!(state.entity(other.welcomes[0].player).next().is_some(), "everyone sees everyone here");
        }
    }
    let stats = server.room_stats(0).expect("a room");
    assert_eq!(stats.players, 2);
    assert!(stats.tick > 30 && stats.tick_p50_us > 0.0, "{stats:?}");
    clients[0].quit();
    until("the other hears of it", &mut clients[1..], |clients| {
        clients[0].messages.iter().any(|message| {
            matches!(message, ServerMessage::Match(MatchMessage { notice: Notice::PlayerLeft { .. }, .. }))
        })
    });
}

#[test]
fn a_token_of_another_key_gets_nowhere() {
    let config = config();
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &Key::generate().expect("randomness"), &registry(&config))];
    until("it gives up", &mut clients, |clients| clients[0].ended.is_some());
    // The token lives as long as the patience of netcode: either may end first.
    let reason = clients[0].ended;
    assert!(
        matches!(reason, Some(DisconnectReason::Unreachable | DisconnectReason::TokenExpired)),
        "ended with {reason:?}"
    );
}

#[test]
fn another_protocol_hash_is_refused_readably() {
    let config = config();
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry(&config))];
    if let Some(join) = &mut clients[0].join {
        join.protocol_hash ^= 1;
    }
    until("it is refused", &mut clients, |clients| clients[0].refused.is_some());
    let refused = clients[0].refused.clone().expect("refused");
    assert!(matches!(refused.reason, RefusedReason::ProtocolHash { .. }));
    let text = &refused.text;
    assert!(text.contains("same rules") && text.contains(&format!("the server is build {}", config.build)), "{text}");
    until("the connection ends", &mut clients, |clients| clients[0].ended.is_some());
}

#[test]
fn another_version_is_refused_readably() {
    let config = config();
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry(&config))];
    if let Some(join) = &mut clients[0].join {
        join.version += 1;
    }
    until("it is refused", &mut clients, |clients| clients[0].refused.is_some());
    let text = clients[0].refused.clone().expect("refused").text;
    assert!(text.contains("update the server") && text.contains("the server is build"), "{text}");
}

#[test]
fn a_fifth_player_is_refused_by_a_match_for_four() {
    let config = config();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients: Vec<_> = (0..5).map(|_| Client::new(server.local_address(), &config.key, &registry)).collect();
    until("all have an answer", &mut clients, |clients| {
        clients.iter().all(|client| !client.welcomes.is_empty() || client.refused.is_some())
    });
    let refused: Vec<_> = clients.iter().filter_map(|client| client.refused.as_ref()).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason, RefusedReason::Full);
}

#[test]
fn garbage_datagrams_do_nothing() {
    let config = config();
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry(&config))];
    until("it is welcomed", &mut clients, |clients| !clients[0].welcomes.is_empty());
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut state = 1_u64;
    for round in 0..2_000_usize {
        let bytes: Vec<u8> = (0..round % 1_400)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            })
            .collect();
        let from = if round % 2 == 0 { &stranger } else { &clients[0].socket };
        let _ = from.send_to(&bytes, server.local_address());
        if round % 50 == 0 {
            clients[0].step();
        }
    }
    let before = clients[0].snapshots;
    until("it is still told of the match", &mut clients, |clients| clients[0].snapshots > before + 10);
    assert!(server.stats().malformed > 0);
    assert_eq!(server.stats().clients, 1);
}

#[test]
fn a_packet_that_would_end_renet_drops_only_its_sender() {
    let config = config();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients: Vec<_> = (0..2).map(|_| Client::new(server.local_address(), &config.key, &registry)).collect();
    until("both are welcomed", &mut clients, |clients| clients.iter().all(|client| !client.welcomes.is_empty()));
    clients[0].send_raw(&[2, 0, 0, 0, 5, 1, 1, 0x3F]);
    until("its sender is dropped", &mut clients, |clients| clients[0].ended.is_some());
    let before = clients[1].snapshots;
    until("the other plays on", &mut clients[1..], |clients| clients[0].snapshots > before + 10);
    assert!(clients[1].ended.is_none() && server.is_running());
}

#[test]
fn a_malformed_message_ends_in_a_goodbye() {
    let config = config();
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry(&config))];
    until("it is welcomed", &mut clients, |clients| !clients[0].welcomes.is_empty());
    clients[0].connection.send_message(b"what is this").expect("sent");
    until("it is told and dropped", &mut clients, |clients| clients[0].ended.is_some());
    assert_eq!(clients[0].goodbye, Some(GoodbyeReason::Protocol));
    drop(server);
}

#[test]
fn an_abandoned_match_leaves_a_finished_recording_and_says_goodbye() {
    let mut config = config();
    let folder = tempfile::tempdir().expect("a folder");
    config.record_dir = Some(folder.path().to_owned());
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry(&config))];
    until("some is played", &mut clients, |clients| clients[0].snapshots > 60);
    server.stop(OnStop::Abandon);
    until("goodbye is said", &mut clients, |clients| clients[0].goodbye.is_some());
    assert_eq!(clients[0].goodbye, Some(GoodbyeReason::Stopping));
    let stats = server.join();
    assert_eq!(stats.recordings.len(), 1);
    let reader = Reader::open(&stats.recordings[0]).expect("a recording");
    assert!(reader.info().indexed, "{:?}", reader.info());
}

#[test]
fn the_next_match_begins_on_the_same_connection_and_the_last_one_ends_the_server() {
    let mut config = config();
    config.matches = 2;
    config.intermission = Duration::from_millis(100);
    config.settings.match_seconds = Some(5);
    let mut rules = arbiter_sim::Rules::shipped();
    for mode in &mut rules.modes {
        (mode.round_seconds, mode.warmup_seconds, mode.rounds_to_win) = (5, 0, 1);
    }
    config.rules = rules.into();
    let server = start(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry(&config))];
    until("a goodbye", &mut clients, |clients| clients[0].goodbye.is_some());
    let welcomes = &clients[0].welcomes;
    assert_eq!(welcomes.len(), 2);
    assert_ne!(welcomes[0].match_id, welcomes[1].match_id);
    assert_eq!(clients[0].goodbye, Some(GoodbyeReason::MatchOver));
    assert_eq!(server.join().matches_ended, 2);
}
