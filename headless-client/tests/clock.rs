//! Contract: the client finds the server's tick through jitter, makes every input once, and early enough.

use core::time::Duration;

use arbiter_headless_client::clock::ServerClock;

const TICK: f64 = 1.0 / 60.0;

/// A clock that has heard `count` snapshots of a 60 Hz server that started at local time 1 s, each late by `late(tick)`.
fn heard(count: u32, late: impl Fn(u32) -> f64) -> ServerClock {
    let mut clock = ServerClock::new(60);
    for tick in 1..=count {
        clock.snapshot_arrived(tick, Duration::from_secs_f64(1.0 + f64::from(tick) * TICK + late(tick)));
    }
    clock
}

#[test]
fn the_servers_tick_is_found_through_jitter() {
    let clock = heard(600, |tick| f64::from(tick * 7_919 % 10) * 0.001);
    let now = Duration::from_secs_f64(1.0 + 600.0 * TICK);
    let off = clock.arriving(now) - 600.0;
    assert!(off.abs() < 0.6, "off by {off} ticks");
}

#[test]
fn inputs_are_sent_a_round_trip_ahead() {
    let mut clock = heard(600, |_| 0.0);
    clock.set_round_trip(Duration::from_millis(100));
    let ahead = clock.input_tick(Duration::from_secs_f64(1.0 + 600.0 * TICK)) - 600;
    assert!((7..=10).contains(&ahead), "{ahead} ticks ahead of the snapshot that arrives");
}

#[test]
fn every_tick_gets_one_input() {
    let mut clock = heard(60, |_| 0.0);
    let mut last = None;
    for step in 0..2_000 {
        let now = Duration::from_secs_f64(2.0 + f64::from(step) * 0.001);
        while let Some(tick) = clock.next_input(now) {
            assert!(last.is_none_or(|last| tick == last + 1), "{tick} follows {last:?}");
            last = Some(tick);
        }
    }
    assert!(last.is_some());
}

#[test]
fn inputs_that_come_too_late_are_sent_earlier() {
    let mut clock = heard(600, |_| 0.0);
    let now = Duration::from_secs_f64(1.0 + 600.0 * TICK);
    let before = clock.input_tick(now);
    for _ in 0..60 {
        clock.inputs_arrived_early(-2);
    }
    assert!(clock.input_tick(now) > before + 2);
}

#[test]
fn a_jump_of_the_server_is_followed_at_once() {
    let mut clock = heard(600, |_| 0.0);
    let now = Duration::from_secs_f64(1.0 + 600.0 * TICK);
    clock.snapshot_arrived(5_000, now);
    assert!((clock.arriving(now) - 5_000.0).abs() < 1.0);
}
