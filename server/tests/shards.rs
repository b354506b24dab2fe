//! Contract: clients play alike whichever socket thread they landed on, a token works once on all of them together, and a flood
//! of junk does not keep honest players from the match.
#![cfg(target_os = "linux")]

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use arbiter_protocol::UserData;
use arbiter_server::{OnStop, ServerConfig, SocketKind};
use arbiter_sim::MatchSettings;

use common::{Client, config, registry, start, token, until};

fn sharded(sockets: SocketKind) -> ServerConfig {
    let settings = MatchSettings { players_max: 40, ..MatchSettings::default() };
    ServerConfig { socket_threads: 2, sockets, settings, ..config() }
}

#[test]
fn players_of_two_shards_play_in_one_room() {
    for kind in [SocketKind::Auto, SocketKind::Portable] {
        let config = sharded(kind);
        let server = start(&config);
        let registry = registry(&config);
        let mut clients = Vec::new();
        // The system decides where a client lands: both shards are found soon.
        while server.stats().sockets.iter().any(|shard| shard.clients == 0) {
            assert!(clients.len() < 32, "all on one of two shards");
            clients.push(Client::new(server.local_address(), &config.key, &registry));
            until("it is welcomed and counted", &mut clients, |clients| {
                clients.iter().all(|client| !client.welcomes.is_empty()) && server.stats().clients == clients.len()
            });
        }
        let before: Vec<_> = clients.iter().map(|client| client.snapshots).collect();
        until("all are told of the match", &mut clients, |clients| {
            clients.iter().zip(&before).all(|(client, before)| client.snapshots > before + 30)
        });
        for client in &clients {
            let state = client.newest();
            for other in &clients {
                assert!(state.entity(other.welcomes[0].player).next().is_some(), "everyone sees everyone here");
            }
        }
        let count = clients.len();
        clients[0].quit();
        until("one has left", &mut clients[1..], |_| server.stats().clients == count - 1);
        server.stop(OnStop::Abandon);
        let stats = server.join();
        assert_eq!(stats.sockets.len(), 2);
        let sum = |of: fn(&arbiter_server::stats::SocketStats) -> u64| stats.sockets.iter().map(of).sum::<u64>();
        assert_eq!(stats.datagrams_in, sum(|shard| shard.datagrams_in));
        assert_eq!(stats.packets.connects, count as u64);
        assert!(stats.sockets.iter().all(|shard| shard.packets.connects > 0 && shard.cpu_us > 0), "{stats:?}");
    }
}

#[test]
fn a_token_that_was_used_on_one_shard_is_refused_on_every_other() {
    let config = sharded(SocketKind::Auto);
    let server = start(&config);
    let registry = registry(&config);
    let user_data = UserData::default().encode().expect("user data");
    let token = token(&user_data, &config.key, server.local_address());
    let mut first = [Client::with_token(&token, &registry)];
    until("the first is welcomed", &mut first, |clients| !clients[0].welcomes.is_empty());
    let mut thieves: Vec<_> = (0..24).map(|_| Client::with_token(&token, &registry)).collect();
    until("both shards refuse it", &mut thieves, |_| {
        first[0].step();
        server.stats().sockets.iter().all(|shard| shard.packets.reused_tokens > 0)
    });
    assert!(thieves.iter().all(|thief| thief.welcomes.is_empty() && !thief.connection.is_connected()));
    assert_eq!((server.stats().clients, server.stats().packets.connects), (1, 1));
    assert!(first[0].ended.is_none());
}

#[test]
fn a_flood_of_junk_from_one_source_starves_nobody() {
    for kind in [SocketKind::Auto, SocketKind::Portable] {
        let config = ServerConfig { sockets: kind, ..config() };
        let server = start(&config);
        let registry = registry(&config);
        let mut clients: Vec<_> = (0..2).map(|_| Client::new(server.local_address(), &config.key, &registry)).collect();
        let enough = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| flood(server.local_address(), &enough));
            let _end = End(&enough);
            // Joining, inputs and snapshots all work while it lasts; and what is junk is counted, not logged.
            until("both play in the flood", &mut clients, |clients| {
                clients.iter().all(|client| client.snapshots > 100 && client.margins.len() > 100)
            });
        });
        server.stop(OnStop::Abandon);
        let stats = server.join();
        assert!(stats.packets.malformed + stats.packets.strangers > 1_000, "{stats:?}");
        assert_eq!(stats.drops.snapshots + stats.drops.messages, 0, "{:?}", stats.drops);
        assert!(clients.iter().all(|client| client.refused.is_none()));
    }
}

/// Ends a flood, whatever became of the test.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As fast as this machine sends, until it is enough.
fn flood(to: SocketAddr, enough: &AtomicBool) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut bytes = [0_u8; 1_200];
    for round in 0_u32.. {
        // A datagram in eight looks like a request, one like a sealed packet, and so on.
        bytes[0] = (round % 8) as u8;
        bytes[1..5].copy_from_slice(&round.to_le_bytes());
        let _ = socket.send_to(&bytes[..18 + round as usize % 1_100], to);
        if enough.load(Ordering::Relaxed) {
            return;
        }
    }
}
