//! What a bot wants and does: looks around, picks a goal, walks, aims, fires, and uses what its hero has. One call a tick,
//! from a view of the world to an input; all chance comes from the bot's seed.
//!
//! Goals are chosen a few times a second (`goal`); `combat` picks weapons and abilities.

mod combat;
mod dodge;
mod goal;

use std::sync::Arc;

use arbiter_sim::Input;
use arbiter_sim::input::{angle_steps, button};
use arbiter_sim::map::Map;
use arbiter_sim::time::SimRng;
use glam::Vec3;

use super::aim::{Hand, Skill, lead};
use super::kit::{HeroTraits, Reach};
use super::navigation::{Graph, Scratch, Walker};
use super::senses::{Senses, Sight};
use crate::view::{PlayerView, ThingView, WorldView};
use combat::{Fighter, nearer};
use goal::{Goal, Planner};

/// What all bots of a match share.
pub struct Surroundings {
    /// The map.
    pub map: Arc<Map>,
    /// Its waypoints.
    pub graph: Graph,
    /// What one sees through it.
    pub sight: Box<dyn Sight + Send + Sync>,
    /// Heroes by number.
    pub heroes: Vec<HeroTraits>,
    /// Pickups by number: whether one gives health.
    pub pickup_heals: Vec<bool>,
}

/// How a bot likes to play. Drawn from its seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temper {
    /// Hand and eye.
    pub skill: f32,
    /// Below this share of health it looks for help, 0 to 1.
    pub fear: f32,
    /// How much it cares for control points rather than fights, 0 to 1.
    pub duty: f32,
    /// How often it changes its mind in a fight, seconds.
    pub fidget_s: f32,
}

impl Temper {
    fn drawn(rng: &mut SimRng) -> Self {
        Self {
            skill: 0.8 + 0.2 * rng.unit(),
            fear: 0.2 + 0.25 * rng.unit(),
            duty: 0.3 + 0.7 * rng.unit(),
            fidget_s: 0.35 + 0.5 * rng.unit(),
        }
    }
}

/// A bot.
pub struct Brain {
    rng: SimRng,
    temper: Temper,
    hand: Hand,
    senses: Senses,
    walker: Walker,
    scratch: Scratch,
    planner: Planner,
    fighter: Fighter,
    was_alive: bool,
    health_before: f32,
    strafe_s: f32,
    strafe: f32,
    jump_s: f32,
    crouch_s: f32,
    glance_s: f32,
    glance: f32,
    /// Seconds for which one still thinks oneself shot at.
    under_fire_s: f32,
}

/// Who was hit moves as if shot at for so many seconds.
const UNDER_FIRE_S: f32 = 1.6;

impl Brain {
    /// A bot with a seed of its own.
    pub fn new(seed: u64) -> Self {
        let mut rng = SimRng::seeded(seed);
        let temper = Temper::drawn(&mut rng);
        Self {
            temper,
            hand: Hand::new(Skill::of(temper.skill), 0.0),
            rng,
            senses: Senses::default(),
            walker: Walker::default(),
            scratch: Scratch::default(),
            planner: Planner::default(),
            fighter: Fighter::default(),
            was_alive: false,
            health_before: 0.0,
            strafe_s: 0.0,
            strafe: 1.0,
            jump_s: 0.0,
            crouch_s: 0.0,
            glance_s: 0.0,
            glance: 0.0,
            under_fire_s: 0.0,
        }
    }

    /// How it likes to play.
    pub fn temper(&self) -> Temper {
        self.temper
    }

    /// What to do in the next tick, `dt` seconds after the last one.
    pub fn think(&mut self, view: &WorldView, around: &Surroundings, dt: f32) -> Input {
        let mut input = Input { view_tick: view.view_tick, view_fraction: view.view_fraction, ..Input::default() };
        let living = view.me.filter(|me| me.alive);
        let (Some(me), Some(hero)) = (living, view.me.and_then(|me| around.heroes.get(usize::from(me.hero)))) else {
            self.was_alive = false;
            (input.yaw, input.pitch) = angle_steps(self.hand.yaw(), self.hand.pitch());
            return input;
        };
        if !self.was_alive {
            self.enter(&me);
        }
        self.senses.look(view, &me, input_look(&self.hand), &*around.sight, dt);
        let look = input_look(&self.hand);
        let thing = self.senses.look_for_thing(view, &me, look, &*around.sight, dt).map(as_target);
        self.feel(view, &me, dt);
        let goal = self.planner.goal(view, &me, hero, around, &self.senses, self.temper, &mut self.rng, dt);
        let foe = goal.foe().and_then(|id| view.others.iter().find(|other| other.id == id)).copied();
        let foe_seen = foe.filter(|foe| self.senses.sees(foe.id));

        let fought = nearer(&me, foe_seen.as_ref(), thing.as_ref());
        let walk = self.walk(view, &me, hero, around, goal, fought, dt, &mut input);
        let (foe, thing) = (foe_seen.as_ref(), thing.as_ref());
        let plan = self.fighter.plan(view, &me, hero, &self.senses, around, foe, thing, &mut self.rng, dt);
        input.buttons |= plan.buttons;

        self.aim(view, &me, hero, goal, &plan, walk, dt);
        input.buttons |= self.fighter.trigger(&me, hero, &plan, &self.hand, view, &mut self.rng, dt);
        (input.yaw, input.pitch) = angle_steps(self.hand.yaw(), self.hand.pitch());
        steer(&mut input, walk, self.hand.yaw());
        input.buttons &= button::ALL;
        input
    }

    fn enter(&mut self, me: &PlayerView) {
        self.was_alive = true;
        self.health_before = me.health;
        self.hand.set(me.yaw, 0.0);
        self.walker.forget();
        self.senses.forget();
        self.planner.forget();
        self.fighter.forget();
    }

    /// A hit tells from where it came: the nearest enemy that looks one's way.
    fn feel(&mut self, view: &WorldView, me: &PlayerView, dt: f32) {
        let hurt = me.health + 1.0 < self.health_before;
        self.health_before = me.health;
        self.under_fire_s -= dt;
        if !hurt {
            return;
        }
        self.under_fire_s = UNDER_FIRE_S;
        let aims = |other: &PlayerView| {
            let towards = (me.middle() - other.eyes()).normalize_or_zero();
            look_along(other.yaw, other.pitch).dot(towards)
        };
        let enemies = view.others.iter().filter(|other| other.alive && view.hostile(other.team));
        let guess = enemies.max_by(|a, b| aims(a).total_cmp(&aims(b))).filter(|other| aims(other) > 0.97);
        if let Some(other) = guess.filter(|other| !self.senses.sees(other.id)) {
            self.senses.felt(other.id, other.position);
        }
    }

    /// The horizontal direction to walk in, with jumps and crouching added to the input.
    #[expect(clippy::too_many_arguments, reason = "one decision from everything that is known this tick")]
    fn walk(
        &mut self,
        view: &WorldView,
        me: &PlayerView,
        hero: &HeroTraits,
        around: &Surroundings,
        goal: Goal,
        foe: Option<&PlayerView>,
        dt: f32,
        input: &mut Input,
    ) -> Vec3 {
        let place = goal.place(me);
        let step = self.walker.step(&around.graph, &mut self.scratch, me.position, place, dt);
        if step.jump {
            input.buttons |= button::JUMP;
        }
        let mut direction = step.direction;
        self.fidget(if self.under_fire_s > 0.0 { dt * 1.5 } else { dt });
        if let Some(foe) = foe {
            let apart = (foe.position - me.position).with_y(0.0);
            let towards = apart.normalize_or_zero();
            let aside = Vec3::new(-towards.z, 0.0, towards.x) * self.strafe;
            let wanted = self.fighter.distance(hero);
            let holds_ground = matches!(goal, Goal::Capture(_)) && step.arrived;
            direction = if matches!(goal, Goal::Flee(_) | Goal::Capture(_)) && !step.arrived {
                (direction + aside * 0.45).normalize_or_zero()
            } else if holds_ground {
                aside * 0.6
            } else if apart.length() > wanted * 1.25 {
                (direction + aside * 0.5).normalize_or_zero()
            } else if apart.length() < wanted * 0.2 {
                (aside - towards * 0.8).normalize_or_zero()
            } else {
                (aside + towards * 0.6).normalize_or_zero()
            };
            self.hop(input);
        } else if self.under_fire_s > 0.0 {
            // From where is not known: whoever walks straight on is hit again.
            let ahead = direction.normalize_or(look_along(self.hand.yaw(), 0.0));
            let aside = Vec3::new(-ahead.z, 0.0, ahead.x) * self.strafe;
            direction = (direction + aside * 0.7).normalize_or_zero();
            self.hop(input);
        }
        let holds_point = matches!(goal, Goal::Capture(_)) && step.arrived;
        direction = dodge::away(view, me, direction, holds_point);
        let direction = self.avoid(view, me, direction);
        if dodge::is_footing(&*around.sight, me, direction) {
            return direction;
        }
        // The other side may have ground; the way of the waypoints has.
        self.strafe = -self.strafe;
        step.direction
    }

    fn hop(&self, input: &mut Input) {
        if self.jump_s > 0.0 {
            input.buttons |= button::JUMP;
        } else if self.crouch_s > 0.0 {
            input.buttons |= button::CROUCH;
        }
    }

    /// Strafing that changes sides, hops and ducks at uneven times.
    fn fidget(&mut self, dt: f32) {
        self.strafe_s -= dt;
        self.jump_s -= dt;
        self.crouch_s -= dt;
        if self.strafe_s <= 0.0 {
            self.strafe_s = self.temper.fidget_s * (0.6 + self.rng.unit());
            self.strafe = if self.rng.unit() < 0.65 { -self.strafe } else { self.strafe };
            match self.rng.below(9) {
                0 | 1 => self.jump_s = 0.12,
                2 => self.crouch_s = 0.45,
                _ => {}
            }
        }
    }

    /// Steps around friends and things that stand in the way.
    fn avoid(&self, view: &WorldView, me: &PlayerView, direction: Vec3) -> Vec3 {
        let mut pushed = direction;
        for other in view.others.iter().filter(|other| other.alive && !view.hostile(other.team)) {
            let apart = (me.position - other.position).with_y(0.0);
            let distance = apart.length();
            if distance < 1.4 && distance > 0.01 {
                pushed += apart / distance * (1.4 - distance);
            }
        }
        if direction == Vec3::ZERO { Vec3::ZERO } else { pushed.normalize_or(direction) }
    }

    #[expect(clippy::too_many_arguments, reason = "one decision from everything that is known this tick")]
    fn aim(
        &mut self,
        view: &WorldView,
        me: &PlayerView,
        hero: &HeroTraits,
        goal: Goal,
        plan: &combat::Plan,
        walk: Vec3,
        dt: f32,
    ) {
        let eyes = me.eyes();
        if let Some(target) = plan.target {
            let weapon = hero.weapons.get(plan.weapon);
            let (speed, gravity, low) = match (plan.throw, weapon.map(|weapon| weapon.reach)) {
                (Some((speed, gravity)), _) => (speed, gravity, true),
                (None, Some(Reach::Flight { speed, gravity, splash })) => (speed, gravity, splash > 1.0),
                _ => (0.0, 0.0, false),
            };
            // A blast is aimed at the feet, where the ground stops it.
            let at = if low && target.grounded { target.position + Vec3::Y * 0.3 } else { target.middle() };
            let behind = if speed > 0.0 { target.velocity * view.view_lag_s } else { Vec3::ZERO };
            let at = lead(eyes, at + behind, target.velocity, speed, gravity);
            self.hand.turn(at - eyes, Some(target.id.0), dt, &mut self.rng);
            return;
        }
        let remembered = goal.foe().and_then(|id| self.senses.of(id)).filter(|sighting| sighting.age_s < 2.5);
        let direction = match remembered {
            Some(sighting) => sighting.position + Vec3::Y * 1.2 - eyes,
            None => self.gaze(walk, dt),
        };
        self.hand.turn(direction, None, dt, &mut self.rng);
    }

    /// Looking where one walks, with a glance aside now and then.
    fn gaze(&mut self, walk: Vec3, dt: f32) -> Vec3 {
        self.glance_s -= dt;
        if self.glance_s <= 0.0 {
            self.glance_s = 0.5 + 1.2 * self.rng.unit();
            self.glance = (self.rng.unit() - 0.5) * if walk == Vec3::ZERO { 3.0 } else { 1.3 };
        }
        let ahead = if walk == Vec3::ZERO { look_along(self.hand.yaw(), 0.0) } else { walk };
        // Standing still, the glance turns one on; walking, it is taken from the walk.
        let glance = if walk == Vec3::ZERO { self.glance * 0.1 } else { self.glance };
        let (sin, cos) = libm::sincosf(glance);
        Vec3::new(ahead.x * cos + ahead.z * sin, 0.0, ahead.z * cos - ahead.x * sin)
    }
}

/// A thing as something to aim at.
fn as_target(thing: &ThingView) -> PlayerView {
    PlayerView {
        id: thing.id,
        slot: None,
        team: thing.team,
        hero: 0,
        position: thing.position,
        velocity: Vec3::ZERO,
        // What is aimed at lies at two thirds of this.
        eye: thing.height * 0.9,
        yaw: 0.0,
        pitch: 0.0,
        health: thing.health,
        health_max: thing.health,
        alive: true,
        crouching: false,
        grounded: false,
        weapon: 0,
    }
}

fn input_look(hand: &Hand) -> Vec3 {
    look_along(hand.yaw(), hand.pitch())
}

/// The unit vector of a look in radians.
pub(super) fn look_along(yaw: f32, pitch: f32) -> Vec3 {
    let (sin_yaw, cos_yaw) = libm::sincosf(yaw);
    let (sin_pitch, cos_pitch) = libm::sincosf(pitch);
    Vec3::new(-sin_yaw * cos_pitch, sin_pitch, -cos_yaw * cos_pitch)
}

/// Turns a direction of the world into steps of the input's frame, which the look turns.
fn steer(input: &mut Input, direction: Vec3, yaw: f32) {
    let (sin, cos) = libm::sincosf(yaw);
    let forward = Vec3::new(-sin, 0.0, -cos);
    let right = Vec3::new(cos, 0.0, -sin);
    let steps = |share: f32| (share.clamp(-1.0, 1.0) * 127.0) as i8;
    input.move_forward = steps(direction.dot(forward));
    input.move_right = steps(direction.dot(right));
}
