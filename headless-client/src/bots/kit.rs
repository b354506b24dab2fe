//! What a hero can do, said in the few words that decisions need. Made from the rules, so that bots know no hero, weapon
//! or ability by name and play a studio's own ones too.

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
        if distance > self.range_max {
            return 0.0;
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
        distances.filter(|distance| worth(*distance) >= best * 0.9).fold(2.0, f32::max).min(28.0)
    }
}
