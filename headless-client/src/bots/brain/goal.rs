//! What a bot wants next: an enemy, health, a point, a friend in need, or simply somewhere to go.

use arbiter_schema::StableId;
use arbiter_sim::time::SimRng;
use glam::Vec3;

use super::{Surroundings, Temper};
use crate::bots::kit::HeroTraits;
use crate::bots::senses::{Senses, Sighting};
use crate::view::{PlayerView, WorldView};

/// Where a bot goes and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// Fight this enemy, last known there.
    Fight(StableId, Vec3),
    /// Get health from there.
    Flee(Vec3),
    /// Take or hold the point there.
    Capture(Vec3),
    /// Follow and heal this friend.
    Support(StableId, Vec3),
    /// Go there and see.
    Roam(Vec3),
}

impl Goal {
    /// The enemy that it is about.
    pub(super) fn foe(self) -> Option<StableId> {
        match self {
            Self::Fight(id, _) => Some(id),
            _ => None,
        }
    }

    /// Where to walk.
    pub(super) fn place(self, me: &PlayerView) -> Vec3 {
        match self {
            Self::Fight(_, place) | Self::Flee(place) | Self::Capture(place) | Self::Roam(place) => place,
            // Right behind a friend, not inside them.
            Self::Support(_, place) if place.distance(me.position) < 5.0 => me.position,
            Self::Support(_, place) => place,
        }
    }
}

/// A goal is thought over this often, in seconds.
const RETHINK_S: f32 = 0.3;
/// A walk without purpose is given up after this many seconds.
const ROAM_S: f32 = 9.0;
/// A walk without purpose goes on for this many seconds before a sound leads it elsewhere: who runs after each finds nobody.
const HEED_S: f32 = 3.0;
/// Health further away than this many metres is not fetched in need.
const HEALTH_WALK_MAX: f32 = 35.0;

/// Chooses goals.
#[derive(Debug, Default)]
pub(super) struct Planner {
    goal: Option<Goal>,
    left_s: f32,
    roam_s: f32,
    roam: Option<Vec3>,
    /// Where to look for enemies next: the place goes round, so that bots meet.
    hunted: u32,
    /// The tick of the sound that was followed last.
    heeded: u32,
}

impl Planner {
    pub(super) fn forget(&mut self) {
        let hunted = self.hunted;
        *self = Self { hunted, ..Self::default() };
    }

    #[expect(clippy::too_many_arguments, reason = "one decision from everything that is known this tick")]
    pub(super) fn goal(
        &mut self,
        view: &WorldView,
        me: &PlayerView,
        hero: &HeroTraits,
        around: &Surroundings,
        senses: &Senses,
        temper: Temper,
        rng: &mut SimRng,
        dt: f32,
    ) -> Goal {
        self.left_s -= dt;
        self.roam_s -= dt;
        if let Some(goal) = self.goal.filter(|_| self.left_s > 0.0) {
            return follow(goal, view, senses);
        }
        self.left_s = RETHINK_S * (0.7 + 0.6 * rng.unit());
        let foe = choose_foe(view, me, senses, self.goal.and_then(Goal::foe));
        let goal = self
            .flee(view, me, around, temper, foe.as_ref())
            .or_else(|| self.capture(view, me, around, temper, foe.as_ref()))
            .or_else(|| support(view, me, hero, senses, foe.as_ref()))
            .or_else(|| foe.map(|foe| Goal::Fight(foe.id, foe.position)))
            .unwrap_or_else(|| self.roam(view, me, around, senses, rng));
        self.goal = Some(goal);
        goal
    }

    fn flee(
        &self,
        view: &WorldView,
        me: &PlayerView,
        around: &Surroundings,
        temper: Temper,
        foe: Option<&Sighting>,
    ) -> Option<Goal> {
        // Out of a fight even a scratch is worth a short walk.
        let (limit, walk_max) = if foe.is_some() { (temper.fear, HEALTH_WALK_MAX) } else { (0.75, 22.0) };
        if me.health_share() >= limit {
            return None;
        }
        let heals = |kind: u8| around.pickup_heals.get(usize::from(kind)).copied().unwrap_or(false);
        let there = view.pickups.iter().filter(|pickup| pickup.health > 0.0 && heals(pickup.kind));
        let apart = |place: Vec3| place.distance(me.position);
        let nearest = there.map(|pickup| pickup.position).min_by(|a, b| apart(*a).total_cmp(&apart(*b)))?;
        (apart(nearest) < walk_max).then_some(Goal::Flee(nearest))
    }

    fn capture(
        &self,
        view: &WorldView,
        me: &PlayerView,
        around: &Surroundings,
        temper: Temper,
        foe: Option<&Sighting>,
    ) -> Option<Goal> {
        // A visible enemy nearby comes first, except for the dutiful.
        let near = foe
            .is_some_and(|foe| foe.visible && foe.position.distance(me.position) < 10.0 + 12.0 * (1.0 - temper.duty));
        let centre = |number: u8| around.map.points.get(usize::from(number)).map(|point| point.volume);
        let open = view.points.iter().filter(|point| point.open);
        let mine = |team: u8| me.team != 0 && team == me.team;
        let apart = |place: Vec3| place.distance(me.position);
        let wanted = open.filter_map(|point| Some((point, centre(point.number)?))).min_by(|(a, at_a), (b, at_b)| {
            let cost = |team, at: Vec3| apart(at) + if mine(team) { 30.0 } else { 0.0 };
            cost(a.team, at_a.centre).total_cmp(&cost(b.team, at_b.centre))
        });
        let (point, volume) = wanted?;
        let inside = volume.contains(me.position + Vec3::Y * 0.1);
        // A point that is held needs one who stays near it, not on it, while enemies are about.
        if near && (!inside || mine(point.team)) || (mine(point.team) && foe.is_some()) {
            return None;
        }
        if mine(point.team) && temper.duty < 0.55 {
            return None;
        }
        let ground = volume.centre - Vec3::Y * volume.half.y;
        // Several on one spot would push each other off: each has a place by its number.
        let turn = me.id.0 as f32 * 2.4;
        let (sin, cos) = libm::sincosf(turn);
        let spread = Vec3::new(sin * volume.half.x, 0.0, cos * volume.half.z) * 0.45;
        Some(Goal::Capture(ground + spread))
    }

    /// Where enemies may be: where they were last heard of, enemy spawns, points, anywhere.
    fn roam(
        &mut self,
        view: &WorldView,
        me: &PlayerView,
        around: &Surroundings,
        senses: &Senses,
        rng: &mut SimRng,
    ) -> Goal {
        let waypoint = |place: Vec3| around.graph.nearest(place).and_then(|at| around.graph.position(at));
        let heard = senses.heard().filter(|heard| heard.tick != self.heeded && self.roam_s < ROAM_S - HEED_S);
        if let Some((heard, place)) = heard.and_then(|heard| Some((heard, waypoint(heard.place)?))) {
            (self.heeded, self.roam_s, self.roam) = (heard.tick, ROAM_S, Some(place));
            return Goal::Roam(place);
        }
        let arrived = self.roam.is_some_and(|place| place.distance(me.position) < 3.0);
        if let Some(place) = self.roam.filter(|_| self.roam_s > 0.0 && !arrived) {
            return Goal::Roam(place);
        }
        self.roam_s = ROAM_S;
        self.hunted = self.hunted.wrapping_add(1);
        let place = match rng.below(8) {
            // The middle of the map is where paths cross.
            0..3 => centre_place(around, rng),
            3..6 => enemy_spawn(view, around, rng),
            _ => None,
        };
        let place = place.or_else(|| {
            let count = around.graph.len() as u32;
            around.graph.position(rng.below(count) as u16)
        });
        let place = place.unwrap_or(around.map.bounds.centre);
        self.roam = Some(place);
        Goal::Roam(place)
    }
}

/// Keeps a goal on what moves.
fn follow(goal: Goal, view: &WorldView, senses: &Senses) -> Goal {
    match goal {
        Goal::Fight(id, place) => Goal::Fight(id, senses.of(id).map_or(place, |sighting| sighting.position)),
        Goal::Support(id, place) => {
            let now = view.others.iter().find(|other| other.id == id).map_or(place, |other| other.position);
            Goal::Support(id, now)
        }
        other => other,
    }
}

/// The enemy most worth a fight: in sight, near, hurt, and not another one every moment.
fn choose_foe(view: &WorldView, me: &PlayerView, senses: &Senses, current: Option<StableId>) -> Option<Sighting> {
    let cost = |sighting: &Sighting, other: &PlayerView| {
        let mut cost = sighting.position.distance(me.position) + 22.0 * other.health_share();
        if !sighting.visible {
            cost += 25.0 + 4.0 * sighting.age_s;
        }
        if current == Some(sighting.id) {
            cost -= 6.0;
        }
        cost
    };
    senses
        .sightings()
        .iter()
        .filter_map(|sighting| {
            let other = view.others.iter().find(|other| other.id == sighting.id)?;
            (other.alive && view.hostile(other.team)).then(|| (cost(sighting, other), *sighting))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)))
        .map(|(_, sighting)| sighting)
}

/// A hurt friend in sight, for heroes that can heal others.
fn support(
    view: &WorldView,
    me: &PlayerView,
    hero: &HeroTraits,
    senses: &Senses,
    foe: Option<&Sighting>,
) -> Option<Goal> {
    if !hero.weapons.iter().any(|weapon| weapon.heals) {
        return None;
    }
    if foe.is_some_and(|foe| foe.visible && foe.position.distance(me.position) < 9.0) {
        return None;
    }
    let hurt = |other: &&PlayerView| other.alive && other.health_share() < 0.85 && !view.hostile(other.team);
    let apart = |other: &PlayerView| other.position.distance(me.position);
    let friends = view.others.iter().filter(hurt).filter(|other| senses.sees(other.id) && apart(other) < 25.0);
    let friend = friends.min_by(|a, b| apart(a).total_cmp(&apart(b)))?;
    Some(Goal::Support(friend.id, friend.position))
}

fn centre_place(around: &Surroundings, rng: &mut SimRng) -> Option<Vec3> {
    let centre = around.map.bounds.centre;
    let half = around.map.bounds.half * 0.25;
    let aside = Vec3::new((rng.unit() - 0.5) * 2.0 * half.x, 0.0, (rng.unit() - 0.5) * 2.0 * half.z);
    around.graph.nearest(centre + aside).and_then(|waypoint| around.graph.position(waypoint))
}

fn enemy_spawn(view: &WorldView, around: &Surroundings, rng: &mut SimRng) -> Option<Vec3> {
    let hostile = || around.map.spawns.iter().filter(|spawn| spawn.team != 0 && view.hostile(spawn.team));
    let count = hostile().count() as u32;
    hostile().nth(rng.below(count) as usize).map(|spawn| spawn.position)
}
