//! What a hero can do, said in the few words that decisions need. Made from the rules, so that bots know no hero, weapon
//! or ability by name and play a studio's own ones too.

use arbiter_sim::Rules;
use arbiter_sim::rules::{Ability, Act, Behaviour, Effect, Flight, Gift, Hero, Link, Side, Weapon};

/// How a weapon reaches its target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reach {
    /// By hand: as far as the arm.
    Melee,
    /// At once along the look.
    Ray,
    /// By something that flies.
    Flight {
        /// Metres a second.
        speed: f32,
        /// Metres a second squared downwards.
        gravity: f32,
        /// Radius of the blast, 0 if there is none.
        splash: f32,
    },
    /// By a beam, held on the target.
    Beam,
}

/// Metres that one closes in during a blow.
const LUNGE: f32 = 1.5;
/// Whoever has a mind to can run so many metres at an enemy with a blade in hand.
const RUSH: f32 = 10.0;
/// Nobody keeps further away than this many metres by choice: it makes dull fights.
const FIGHT_MAX: f32 = 9.0;

/// A weapon as bots think of it.
#[derive(Debug, Clone, PartialEq)]
pub struct WeaponTraits {
    /// How it reaches.
    pub reach: Reach,
    /// Whether it harms enemies.
    pub harms: bool,
    /// Whether it heals friends.
    pub heals: bool,
    /// Metres within which all of its damage is done.
    pub range_best: f32,
    /// Metres behind which it is not worth a shot.
    pub range_max: f32,
    /// Hit points a second while it fires.
    pub strength: f32,
    /// Rounds in it; 0 needs none.
    pub magazine: u16,
    /// Radians that shots may stray.
    pub spread: f32,
    /// Whether one press is one shot, so that the button must be let go.
    pub single: bool,
}

impl WeaponTraits {
    /// How good it is at a distance, in hit points a second.
    pub fn worth(&self, distance: f32) -> f32 {
        if self.reach == Reach::Melee {
            // A blow that lands does not stray, and a step brings it home.
            return match distance {
                near if near < self.range_max + LUNGE => self.strength * 1.6,
                near if near < RUSH => self.strength * 0.35,
                _ => self.strength * 0.05,
            };
        }
        if distance > self.range_max {
            // Still better in hand than what reaches no further.
            return self.strength * 0.08 * (self.range_max / distance);
        }
        let far = (distance - self.range_best).max(0.0) / (self.range_max - self.range_best).max(0.1);
        let near = match self.reach {
            // A blast at one's own feet hurts oneself.
            Reach::Flight { splash, .. } if splash > 0.0 && distance < splash + 1.0 => 0.25,
            Reach::Flight { speed, .. } => (speed / (speed + distance * 1.5)).max(0.2),
            _ => 1.0,
        };
        self.strength * near * (1.0 - 0.65 * far)
    }
}

/// What an ability is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Moves one quickly along the look or the walk.
    Dash,
    /// Stops shots in front of one.
    Guard,
    /// Heals oneself and friends around.
    Heal,
    /// Is thrown at enemies.
    Throw,
    /// Hits enemies around or ahead.
    Strike,
    /// Puts something down that fights.
    Deploy,
    /// Takes bad effects off oneself and friends around.
    Cleanse,
    /// Something that bots do not understand: they use it in fights.
    Other,
}

/// An ability as bots think of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AbilityTraits {
    /// What it is for.
    pub purpose: Purpose,
    /// Metres that it reaches.
    pub range: f32,
    /// Metres a second of what it throws; 0 throws nothing.
    pub speed: f32,
    /// How hard what it throws falls, metres a second squared.
    pub gravity: f32,
    /// Seconds until it may be used again.
    pub cooldown_s: f32,
    /// Seconds that it is cast and goes on while the button is held; 0 needs no holding.
    pub hold_s: f32,
}

/// A hero as bots think of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeroTraits {
    /// Weapons in the hero's order.
    pub weapons: Vec<WeaponTraits>,
    /// Abilities in the hero's order.
    pub abilities: Vec<AbilityTraits>,
}

impl HeroTraits {
    /// The distance in metres at which this hero fights best: where its weapons together are worth the most.
    pub fn distance_best(&self) -> f32 {
        let harming = || self.weapons.iter().filter(|weapon| weapon.harms);
        let worth = |distance: f32| harming().map(|weapon| weapon.worth(distance)).fold(0.0, f32::max);
        let distances = (1..=20).map(|step| step as f32 * 2.0);
        let best = distances.clone().map(worth).fold(0.0, f32::max);
        // The furthest distance that is nearly as good: why come closer?
        distances.filter(|distance| worth(*distance) >= best * 0.9).fold(2.0, f32::max).min(FIGHT_MAX)
    }
}

/// Metres a melee blow reaches further than its sweep says: both bodies have a width.
const BODY: f32 = 0.4;
/// What a beam heals counts as this many hit points a second at least, so that healers heal.
const HEAL_STRENGTH_MIN: f32 = 25.0;
/// Nobody shoots further than this many metres with any hope.
const HOPE: f32 = 90.0;

/// All heroes of the rules as bots think of them.
pub fn heroes(rules: &Rules) -> Vec<HeroTraits> {
    let weapon = |link: &Link| rules.weapons.get(link.index()).map(|weapon| weapon_traits(weapon, rules));
    let ability = |link: &Link| rules.abilities.get(link.index()).map(|ability| ability_traits(ability, rules));
    let traits = |hero: &Hero| HeroTraits {
        weapons: hero.weapons.iter().filter_map(weapon).collect(),
        abilities: hero.abilities.iter().filter_map(ability).collect(),
    };
    rules.heroes.iter().map(traits).collect()
}

/// For each pickup of the rules, whether it gives health or what stands for it.
pub fn pickup_heals(rules: &Rules) -> Vec<bool> {
    rules.pickups.iter().map(|pickup| matches!(pickup.gift, Gift::Health(_) | Gift::Armour(_))).collect()
}

fn weapon_traits(weapon: &Weapon, rules: &Rules) -> WeaponTraits {
    let per_second = 1000.0 / weapon.interval_ms.max(1) as f32;
    let spread = weapon.spread.map_or(0.0, |spread| spread.base_deg + spread.bloom_max_deg * 0.4).to_radians();
    let mut heals = false;
    let (reach, range, mut strength) = match &weapon.behaviour {
        Behaviour::Hitscan(ray) => {
            (Reach::Ray, ray.range.min(HOPE), weapon.damage * f32::from(ray.pellets) * per_second)
        }
        Behaviour::Projectile(flight) => {
            let fall = flight.gravity_factor * rules.movement.gravity;
            let splash = flight.splash.map_or(0.0, |splash| splash.radius);
            let blast = flight.splash.map_or(0.0, |splash| splash.damage * 0.7);
            let reach = Reach::Flight { speed: flight.speed, gravity: fall, splash };
            let flown = flight.speed * flight.life_ms as f32 * 0.001;
            // What is lobbed lands where the parabola ends; nobody aims above 45 degrees.
            let lobbed = if fall > 0.1 { flight.speed * flight.speed / fall } else { HOPE };
            (reach, flown.min(lobbed * 0.9).min(HOPE), (weapon.damage.max(blast)) * per_second)
        }
        Behaviour::Melee(sweep) => (Reach::Melee, sweep.reach + BODY, weapon.damage * per_second),
        Behaviour::Beam(beam) => {
            heals = beam.heals;
            (Reach::Beam, beam.range, weapon.damage)
        }
        Behaviour::Custom(_) => (Reach::Ray, HOPE * 0.5, weapon.damage.max(10.0) * per_second),
    };
    if heals {
        strength = strength.max(HEAL_STRENGTH_MIN);
    }
    let falloff = weapon.falloff.map_or(range, |falloff| falloff.near.min(range));
    // Shots that stray by more than a trunk's width are worth less: the distance where half of them still hit.
    let straying = if spread > 0.0 { 0.5 / spread } else { range };
    WeaponTraits {
        reach,
        harms: !heals,
        heals,
        range_best: falloff.min(straying.max(4.0)).min(range),
        range_max: range,
        strength,
        magazine: weapon.magazine,
        spread,
        single: !weapon.automatic,
    }
}

fn ability_traits(ability: &Ability, rules: &Rules) -> AbilityTraits {
    let effect = |link: &Link| rules.effects.get(link.index());
    let kind = |effect: &Effect| !effect.harmful && effect.beat_heal > 0.0;
    let mends = |links: &[Link]| links.iter().filter_map(effect).any(kind);
    let fall = |flight: &Flight| flight.gravity_factor * rules.movement.gravity;
    let mut traits = AbilityTraits {
        purpose: Purpose::Other,
        range: 0.0,
        speed: 0.0,
        gravity: 0.0,
        cooldown_s: ability.cooldown_ms as f32 * 0.001,
        hold_s: ability.cast_ms as f32 * 0.001 + ability.channel_ms as f32 * 0.001,
    };
    match &ability.act {
        Act::Dash(dash) => {
            traits.purpose = Purpose::Dash;
            traits.range = dash.speed * dash.duration_ms as f32 * 0.001;
        }
        Act::ShieldWall(_) => traits.purpose = Purpose::Guard,
        Act::Area(area) => {
            traits.range = area.radius;
            traits.purpose = if area.side == Side::Enemies { Purpose::Strike } else { Purpose::Heal };
        }
        Act::Throw(thrown) => {
            traits.purpose = Purpose::Throw;
            (traits.speed, traits.gravity) = (thrown.flight.speed, fall(&thrown.flight));
            let lobbed = if traits.gravity > 0.1 { traits.speed * traits.speed / traits.gravity } else { HOPE };
            traits.range = lobbed.min(traits.speed * thrown.flight.life_ms as f32 * 0.001);
        }
        Act::Strike(strike) => {
            traits.purpose = Purpose::Strike;
            traits.range = strike.sweep.reach + BODY;
        }
        Act::Deploy(deploy) => {
            traits.purpose = Purpose::Deploy;
            traits.range = deploy.range;
        }
        Act::Cleanse(cleanse) => {
            traits.purpose = Purpose::Cleanse;
            traits.range = cleanse.radius;
        }
        Act::Gain if mends(&ability.effects) => traits.purpose = Purpose::Heal,
        Act::Gain | Act::Custom(_) => {}
    }
    traits
}
