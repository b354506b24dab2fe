//! Who was told without need, and who was in sight and not told: interest management put to the test in matches that are
//! played. [`oracle`] is the judge; [`play`] asks interest management itself, [`sockets`] looks at what clients hold, [`sounds`] at what they
//! heard.

pub mod oracle;
pub mod sockets;
pub mod sounds;

use std::sync::Arc;

use arbiter_schema::StableId;
use arbiter_server::interest::{Interest, InterestSettings};
use arbiter_sim::collide::MoverState;
use arbiter_sim::index::Identity;
use arbiter_sim::players::Life;
use arbiter_sim::rules::Rules;
use arbiter_sim::{BuildError, Map, Simulation};

use crate::fight::Fight;
use oracle::{Oracle, Reach};

/// One match to judge.
#[derive(Debug, Clone)]
pub struct LeaksPlan {
    /// The map.
    pub map: Arc<Map>,
    /// Players.
    pub players: u16,
    /// Ticks a second.
    pub tick_rate: u16,
    /// The seed.
    pub seed: u64,
    /// Ticks that are played.
    pub ticks: u32,
    /// Every so many ticks all pairs are judged.
    pub every: u32,
    /// What is put to the test.
    pub settings: InterestSettings,
}

/// What came out: counts of (client, enemy, tick) with both alive and in range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leaks {
    /// The enemy could not come into view within the horizon.
    pub hidden: u64,
    /// Of these, told all the same.
    pub needless: u64,
    /// The enemy could come into view.
    pub visible: u64,
    /// Of these, not told.
    pub visible_not_sent: u64,
    /// The enemy was in view already.
    pub in_view: u64,
    /// Of these, not told.
    pub in_view_not_sent: u64,
    /// Rays of the oracle.
    pub rays: u64,
    /// Kills in the match, to show that it was one.
    pub kills: u64,
}

impl Leaks {
    /// Percent of hidden enemies that were told.
    pub fn needless_percent(&self) -> f64 {
        100.0 * self.needless as f64 / self.hidden.max(1) as f64
    }

    /// Percent of visible enemies that were not told.
    pub fn visible_not_sent_percent(&self) -> f64 {
        100.0 * self.visible_not_sent as f64 / self.visible.max(1) as f64
    }

    /// Percent of enemies in view that were not told.
    pub fn in_view_not_sent_percent(&self) -> f64 {
        100.0 * self.in_view_not_sent as f64 / self.in_view.max(1) as f64
    }

    /// Adds one pair: where each can be within the horizon, and whether the one was told of the other.
    fn note(&mut self, oracle: &mut Oracle, rules: &Rules, (from, to): (&Reach, &Reach), told: bool) {
        if oracle.could_see(rules, from, to) {
            self.visible += 1;
            self.visible_not_sent += u64::from(!told);
            let in_view = oracle.sees_now(rules, from, to);
            self.in_view += u64::from(in_view);
            self.in_view_not_sent += u64::from(in_view && !told);
        } else {
            self.hidden += 1;
            self.needless += u64::from(told);
        }
    }

    /// Adds another match.
    pub fn add(&mut self, other: &Self) {
        self.hidden += other.hidden;
        self.needless += other.needless;
        self.visible += other.visible;
        self.visible_not_sent += other.visible_not_sent;
        self.in_view += other.in_view;
        self.in_view_not_sent += other.in_view_not_sent;
        self.rays += other.rays;
        self.kills += other.kills;
    }
}

/// A living player at a moment that is judged.
#[derive(Debug, Clone, Copy)]
struct Player {
    slot: u16,
    id: StableId,
    team: u8,
    at: glam::Vec3,
}

impl Player {
    /// Whether another is an enemy near enough to be told of.
    fn judges(&self, other: &Self, range_m: f32) -> bool {
        let hostile = other.team == 0 || other.team != self.team;
        other.id != self.id && hostile && self.at.distance(other.at) <= range_m
    }
}

/// Everyone who lives, by slot.
fn living(simulation: &Simulation) -> Vec<Player> {
    let view = simulation.view();
    let player = |slot: u16| {
        let id = view.player(slot)?;
        let (team, at) = (view.get::<Identity>(id)?.team, view.get::<MoverState>(id)?.position);
        view.get::<Life>(id)?.alive.then_some(Player { slot, id, team, at })
    };
    view.slots().filter_map(player).collect()
}

/// Plays a match and judges it.
pub fn play(plan: &LeaksPlan) -> Result<Leaks, BuildError> {
    let mut fight = Fight::endless(Arc::clone(&plan.map), plan.players, plan.tick_rate, plan.seed, &|_| ())?;
    let mut interest = Interest::new(&fight.simulation, plan.settings);
    let mut oracle = Oracle::new(&fight.simulation, plan.settings.horizon_ms);
    let mut leaks = Leaks::default();
    for tick in 1..=plan.ticks {
        fight.step();
        leaks.kills += fight.simulation.events().iter().filter(|event| is_kill(event)).count() as u64;
        interest.look(&fight.simulation);
        for slot in 0..plan.players {
            interest.watch(slot);
        }
        if tick.is_multiple_of(plan.every) {
            judge(plan, &fight, &interest, &mut oracle, &mut leaks);
        }
    }
    leaks.rays = oracle.rays;
    Ok(leaks)
}

fn is_kill(event: &arbiter_sim::DomainEvent) -> bool {
    matches!(event, arbiter_sim::DomainEvent::Killed { .. })
}

fn judge(plan: &LeaksPlan, fight: &Fight, interest: &Interest, oracle: &mut Oracle, leaks: &mut Leaks) {
    let simulation = &fight.simulation;
    let living: Vec<(Player, Reach)> =
        living(simulation).into_iter().map(|player| (player, oracle.reach(simulation, player.id))).collect();
    for (one, from) in &living {
        for (other, to) in living.iter().filter(|(other, _)| one.judges(other, plan.settings.range_m)) {
            let told = interest.may_know(one.slot, other.id);
            leaks.note(oracle, simulation.rules(), (from, to), told);
        }
    }
}
