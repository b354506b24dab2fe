//! Gold rush: players carry gold that they mine in the middle of the map, lose it to whoever kills them, and their team wins
//! with enough of it. With a weapon that nobody else has: the coin gun, which shoots gold.
//!
//! What a studio does for this, all of it here:
//! - a component of its own, [`Purse`], described once: so it is hashed, recorded, restored and told to clients;
//! - a mode of its own: data that names the kind `Custom("gold_rush")`, and a system in [`ModeSet::Custom`] that counts;
//! - a weapon of its own: data that names the behaviour `Custom("coins")`, and a system in [`WeaponSet::Custom`] that shoots.
//!
//! The rules of determinism hold for plugins too: no `Local`, no change filters, no hash maps; walk players by slot.

use arbiter_schema::{Audience, Predictor, Spec, describe};
use arbiter_sim::collide::MoverState;
use arbiter_sim::hitbox::{Met, PlayerBody, Scene};
use arbiter_sim::index::{Identity, Index};
use arbiter_sim::modes::{MatchState, ModeSet, Phase, add_score};
use arbiter_sim::players::{Life, PlayerHooksApp, Tally};
use arbiter_sim::rules::{AssetError, Behaviour, Link, Mode, ModeKind, Rules, Weapon};
use arbiter_sim::simulation::{Cues, Events, MapRef, PLAYERS_MAX};
use arbiter_sim::state::DescribeApp;
use arbiter_sim::tick::Tick;
use arbiter_sim::time::Clock;
use arbiter_sim::vitals::{Damage, DamageQueue};
use arbiter_sim::weapons::{Pulls, WeaponSet};
use arbiter_sim::{Cause, Cue, DomainEvent, Simulation};
use arrayvec::ArrayVec;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// Name of the mode, in settings and as its kind.
pub const MODE: &str = "gold_rush";
/// Name of the weapon.
pub const COIN_GUN: &str = "coin_gun";
/// Name of its behaviour.
pub const COINS: &str = "coins";
/// [`DomainEvent::Custom`]: slot `a` took `b` gold from someone it killed.
pub const EVENT_ROBBED: u16 = 1;

/// Metres around the middle of the map in which there is gold.
const MINE_RADIUS: f32 = 14.0;
/// A player in the mine finds one piece this often.
const MINE_MS: u32 = 500;
/// Hit points that a coin takes.
const COIN_DAMAGE: f32 = 18.0;
/// Metres that a coin flies.
const COIN_REACH: f32 = 40.0;
/// As much as one can carry.
const PURSE_MAX: u16 = 200;

describe! {
    /// The gold that a player carries.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Purse {
        /// Pieces. Everyone sees who is worth robbing.
        pub gold: u16 => Spec::new(0.0, PURSE_MAX as f32, 1.0, Predictor::Hold, Audience::Everyone),
        /// Ticks in the mine since the last piece.
        pub mined_ticks: u32,
    }
}

/// The mode and its purse.
pub struct GoldRushPlugin;

impl Plugin for GoldRushPlugin {
    fn build(&self, app: &mut App) {
        app.describe::<Purse>()
            .on_join(|world, player| {
                world.entity_mut(player).insert(Purse::default());
            })
            .add_systems(Tick, shoot_coins.in_set(WeaponSet::Custom))
            .add_systems(Tick, (rob, mine).chain().in_set(ModeSet::Custom));
    }
}

/// Adds the mode and the weapon to rules, each hero with a coin gun in place of their last weapon. A studio may as well write
/// all of it into its `modes.ron`, `weapons.ron` and `heroes.ron`.
///
/// # Errors
/// What is wrong with the rules then.
pub fn add_to(rules: &mut Rules) -> Result<(), Vec<AssetError>> {
    if let Some(like) = rules.modes.first().cloned() {
        rules.modes.push(Mode {
            name: MODE.to_owned(),
            title: "Gold rush".to_owned(),
            kind: ModeKind::Custom(MODE.to_owned()),
            score_limit: 150,
            rounds_to_win: 1,
            rounds_max: 1,
            round_seconds: 60,
            warmup_seconds: 0,
            // Gold decides, not kills.
            kill_points: 0,
            suicide_points: 0,
            ..like
        });
    }
    if let Some(like) = rules.weapons.first().cloned() {
        rules.weapons.push(Weapon {
            name: COIN_GUN.to_owned(),
            title: "Coin gun".to_owned(),
            behaviour: Behaviour::Custom(COINS.to_owned()),
            damage: COIN_DAMAGE,
            interval_ms: 250,
            automatic: true,
            // It is loaded from the purse.
            magazine: 0,
            reserve: 0,
            spread: None,
            falloff: None,
            ..like
        });
    }
    for hero in &mut rules.heroes {
        if let Some(last) = hero.weapons.last_mut() {
            *last = Link::to(COIN_GUN);
        }
    }
    rules.check()
}

/// A pull of the coin gun throws one piece: harder the more its owner carries, and not at all without any.
fn shoot_coins(
    scene: Scene,
    pulls: Res<Pulls>,
    index: Res<Index>,
    mut purses: Query<&mut Purse>,
    mut damage: ResMut<DamageQueue>,
    mut cues: ResMut<Cues>,
) {
    for pull in &pulls.0 {
        let weapon = &scene.rules.weapons[usize::from(pull.weapon)];
        if !matches!(&weapon.behaviour, Behaviour::Custom(name) if name == COINS) {
            continue;
        }
        let purse = pull.source.slot().and_then(|slot| index.slot(slot)).and_then(|player| purses.get_mut(player).ok());
        let Some(mut purse) = purse.filter(|purse| purse.gold > 0) else { continue };
        purse.gold -= 1;
        let amount = weapon.damage * (1.0 + f32::from(purse.gold) / f32::from(PURSE_MAX));
        let shootable = |body: &PlayerBody| scene.shootable(&pull.source, body, pull.seen);
        let hit = scene.trace(&pull.source, (pull.from, pull.aim), COIN_REACH, 0.0, pull.seen, &shootable);
        let to = pull.from + pull.aim * hit.map_or(COIN_REACH, |hit| hit.distance);
        if let Some(Met::Player(target, _, part)) = hit.map(|hit| hit.met) {
            damage.0.push(Damage {
                target,
                source: pull.source,
                amount,
                part,
                cause: Cause::Weapon(pull.weapon),
                at: to,
                knock: pull.aim * weapon.knockback,
            });
        }
        cues.0.push(Cue::Fired { by: pull.source.id, weapon: pull.weapon, from: pull.from, to });
    }
}

fn running(world: &World) -> bool {
    matches!(world.resource::<MatchState>().phase, Phase::Running | Phase::Overtime)
}

/// Who kills takes what the dead carried.
fn rob(world: &mut World) {
    if !running(world) {
        return;
    }
    // By position, since moving gold needs the world.
    for at in 0..world.resource::<Events>().0.len() {
        let DomainEvent::Killed { victim, killer, .. } = world.resource::<Events>().0[at] else { continue };
        let index = world.resource::<Index>();
        let (Some(victim), robber) = (index.slot(victim), killer.and_then(|slot| Some((slot, index.slot(slot)?))))
        else {
            continue;
        };
        let Some(mut purse) = world.get_mut::<Purse>(victim) else { continue };
        let gold = core::mem::take(&mut purse.gold);
        give(world, victim, 0, -i32::from(gold));
        if let Some((slot, robber)) = robber.filter(|(_, robber)| *robber != victim && gold > 0) {
            let taken = give(world, robber, gold, i32::from(gold));
            world.resource_mut::<Events>().0.push(DomainEvent::Custom {
                kind: EVENT_ROBBED,
                a: i32::from(slot),
                b: i32::from(taken),
            });
        }
    }
}

/// Puts gold into a purse and points on the board. How much of it fitted.
fn give(world: &mut World, player: Entity, gold: u16, points: i32) -> u16 {
    let Some(mut purse) = world.get_mut::<Purse>(player) else { return 0 };
    let before = purse.gold;
    purse.gold = before.saturating_add(gold).min(PURSE_MAX);
    let fitted = purse.gold - before;
    let team = world.get::<Identity>(player).map_or(0, |identity| u16::from(identity.team));
    add_score(world, team, if points > 0 { i32::from(fitted) } else { points });
    fitted
}

/// Who lives and stands in the mine finds gold.
fn mine(world: &mut World) {
    if !running(world) {
        return;
    }
    let middle = world.resource::<MapRef>().bounds.centre;
    let every = world.resource::<Clock>().ticks(MINE_MS);
    // By slot, in a list of fixed size: a tick allocates nothing.
    let players: ArrayVec<Entity, { PLAYERS_MAX as usize }> =
        world.resource::<Index>().players().map(|(_, _, player)| player).collect();
    for player in players {
        let alive = world.get::<Life>(player).is_some_and(|life| life.alive);
        let near = world.get::<MoverState>(player).is_some_and(|body| {
            let away = body.position - middle;
            away.x * away.x + away.z * away.z < MINE_RADIUS * MINE_RADIUS
        });
        let Some(mut purse) = world.get_mut::<Purse>(player) else { continue };
        purse.mined_ticks = if alive && near { purse.mined_ticks + 1 } else { 0 };
        if purse.mined_ticks >= every {
            purse.mined_ticks = 0;
            give(world, player, 1, 1);
        }
    }
}

/// How one player stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Slot.
    pub slot: u16,
    /// Team from 1.
    pub team: u8,
    /// Gold that they carry.
    pub gold: u16,
    /// Players that they killed.
    pub kills: u16,
}

/// How everybody stands, by slot.
pub fn standings(simulation: &Simulation) -> Vec<Standing> {
    let view = simulation.view();
    let of = |slot: u16| {
        let id = view.player(slot)?;
        let team = view.get::<Identity>(id)?.team;
        Some(Standing { slot, team, gold: view.get::<Purse>(id)?.gold, kills: view.get::<Tally>(id)?.kills })
    };
    view.slots().filter_map(of).collect()
}
