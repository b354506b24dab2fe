//! Contract: the others are shown smoothly, never back in time, and as far behind as the link needs and no further.

use core::time::Duration;

use arbiter_headless_client::interpolation::ViewClock;

const TICK_S: f64 = 1.0 / 60.0;

/// Shows for so many ticks over a link that brings the snapshot of tick `n` at tick `arrives(n)`, if at all.
fn show(clock: &mut ViewClock, ticks: u32, arrives: impl Fn(u32) -> Option<u32>) -> Vec<f64> {
    let (mut newest, mut shown) = (0, Vec::new());
    for now in 1..=ticks {
        for tick in newest + 1..=now {
            if arrives(tick) == Some(now) {
                clock.snapshot_arrived(newest, tick, f64::from(now));
                newest = tick;
            }
        }
        shown.push(clock.advance(Duration::from_secs_f64(f64::from(now) * TICK_S), f64::from(now), newest));
    }
    shown
}

#[test]
fn on_a_perfect_link_the_others_are_hardly_behind() {
    let mut clock = ViewClock::new(TICK_S);
    show(&mut clock, 1_200, Some);
    assert!(clock.delay() < 1.6, "{} ticks", clock.delay());
    assert_eq!(clock.freezes(), 0);
}

#[test]
fn losses_in_bursts_move_the_view_back_until_they_are_bridged() {
    let mut clock = ViewClock::new(TICK_S);
    // Three of a hundred are lost, in a row.
    let shown = show(&mut clock, 3_600, |tick| (tick % 100 > 2).then_some(tick));
    // More than a perfect link needs; what the delay does not bridge, bounded extrapolation does.
    assert!(clock.delay() > 1.6 && clock.delay() < 5.0, "{} ticks", clock.delay());
    assert!(shown.windows(2).all(|pair| pair[1] >= pair[0]));
    assert_eq!(clock.freezes(), 0);
}

#[test]
fn the_view_runs_faster_or_slower_but_does_not_jump() {
    let mut clock = ViewClock::new(TICK_S);
    // After ten seconds everything comes five ticks late.
    let shown = show(&mut clock, 1_800, |tick| Some(if tick < 600 { tick } else { tick + 5 }));
    let steps = shown[60..].windows(2).map(|pair| pair[1] - pair[0]);
    for step in steps {
        assert!((0.9..1.1).contains(&step), "a step of {step} ticks");
    }
}

#[test]
fn a_server_that_sheds_its_rate_moves_the_view_back_by_no_more_than_it_leaves_out_and_freezes_nothing() {
    for stride in [2, 3] {
        let mut clock = ViewClock::new(TICK_S);
        // After ten seconds only every second or third tick is told.
        let is_told = |tick: u32| tick < 600 || tick.is_multiple_of(stride);
        let shown = show(&mut clock, 1_200, |tick| is_told(tick).then_some(tick));
        assert!(clock.delay() < 1.6 + f64::from(stride), "{} ticks", clock.delay());
        assert_eq!(clock.freezes(), 0);
        let steps = shown[60..].windows(2).map(|pair| pair[1] - pair[0]);
        steps.for_each(|step| assert!((0.9..1.1).contains(&step), "a step of {step} ticks"));
    }
}

#[test]
fn silence_is_a_freeze_and_is_counted_once() {
    let mut clock = ViewClock::new(TICK_S);
    show(&mut clock, 200, |tick| (!(100..140).contains(&tick)).then_some(tick));
    assert_eq!(clock.freezes(), 1);
}
