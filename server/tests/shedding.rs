//! Contract: a server that has more to do than time leaves out what it may in the order that it says, gives it back, and nothing of
//! it reaches a simulation.

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arbiter_protocol::{GoodbyeReason, RefusedReason, Target};
use arbiter_server::shed::{RETRY, Shed, ShedStats, Step};
use arbiter_server::{OnStop, ServerConfig, ServerHandle};
use arbiter_sim::Command;

use common::remote::{Ticks, recorded};
use common::{Client, config, registry, short_match, start, until};

/// Ticks are far apart, so that a machine that does other things as well is not taken for a load.
const TICK_RATE: u16 = 20;

/// A server at a step, or that takes them by itself; whoever wishes may watch, and is shown what is.
fn shedding(shed: Shed) -> ServerConfig {
    let mut config = config();
    (config.shed, config.settings.tick_rate) = (shed, TICK_RATE);
    (config.spectators_max, config.spectator_delay) = (2, Duration::ZERO);
    config.operate = Some(([127, 0, 0, 1], 0).into());
    config
}

fn player(server: &ServerHandle, config: &ServerConfig) -> Client {
    Client::new(server.local_address(), &config.key, &registry(config))
}

fn spectator(server: &ServerHandle, config: &ServerConfig) -> Client {
    let mut client = player(server, config);
    if let Some(join) = &mut client.join {
        join.watch = Some(Target::Free);
    }
    client
}

fn get(server: &ServerHandle, path: &str) -> String {
    let mut stream = TcpStream::connect(server.operate_address().expect("it was asked for")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    text
}

/// A load that takes so much of the room's thread behind each tick, in microseconds.
fn with_load(config: &mut ServerConfig) -> Arc<AtomicU64> {
    let load_us = Arc::new(AtomicU64::new(0));
    let burns = Arc::clone(&load_us);
    config.observer = Some(Arc::new(move |_, _| {
        let until = Instant::now() + Duration::from_micros(burns.load(Ordering::Relaxed));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }));
    load_us
}

/// Waits for a step, which may take longer than one look.
fn reach(server: &ServerHandle, clients: &mut [Client], what: &str, done: impl Fn(&ShedStats) -> bool) {
    until(what, clients, |_| done(&server.shed_stats()));
}

#[test]
fn an_overloaded_server_takes_every_step_and_gives_all_of_them_back_when_the_load_is_gone() {
    let mut config = shedding(Shed::Hurried);
    let load_us = with_load(&mut config);
    let server = start(&config);
    let mut clients = vec![player(&server, &config), spectator(&server, &config)];
    until("both are in", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 0));
    assert_eq!(server.shed_stats().step, Step::Nothing);
    // Twice as much as a tick may take.
    load_us.store(2_000_000 / u64::from(TICK_RATE), Ordering::Relaxed);
    reach(&server, &mut clients, "the last step", |stats| stats.step == Step::ThirdRate);
    let stats = server.shed_stats();
    assert!(stats.taken[1..].iter().all(|times| *times > 0) && stats.load > 0.85, "{stats:?}");
    until("whoever watches is told why not any more", &mut clients, |clients| clients[1].goodbye.is_some());
    assert_eq!((clients[1].goodbye, clients[0].goodbye), (Some(GoodbyeReason::Overloaded), None));
    clients.push(spectator(&server, &config));
    until("nobody new may watch", &mut clients, |clients| clients[2].refused.is_some());
    let reason = clients[2].refused.as_ref().map(|refused| refused.reason);
    assert_eq!(reason, Some(RefusedReason::Overloaded { retry_s: RETRY.as_secs() as u16 }));
    assert!(get(&server, "/readyz").contains("the server sheds load"));
    let before = clients[0].snapshots;
    until("players are still told", &mut clients, |clients| clients[0].snapshots > before + 10);
    load_us.store(0, Ordering::Relaxed);
    reach(&server, &mut clients, "nothing is left out", |stats| stats.step == Step::Nothing);
    clients.push(spectator(&server, &config));
    until("they may watch again", &mut clients, |clients| clients[3].snapshots > 0);
    let stats = server.shed_stats();
    assert_eq!((stats.spectators_let_go, stats.spectators_refused), (1, 1), "{stats:?}");
    assert!(stats.snapshots > 0 && stats.spectator_snapshots > 0, "{stats:?}");
    assert!(stats.spent_us.iter().all(|spent| *spent > 0), "{stats:?}");
    assert!(get(&server, "/readyz").contains("200 OK"));
}

#[test]
fn a_server_that_may_not_shed_is_late_instead() {
    let mut config = shedding(Shed::Off);
    let load_us = with_load(&mut config);
    let server = start(&config);
    let mut clients = [player(&server, &config), spectator(&server, &config)];
    load_us.store(2_500_000 / u64::from(TICK_RATE), Ordering::Relaxed);
    until("ticks are late", &mut clients, |clients| {
        clients[1].snapshots > 5 && server.room_stats(0).is_some_and(|stats| stats.overruns > 20)
    });
    assert_eq!((server.shed_stats().step, server.shed_stats().taken), (Step::Nothing, [0; 6]));
}

#[test]
fn each_step_is_a_figure() {
    let config = shedding(Shed::Held(Step::HalfRate));
    let server = start(&config);
    let mut clients = [player(&server, &config)];
    until("something is left out", &mut clients, |_| server.shed_stats().snapshots > 0);
    let figures = get(&server, "/metrics");
    for line in [
        "arbiter_shedding_step 4",
        "arbiter_shedding_seconds_total{step=\"half_rate\"}",
        "arbiter_shedding_steps_taken_total{step=\"spectators_rarer\"} 0",
        "arbiter_shed_total{what=\"snapshots\"}",
        "arbiter_shed_total{what=\"entities\"} 0",
        "arbiter_tick_load_ratio 0",
    ] {
        assert!(figures.contains(line), "{line} is not in {figures}");
    }
    server.stop(OnStop::Abandon);
}

#[test]
fn nobody_new_may_watch_from_the_first_step_on() {
    let config = shedding(Shed::Held(Step::SpectatorsRarer));
    let server = start(&config);
    let mut clients = [player(&server, &config), spectator(&server, &config)];
    until("one plays and one is refused", &mut clients, |clients| {
        clients[0].snapshots > 0 && clients[1].refused.is_some()
    });
    assert_eq!(server.shed_stats().spectators_refused, 1);
    assert!(get(&server, "/readyz").contains("200 OK"), "players may come");
}

/// The same match at a step, and when each of its two players and a spectator was told something.
fn played(step: Step) -> (Ticks, Vec<Vec<u32>>) {
    let shed = Shed::Held(step);
    let config = ServerConfig { shed, spectators_max: 1, spectator_delay: Duration::ZERO, ..short_match() };
    recorded(&config, &[Target::Free])
}

/// What the simulation was told that clients know: groups of slots.
type Known = BTreeMap<(u16, u8), u32>;

/// What it was told of that, behind each tick; and all other commands.
fn parted(ticks: &Ticks) -> Vec<(Known, Vec<Command>)> {
    let mut known = Known::new();
    let part = |(_, commands): &(u64, Vec<Command>)| {
        let mut others = commands.clone();
        others.retain(|command| {
            let Command::Told { slot, group, toggled } = command else { return true };
            *known.entry((*slot, *group)).or_default() ^= toggled;
            false
        });
        (known.clone(), others)
    };
    ticks.iter().map(part).collect()
}

#[test]
fn a_match_is_simulated_alike_whatever_is_left_out() {
    let (whole, _) = played(Step::Nothing);
    let known = parted(&whole);
    assert!(whole.len() > 290, "{} ticks", whole.len());
    for step in &Step::ALL[1..] {
        let (shed, _) = played(*step);
        let differs = whole.iter().zip(&shed).position(|(one, other)| one != other);
        if *step <= Step::FarDetail {
            assert_eq!((differs, shed.len()), (None, whole.len()), "{step:?}");
            continue;
        }
        // What clients were told enters the match as a command: whoever is told later may be hit later. All else is the same.
        let alike = known.iter().zip(parted(&shed)).zip(whole.iter().zip(&shed));
        let same = alike.filter(|((one, other), (whole, shed))| {
            assert_eq!(one.1, other.1, "{step:?}: nothing else enters it");
            assert!(one.0 != other.0 || whole.0 == shed.0, "{step:?}: what was told is the same, and the hash is not");
            one.0 == other.0
        });
        let (same, all) = (same.count(), whole.len());
        assert!(shed.len() == all && same > all - 10, "{step:?}: {same} of {all} ticks");
    }
}

#[test]
fn players_are_told_every_tick_until_the_rate_is_shed_and_then_by_turns() {
    for (step, stride) in [(Step::FarDetail, 1), (Step::HalfRate, 2), (Step::ThirdRate, 3)] {
        let (ticks, told) = played(step);
        for player in &told[..2] {
            assert!(player.windows(2).all(|pair| pair[1] - pair[0] == stride), "{step:?}: {player:?}");
            assert!(player.len() as u32 * stride > ticks.len() as u32 - 20, "{step:?}: {} times", player.len());
        }
        let together = told[0].iter().any(|tick| told[1].contains(tick));
        assert_eq!(together, stride == 1, "{step:?}: not all in the same tick");
        assert!(told[2].is_empty(), "{step:?}: nobody watches");
    }
}
