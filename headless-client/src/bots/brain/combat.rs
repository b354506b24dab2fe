//! Weapons and abilities: which one now, at whom, and when to press.

use arbiter_sim::input::button;
use arbiter_sim::time::SimRng;

use super::{Surroundings, look_along};
use crate::bots::aim::Hand;
use crate::bots::kit::{AbilityTraits, HeroTraits, Purpose, Reach, WeaponTraits};
use crate::bots::senses::Senses;
use crate::view::{PlayerView, WorldView};

/// Weapons are chosen anew this often, in seconds: changing costs time.
const CHOOSE_EVERY_S: f32 = 1.1;
/// A press lasts this long, in seconds, as a finger does; shorter ones could fall between two ticks.
const PRESS_S: f32 = 0.09;
/// After this many seconds without it, a weapon or an ability looks more tempting than its numbers say.
const BORED_S: f32 = 9.0;
/// Radius of a trunk in metres: a shot that passes this near hits.
const TRUNK: f32 = 0.38;

/// What is to be done this tick.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    /// Buttons apart from firing.
    pub(super) buttons: u16,
    /// Who is aimed at.
    pub(super) target: Option<PlayerView>,
    /// Weapon by place.
    pub(super) weapon: usize,
    /// Speed and fall of what an ability is about to throw, which the aim must lead for.
    pub(super) throw: Option<(f32, f32)>,
    /// Whether the trigger may be pulled.
    pub(super) fire: bool,
}

/// Keeps what was chosen.
#[derive(Debug, Default)]
pub(super) struct Fighter {
    weapon: usize,
    choose_s: f32,
    unused_s: [f32; 3],
    ability: Option<Press>,
    ability_unused_s: [f32; 4],
    ability_wait_s: f32,
    burst_s: f32,
    released: bool,
}

/// An ability on its way: aim first, then press.
#[derive(Debug, Clone, Copy)]
struct Press {
    ability: usize,
    aim_s: f32,
    press_s: f32,
}

impl Fighter {
    pub(super) fn forget(&mut self) {
        let (unused_s, ability_unused_s) = (self.unused_s, self.ability_unused_s);
        *self = Self { unused_s, ability_unused_s, ..Self::default() };
    }

    /// The distance in metres to fight from with the weapon in hand.
    pub(super) fn distance(&self, hero: &HeroTraits) -> f32 {
        match hero.weapons.get(self.weapon) {
            Some(weapon) if weapon.reach == Reach::Melee => weapon.range_best * 0.7,
            Some(weapon) if weapon.reach == Reach::Beam => weapon.range_best.min(weapon.range_max * 0.7),
            _ => hero.distance_best(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one decision from everything that is known this tick")]
    /// What to do about the enemies in sight: `foe` is a player, `thing` a turret or the like, seen as if it were one.
    pub(super) fn plan(
        &mut self,
        view: &WorldView,
        me: &PlayerView,
        hero: &HeroTraits,
        senses: &Senses,
        around: &Surroundings,
        foe: Option<&PlayerView>,
        thing: Option<&PlayerView>,
        rng: &mut SimRng,
        dt: f32,
    ) -> Plan {
        self.unused_s.iter_mut().chain(&mut self.ability_unused_s).for_each(|unused| *unused += dt);
        self.ability_wait_s -= dt;
        let friend = self.hurt_friend(view, me, hero, senses, foe);
        let foe = foe.copied().or_else(|| nearest_foe(view, me, senses));
        let prey = nearer(me, foe.as_ref(), thing).copied();
        self.choose(me, hero, view, prey.as_ref(), friend.as_ref(), dt);
        let weapon = hero.weapons.get(self.weapon);
        let mends = weapon.is_some_and(|weapon| weapon.heals);
        let harms = weapon.is_some_and(|weapon| weapon.harms);
        let target = if mends && friend.is_some() { friend } else { prey.filter(|_| harms) };
        let mut plan = Plan { target, weapon: self.weapon, fire: target.is_some(), ..Plan::default() };
        if usize::from(me.weapon) != self.weapon {
            plan.buttons |= button::WEAPON.get(self.weapon).copied().unwrap_or(0);
            plan.fire = false;
        }
        plan.buttons |= self.reload(view, weapon, plan.target.is_some(), rng);
        let short = weapon.is_some_and(|weapon| weapon.range_max < 14.0);
        self.think_of_ability(view, me, hero, around, foe.as_ref(), short, rng);
        self.press(hero, foe.as_ref(), &mut plan, dt);
        plan
    }

    /// Whether to fire now, with the hand where it is.
    #[expect(clippy::too_many_arguments, reason = "one decision from everything that is known this tick")]
    pub(super) fn trigger(
        &mut self,
        me: &PlayerView,
        hero: &HeroTraits,
        plan: &Plan,
        hand: &Hand,
        view: &WorldView,
        rng: &mut SimRng,
        dt: f32,
    ) -> u16 {
        self.burst_s -= dt;
        let (Some(target), Some(weapon)) = (plan.target, hero.weapons.get(plan.weapon)) else {
            self.released = true;
            return 0;
        };
        let distance = me.eyes().distance(target.middle());
        if !plan.fire || distance > weapon.range_max * 1.05 || !view.own.able {
            self.released = true;
            return 0;
        }
        let off = hand.off(target.middle() - me.eyes());
        let width = libm::atan2f(TRUNK, distance.max(0.5));
        let allowed = match weapon.reach {
            Reach::Melee => 0.7,
            Reach::Beam => width * 2.0 + 0.06,
            // The aim leads, so that the look is off the target on purpose.
            Reach::Flight { speed, .. } => width + 0.06 + target.velocity.length() / speed.max(1.0) + 0.1,
            Reach::Ray => width * 2.2 + weapon.spread + 0.03,
        };
        if off > allowed {
            // A finger does not leave the trigger for every wobble.
            return if self.burst_s > 0.0 && !weapon.single { button::FIRE } else { 0 };
        }
        self.unused_s[plan.weapon.min(2)] = 0.0;
        self.burst_s = 0.18 + 0.1 * rng.unit();
        if weapon.single {
            // Press, let go, press.
            self.released = !self.released;
            return if self.released { 0 } else { button::FIRE };
        }
        button::FIRE
    }

    fn hurt_friend(
        &self,
        view: &WorldView,
        me: &PlayerView,
        hero: &HeroTraits,
        senses: &Senses,
        foe: Option<&PlayerView>,
    ) -> Option<PlayerView> {
        let reach =
            hero.weapons.iter().filter(|weapon| weapon.heals).map(|weapon| weapon.range_max).fold(0.0, f32::max);
        if reach <= 0.0 || foe.is_some_and(|foe| foe.position.distance(me.position) < 7.0) {
            return None;
        }
        let apart = |other: &PlayerView| other.position.distance(me.position);
        view.others
            .iter()
            .filter(|other| other.alive && !view.hostile(other.team) && other.health_share() < 0.97)
            .filter(|other| senses.sees(other.id) && apart(other) < reach * 0.95)
            .min_by(|a, b| a.health_share().total_cmp(&b.health_share()))
            .copied()
    }

    /// The weapon for the distance; a heal for a friend; what was not used for long gets its turn.
    fn choose(
        &mut self,
        me: &PlayerView,
        hero: &HeroTraits,
        view: &WorldView,
        foe: Option<&PlayerView>,
        friend: Option<&PlayerView>,
        dt: f32,
    ) {
        self.choose_s -= dt;
        let empty = |at: usize| view.own.ammo.get(at).copied().flatten() == Some(0);
        let lost = empty(self.weapon) && foe.is_some_and(|foe| foe.position.distance(me.position) < 8.0);
        if self.choose_s > 0.0 && !lost {
            return;
        }
        let worth = |at: usize, weapon: &WeaponTraits| -> f32 {
            let mends = match friend {
                Some(_) if weapon.heals => weapon.strength.max(30.0) * 1.5,
                _ => 0.0,
            };
            let distance = foe.map(|foe| foe.middle().distance(me.eyes()));
            let harms = match distance {
                Some(distance) if weapon.harms => weapon.worth(distance),
                // Between fights one carries what is good at the usual distance.
                None if weapon.harms => weapon.worth(15.0) * 0.5,
                _ => 0.0,
            };
            let full = if empty(at) { 0.15 } else { 1.0 };
            let bored = 1.0 + (self.unused_s[at.min(2)] / BORED_S).min(4.0);
            let in_hand = if at == self.weapon { 1.25 } else { 1.0 };
            (mends.max(harms * full) + 0.001) * bored * in_hand
        };
        let best = hero
            .weapons
            .iter()
            .enumerate()
            .take(button::WEAPON.len())
            .max_by(|(a, first), (b, second)| worth(*a, first).total_cmp(&worth(*b, second)));
        if let Some((at, _)) = best {
            if at != self.weapon {
                self.choose_s = CHOOSE_EVERY_S;
            } else {
                self.choose_s = 0.3;
            }
            self.weapon = at;
        }
    }

    fn reload(&self, view: &WorldView, weapon: Option<&WeaponTraits>, busy: bool, rng: &mut SimRng) -> u16 {
        let Some(weapon) = weapon.filter(|weapon| weapon.magazine > 0) else {
            return 0;
        };
        let Some(rounds) = view.own.ammo.get(self.weapon).copied().flatten() else {
            return 0;
        };
        let share = f32::from(rounds) / f32::from(weapon.magazine);
        let wanted = rounds == 0 || (!busy && share < 0.6);
        // Now and then it is forgotten for a moment.
        if wanted && !view.own.reloading && rng.unit() < 0.5 { button::RELOAD } else { 0 }
    }

    #[expect(clippy::too_many_arguments, reason = "one decision from everything that is known this tick")]
    /// Picks an ability that is of use now; then it is aimed and pressed.
    fn think_of_ability(
        &mut self,
        view: &WorldView,
        me: &PlayerView,
        hero: &HeroTraits,
        around: &Surroundings,
        foe: Option<&PlayerView>,
        short: bool,
        rng: &mut SimRng,
    ) {
        if self.ability.is_some() || self.ability_wait_s > 0.0 || view.own.casting || !view.own.able {
            return;
        }
        self.ability_wait_s = 0.2 + 0.2 * rng.unit();
        let ready = |at: &usize| view.own.ability_ready.get(*at).copied().unwrap_or(false);
        let count = hero.abilities.len().min(button::ABILITY.len());
        let use_of = |at: usize| {
            let bored = (self.ability_unused_s[at] / BORED_S).min(1.5);
            wish(&hero.abilities[at], view, me, around, foe, short)
                + if foe.is_some() { 0.3 * bored } else { 0.1 * bored }
        };
        let best = (0..count).filter(ready).max_by(|a, b| use_of(*a).total_cmp(&use_of(*b)));
        let Some(best) = best.filter(|best| use_of(*best) > 0.4 + 0.25 * rng.unit()) else {
            return;
        };
        let thrown = matches!(hero.abilities[best].purpose, Purpose::Throw | Purpose::Strike | Purpose::Guard);
        let aim_s = if thrown && foe.is_some() { 0.25 } else { 0.0 };
        self.ability = Some(Press { ability: best, aim_s, press_s: PRESS_S.max(hero.abilities[best].hold_s) });
    }

    fn press(&mut self, hero: &HeroTraits, foe: Option<&PlayerView>, plan: &mut Plan, dt: f32) {
        let Some(press) = &mut self.ability else {
            return;
        };
        let traits = &hero.abilities[press.ability.min(hero.abilities.len() - 1)];
        if matches!(traits.purpose, Purpose::Throw | Purpose::Strike) && foe.is_some() {
            plan.target = foe.copied();
            plan.throw = (traits.speed > 0.0).then_some((traits.speed, traits.gravity));
            plan.fire &= plan.throw.is_none();
        }
        if press.aim_s > 0.0 {
            press.aim_s -= dt;
            return;
        }
        plan.buttons |= button::ABILITY[press.ability];
        press.press_s -= dt;
        if press.press_s <= 0.0 {
            self.ability_unused_s[press.ability] = 0.0;
            self.ability = None;
        }
    }
}

/// How much an ability would help now: 0 not at all, 1 very much. `short` says that the weapon in hand reaches only near.
fn wish(
    ability: &AbilityTraits,
    view: &WorldView,
    me: &PlayerView,
    around: &Surroundings,
    foe: Option<&PlayerView>,
    short: bool,
) -> f32 {
    let distance = foe.map(|foe| foe.middle().distance(me.eyes()));
    let hurt = 1.0 - me.health_share();
    match ability.purpose {
        Purpose::Heal => {
            let radius = ability.range.max(4.0);
            let near = |other: &&PlayerView| {
                other.alive && !view.hostile(other.team) && other.position.distance(me.position) < radius
            };
            let friends = view.others.iter().filter(near).map(|other| 1.0 - other.health_share()).sum::<f32>();
            hurt * 1.4 + friends * 0.7
        }
        Purpose::Guard => match distance {
            Some(distance) if distance > 4.0 => 0.35 + hurt * 0.6 + facing(me, foe) * 0.2,
            _ => 0.0,
        },
        Purpose::Throw => match distance {
            Some(distance) if distance > 4.0 && distance < ability.range.clamp(12.0, 30.0) => 0.75,
            _ => 0.0,
        },
        Purpose::Strike => match distance {
            Some(distance) if distance < ability.range * 0.9 => 0.9,
            _ => 0.0,
        },
        Purpose::Deploy => match distance {
            Some(distance) if distance < ability.range.max(20.0) => 0.7,
            _ => f32::from(u8::from(on_point(view, me, around))) * 0.6,
        },
        Purpose::Dash => match distance {
            // What reaches only near is carried there.
            Some(distance) if short && distance > 4.0 => 0.8,
            Some(distance) if distance > 12.0 || hurt > 0.6 => 0.6,
            Some(_) => 0.25,
            None => 0.2 + if me.velocity.length_squared() > 9.0 { 0.2 } else { 0.0 },
        },
        // Somebody in a fight has something to be rid of soon enough.
        Purpose::Cleanse => hurt * 0.8 + if distance.is_some() { 0.3 } else { 0.0 },
        Purpose::Other => {
            if distance.is_some() {
                0.6
            } else {
                0.0
            }
        }
    }
}

/// How much an enemy looks one's way, 0 to 1.
fn facing(me: &PlayerView, foe: Option<&PlayerView>) -> f32 {
    foe.map_or(0.0, |foe| {
        let towards = (me.middle() - foe.eyes()).normalize_or_zero();
        look_along(foe.yaw, foe.pitch).dot(towards).max(0.0)
    })
}

fn on_point(view: &WorldView, me: &PlayerView, around: &Surroundings) -> bool {
    view.points.iter().any(|point| {
        let volume = around.map.points.get(usize::from(point.number)).map(|point| point.volume);
        point.open && volume.is_some_and(|volume| volume.contains(me.position))
    })
}

/// Whom to shoot at: a turret only if it is much nearer than a player, who is worth more.
pub(super) fn nearer<'a>(
    me: &PlayerView,
    foe: Option<&'a PlayerView>,
    thing: Option<&'a PlayerView>,
) -> Option<&'a PlayerView> {
    let apart = |of: &PlayerView| of.position.distance(me.position);
    match (foe, thing) {
        (Some(foe), Some(thing)) if apart(thing) < apart(foe) * 0.5 => Some(thing),
        (Some(foe), _) => Some(foe),
        (None, thing) => thing,
    }
}

fn nearest_foe(view: &WorldView, me: &PlayerView, senses: &Senses) -> Option<PlayerView> {
    let apart = |other: &PlayerView| other.position.distance_squared(me.position);
    view.others
        .iter()
        .filter(|other| other.alive && view.hostile(other.team) && senses.sees(other.id))
        .min_by(|a, b| apart(a).total_cmp(&apart(b)))
        .copied()
}
