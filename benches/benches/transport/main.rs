//! What a packet costs the server, in and out, on the thread's own CPU clock, without sockets and with them.
//!
//! - ours at 10, 100, 1,000 and 4,000 clients, renetcode at 10, 100 and 1,000 (it stops at 1,024), and ring's bare open and
//!   seal: one run, one thread, 200 B payloads, the variants taking turns so that a noisy machine is noisy for all;
//! - allocations of ours in all of that;
//! - the same over loopback, a socket for each client: ours and ring's through the server's socket code, renetcode with a call for
//!   each datagram, as renet_netcode makes them;
//! - what a stranger costs: junk, forged requests, and a whole handshake;
//! - the walk for keep-alives and timeouts over 4,000 clients.
//!
//! Each turn takes the same number of packets whatever the number of clients, from a batch that was sealed just before
//! outside of the measurement, so that as many bytes stream through the caches: four ticks of 4,000 clients, as a socket
//! thread that does nothing else would see them. The figures called cold are of turns of a single tick, in which the server
//! with 4,000 clients finds every client where all the other servers' turns have left it: out of the caches. Clients are
//! served in random order. Figures are medians over turns.
//!
//! `cargo bench --bench transport`.

use std::alloc::System;
use std::time::Duration;

use arbiter_benches::measure::{figure, machine, thread_cpu};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod bare;
mod ours;
mod renet;
mod strangers;
mod subject;

use arbiter_server::SocketKind;
use subject::{InMemory, Socketed, Subject};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A snapshot or an input with its redundancy.
const PAYLOAD_BYTES: usize = 200;
/// Packets in, and packets out, in one turn. Both are multiples of every number of clients.
const PACKETS: usize = 16_000;
const COLD_PACKETS: usize = 4_000;
/// The same with sockets.
const SOCKET_PACKETS: usize = 4_000;
const TURNS: usize = 24;
const WARM_TURNS: usize = 2;
const TICK: Duration = Duration::from_millis(16);
const START: Duration = Duration::from_secs(1_700_000_000);
const SEED: u64 = 11;

struct Measured {
    name: String,
    subject: Box<dyn Subject>,
    clients: usize,
    warm: Samples,
    cold: Samples,
    allocations: usize,
}

/// Nanoseconds a packet, of each turn.
#[derive(Default)]
struct Samples {
    open: Vec<f64>,
    seal: Vec<f64>,
}

impl Measured {
    fn new(name: &str, clients: usize, subject: Box<dyn Subject>) -> Self {
        let name = if clients == 0 { name.to_owned() } else { format!("{name}.{clients}") };
        Self { name, subject, clients, warm: Samples::default(), cold: Samples::default(), allocations: 0 }
    }

    fn turn(&mut self, random: &mut Random, packets: usize, counts: bool) {
        let order = random.order(self.clients.max(1), packets);
        let (mut open, mut seal, mut allocations) = (Duration::ZERO, Duration::ZERO, 0);
        self.subject.tick();
        for batch in order.chunks(self.subject.batch_max()) {
            self.subject.prepare(batch);
            let region = Region::new(ALLOCATOR);
            let began = thread_cpu();
            let opened = self.subject.open();
            let between = thread_cpu();
            let sealed = self.subject.seal();
            seal += thread_cpu() - between;
            open += between - began;
            allocations += region.change().allocations;
            assert_eq!((opened, sealed), (batch.len(), batch.len()), "{} lost packets", self.name);
        }
        if counts {
            let samples = if packets == PACKETS { &mut self.warm } else { &mut self.cold };
            samples.open.push(open.as_nanos() as f64 / packets as f64);
            samples.seal.push(seal.as_nanos() as f64 / packets as f64);
            self.allocations += allocations;
        }
    }
}

impl Samples {
    /// Nanoseconds for a packet in and a packet out.
    fn print(&mut self, name: &str) -> f64 {
        let (open, seal) = (median(&mut self.open), median(&mut self.seal));
        figure(&format!("transport.{name}.in"), open, "ns");
        figure(&format!("transport.{name}.out"), seal, "ns");
        open + seal
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// As many numbers as packets: every client once in random order, then again in another.
    fn order(&mut self, clients: usize, packets: usize) -> Vec<usize> {
        let mut all = Vec::with_capacity(packets);
        while all.len() < packets {
            let start = all.len();
            all.extend(0..clients);
            for at in (1..clients).rev() {
                all.swap(start + at, start + (self.next() % (at as u64 + 1)) as usize);
            }
        }
        all
    }
}

fn main() {
    println!("machine: {}", machine());
    println!(
        "transport: payloads of {PAYLOAD_BYTES} B, {PACKETS} packets a turn ({COLD_PACKETS} cold), medians of {TURNS} turns, \
         thread CPU"
    );
    let mut random = Random(SEED);
    let mut measured = without_sockets();
    for turn in 0..WARM_TURNS + TURNS {
        for packets in [PACKETS, COLD_PACKETS] {
            measured.iter_mut().for_each(|subject| subject.turn(&mut random, packets, turn >= WARM_TURNS));
        }
    }
    let warm_ns: Vec<f64> = measured.iter_mut().map(|it| it.warm.print(&it.name)).collect();
    let cold_ns: Vec<f64> = measured.iter_mut().map(|it| it.cold.print(&format!("{}.cold", it.name))).collect();
    let at = |name: &str| measured.iter().position(|it| it.name == name).expect("it was measured");
    let over = |ns: &[f64], one: &str, other: &str| ns[at(one)] / ns[at(other)];
    figure("transport.ours_over_ring_200B", over(&warm_ns, "ours.1000", "ring"), "ratio");
    figure("transport.ours_over_ring_200B_4000", over(&warm_ns, "ours.4000", "ring"), "ratio");
    for clients in [10, 100, 1_000] {
        let (theirs, ours) = (format!("renetcode.{clients}"), format!("ours.{clients}"));
        figure(&format!("transport.renetcode_over_ours_{clients}"), over(&warm_ns, &theirs, &ours), "ratio");
    }
    figure("transport.flatness_10_4000", over(&warm_ns, "ours.4000", "ours.10"), "ratio");
    figure("transport.flatness_10_4000_cold", over(&cold_ns, "ours.4000", "ours.10"), "ratio");
    let allocations: usize =
        measured.iter().filter(|it| it.name.starts_with("ours")).map(|subject| subject.allocations).sum();
    let packets = 4 * TURNS * (PACKETS + COLD_PACKETS) * 2;
    figure("transport.allocations", allocations as f64 / packets as f64, "per_packet");
    drop(measured);
    measure_with_sockets(&mut random);
    strangers::measure();
}

fn without_sockets() -> Vec<Measured> {
    let addresses: Vec<_> = (0..4_000).map(ours::address).collect();
    let mut measured = vec![Measured::new("ring", 0, Box::new(InMemory::new(&addresses[..1], bare::Bare::new)))];
    for clients in [10, 100, 1_000, 4_000] {
        let addresses = &addresses[..clients];
        measured.push(Measured::new("ours", clients, Box::new(InMemory::new(addresses, ours::Ours::new))));
        if clients <= 1_000 {
            measured.push(Measured::new("renetcode", clients, Box::new(InMemory::new(addresses, renet::Renet::new))));
        }
    }
    measured
}

fn measure_with_sockets(random: &mut Random) {
    for clients in [10, 100, 1_000, 4_000] {
        let ours = Socketed::new(clients, SocketKind::Auto, ours::Ours::new);
        let ring = Socketed::new(clients, SocketKind::Auto, bare::Bare::new);
        let mut measured = vec![
            Measured::new("sockets.ours", clients, Box::new(ours)),
            Measured::new("sockets.ring", clients, Box::new(ring)),
        ];
        if clients <= 1_000 {
            let renet = Socketed::new(clients, SocketKind::Portable, renet::Renet::new);
            measured.push(Measured::new("sockets.renetcode", clients, Box::new(renet)));
        }
        for turn in 0..WARM_TURNS + TURNS {
            measured.iter_mut().for_each(|it| it.turn(random, SOCKET_PACKETS, turn >= WARM_TURNS));
        }
        let ns: Vec<f64> = measured.iter_mut().map(|it| it.cold.print(&it.name)).collect();
        figure(&format!("transport.sockets.ours_over_ring_{clients}"), ns[0] / ns[1], "ratio");
        if let Some(theirs) = ns.get(2) {
            figure(&format!("transport.sockets.renetcode_over_ours_{clients}"), theirs / ns[0], "ratio");
        }
        figure(&format!("transport.sockets.allocations.{clients}"), measured[0].allocations as f64, "in_all");
    }
}
