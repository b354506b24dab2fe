//! Contract: phases follow one another by the rules, score decides rounds and rounds decide matches, points are taken by those
//! who stand in them.

mod common;

use arbiter_sim::modes::{ControlPoint, MatchState, Phase};
use arbiter_sim::players::{Life, Player};
use arbiter_sim::rules::ModeKind;
use arbiter_sim::{Admin, Command, DomainEvent, LeaveReason, Loadout, MatchSettings, Outcome, Rules, Simulation};
use glam::Vec3;

fn join(slot: u16, team: u8) -> Command {
    Command::Join { slot, loadout: Loadout { hero: 0, team } }
}

fn state(simulation: &Simulation) -> MatchState {
    simulation.view().resource::<MatchState>().unwrap().clone()
}

fn has(simulation: &Simulation, wanted: impl Fn(&DomainEvent) -> bool) -> bool {
    simulation.events().iter().any(wanted)
}

/// The shipped rules with one mode changed.
fn with_mode(name: &str, change: impl Fn(&mut arbiter_sim::rules::Mode)) -> std::sync::Arc<Rules> {
    let mut rules = (*common::rules()).clone();
    change(rules.modes.iter_mut().find(|mode| mode.name == name).unwrap());
    std::sync::Arc::new(rules)
}

fn played(rules: &std::sync::Arc<Rules>, mode: &str) -> Simulation {
    Simulation::new(std::sync::Arc::clone(rules), common::map(), 3, common::settings(mode)).unwrap()
}

fn until_running(simulation: &mut Simulation) {
    assert!(common::step_until(simulation, 60 * 60, |it| state(it).phase == Phase::Running), "the warm-up never ends");
}

#[test]
fn a_warm_up_ends_in_the_first_round() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    simulation.step(&[join(0, 1), join(1, 2)]);
    assert_eq!(state(&simulation).phase, Phase::WarmUp);
    assert!(common::step_until(&mut simulation, 3_600, |it| has(it, |event| *event == DomainEvent::MatchStarted)));
    assert!(has(&simulation, |event| *event == DomainEvent::RoundStarted { round: 1 }));
}

#[test]
fn a_team_that_reaches_the_limit_wins_the_round() {
    let rules = with_mode("team_deathmatch", |mode| (mode.rounds_max, mode.rounds_to_win) = (1, 1));
    let limit = rules.modes.iter().find(|mode| mode.name == "team_deathmatch").unwrap().score_limit as i32;
    let mut simulation = played(&rules, "team_deathmatch");
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    simulation.step(&[Command::Admin(Admin::AddScore { team: 2, points: limit })]);
    assert_eq!(simulation.ended(), Some(Outcome::Won(2)));
}

#[test]
fn the_side_with_most_rounds_wins_the_match() {
    let rules = with_mode("team_deathmatch", |mode| {
        (mode.rounds_max, mode.rounds_to_win, mode.break_seconds, mode.score_limit) = (3, 2, 1, 10);
    });
    let mut simulation = played(&rules, "team_deathmatch");
    simulation.step(&[join(0, 1), join(1, 2)]);
    for winner in [1, 2, 1] {
        until_running(&mut simulation);
        assert_eq!(simulation.ended(), None);
        simulation.step(&[Command::Admin(Admin::AddScore { team: winner, points: 10 })]);
        assert!(has(&simulation, |event| matches!(event, DomainEvent::RoundEnded { .. })));
    }
    assert_eq!(simulation.ended(), Some(Outcome::Won(1)));
}

#[test]
fn a_match_without_a_leader_is_a_draw_behind_overtime() {
    let rules = with_mode("team_deathmatch", |mode| {
        (mode.round_seconds, mode.overtime_seconds, mode.rounds_max, mode.rounds_to_win) = (5, 2, 1, 1);
    });
    let mut simulation = played(&rules, "team_deathmatch");
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    assert!(common::step_until(&mut simulation, 301, |it| state(it).phase == Phase::Overtime));
    assert!(common::step_until(&mut simulation, 121, |it| it.ended().is_some()));
    assert_eq!(simulation.ended(), Some(Outcome::Draw));
}

#[test]
fn overtime_ends_when_one_side_leads() {
    let rules = with_mode("team_deathmatch", |mode| {
        (mode.round_seconds, mode.overtime_seconds, mode.rounds_max, mode.rounds_to_win) = (5, 60, 1, 1);
    });
    let mut simulation = played(&rules, "team_deathmatch");
    simulation.step(&[join(0, 1), join(1, 2)]);
    assert!(common::step_until(&mut simulation, 4_000, |it| state(it).phase == Phase::Overtime));
    simulation.step(&[Command::Admin(Admin::AddScore { team: 1, points: 1 })]);
    assert_eq!(simulation.ended(), Some(Outcome::Won(1)));
}

#[test]
fn a_match_ends_with_its_settings_seconds_whoever_leads() {
    let settings = MatchSettings { match_seconds: Some(5), ..common::settings("team_deathmatch") };
    let mut simulation = Simulation::new(common::rules(), common::map(), 1, settings).unwrap();
    simulation.step(&[join(0, 1), join(1, 2)]);
    assert!(common::step_until(&mut simulation, 301, |it| it.ended().is_some()));
    assert_eq!(simulation.tick(), 300);
}

#[test]
fn a_match_that_is_cut_short_is_decided_by_the_rounds_played_to_their_end() {
    let rules = with_mode("team_deathmatch", |mode| {
        (mode.rounds_max, mode.rounds_to_win, mode.break_seconds, mode.score_limit) = (3, 2, 1, 10);
    });
    let cut = |second_round: i32| {
        let mut simulation = played(&rules, "team_deathmatch");
        simulation.step(&[join(0, 1), join(1, 2)]);
        until_running(&mut simulation);
        simulation.step(&[Command::Admin(Admin::AddScore { team: 2, points: 10 })]);
        until_running(&mut simulation);
        simulation.step(&[Command::Admin(Admin::AddScore { team: 1, points: second_round })]);
        simulation.step(&[Command::Admin(Admin::End)]);
        assert!(has(&simulation, |event| matches!(event, DomainEvent::MatchEnded { .. })));
        simulation.ended()
    };
    assert_eq!(cut(0), Some(Outcome::Won(2)));
    // Leading in a round is not winning it.
    assert_eq!(cut(9), Some(Outcome::Won(2)));
}

#[test]
fn one_alone_in_a_point_takes_it_and_earns_points() {
    let mut simulation = common::simulation("control_point", 1);
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    let mut taken = false;
    for _ in 0..60 * 60 {
        let walk = common::walk(&simulation, 0, Vec3::new(2.5, 0.0, 2.5));
        simulation.step(&[walk]);
        taken |= has(&simulation, |event| matches!(event, DomainEvent::PointCaptured { team: 1, .. }));
        if state(&simulation).scores[0] > 3 {
            break;
        }
    }
    assert!(taken, "nobody took the point");
    assert!(state(&simulation).scores[0] > 3, "holding it earned nothing");
}

#[test]
fn a_contested_point_is_nobody_s() {
    let mut simulation = common::simulation("control_point", 1);
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    let mut contested = 0;
    for _ in 0..30 * 60 {
        let walks =
            [(0, 2.0), (1, -2.0)].map(|(slot, x)| common::walk(&simulation, slot, Vec3::new(x, 0.0, 2.8 * x / 2.0)));
        simulation.step(&walks);
        let view = simulation.view();
        let mut point = None;
        view.for_each_row(&mut |row| {
            point = point.or_else(|| view.get::<ControlPoint>(row.id));
        });
        contested += u32::from(point.is_some_and(|point| point.contested));
        if contested > 600 {
            break;
        }
    }
    assert!(contested > 600, "contested for {contested} ticks");
    assert_eq!(state(&simulation).scores[..2], [0, 0]);
}

#[test]
fn a_wished_team_is_given_only_where_it_keeps_the_balance() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    simulation.step(&[join(0, 1), join(1, 1), join(2, 1), join(3, 1)]);
    let mut teams = [0; 3];
    for event in simulation.events() {
        if let DomainEvent::PlayerJoined { team, .. } = event {
            teams[usize::from(*team)] += 1;
        }
    }
    assert_eq!(teams, [0, 2, 2]);
}

#[test]
fn one_who_joins_a_running_match_enters_it_and_one_who_leaves_frees_the_slot() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    simulation.step(&[join(5, 0)]);
    let id = simulation.view().player(5).unwrap();
    assert!(simulation.view().get::<Life>(id).unwrap().alive);
    simulation.step(&[Command::Leave { slot: 5, reason: LeaveReason::Quit }]);
    assert!(simulation.view().player(5).is_none());
    simulation.step(&[join(5, 0)]);
    assert_ne!(simulation.view().player(5), Some(id), "an identity is never given twice");
}

#[test]
fn without_backfill_one_who_comes_late_waits() {
    let rules = with_mode("team_deathmatch", |mode| mode.backfill = false);
    let mut simulation = played(&rules, "team_deathmatch");
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    simulation.step(&[join(5, 0)]);
    common::step_until(&mut simulation, 600, |_| false);
    let id = simulation.view().player(5).unwrap();
    assert!(!simulation.view().get::<Life>(id).unwrap().alive);
}

#[test]
fn one_who_intends_nothing_is_called_idle_once() {
    let rules = with_mode("team_deathmatch", |mode| mode.idle_kick_seconds = 2);
    let mut simulation = played(&rules, "team_deathmatch");
    simulation.step(&[join(0, 1)]);
    let mut called = 0;
    for _ in 0..600 {
        simulation.step(&[]);
        called += simulation.events().iter().filter(|it| matches!(it, DomainEvent::IdleDetected { slot: 0 })).count();
    }
    assert_eq!(called, 1);
    let id = simulation.view().player(0).unwrap();
    assert!(simulation.view().get::<Player>(id).unwrap().idle_ticks > 120);
}

#[test]
fn each_plays_alone_in_free_for_all() {
    let mut simulation = common::simulation("free_for_all", 1);
    simulation.step(&[join(0, 1), join(1, 2)]);
    until_running(&mut simulation);
    simulation.step(&[Command::Admin(Admin::AddScore { team: 2, points: 5 }), Command::Admin(Admin::End)]);
    assert_eq!(simulation.ended(), Some(Outcome::Won(2)), "slot 1 leads");
}

#[test]
fn every_shipped_mode_can_be_played() {
    for mode in &common::rules().modes {
        if !matches!(mode.kind, ModeKind::Custom(_)) {
            let mut simulation = common::simulation(&mode.name, 2);
            for tick in 1..=400 {
                simulation.step(&common::commands(tick));
            }
        }
    }
}
