//! What the server decided, tick by tick: whom a shot hit, and what moved a player that this player could not foresee.

use core::ops::Range;
use std::collections::BTreeMap;

use arbiter_schema::StableId;
use arbiter_sim::collide::MoverState;
use arbiter_sim::effects::Afflictions;
use arbiter_sim::modes::{MatchState, Phase};
use arbiter_sim::players::{Controls, Life, PoseHistory, PoseSample};
use arbiter_sim::rules::{Act, Behaviour, Flight, Rules};
use arbiter_sim::simulation::View;
use arbiter_sim::weapons::{Pull, Pulls};
use arbiter_sim::{Cause, Cue, Simulation};
use glam::Vec3;

/// Metres between two players who touch or are about to.
const TOUCH: f32 = 1.2;

/// See the module.
#[derive(Default)]
pub struct Truth {
    ticks: BTreeMap<u32, TickTruth>,
}

/// One tick of it.
#[derive(Default)]
pub struct TickTruth {
    /// Whether the match ran.
    pub running: bool,
    /// Who could be hurt behind this tick.
    pub mortal: Vec<StableId>,
    /// Who lived.
    pub living: Vec<StableId>,
    /// By whom, whom, with which weapon.
    pub hits: Vec<(StableId, StableId, u8)>,
    /// Whom somebody else's blow or burst pushed.
    knocked: Vec<StableId>,
    /// Who was pushed by a burst of their own.
    blown: Vec<StableId>,
    /// Whose input was not there in time.
    substituted: Vec<StableId>,
    /// Who stood where.
    places: Vec<(StableId, Vec3)>,
    /// The same as lag compensation has it.
    poses: Vec<(StableId, PoseSample)>,
    /// Triggers that players pulled.
    pulls: Vec<Pull>,
    /// Whom the match put into the world, when last.
    spawned: Vec<(StableId, u32)>,
    /// Effects that others gave: on whom, which with how many stacks, until when.
    given: Vec<(StableId, u8, u8, u32)>,
}

/// What a correction followed, the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Followed {
    /// Somebody else's deed: a blow or burst that pushes, an effect, death; or being put into the world again.
    OthersDeed,
    /// An input of one's own that came too late or not at all.
    LateInput,
    /// A burst of one's own.
    OwnBurst,
    /// Somebody stood in the way.
    Crowd,
    /// None of these: props, doors, rounding.
    Else,
}

/// Whether what this cause does pushes players.
fn pushes(rules: &Rules, cause: Cause) -> bool {
    let bursts = |flight: &Flight| flight.splash.is_some_and(|splash| splash.knockback > 0.0);
    match cause {
        Cause::Weapon(number) => rules.weapons.get(usize::from(number)).is_some_and(|weapon| {
            weapon.knockback > 0.0 || matches!(&weapon.behaviour, Behaviour::Projectile(flight) if bursts(flight))
        }),
        Cause::Ability(number) => match rules.abilities.get(usize::from(number)).map(|ability| &ability.act) {
            Some(Act::Strike(strike)) => strike.knockback > 0.0,
            Some(Act::Throw(throw)) => bursts(&throw.flight),
            _ => false,
        },
        Cause::Prop(kind) => {
            let blast = rules.props.get(usize::from(kind)).and_then(|prop| prop.blast);
            blast.is_some_and(|splash| splash.knockback > 0.0)
        }
        Cause::Effect(_) | Cause::World => false,
    }
}

impl TickTruth {
    fn note_player(&mut self, view: &View<'_>, tick: u32, id: StableId) {
        if let Some(life) = view.get::<Life>(id).filter(|life| life.alive) {
            self.spawned.push((id, life.spawned_tick));
            self.living.push(id);
            if tick >= life.protected_until {
                self.mortal.push(id);
            }
        }
        self.places.extend(view.get::<MoverState>(id).map(|state| (id, state.position)));
        let pose = view.get::<PoseHistory>(id).and_then(|history| history.at(tick, 0, tick));
        self.poses.extend(pose.map(|pose| (id, pose)));
        if view.get::<Controls>(id).is_some_and(|controls| controls.substituted) {
            self.substituted.push(id);
        }
        if let Some(on) = view.get::<Afflictions>(id) {
            let rows = on.kinds.iter().zip(&on.stacks).zip(on.until.iter().zip(&on.running));
            let others = rows.filter(|((kind, _), (_, running))| **kind > 0 && running.by != id);
            self.given.extend(others.map(|((kind, stacks), (until, _))| (id, *kind, *stacks, *until)));
        }
    }

    fn note_cue(&mut self, rules: &Rules, cue: &Cue) {
        let Cue::Hit { target, by, amount, cause, .. } = cue else { return };
        if let Cause::Weapon(weapon) = cause
            && *amount > 0.0
        {
            self.hits.push((*by, *target, *weapon));
        }
        if pushes(rules, *cause) {
            if by == target { self.blown.push(*target) } else { self.knocked.push(*target) }
        }
    }

    /// The pull of a player's weapon.
    pub fn pull(&self, by: StableId, weapon: u8) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.source.id == by && pull.weapon == weapon)
    }

    /// Whether a player's input was not there in time.
    pub fn lacks_input(&self, id: StableId) -> bool {
        self.substituted.contains(&id)
    }

    /// A player as lag compensation has them.
    pub fn pose(&self, id: StableId) -> Option<&PoseSample> {
        self.poses.iter().find(|pose| pose.0 == id).map(|pose| &pose.1)
    }

    fn place(&self, id: StableId) -> Option<Vec3> {
        self.places.iter().find(|place| place.0 == id).map(|place| place.1)
    }
}

impl Truth {
    /// Notes the tick that was just simulated.
    pub fn note(&mut self, simulation: &Simulation) {
        let (view, tick) = (simulation.view(), simulation.tick());
        let mut now = TickTruth {
            running: view
                .resource::<MatchState>()
                .is_some_and(|it| matches!(it.phase, Phase::Running | Phase::Overtime)),
            ..TickTruth::default()
        };
        for id in view.slots().filter_map(|slot| view.player(slot)) {
            now.note_player(&view, tick, id);
        }
        for cue in simulation.cues() {
            now.note_cue(simulation.rules(), cue);
        }
        now.pulls.extend(view.resource::<Pulls>().into_iter().flat_map(|pulls| &pulls.0));
        self.ticks.insert(tick, now);
    }

    /// A tick, if it was simulated.
    pub fn tick(&self, tick: u32) -> Option<&TickTruth> {
        self.ticks.get(&tick)
    }

    /// All ticks in order.
    pub fn ticks(&self) -> impl Iterator<Item = (u32, &TickTruth)> {
        self.ticks.iter().map(|(tick, truth)| (*tick, truth))
    }

    /// What happened to a player behind tick `before` up to `tick`.
    pub fn followed(&self, player: StableId, before: u32, tick: u32) -> Followed {
        let passed = (before + 1..=tick).filter_map(|tick| {
            let earlier = self.ticks.get(&tick.checked_sub(1)?)?;
            Some((earlier, self.ticks.get(&tick)?))
        });
        passed.map(|(earlier, now)| in_tick(player, earlier, now)).min().unwrap_or(Followed::Else)
    }

    /// Whether somebody else gave a player an effect in one of these ticks.
    pub fn afflicted(&self, player: StableId, ticks: Range<u32>) -> bool {
        let mut pairs = ticks.filter_map(|tick| Some((self.ticks.get(&tick)?, self.ticks.get(&(tick + 1))?)));
        pairs.any(|(before, now)| now.given.iter().any(|given| given.0 == player && !before.given.contains(given)))
    }

    /// Inputs that were not there in time, all players' together.
    pub fn substituted(&self) -> usize {
        self.ticks.values().map(|truth| truth.substituted.len()).sum()
    }
}

fn in_tick(player: StableId, before: &TickTruth, now: &TickTruth) -> Followed {
    let life = |truth: &TickTruth| truth.spawned.iter().find(|spawned| spawned.0 == player).map(|spawned| spawned.1);
    let died = life(before) != life(now);
    let mut given = now.given.iter().filter(|given| given.0 == player);
    let afflicted = given.any(|given| !before.given.contains(given));
    if died || afflicted || now.knocked.contains(&player) {
        return Followed::OthersDeed;
    }
    if now.substituted.contains(&player) {
        return Followed::LateInput;
    }
    if now.blown.contains(&player) {
        return Followed::OwnBurst;
    }
    let touches = |(other, place): &(StableId, Vec3)| {
        *other != player
            && before.living.contains(other)
            && before.place(player).is_some_and(|own| own.distance(*place) < TOUCH)
    };
    if before.places.iter().any(touches) { Followed::Crowd } else { Followed::Else }
}
