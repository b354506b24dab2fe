//! Contract: a cheat gains nothing that the rules forbid, or the server tells of whoever does it; and it tells of nobody honest.
//! Real matches over real sockets: ten bots in the arena, two of them hostile.

use std::time::Duration;

use arbiter_cli::assets::Assets;
use arbiter_cli::cheats::{Deeds, Outcome, Plan, play};
use arbiter_cli::host::Play;
use arbiter_cli::plugins;
use arbiter_headless_client::bots::cheat::Cheat;
use arbiter_headless_client::runner::run_bots;
use arbiter_server::suspicion::Detector;

/// Nothing is held against inputs for three seconds behind a missed tick; then five looks of two seconds are too much, each as late as a
/// quarter of a second.
const STEADY: Duration = Duration::from_secs(18);

fn arena() -> Play {
    Play::load(Assets::embedded(), "arena", plugins::none()).expect("the arena")
}

/// A match, in which nobody honest may be told of, whatever the others do.
fn matched(cheat: Option<Cheat>, seconds: u32) -> Outcome {
    play_as(&Plan::new(cheat, seconds, 5))
}

/// The same, which goes on until the server has told of what is bound to be found. It must be found if the server missed no tick for
/// long enough; of one on a machine that is too busy for that, nothing is said.
fn matched_until(cheat: Cheat, seconds: u32, detector: Detector) -> Outcome {
    let outcome = play_as(&Plan { until: Some(detector), ..Plan::new(Some(cheat), seconds, 5) });
    let (found, steady) = (outcome.found(detector), outcome.steady);
    assert!(found || steady < STEADY, "{steady:?} without a missed tick: {:?}", outcome.anomalies);
    outcome
}

fn play_as(plan: &Plan) -> Outcome {
    let cheat = plan.cheat;
    let outcome = play(&arena(), plan, |bots, enough| Ok(run_bots(bots, enough)?)).expect("it is played");
    println!("{cheat:?}: {:?}; {:?}; {:?}", outcome.anomalies, outcome.peaks, outcome.deeds);
    assert_eq!(outcome.report.played, 10, "{:?}", outcome.report.failed);
    let honest: Vec<_> = outcome.anomalies_of(&outcome.honest).collect();
    assert!(honest.is_empty(), "told of somebody honest: {honest:?}");
    assert!(all(&outcome).all(|deeds| deeds.unbound_ticks == 0 && deeds.untold_hits == 0), "{:?}", outcome.deeds);
    outcome
}

fn all(outcome: &Outcome) -> impl Iterator<Item = &Deeds> {
    outcome.deeds.values()
}

#[test]
fn honest_bots_are_told_of_by_nobody() {
    let outcome = matched(None, 30);
    assert_eq!(outcome.honest.len(), 10);
    assert!(all(&outcome).any(|deeds| deeds.hits > 0), "they fought");
}

#[test]
fn inputs_for_twice_the_ticks_make_nobody_faster_and_are_told_of() {
    let outcome = matched_until(Cheat::Speed, 20, Detector::Rewrite);
    for deeds in outcome.deeds_of(&outcome.hostile) {
        // At twice the speed it would be all of them; a dash a few seconds is a tenth.
        assert!(deeds.fast_ticks * 4 < deeds.ticks, "{deeds:?}");
    }
}

#[test]
fn a_hammered_trigger_fires_no_faster_than_the_weapon() {
    let outcome = matched(Some(Cheat::Rapid), 20);
    assert!(outcome.deeds_of(&outcome.hostile).all(|deeds| deeds.shots > 0));
    assert!(all(&outcome).all(|deeds| deeds.early_shots == 0));
}

#[test]
fn silence_and_claims_of_the_past_move_nobody_at_once_and_are_told_of() {
    let outcome = matched_until(Cheat::Teleport, 20, Detector::View);
    let longest = |slots: &[u16]| outcome.deeds_of(slots).map(|deeds| deeds.step_max_m).fold(0.0, f32::max);
    // Twenty ticks of silence at full speed would be 2 m at once.
    assert!(longest(&outcome.hostile) <= longest(&outcome.honest).max(1.0), "{:?}", outcome.deeds);
}

/// Whether something in how each hostile player aims was told of.
fn aim_is_told_of(outcome: &Outcome) -> bool {
    const AIM: [Detector; 5] =
        [Detector::Snap, Detector::Reaction, Detector::Precision, Detector::Hidden, Detector::Untold];
    let told = |slot: &u16| outcome.anomalies.iter().any(|it| it.slot == *slot && AIM.contains(&it.detector));
    !outcome.hostile.is_empty() && outcome.hostile.iter().all(told)
}

#[test]
fn who_aims_at_enemies_through_walls_is_told_of() {
    assert!(aim_is_told_of(&matched(Some(Cheat::Wallhack), 45)));
}

#[test]
fn who_aims_at_once_and_perfectly_is_told_of() {
    assert!(aim_is_told_of(&matched(Some(Cheat::Aim), 45)));
}

#[test]
fn a_flood_makes_nobody_elses_inputs_late_and_is_told_of() {
    let outcome = matched_until(Cheat::Flood, 15, Detector::Flood);
    let counts = outcome.report.counts;
    assert!(counts.late_inputs * 10 < counts.snapshots, "{counts:?}");
}
