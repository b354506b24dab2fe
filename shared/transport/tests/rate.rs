//! Contract: the send rate fills a narrow link without filling its queue, reaches its ceiling on a wide one, shares with TCP so
//! that neither starves, comes back after an outage, and is not frightened by a wireless link's random loss. On simulated links
//! in simulated time.

mod stage;

use core::time::Duration;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::conditioner::{Conditioner, Loss, Narrow, PERFECT, Profile};
use arbiter_transport::flow::{Body, Flow, FlowConfig};
use arbiter_transport::rate::{Phase, RateConfig};

const STEP: Duration = Duration::from_millis(1);
const TICKS_PER_SECOND: u32 = 60;
/// What a payload costs on the simulated line beside itself: the link counts IP and UDP headers, and encryption adds 20.
const SEAL_BYTES: usize = 20;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn line(kbit_per_s: u32, queue_ms: u32, delay_ms: u64) -> Profile {
    let bytes_per_second = kbit_per_s * 125;
    let narrow = Some(Narrow { bytes_per_second, queue_bytes: bytes_per_second / 1_000 * queue_ms });
    Profile { delay: ms(delay_ms), narrow, ..PERFECT }
}

/// Who a datagram on the line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Game,
    Tcp(u64),
}

/// A bulk transfer: CUBIC (RFC 9438) or Reno (RFC 5681) with fast recovery, always with something to send. Segments of
/// 1,460 B; the way back is clear.
struct Tcp {
    cubic: bool,
    window: f64,
    threshold: f64,
    window_max: f64,
    epoch: Duration,
    next: u64,
    acked: u64,
    received: std::collections::BTreeSet<u64>,
    recover: u64,
    duplicates: u32,
    delivered: u64,
    acks: std::collections::VecDeque<(Duration, u64, bool)>,
    heard: Duration,
    resend: Option<u64>,
}

impl Tcp {
    fn new(cubic: bool) -> Self {
        Self {
            cubic,
            window: 10.0,
            threshold: f64::INFINITY,
            window_max: 0.0,
            epoch: Duration::ZERO,
            next: 0,
            acked: 0,
            received: Default::default(),
            recover: 0,
            duplicates: 0,
            delivered: 0,
            acks: Default::default(),
            heard: Duration::ZERO,
            resend: None,
        }
    }

    /// The receiving end: an acknowledgement goes back.
    fn arrive(&mut self, now: Duration, segment: u64) {
        if segment >= self.delivered {
            self.received.insert(segment);
        }
        while self.received.remove(&self.delivered) {
            self.delivered += 1;
        }
        self.acks.push_back((now + ms(20), self.delivered, true));
    }

    fn hear(&mut self, now: Duration) {
        while self.acks.front().is_some_and(|ack| ack.0 <= now) {
            let Some((_, ack, _)) = self.acks.pop_front() else { return };
            if ack > self.acked {
                self.heard = now;
                self.next = self.next.max(ack);
                let advance = (ack - self.acked) as f64;
                self.acked = ack;
                self.duplicates = 0;
                if ack < self.recover {
                    // A hole behind the hole: NewReno.
                    self.resend = Some(ack);
                } else if self.window < self.threshold {
                    self.window += advance;
                } else {
                    self.grow(now, advance);
                }
            } else {
                self.duplicates += 1;
                if self.duplicates == 3 && ack >= self.recover {
                    self.shrink(now);
                    self.recover = self.next;
                    self.resend = Some(ack);
                }
            }
        }
        if self.next > self.acked && now.saturating_sub(self.heard) > ms(1_000) {
            self.shrink(now);
            self.window = 2.0;
            // Everything from the hole on once more.
            (self.heard, self.recover, self.resend) = (now, self.acked, None);
            (self.next, self.duplicates) = (self.acked, 0);
        }
    }

    fn grow(&mut self, now: Duration, advance: f64) {
        let reno = advance / self.window;
        if self.cubic {
            let t = now.saturating_sub(self.epoch).as_secs_f64();
            let k = (self.window_max * 0.3 / 0.4).cbrt();
            let target = 0.4 * (t - k).powi(3) + self.window_max;
            self.window += ((target - self.window) / self.window * advance).clamp(reno * 0.5, advance);
        } else {
            self.window += reno;
        }
    }

    fn shrink(&mut self, now: Duration) {
        self.window_max = self.window;
        self.epoch = now;
        self.window = (self.window * if self.cubic { 0.7 } else { 0.5 }).max(2.0);
        self.threshold = self.window;
    }

    fn send(&mut self, now: Duration, line: &mut Conditioner<Who>) {
        if let Some(segment) = self.resend.take() {
            line.push(now, Who::Tcp(segment), &[0; 1_472]);
        }
        // Segments that came out of order have left the network: each duplicate acknowledgement says so.
        let flying = (self.next - self.acked).saturating_sub(u64::from(self.duplicates)) as f64;
        for _ in 0..(self.window - flying).clamp(0.0, 20.0) as usize {
            line.push(now, Who::Tcp(self.next), &[0; 1_472]);
            self.next += 1;
        }
    }
}

/// A server that says as much as it may over a line, a client that answers each tick, and a bulk transfer if there is one.
struct World {
    server: Flow,
    client: Flow,
    down: Conditioner<Who>,
    up: Conditioner,
    tcp: Option<Tcp>,
    now: Duration,
    next_tick: Duration,
    sizes: Vec<(Duration, usize)>,
    game_bytes: u64,
    worst_wait: Duration,
    lowest: u32,
    tick: u32,
    /// What the game has to say each tick; `None` for as much as it may.
    wanted: Option<usize>,
}

/// What passed in a while.
#[derive(Debug)]
struct While {
    game: f64,
    tcp: f64,
    worst_wait: Duration,
    lowest: u32,
}

impl World {
    fn new(down: Profile, rate: RateConfig) -> Self {
        let now = Duration::from_secs(5);
        Self {
            server: Flow::new(FlowConfig { rate, ..FlowConfig::of_server() }, now),
            client: Flow::new(FlowConfig::of_client(), now),
            down: Conditioner::new(down, 11),
            up: Conditioner::new(Profile { delay: ms(20), ..PERFECT }, 12),
            tcp: None,
            now,
            next_tick: now,
            sizes: Vec::new(),
            game_bytes: 0,
            worst_wait: Duration::ZERO,
            lowest: u32::MAX,
            tick: 0,
            wanted: None,
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        let Self { server, client, down, up, tcp, now, game_bytes, worst_wait, sizes, .. } = self;
        down.pop(*now, &mut |who, bytes| match who {
            Who::Game => {
                // The tag of the body says when it left.
                let bytes = &bytes[..bytes.len() - SEAL_BYTES];
                *game_bytes += (bytes.len() + SEAL_BYTES + 28) as u64;
                client.read(*now, bytes, &mut |_| ()).expect("honest");
                let sequence = usize::from(u16::from_le_bytes([bytes[1], bytes[2]]));
                let left = sizes.iter().rev().find(|(_, number)| *number == sequence).map_or(*now, |entry| entry.0);
                *worst_wait = (*worst_wait).max(*now - left);
            }
            Who::Tcp(segment) => tcp.as_mut().expect("a transfer").arrive(*now, segment),
        });
        up.pop(*now, &mut |(), bytes| {
            server.read(*now, bytes, &mut |_| ()).expect("honest");
        });
        if let Some(tcp) = tcp {
            tcp.hear(*now);
            tcp.send(*now, down);
        }
        if self.now >= self.next_tick {
            self.next_tick += Duration::from_secs(1) / TICKS_PER_SECOND;
            self.play();
        }
    }

    fn play(&mut self) {
        self.tick += 1;
        let mut out = [0; PAYLOAD_BYTES_MAX];
        self.server.advance(self.now, &mut |_| ());
        self.client.advance(self.now, &mut |_| ());
        let len = self.client.write(self.now, Some(Body { kind: 1, tag: 0, bytes: &[0; 20] }), &mut out);
        self.up.push(self.now, (), &out[..len.expect("written")]);
        self.lowest = self.lowest.min(self.server.rate());
        let mut budget = self.server.budget(TICKS_PER_SECOND).min(self.wanted.unwrap_or(usize::MAX));
        while budget >= 20 {
            let body = vec![0; budget.min(1_100)];
            let Ok(len) = self.server.write(self.now, Some(Body { kind: 2, tag: 0, bytes: &body }), &mut out) else {
                break;
            };
            self.sizes.push((self.now, usize::from(u16::from_le_bytes([out[1], out[2]]))));
            let sealed = [&out[..len], &[0; SEAL_BYTES]].concat();
            self.down.push(self.now, Who::Game, &sealed);
            budget = budget.saturating_sub(body.len() + 64);
        }
    }

    fn run(&mut self, seconds: u64) -> While {
        self.sizes.clear();
        (self.game_bytes, self.worst_wait, self.lowest) = (0, Duration::ZERO, u32::MAX);
        let before = self.tcp.as_ref().map_or(0, |tcp| tcp.delivered);
        for _ in 0..seconds * 1_000 {
            self.step();
        }
        let tcp = (self.tcp.as_ref().map_or(0, |tcp| tcp.delivered) - before) * 1_500;
        While {
            game: self.game_bytes as f64 / seconds as f64,
            tcp: tcp as f64 / seconds as f64,
            worst_wait: self.worst_wait,
            lowest: self.lowest,
        }
    }
}

fn wide() -> RateConfig {
    RateConfig { floor: 4_000, ceiling: 250_000 }
}

#[test]
fn a_line_of_128_kbit_per_s_is_filled_and_its_queue_is_not() {
    let mut world = World::new(line(128, 200, 20), wide());
    world.run(5);
    let passed = world.run(60);
    assert!(passed.game > 0.8 * 16_000.0, "{passed:?}");
    assert!(passed.worst_wait < ms(180), "{passed:?}");
    assert!(passed.lowest > 8_000, "{passed:?}");
    let counts = world.down.counts();
    assert!(counts.overflowed * 100 < counts.taken, "{counts:?}");
}

#[test]
fn a_line_of_10_mbit_per_s_is_not_starved() {
    let mut world = World::new(line(10_000, 100, 20), wide());
    world.run(4);
    assert_eq!(world.server.rate(), 250_000);
    let passed = world.run(20);
    assert!(passed.game > 0.9 * 250_000.0 && passed.lowest > 200_000, "{passed:?}");
}

#[test]
fn a_jittery_line_is_not_taken_for_a_full_one() {
    for name in ["wifi", "4g", "transatlantic"] {
        let profile: Profile = name.parse().expect("known");
        let mut world = World::new(profile, wide());
        world.run(10);
        let passed = world.run(30);
        assert!(passed.game > 150_000.0, "{name}: {passed:?}");
    }
}

#[test]
fn random_loss_does_not_throttle() {
    for share in [0.01, 0.02, 0.04] {
        let mut world = World::new(Profile { loss: Loss::random(share), ..line(10_000, 100, 20) }, wide());
        world.run(10);
        let passed = world.run(60);
        assert!(passed.lowest > 100_000, "{share}: {passed:?}");
    }
}

#[test]
fn a_line_that_drops_instead_of_queueing_is_filled_too() {
    // A policer: 256 kbit/s and next to no queue.
    let mut world = World::new(line(256, 1, 20), wide());
    world.run(10);
    let before = world.down.counts();
    let passed = world.run(60);
    let counts = world.down.counts();
    let dropped = (counts.overflowed - before.overflowed) as f64 / (counts.taken - before.taken) as f64;
    assert!(passed.game > 0.7 * 32_000.0 && dropped < 0.2, "{passed:?} dropped {dropped}");
}

#[test]
fn it_shares_with_a_bulk_transfer() {
    for (cubic, kbit) in [(false, 1_000), (true, 1_000), (true, 2_000), (true, 500)] {
        let mut world = World::new(line(kbit, 200, 20), wide());
        world.run(10);
        world.tcp = Some(Tcp::new(cubic));
        world.run(20);
        let passed = world.run(120);
        let fair = f64::from(kbit) * 125.0 / 2.0;
        assert!(passed.tcp > 0.6 * fair, "the transfer is starved: {passed:?}");
        assert!(passed.game > 0.25 * fair, "the game is starved: {passed:?}");
        // When the transfer is over, the queue is empty again and the rate comes back.
        world.tcp = None;
        world.down.pop(world.now + ms(60_000), &mut |_, _| ());
        world.run(10);
        let after = world.run(20);
        assert!(after.game > 1.6 * fair.min(156_000.0) && after.worst_wait < ms(200), "{after:?}");
    }
}

#[test]
fn an_outage_is_over_when_it_is_over() {
    let profile = line(1_000, 200, 20);
    let mut world = World::new(profile, wide());
    world.run(10);
    let before = world.server.rate();
    world.down.set_profile(Profile { loss: Loss::random(1.0), ..profile });
    world.up.set_profile(Profile { loss: Loss::random(1.0), ..PERFECT });
    let dark = world.run(3);
    assert_eq!((world.server.rate(), world.server.rate_phase()), (4_000, Phase::Silent), "{dark:?}");
    world.down.set_profile(profile);
    world.up.set_profile(Profile { delay: ms(20), ..PERFECT });
    world.run(3);
    assert!(world.server.rate() > before / 2, "{} of {before}", world.server.rate());
    let passed = world.run(10);
    assert!(passed.game > 0.8 * 125_000.0, "{passed:?}");
}

#[test]
fn a_quiet_game_does_not_claim_what_it_never_used() {
    let mut world = World::new(line(10_000, 100, 20), wide());
    world.wanted = Some(100);
    world.run(20);
    let quiet = world.server.rate();
    // 168 bytes at 60 Hz are 10 kB a second.
    assert!((10_000..45_000).contains(&quiet), "{quiet}");
    world.wanted = None;
    world.run(5);
    assert_eq!(world.server.rate(), 250_000);
}
