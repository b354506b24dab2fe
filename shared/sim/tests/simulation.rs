//! Contract: a simulation is a function of its seed and its commands; a checkpoint continues it bit for bit; nothing from outside
//! panics it.

mod common;

use arbiter_sim::{Admin, BuildError, Command, DomainEvent, Input, Loadout, MatchSettings, RestoreError, Simulation};

#[test]
fn the_same_seed_and_commands_give_the_same_hashes() {
    let mut one = common::simulation("team_deathmatch", 5);
    let mut two = common::simulation("team_deathmatch", 5);
    for tick in 1..=600 {
        one.step(&common::commands(tick));
        two.step(&common::commands(tick));
        assert_eq!(one.hash(), two.hash(), "tick {tick}: {:?}", part(&one, &two));
    }
}

#[test]
fn another_seed_gives_another_match() {
    let mut one = common::simulation("team_deathmatch", 5);
    let mut two = common::simulation("team_deathmatch", 6);
    one.step(&common::commands(1));
    two.step(&common::commands(1));
    assert_ne!(one.hash(), two.hash());
}

#[test]
fn a_checkpoint_restored_at_any_moment_continues_bit_for_bit() {
    for at in [1, 2, 37, 90, 241, 399] {
        let mut live = common::simulation("team_deathmatch", 9);
        for tick in 1..=at {
            live.step(&common::commands(tick));
        }
        let mut bytes = Vec::new();
        live.checkpoint(&mut bytes);
        let mut restored = common::simulation("team_deathmatch", 9);
        restored.restore(&bytes).unwrap();
        assert_eq!(live.hash(), restored.hash(), "at {at}: {:?}", part(&live, &restored));
        for tick in at + 1..=at + 240 {
            live.step(&common::commands(tick));
            restored.step(&common::commands(tick));
            assert_eq!(live.hash(), restored.hash(), "tick {tick} from {at}: {:?}", part(&live, &restored));
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_an_error() {
    let mut live = common::simulation("team_deathmatch", 9);
    live.step(&common::commands(1));
    let mut bytes = Vec::new();
    live.checkpoint(&mut bytes);
    assert_eq!(live.restore(&bytes[..3]), Err(RestoreError::Magic));
    for cut in (4..bytes.len()).step_by(997) {
        let mut fresh = common::simulation("team_deathmatch", 9);
        assert!(fresh.restore(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn ten_players_join_and_enter_the_world() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    simulation.step(&common::commands(1));
    let joined = simulation.events().iter().filter(|event| matches!(event, DomainEvent::PlayerJoined { .. })).count();
    assert_eq!(joined, 10);
    assert_eq!(simulation.view().slots().count(), 10);
}

#[test]
fn a_slot_that_is_taken_or_out_of_range_ignores_a_join() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    let join = |slot| Command::Join { slot, loadout: Loadout::default() };
    simulation.step(&[join(3), join(3), join(10), join(u16::MAX)]);
    assert_eq!(simulation.view().slots().collect::<Vec<_>>(), [3]);
}

#[test]
fn hostile_inputs_do_no_harm() {
    let mut simulation = common::simulation("free_for_all", 1);
    simulation.step(&common::commands(1));
    for tick in 2..200u32 {
        let wild = Input {
            buttons: u16::MAX,
            move_right: i8::MIN,
            move_forward: i8::MIN,
            yaw: (tick * 30_011) as u16,
            pitch: i16::MIN,
            view_tick: u32::MAX.wrapping_mul(tick % 2),
            view_fraction: 255,
        };
        let commands: Vec<_> =
            (0..2_000).map(|slot| Command::Input { slot, input: wild, substituted: false }).collect();
        simulation.step(&commands);
    }
    assert!(
        simulation
            .dump()
            .iter()
            .flat_map(|entity| &entity.components)
            .all(|(_, leaves)| { leaves.iter().all(|leaf| !leaf.text.contains("NaN") && !leaf.text.contains("inf")) })
    );
}

#[test]
fn a_paused_match_stands_still_and_goes_on() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    for tick in 1..=60 {
        simulation.step(&common::commands(tick));
    }
    simulation.step(&[Command::Admin(Admin::Pause)]);
    let place = |simulation: &Simulation| {
        let dump = simulation.dump();
        dump.iter().filter(|entity| entity.kind == "Prop").cloned().collect::<Vec<_>>()
    };
    let before = place(&simulation);
    for _ in 0..60 {
        simulation.step(&[]);
    }
    assert_eq!(place(&simulation), before);
    simulation.step(&[Command::Admin(Admin::Resume)]);
    assert_eq!(simulation.tick(), 122);
}

#[test]
fn an_ended_match_says_how_and_stands_still() {
    let mut simulation = common::simulation("team_deathmatch", 1);
    simulation.step(&common::commands(1));
    simulation.step(&[Command::Admin(Admin::AddScore { team: 2, points: 3 }), Command::Admin(Admin::End)]);
    assert_eq!(simulation.ended(), Some(arbiter_sim::Outcome::Won(2)));
    assert!(simulation.events().iter().any(|event| matches!(event, DomainEvent::MatchEnded { .. })));
}

#[test]
fn settings_that_cannot_be_played_are_refused_by_name() {
    let refuse = |settings: MatchSettings| {
        Simulation::new(common::rules(), common::map(), 1, settings).err().expect("it must be refused")
    };
    assert_eq!(refuse(MatchSettings { tick_rate: 9, ..common::settings("team_deathmatch") }), BuildError::TickRate(9));
    assert_eq!(refuse(MatchSettings { players_max: 0, ..common::settings("team_deathmatch") }), BuildError::Players(0));
    assert!(matches!(refuse(common::settings("chess")), BuildError::Mode { .. }));
}

/// The components in which two simulations differ.
fn part(one: &Simulation, two: &Simulation) -> Vec<&'static str> {
    let pairs = one.component_hashes().into_iter().zip(two.component_hashes());
    pairs.filter(|(one, two)| one != two).map(|(one, _)| one.0).collect()
}
