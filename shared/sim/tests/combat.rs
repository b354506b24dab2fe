//! Combat in real matches: a flat map, real rules, commands in, state and events out. One behaviour per test.

use std::sync::Arc;

use arbiter_schema::StableId;
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::MoverState;
use arbiter_sim::deployables::{AreaState, Turret, Wall};
use arbiter_sim::effects::Afflictions;
use arbiter_sim::index::Kind;
use arbiter_sim::map::{PickupSpot, PropSpot, Shape, Solid, Spawn, Volume};
use arbiter_sim::pickups::PickupState;
use arbiter_sim::players::{Life, Tally};
use arbiter_sim::projectiles::Projectile;
use arbiter_sim::rules::Behaviour;
use arbiter_sim::vitals::Vitals;
use arbiter_sim::weapons::Arsenal;
use arbiter_sim::{Cause, Command, DomainEvent, Input, Knob, Loadout, Map, MatchSettings, Rules, Simulation, button};
use glam::{Quat, Vec3};

fn cuboid(name: &str, position: Vec3, half: Vec3) -> Solid {
    Solid { name: name.to_owned(), shape: Shape::Box { half }, position, rotation: Quat::IDENTITY }
}

/// A floor; one team faces the other at 6 m along z. Team 1 looks along -z at team 2.
fn flat_map() -> Map {
    let spawn = |team, x: f32, z: f32, yaw| Spawn { team, position: Vec3::new(x, 0.0, z), yaw };
    Map {
        solids: vec![cuboid("floor", Vec3::NEG_Y, Vec3::new(80.0, 1.0, 80.0))],
        spawns: vec![spawn(1, 0.0, 3.0, 0.0), spawn(2, 0.0, -3.0, std::f32::consts::PI)],
        ..Map::empty("flat", Volume { centre: Vec3::Y * 20.0, half: Vec3::splat(100.0) })
    }
}

struct Match {
    sim: Simulation,
    inputs: Vec<(u16, Input)>,
    events: Vec<DomainEvent>,
}

impl Match {
    /// Players by hero; odd slots are team 2. Protection and warm-up are over.
    fn new(map: Map, heroes: &[&str], change: impl FnOnce(&mut Rules, &mut MatchSettings)) -> Self {
        let mut rules = Rules::shipped();
        for mode in &mut rules.modes {
            mode.warmup_seconds = 0;
            mode.spawn_protection_ms = 0;
            mode.respawn_wave_ms = 60_000;
        }
        let mut settings = MatchSettings::default();
        change(&mut rules, &mut settings);
        rules.check().expect("the changed rules are right");
        let joins: Vec<Command> = heroes
            .iter()
            .enumerate()
            .map(|(slot, hero)| Command::Join {
                slot: slot as u16,
                loadout: Loadout { hero: rules.hero_named(hero).expect("a shipped hero"), team: slot as u8 % 2 + 1 },
            })
            .collect();
        let sim = Simulation::new(Arc::new(rules), Arc::new(map), 1, settings).expect("the match can be made");
        let mut made = Self { sim, inputs: Vec::new(), events: Vec::new() };
        made.sim.step(&joins);
        for slot in 0..heroes.len() as u16 {
            let yaw = if slot % 2 == 0 { 0 } else { 32_768 };
            made.inputs.push((slot, Input { yaw, ..Input::default() }));
        }
        made.run(5);
        made.events.clear();
        made
    }

    fn duel(heroes: [&str; 2]) -> Self {
        Self::new(flat_map(), &heroes, |_, _| ())
    }

    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            let view_tick = self.sim.tick();
            let commands: Vec<Command> = self
                .inputs
                .iter()
                .map(|(slot, input)| Command::Input {
                    slot: *slot,
                    input: Input { view_tick, ..*input },
                    substituted: false,
                })
                .collect();
            self.sim.step(&commands);
            self.events.extend_from_slice(self.sim.events());
        }
    }

    fn hold(&mut self, slot: u16, buttons: u16) {
        self.inputs[usize::from(slot)].1.buttons = buttons;
    }

    /// Presses buttons for one tick.
    fn press(&mut self, slot: u16, buttons: u16) {
        self.hold(slot, buttons);
        self.run(1);
        self.hold(slot, 0);
    }

    fn get<C: bevy_ecs::component::Component + Clone>(&self, slot: u16) -> C {
        let id = self.sim.view().player(slot).expect("the slot is taken");
        self.sim.view().get::<C>(id).cloned().expect("a player has it")
    }

    fn health(&self, slot: u16) -> f32 {
        self.get::<Vitals>(slot).health
    }

    fn position(&self, slot: u16) -> Vec3 {
        self.get::<MoverState>(slot).position
    }

    /// Every entity with a component.
    fn all<C: bevy_ecs::component::Component + Clone>(&self) -> Vec<C> {
        let view = self.sim.view();
        self.sim.dump().iter().filter_map(|dump| view.get::<C>(dump.id).cloned()).collect()
    }

    fn effect(&self, name: &str) -> u8 {
        self.sim.rules().effect_named(name).expect("a shipped effect")
    }
}

fn ability(slot: usize) -> u16 {
    button::ABILITY[slot]
}

fn weapon(slot: usize) -> u16 {
    button::WEAPON[slot]
}

#[test]
fn a_rifle_hits_whom_it_is_aimed_at() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.press(0, button::FIRE);
    duel.run(1);
    assert!(duel.health(1) < 200.0);
    assert_eq!(duel.get::<Arsenal>(0).rounds[0], 29);
}

#[test]
fn a_shot_past_someone_hurts_nobody() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.inputs[0].1.yaw = 4_000;
    duel.press(0, button::FIRE);
    assert_eq!(duel.health(1), 200.0);
}

#[test]
fn walls_stop_shots() {
    let mut map = flat_map();
    map.solids.push(cuboid("wall", Vec3::Y, Vec3::new(3.0, 2.0, 0.2)));
    let mut duel = Match::new(map, &["ranger", "ranger"], |_, _| ());
    duel.hold(0, button::FIRE);
    duel.run(60);
    assert_eq!(duel.health(1), 200.0);
}

#[test]
fn a_held_trigger_kills_and_the_kill_is_told() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.hold(0, button::FIRE);
    duel.run(150);
    let kill = duel.events.iter().find_map(|event| match event {
        DomainEvent::Killed { victim, killer, cause, .. } => Some((*victim, *killer, *cause)),
        _ => None,
    });
    assert_eq!(kill, Some((1, Some(0), Cause::Weapon(0))));
    assert!(!duel.get::<Life>(1).alive);
    assert_eq!((duel.get::<Tally>(0).kills, duel.get::<Tally>(1).deaths), (1, 1));
}

#[test]
fn an_empty_magazine_reloads_from_the_reserve() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.inputs[0].1.yaw = 16_384;
    duel.hold(0, button::FIRE);
    duel.run(30 * 6 + 2);
    assert!(duel.get::<Arsenal>(0).reloading);
    duel.hold(0, 0);
    duel.run(96 + 1);
    let arsenal = duel.get::<Arsenal>(0);
    assert_eq!((arsenal.rounds[0], arsenal.reserve[0], arsenal.reloading), (30, 150, false));
}

#[test]
fn sustained_fire_widens_the_spread_and_rest_narrows_it() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.hold(0, button::FIRE);
    duel.run(40);
    assert!(duel.get::<Arsenal>(0).bloom > 0.5);
    duel.hold(0, 0);
    duel.run(60);
    assert_eq!(duel.get::<Arsenal>(0).bloom, 0.0);
}

#[test]
fn a_shotgun_hurts_more_up_close() {
    let shot = |distance: f32| {
        let mut map = flat_map();
        map.spawns[1].position.z = 3.0 - distance;
        let mut duel = Match::new(map, &["engineer", "ranger"], |_, _| ());
        duel.press(0, button::FIRE);
        200.0 - duel.health(1)
    };
    assert!(shot(3.0) > shot(15.0) + 20.0);
}

#[test]
fn a_rocket_takes_time_hurts_around_and_pushes() {
    let mut duel = Match::duel(["demolisher", "ranger"]);
    // At the feet of the other, so that only the burst counts.
    duel.inputs[0].1.pitch = -2_600;
    duel.press(0, button::FIRE);
    assert_eq!(duel.all::<Projectile>().len(), 1);
    assert_eq!(duel.health(1), 200.0);
    let before = duel.position(1);
    duel.run(40);
    assert!(duel.health(1) < 200.0);
    assert!(duel.position(1).z < before.z - 0.3, "{} to {}", before, duel.position(1));
    assert!(duel.all::<Projectile>().is_empty());
}

#[test]
fn the_oldest_projectile_makes_way_when_several_are_fired_in_one_tick() {
    let heroes = ["demolisher"; 6];
    let mut crowd = Match::new(flat_map(), &heroes, |rules, settings| {
        rules.combat.projectiles_max = 2;
        settings.players_max = 6;
    });
    for slot in 0..6 {
        // Up, so that they stay in flight.
        crowd.inputs[slot].1.pitch = 8_000;
        crowd.hold(slot as u16, button::FIRE);
    }
    crowd.run(1);
    let left = crowd.all::<Projectile>();
    assert_eq!(left.len(), 2);
    let newest: Vec<_> = [4, 5].map(|slot| crowd.sim.view().player(slot).expect("the slot is taken")).into();
    assert_eq!(left.iter().map(|projectile| projectile.by).collect::<Vec<_>>(), newest);
}

#[test]
fn ones_own_rocket_pushes_oneself() {
    let mut duel = Match::duel(["demolisher", "ranger"]);
    duel.inputs[0].1.pitch = -16_000;
    duel.press(0, button::FIRE);
    duel.run(8);
    assert!(duel.position(0).y > 0.3);
    assert!(duel.health(0) < 200.0);
}

#[test]
fn a_grenade_flies_in_an_arc_bounces_and_bursts_by_time() {
    let mut duel = Match::duel(["demolisher", "ranger"]);
    duel.inputs[0].1.yaw = 16_384;
    duel.press(0, weapon(1));
    duel.run(40);
    duel.press(0, button::FIRE);
    duel.run(60);
    let bounces = duel.all::<Projectile>().first().map(|grenade| grenade.bounces);
    assert!(bounces.is_some_and(|left| left < 3), "{bounces:?}");
    duel.run(60);
    assert!(duel.all::<Projectile>().is_empty());
}

#[test]
fn a_hammer_reaches_only_whom_is_near() {
    let blow = |distance: f32| {
        let mut map = flat_map();
        map.spawns[1].position.z = 3.0 - distance;
        let mut duel = Match::new(map, &["guardian", "ranger"], |_, _| ());
        duel.press(0, button::FIRE);
        200.0 - duel.health(1)
    };
    assert_eq!((blow(2.0), blow(6.0)), (65.0, 0.0));
}

#[test]
fn a_flame_beam_burns_on_after_it() {
    let mut duel = Match::duel(["shade", "ranger"]);
    duel.press(0, weapon(1));
    duel.run(40);
    duel.hold(0, button::FIRE);
    duel.run(20);
    duel.hold(0, 0);
    duel.run(1);
    let after = duel.health(1);
    assert!(after < 200.0);
    assert!(duel.get::<Afflictions>(1).count(duel.effect("burning")) > 0);
    duel.run(120);
    assert!(duel.health(1) < after);
}

#[test]
fn a_mending_beam_heals_a_friend_and_hurts_no_enemy() {
    let mut map = flat_map();
    // Slot 2 is of slot 0's team and stands where team 1's second spawn is: in front of the medic.
    map.spawns = vec![
        Spawn { team: 1, position: Vec3::new(0.0, 0.0, 6.0), yaw: 0.0 },
        Spawn { team: 1, position: Vec3::new(0.0, 0.0, 0.0), yaw: 0.0 },
        Spawn { team: 2, position: Vec3::new(0.0, 0.0, -6.0), yaw: 0.0 },
    ];
    let mut fight = Match::new(map, &["medic", "ranger", "medic"], |_, _| ());
    let (far, near) = if fight.position(0).z > fight.position(2).z { (0, 2) } else { (2, 0) };
    // The enemy hurts the one in front, who stands between.
    fight.hold(1, button::FIRE);
    fight.run(15);
    fight.hold(1, 0);
    fight.run(10);
    let hurt = fight.health(near);
    assert!(hurt < 175.0);
    fight.hold(far, button::FIRE);
    fight.run(30);
    assert!(fight.health(near) > hurt + 15.0);
    assert_eq!(fight.health(1), 200.0);
    assert!(fight.get::<Tally>(far).healing > 0.0);
}

#[test]
fn friends_are_hurt_only_where_the_rules_say() {
    let shot = |friendly_fire| {
        let mut map = flat_map();
        map.spawns = vec![
            Spawn { team: 1, position: Vec3::new(0.0, 0.0, 3.0), yaw: 0.0 },
            Spawn { team: 1, position: Vec3::new(0.0, 0.0, -1.0), yaw: 0.0 },
            Spawn { team: 2, position: Vec3::new(40.0, 0.0, 0.0), yaw: 0.0 },
        ];
        let mut fight = Match::new(map, &["ranger", "ranger", "ranger"], |_, settings| {
            settings.friendly_fire = Some(friendly_fire);
        });
        let (back, front) = if fight.position(0).z > fight.position(2).z { (0, 2) } else { (2, 0) };
        fight.press(back, button::FIRE);
        200.0 - fight.health(front)
    };
    assert_eq!(shot(false), 0.0);
    assert!(shot(true) > 0.0);
}

#[test]
fn nobody_is_hurt_before_the_round() {
    let mut duel = Match::new(flat_map(), &["ranger", "ranger"], |rules, _| {
        for mode in &mut rules.modes {
            mode.warmup_seconds = 600;
        }
    });
    duel.hold(0, button::FIRE);
    duel.run(60);
    assert_eq!(duel.health(1), 200.0);
}

#[test]
fn a_dash_is_fast_and_costs_a_charge() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.inputs[0].1.yaw = 16_384;
    let before = duel.position(0);
    duel.press(0, ability(0));
    duel.run(11);
    assert!(duel.position(0).distance(before) > 2.5, "{}", duel.position(0).distance(before));
    assert_eq!(duel.get::<Kit>(0).charges[0], 1);
}

#[test]
fn a_shield_wall_that_has_fallen_stops_those_who_still_see_it() {
    let mut game = Match::duel(["ranger", "guardian"]);
    game.press(1, button::ABILITY[0]);
    game.run(20);
    let seen = game.sim.tick();
    let wall = game.sim.view().resource::<arbiter_sim::index::Index>().expect("there").of(Kind::Shield)[0].0;
    let until = game.sim.view().get::<Wall>(wall).expect("it stands").until;
    game.run(until - seen + 2);
    let tick = game.sim.tick();
    let fire = |view_tick| Command::Input {
        slot: 0,
        input: Input { buttons: button::FIRE, view_tick, ..Input::default() },
        substituted: false,
    };
    let whole = game.health(1);
    game.sim.step(&[fire(until - 2)]);
    assert_eq!(game.health(1), whole, "shot through a wall that was seen at tick {}", until - 2);
    game.run(8);
    game.sim.step(&[fire(tick + 8)]);
    assert!(game.health(1) < whole, "the wall that is gone for the shooter too stopped the shot");
}

#[test]
fn a_shield_wall_stops_enemies_and_lets_friends_shoot_out() {
    let mut duel = Match::duel(["guardian", "ranger"]);
    duel.press(0, ability(0));
    duel.run(20);
    assert_eq!(duel.all::<Wall>().len(), 1);
    let before = duel.health(0);
    duel.hold(1, button::FIRE);
    duel.run(30);
    assert_eq!(duel.health(0), before);
    assert!(duel.all::<Wall>()[0].health < 600.0);
    duel.press(0, weapon(1));
    duel.run(40);
    duel.press(0, button::FIRE);
    assert!(duel.health(1) < 200.0);
}

#[test]
fn a_healing_field_heals_while_it_is_channelled() {
    let mut duel = Match::duel(["medic", "ranger"]);
    duel.hold(1, button::FIRE);
    duel.run(24);
    duel.hold(1, 0);
    duel.run(20);
    let hurt = duel.health(0);
    assert!(hurt < 175.0 && hurt > 0.0, "{hurt}");
    duel.hold(0, ability(0));
    duel.run(60);
    assert_eq!(duel.all::<AreaState>().len(), 1);
    assert!(duel.health(0) > hurt);
    duel.hold(0, 0);
    duel.run(2);
    assert!(duel.all::<AreaState>().is_empty(), "a channel ends with its button");
}

#[test]
fn a_stun_ends_a_cast_and_the_charge_is_kept() {
    let mut map = flat_map();
    map.spawns[1].position.z = 1.0;
    let mut duel = Match::new(map, &["demolisher", "engineer"], |_, _| ());
    duel.press(0, ability(0));
    duel.run(5);
    duel.hold(1, ability(0));
    duel.run(20);
    assert!(duel.get::<Afflictions>(1).stunned());
    assert!(!duel.get::<Kit>(1).busy());
    assert_eq!(duel.get::<Kit>(1).charges[0], 1);
    assert!(duel.all::<Turret>().is_empty());
}

#[test]
fn a_slowing_grenade_slows() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.inputs[0].1.pitch = -1_500;
    duel.press(0, ability(1));
    duel.run(60);
    assert_eq!(duel.get::<Afflictions>(1).count(duel.effect("slowed")), 1);
    assert!(duel.get::<Afflictions>(1).speed_factor() < 0.6);
    assert_eq!(duel.get::<Afflictions>(0).count(duel.effect("slowed")), 0);
}

#[test]
fn a_turret_shoots_the_nearest_enemy_in_sight() {
    let mut duel = Match::duel(["engineer", "ranger"]);
    duel.press(0, ability(0));
    duel.run(30);
    assert_eq!(duel.all::<Turret>().len(), 1);
    duel.run(120);
    assert!(duel.health(1) < 200.0);
    assert_eq!(duel.get::<Vitals>(0).health, 200.0);
}

#[test]
fn a_turret_can_be_shot_to_pieces() {
    let mut duel = Match::duel(["engineer", "ranger"]);
    duel.press(0, ability(0));
    duel.run(30);
    duel.inputs[1].1.pitch = -2_000;
    duel.hold(1, button::FIRE);
    duel.run(150);
    assert!(duel.all::<Turret>().is_empty());
}

#[test]
fn a_cleansing_takes_harm_off() {
    let mut duel = Match::duel(["medic", "ranger"]);
    duel.inputs[1].1.pitch = -1_500;
    duel.press(1, ability(1));
    duel.run(60);
    assert_eq!(duel.get::<Afflictions>(0).count(duel.effect("slowed")), 1);
    duel.press(0, ability(1));
    assert_eq!(duel.get::<Afflictions>(0).count(duel.effect("slowed")), 0);
}

#[test]
fn the_dead_hurt_nobody_and_are_hurt_no_more() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.hold(0, button::FIRE);
    duel.run(150);
    duel.hold(1, button::FIRE);
    duel.run(60);
    assert_eq!(duel.health(0), 200.0);
    let kills = duel.events.iter().filter(|event| matches!(event, DomainEvent::Killed { .. })).count();
    assert_eq!(kills, 1);
}

#[test]
fn the_hurt_take_health_and_the_whole_leave_it() {
    let mut map = flat_map();
    map.pickups.push(PickupSpot { kind: "health".to_owned(), position: Vec3::new(0.0, 0.0, -3.0) });
    let mut duel = Match::new(map, &["ranger", "ranger"], |_, _| ());
    assert!(duel.all::<PickupState>()[0].there);
    duel.press(0, button::FIRE);
    duel.run(2);
    assert!(!duel.all::<PickupState>()[0].there);
    assert_eq!(duel.health(1), 200.0);
    assert!(duel.events.iter().any(|event| matches!(event, DomainEvent::Looted { slot: 1, .. })));
}

#[test]
fn the_dead_leave_loot() {
    let mut duel = Match::new(flat_map(), &["ranger", "ranger"], |rules, _| rules.combat.loot_nothing = 0);
    duel.hold(0, button::FIRE);
    duel.run(150);
    assert!(duel.all::<PickupState>().iter().any(|pickup| pickup.loot));
}

#[test]
fn a_barrel_bursts_and_sets_off_the_next() {
    let mut map = flat_map();
    for x in [0.0, 2.0, 4.0] {
        map.props.push(PropSpot {
            kind: "barrel".to_owned(),
            position: Vec3::new(x, 0.5, -20.0),
            rotation: Quat::IDENTITY,
        });
    }
    map.spawns[1].position = Vec3::new(30.0, 0.0, 0.0);
    let mut duel = Match::new(map, &["ranger", "ranger"], |_, _| ());
    duel.inputs[0].1.pitch = -500;
    duel.hold(0, button::FIRE);
    duel.run(60);
    assert!(duel.all::<arbiter_sim::physics::Prop>().is_empty());
}

#[test]
fn a_shooter_hits_what_they_saw() {
    // The target runs sideways; the shooter aims at where it was ten ticks ago and says so.
    let shot = |honest: bool| {
        let mut duel = Match::duel(["ranger", "ranger"]);
        duel.inputs[1].1.move_right = 127;
        duel.run(30);
        let target = duel.position(1);
        let view_tick = duel.sim.tick();
        duel.run(10);
        let from = duel.position(0);
        let yaw = libm::atan2f(-(target.x - from.x), -(target.z - from.z));
        let (yaw, _) = arbiter_sim::input::angle_steps(yaw, 0.0);
        let view_tick = if honest { view_tick } else { duel.sim.tick() };
        let input = Input { yaw, view_tick, buttons: button::FIRE, pitch: -600, ..Input::default() };
        duel.sim.step(&[Command::Input { slot: 0, input, substituted: false }]);
        200.0 - duel.health(1)
    };
    assert!(shot(true) > 0.0);
    assert_eq!(shot(false), 0.0);
}

/// Slot 0 is bound to what it was told of, which is nobody else.
fn bind(duel: &mut Match) {
    duel.sim.step(&[Command::Told { slot: 0, group: 0, toggled: 1 }]);
}

/// Slot 0 is told of slot 1, or not any more.
fn tell_of_the_other(duel: &mut Match) {
    duel.sim.step(&[Command::Told { slot: 0, group: 0, toggled: 1 << 1 }]);
}

/// Health that slot 1 loses to what slot 0 does within some ticks, before and after it was told of it.
fn losses(mut duel: Match, ticks: u32, deed: impl Fn(&mut Match)) -> [f32; 2] {
    bind(&mut duel);
    deed(&mut duel);
    duel.run(ticks);
    let untold = duel.health(1);
    tell_of_the_other(&mut duel);
    deed(&mut duel);
    duel.run(ticks);
    [200.0 - untold, untold - duel.health(1)]
}

#[test]
fn a_shot_does_not_meet_whom_the_shooter_was_not_told_of() {
    let [untold, told] = losses(Match::duel(["ranger", "ranger"]), 60, |duel| duel.press(0, button::FIRE));
    assert_eq!(untold, 0.0);
    assert!(told > 0.0);
}

#[test]
fn a_shot_goes_on_through_whom_the_shooter_was_not_told_of() {
    let mut map = flat_map();
    map.spawns.push(Spawn { team: 1, position: Vec3::new(40.0, 0.0, 3.0), yaw: 0.0 });
    map.spawns.push(Spawn { team: 2, position: Vec3::new(0.0, 0.0, -6.0), yaw: std::f32::consts::PI });
    let mut fight = Match::new(map, &["ranger", "ranger", "ranger", "ranger"], |_, _| ());
    let shooter = if fight.position(0).x < 20.0 { 0 } else { 2 };
    let (front, behind) = if fight.position(1).z > fight.position(3).z { (1, 3) } else { (3, 1) };
    // The one behind is told of, the one in front is not.
    fight.sim.step(&[Command::Told { slot: shooter, group: 0, toggled: 1 << shooter | 1 << behind }]);
    fight.hold(shooter, button::FIRE);
    fight.run(40);
    assert_eq!(fight.health(front), 200.0);
    assert!(fight.health(behind) < 200.0);
}

#[test]
fn a_blow_does_not_meet_whom_it_was_not_told_of() {
    let mut map = flat_map();
    map.spawns[1].position.z = 1.0;
    let duel = Match::new(map, &["guardian", "ranger"], |_, _| ());
    assert_eq!(losses(duel, 90, |duel| duel.press(0, button::FIRE)), [0.0, 65.0]);
}

#[test]
fn a_beam_does_not_meet_whom_it_was_not_told_of() {
    let mut duel = Match::duel(["shade", "ranger"]);
    duel.press(0, weapon(1));
    duel.run(40);
    let [untold, told] = losses(duel, 60, |duel| {
        duel.hold(0, button::FIRE);
        duel.run(20);
        duel.hold(0, 0);
    });
    assert_eq!(untold, 0.0);
    assert!(told > 0.0);
}

#[test]
fn a_projectile_passes_whom_it_was_not_told_of_only_as_it_leaves() {
    // Two metres a tick: nose to nose, all of the way to the other and past is the first step.
    let fired = |distance: f32, told: bool| {
        let mut map = flat_map();
        map.spawns[1].position.z = 3.0 - distance;
        let mut duel = Match::new(map, &["demolisher", "ranger"], |rules, _| {
            for weapon in &mut rules.weapons {
                if let Behaviour::Projectile(flight) = &mut weapon.behaviour {
                    flight.speed = 120.0;
                }
            }
        });
        bind(&mut duel);
        if told {
            tell_of_the_other(&mut duel);
        }
        duel.press(0, button::FIRE);
        duel.run(10);
        200.0 - duel.health(1)
    };
    assert!(fired(0.9, true) > 0.0);
    assert_eq!(fired(0.9, false), 0.0);
    // What is under way is a thing of the world.
    assert!(fired(6.0, false) > 0.0);
}

#[test]
fn who_comes_to_the_slot_of_one_that_left_is_bound_to_nothing_of_theirs() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    bind(&mut duel);
    tell_of_the_other(&mut duel);
    let told = |duel: &Match| duel.sim.view().resource::<arbiter_sim::told::Told>().unwrap().group(0, 0);
    assert_eq!(told(&duel), 0b11);
    duel.sim.step(&[Command::Leave { slot: 1, reason: arbiter_sim::LeaveReason::Quit }]);
    assert_eq!(told(&duel), 0b01);
    duel.sim.step(&[Command::Leave { slot: 0, reason: arbiter_sim::LeaveReason::Quit }]);
    assert_eq!(told(&duel), 0);
}

#[test]
fn a_deep_fall_hurts() {
    let mut map = flat_map();
    map.spawns[1].position.y = 15.0;
    let mut duel = Match::new(map, &["ranger", "ranger"], |_, _| ());
    duel.run(120);
    // From 15 m one lands at sqrt(2 * 20 * 15) = 24.5 m/s, which is 6.5 too fast.
    assert!((150.0..175.0).contains(&duel.health(1)), "{}", duel.health(1));
    assert_eq!(duel.health(0), 200.0);
}

#[test]
fn a_kill_volume_kills_for_who_hit_last() {
    let mut map = flat_map();
    map.kill_volumes.push(Volume { centre: Vec3::new(0.0, 0.0, -9.0), half: Vec3::new(5.0, 3.0, 1.0) });
    let mut duel = Match::new(map, &["ranger", "ranger"], |_, _| ());
    duel.press(0, button::FIRE);
    duel.inputs[1].1.move_forward = -127;
    duel.run(120);
    assert!(
        duel.events
            .iter()
            .any(|event| matches!(event, DomainEvent::Killed { victim: 1, killer: Some(0), cause: Cause::World, .. }))
    );
}

#[test]
fn a_trigger_gives_its_effect() {
    let mut map = flat_map();
    map.triggers.push(arbiter_sim::map::Trigger {
        name: "swamp".to_owned(),
        volume: Volume { centre: Vec3::new(0.0, 0.0, -3.0), half: Vec3::new(2.0, 2.0, 2.0) },
        action: arbiter_sim::map::TriggerAction::Effect("muddy".to_owned()),
    });
    let duel = Match::new(map, &["ranger", "ranger"], |_, _| ());
    assert_eq!(duel.get::<Afflictions>(1).count(duel.effect("muddy")), 1);
    assert_eq!(duel.get::<Afflictions>(0).count(duel.effect("muddy")), 0);
}

#[test]
fn a_map_that_names_an_unknown_effect_is_refused() {
    let mut map = flat_map();
    map.triggers.push(arbiter_sim::map::Trigger {
        name: "swamp".to_owned(),
        volume: Volume { centre: Vec3::ZERO, half: Vec3::ONE },
        action: arbiter_sim::map::TriggerAction::Effect("mudy".to_owned()),
    });
    let made = Simulation::new(Arc::new(Rules::shipped()), Arc::new(map), 1, MatchSettings::default());
    let error = made.err().expect("the name does not exist").to_string();
    assert!(error.contains("mudy"), "{error}");
}

#[test]
fn the_administrator_scales_damage() {
    let mut duel = Match::duel(["ranger", "ranger"]);
    duel.sim.step(&[Command::Retune { knob: Knob::DamageScale, value: 0.0 }]);
    duel.hold(0, button::FIRE);
    duel.run(60);
    assert_eq!(duel.health(1), 200.0);
}

#[test]
fn a_custom_behaviour_leaves_its_pulls_alone() {
    let mut duel = Match::new(flat_map(), &["ranger", "ranger"], |rules, _| {
        rules.weapons[0].behaviour = Behaviour::Custom("beacon".to_owned());
    });
    duel.press(0, button::FIRE);
    assert_eq!(duel.health(1), 200.0);
    assert_eq!(duel.get::<Arsenal>(0).rounds[0], 29);
}

#[test]
fn a_fight_continues_bit_for_bit_from_a_checkpoint_at_any_tick() {
    let mut map = flat_map();
    for at in 0..4 {
        let position = Vec3::new(at as f32 - 2.0, 0.5, 0.0);
        map.props.push(PropSpot { kind: "barrel".to_owned(), position, rotation: Quat::IDENTITY });
    }
    let heroes = ["demolisher", "guardian", "engineer", "shade", "medic", "ranger"];
    let make = || {
        Match::new(map.clone(), &heroes, |rules, _| {
            for mode in &mut rules.modes {
                mode.respawn_wave_ms = 1_000;
            }
        })
    };
    // A fixed muddle of buttons, which meets casts, reloads, flights, beats and deaths.
    let commands = |tick: u32| -> Vec<Command> {
        // Who is told of whom changes all the while.
        let (slot, other) = ((tick % 6) as u16, tick / 7 % 6);
        let told = Command::Told { slot, group: 0, toggled: if tick.is_multiple_of(5) { 1 << other } else { 0 } };
        let inputs = (0..heroes.len() as u32).map(|slot| {
            let mut state = (tick / 45).wrapping_mul(2_654_435_761).wrapping_add(slot.wrapping_mul(40_503));
            state ^= state >> 13;
            state = state.wrapping_mul(1_597_334_677);
            let buttons = ((state >> 8) as u16 & button::ALL & !button::JUMP) | button::FIRE;
            let input = Input {
                buttons,
                yaw: if slot % 2 == 0 { 0 } else { 32_768 },
                pitch: ((state >> 20) as i16 % 800) - 600,
                move_right: (state >> 3) as i8 / 4,
                move_forward: 40,
                view_tick: tick.saturating_sub(4),
                ..Input::default()
            };
            Command::Input { slot: slot as u16, input, substituted: false }
        });
        core::iter::once(told).chain(inputs).collect()
    };
    let mut whole = make();
    let first = whole.sim.tick() + 1;
    let mut points = Vec::new();
    for tick in first..first + 600 {
        if tick % 37 == 0 {
            let mut bytes = Vec::new();
            whole.sim.checkpoint(&mut bytes);
            points.push((tick, bytes));
        }
        whole.sim.step(&commands(tick));
        whole.events.extend_from_slice(whole.sim.events());
    }
    assert!(whole.events.iter().any(|event| matches!(event, DomainEvent::Killed { .. })));
    for (start, bytes) in points {
        let mut again = make();
        again.sim.restore(&bytes).expect("a checkpoint can be restored");
        for tick in start..first + 600 {
            again.sim.step(&commands(tick));
        }
        if again.sim.hash() != whole.sim.hash() {
            let (ours, theirs) = (again.sim.component_hashes(), whole.sim.component_hashes());
            let parted: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
            panic!("restored at {start}, parted in {parted:?}");
        }
    }
}

#[test]
fn ids_of_the_dead_and_gone_are_nobodys() {
    let duel = Match::duel(["ranger", "ranger"]);
    assert!(duel.sim.view().get::<Vitals>(StableId(9_999)).is_none());
}
