//! Contract: a client whose address changes, or whose network is gone for a while, comes back to its place by itself.

mod support;

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use arbiter_headless_client::runner::{BotsConfig, BotsReport, Content, Door, run_bots};
use arbiter_server::{OnStop, Server, ServerConfig};
use arbiter_sim::{MatchSettings, Rules};
use arbiter_transport::Key;

const BOTS: u16 = 3;
const FORWARDS: u8 = 0;
const REBINDS: u8 = 1;
const DROPS: u8 = 2;

/// What stands between clients and servers in most homes: each client has a port of it, until it forgets them all.
struct Nat {
    inside: UdpSocket,
    server: SocketAddr,
    ports: HashMap<SocketAddr, UdpSocket>,
}

impl Nat {
    fn run(mut self, does: &AtomicU8, stop: &AtomicBool) {
        let mut buffer = [0; 2_048];
        while !stop.load(Ordering::Relaxed) {
            let now = does.load(Ordering::Relaxed);
            if now == REBINDS {
                self.ports.clear();
                does.store(FORWARDS, Ordering::Relaxed);
            }
            while let Ok((count, client)) = self.inside.recv_from(&mut buffer) {
                let port = self.ports.entry(client).or_insert_with(open);
                if now != DROPS {
                    port.send_to(&buffer[..count], self.server).expect("loopback takes it");
                }
            }
            for (client, port) in &self.ports {
                while let Ok(count) = port.recv(&mut buffer) {
                    if now != DROPS {
                        self.inside.send_to(&buffer[..count], client).expect("loopback takes it");
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn open() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

/// Bots play for so many seconds behind a box that does this and that after a while.
fn play(seconds: u64, script: &[(Duration, u8)]) -> BotsReport {
    let inside = open();
    let outside = inside.local_addr().expect("an address");
    let (rules, map, key) =
        (Arc::new(Rules::shipped()), Arc::new(support::hall()), Key::generate().expect("randomness"));
    let content = Content::new(rules.clone(), map.clone()).expect("builds");
    let settings = MatchSettings { players_max: BOTS, ..MatchSettings::default() };
    let mut config = ServerConfig::new(key.clone(), rules, map, settings);
    config.public_addresses = vec![outside];
    let server = Server::start(config).expect("the server starts");
    let nat = Nat { inside, server: server.local_address(), ports: HashMap::new() };
    let bots = BotsConfig {
        seed: 5,
        duration: Some(Duration::from_secs(seconds)),
        ..BotsConfig::new(Door::Key { server: outside, key }, BOTS, content)
    };
    let (does, stop) = (AtomicU8::new(FORWARDS), AtomicBool::new(false));
    let report = std::thread::scope(|scope| {
        scope.spawn(|| nat.run(&does, &stop));
        scope.spawn(|| {
            for (wait, then) in script {
                std::thread::sleep(*wait);
                does.store(*then, Ordering::Relaxed);
            }
        });
        let report = run_bots(&bots, &AtomicBool::new(false));
        stop.store(true, Ordering::Relaxed);
        report.expect("bots run")
    });
    server.stop(OnStop::Abandon);
    server.join();
    report
}

#[test]
fn a_new_address_is_come_back_from() {
    // The match has as many places as players: whoever did not get their own back would be refused.
    let report = play(9, &[(Duration::from_secs(3), REBINDS)]);
    assert!(report.failed.is_empty(), "{report:?}");
    // A machine that stands still for a second brings them back once more.
    assert!(report.played == u32::from(BOTS) && report.comebacks >= u32::from(BOTS), "{report:?}");
}

#[test]
fn a_network_that_is_gone_for_some_seconds_is_come_back_from() {
    let report = play(16, &[(Duration::from_secs(3), DROPS), (Duration::from_secs(7), FORWARDS)]);
    assert!(report.failed.is_empty(), "{report:?}");
    // A machine that stands still for a second brings them back once more.
    assert!(report.played == u32::from(BOTS) && report.comebacks >= u32::from(BOTS), "{report:?}");
}
