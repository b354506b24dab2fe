//! What those cost who are not clients, and the walk over those who are.

use std::net::SocketAddr;
use std::time::Duration;

use arbiter_benches::measure::{figure, thread_cpu};
use arbiter_transport::netcode::{Client, Key, Server};

use crate::ours::{address, connect, server, token};
use crate::{START, median};

const CLIENTS: usize = 4_000;
const PACKETS: usize = 2_000;
const TURNS: usize = 9;

fn each(server: &mut Server, now: Duration, packets: &mut [(SocketAddr, Vec<u8>)]) -> f64 {
    let began = thread_cpu();
    for (from, packet) in packets.iter_mut() {
        std::hint::black_box(server.receive(now, *from, packet, &mut |_, _| {}));
    }
    (thread_cpu() - began).as_nanos() as f64 / packets.len() as f64
}

fn request(key: &Key, now: Duration) -> Vec<u8> {
    let mut request = Vec::new();
    let mut client = Client::new(token(key, 1, now), now).expect("the token is sound");
    client.update(now, &mut |_, packet| request = packet.to_vec());
    request
}

/// Prints what each kind of stranger costs a server with 4,000 clients.
pub fn measure() {
    let key = Key::generate().expect("the system has randomness");
    let mut server = server(&key, CLIENTS);
    let mut now = START;
    let (mut junk, mut spoofed, mut forged, mut handshakes, mut walks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (turn, first) in (0..TURNS).map(|turn| (turn, turn * 400)) {
        now += Duration::from_secs(2);
        // New clients in each turn: sources differ, as the limits on handshakes count by source.
        let mut clients: Vec<(SocketAddr, Client)> = (first..first + 400)
            .map(|number| (number, token(&key, number as u64, now)))
            .map(|(number, token)| (address(number), Client::new(token, now).expect("the token is sound")))
            .collect();
        let began = thread_cpu();
        for (from, client) in &mut clients {
            connect(&mut server, client, *from, now).expect("nothing is lost here");
        }
        handshakes.push((thread_cpu() - began).as_nanos() as f64 / clients.len() as f64 / 1e3);

        let mut shaped = vec![0x5A; 220];
        shaped[0] = 0x15;
        let mut from_strangers = vec![(SocketAddr::from(([10, 9, 9, 9], 9)), shaped.clone()); PACKETS];
        junk.push(each(&mut server, now, &mut from_strangers));
        let mut from_clients = vec![(address(first), shaped); PACKETS];
        spoofed.push(each(&mut server, now, &mut from_clients));
        let stranger = request(&Key::generate().expect("the system has randomness"), now);
        let mut requests: Vec<(SocketAddr, Vec<u8>)> = (0..PACKETS)
            .map(|at| (SocketAddr::from(([10, 8 + turn as u8, (at >> 8) as u8, at as u8], 9)), stranger.clone()))
            .collect();
        forged.push(each(&mut server, now, &mut requests));

        // Nobody has anything to say.
        server.update(now, &mut |_, _| {}, &mut |_, _| {});
        let began = thread_cpu();
        for step in 1..10 {
            server.update(now + Duration::from_millis(step * 6), &mut |_, _| {}, &mut |_, _| {});
        }
        walks.push((thread_cpu() - began).as_nanos() as f64 / 9.0 / server.clients() as f64);
    }
    println!("{} clients, {:?}", server.clients(), server.counters());
    figure("transport.junk_of_strangers", median(&mut junk), "ns");
    figure("transport.junk_from_a_clients_address", median(&mut spoofed), "ns");
    figure("transport.forged_request", median(&mut forged), "ns");
    figure("transport.handshake_both_ends", median(&mut handshakes), "us");
    figure("transport.walk", median(&mut walks), "ns_per_client");
}
