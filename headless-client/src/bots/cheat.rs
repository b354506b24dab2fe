//! Hostile bots, to show what a cheat gains: each bends what an honest bot is about to do, as a tampered client would. They speak
//! the protocol correctly, since what does not is expelled by the transport, and they know no more than their client was told.
//!
//! What the server makes of each stands in `docs/cheating.md`.

use core::str::FromStr;

use arbiter_sim::Input;
use arbiter_sim::input::{angle_steps, button};
use glam::{Vec2, Vec3};

use super::brain::Surroundings;
use crate::view::{PlayerView, WorldView};

/// What a hostile bot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cheat {
    /// Makes inputs for twice as many ticks as go by.
    Speed,
    /// Pulls the trigger every other tick and changes weapons in between, to get round intervals, reloads and cooldowns.
    Rapid,
    /// Keeps silent, then sends all at once, and claims to have seen the world as it was long ago.
    Teleport,
    /// Aims at whomever the client was told of, through walls.
    Wallhack,
    /// Aims at once and perfectly at whoever is in sight, and fires.
    Aim,
    /// Sends every datagram many times.
    Flood,
}

impl Cheat {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Speed, Self::Rapid, Self::Teleport, Self::Wallhack, Self::Aim, Self::Flood];

    /// Its name, as `arbiter bots --cheat` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Rapid => "rapid",
            Self::Teleport => "teleport",
            Self::Wallhack => "wallhack",
            Self::Aim => "aim",
            Self::Flood => "flood",
        }
    }
}

impl FromStr for Cheat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|cheat| cheat.name() == name);
        found.ok_or_else(|| format!("no such cheat; expected {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Ticks that [`Cheat::Speed`] runs ahead before it begins anew: the server keeps no input for later than 64.
const AHEAD_TICKS: u32 = 56;

/// Ticks for which [`Cheat::Teleport`] keeps silent.
const SILENT_TICKS: u32 = 20;

/// Ticks that it claims to look back: twice what the server allows at 60 Hz.
const BACK_TICKS: u32 = 30;

/// Datagrams that [`Cheat::Flood`] sends in place of one.
const COPIES: usize = 50;

/// Ticks between two changes of weapon of [`Cheat::Rapid`], which cancel reloads and would shorten the wait if it went by weapon.
const HAMMER_TICKS: usize = 45;

/// Metres within which the aimers fire.
const FIRE_M: f32 = 60.0;

/// Metres beyond which the wallhack does not care.
const CARE_M: f32 = 80.0;

/// One hostile bot.
#[derive(Debug)]
pub struct Cheater {
    cheat: Cheat,
    ahead: u32,
    turn: u32,
}

impl Cheater {
    /// That does this.
    pub fn new(cheat: Cheat) -> Self {
        Self { cheat, ahead: 0, turn: 0 }
    }

    /// What is to be sent in place of the honest `input` for `tick`: calls `push` with each.
    pub fn bend(
        &mut self,
        view: &WorldView,
        around: &Surroundings,
        tick: u32,
        mut input: Input,
        push: &mut impl FnMut(u32, Input),
    ) {
        self.turn = self.turn.wrapping_add(1);
        match self.cheat {
            Cheat::Speed => return self.hurry(tick, input, push),
            Cheat::Rapid => self.hammer(&mut input),
            Cheat::Teleport => {
                // Elsewhere with every burst.
                input.move_forward = if (self.turn / SILENT_TICKS).is_multiple_of(2) { 127 } else { -127 };
                input.move_right = 127;
                if self.turn.is_multiple_of(3) {
                    (input.view_tick, input.view_fraction) = (tick.saturating_sub(BACK_TICKS), 0);
                }
            }
            Cheat::Wallhack => {
                let enemies = enemies(view).filter(|(me, enemy)| me.position.distance(enemy.position) < CARE_M);
                aim_at(nearest(enemies), &mut input, self.turn);
            }
            Cheat::Aim => {
                let seen = enemies(view).filter(|(me, enemy)| around.sight.clear(me.eyes(), head(enemy)));
                aim_at(nearest(seen), &mut input, self.turn);
            }
            Cheat::Flood => {}
        }
        push(tick, input);
    }

    /// Two inputs for each tick, until the server would keep no more.
    fn hurry(&mut self, tick: u32, input: Input, push: &mut impl FnMut(u32, Input)) {
        let input = Input { move_forward: 127, ..input };
        push(tick + self.ahead, input);
        push(tick + self.ahead + 1, input);
        self.ahead = if self.ahead < AHEAD_TICKS { self.ahead + 1 } else { 0 };
    }

    fn hammer(&self, input: &mut Input) {
        let turn = self.turn as usize;
        input.buttons =
            if turn.is_multiple_of(2) { input.buttons | button::FIRE } else { input.buttons & !button::FIRE };
        input.buttons |= button::ABILITY[turn % button::ABILITY.len()];
        if turn.is_multiple_of(HAMMER_TICKS) {
            input.buttons |= button::WEAPON[turn / HAMMER_TICKS % 2] | button::RELOAD;
        }
    }

    /// Whether nothing is sent now.
    pub fn is_silent(&self) -> bool {
        self.cheat == Cheat::Teleport && !self.turn.is_multiple_of(SILENT_TICKS)
    }

    /// How often each datagram is sent.
    pub fn copies(&self) -> usize {
        if self.cheat == Cheat::Flood { COPIES } else { 1 }
    }
}

/// Oneself with each living enemy.
fn enemies(view: &WorldView) -> impl Iterator<Item = (PlayerView, PlayerView)> + '_ {
    let me = view.me.filter(|me| me.alive);
    let enemies = view.others.iter().filter(|other| other.alive && view.hostile(other.team));
    enemies.filter_map(move |enemy| Some((me?, *enemy)))
}

fn nearest(pairs: impl Iterator<Item = (PlayerView, PlayerView)>) -> Option<(PlayerView, PlayerView)> {
    let apart = |(me, enemy): &(PlayerView, PlayerView)| me.position.distance_squared(enemy.position);
    pairs.min_by(|a, b| apart(a).total_cmp(&apart(b)))
}

fn head(enemy: &PlayerView) -> Vec3 {
    enemy.eyes()
}

/// Looks at an enemy and fires, walking on where the honest bot was going.
fn aim_at(pair: Option<(PlayerView, PlayerView)>, input: &mut Input, turn: u32) {
    let Some((me, enemy)) = pair else { return };
    let apart = head(&enemy) - me.eyes();
    let flat = apart.with_y(0.0).length();
    let (yaw, pitch) = angle_steps(libm::atan2f(-apart.x, -apart.z), libm::atan2f(apart.y, flat));
    let turned = f32::from(yaw.wrapping_sub(input.yaw) as i16) * (core::f32::consts::TAU / 65_536.0);
    let walk = Vec2::new(f32::from(input.move_right), f32::from(input.move_forward));
    let (sin, cos) = libm::sincosf(turned);
    let walk = Vec2::new(walk.x * cos + walk.y * sin, walk.y * cos - walk.x * sin);
    (input.move_right, input.move_forward) = (walk.x.clamp(-127.0, 127.0) as i8, walk.y.clamp(-127.0, 127.0) as i8);
    (input.yaw, input.pitch) = (yaw, pitch);
    // Some weapons want the trigger let go in between.
    let pulls = apart.length() < FIRE_M && !turn.is_multiple_of(4);
    input.buttons = if pulls { input.buttons | button::FIRE } else { input.buttons & !button::FIRE };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cheat_has_a_name_that_is_understood() {
        for cheat in Cheat::ALL {
            assert_eq!(cheat.name().parse(), Ok(cheat));
        }
        assert!("luck".parse::<Cheat>().is_err());
    }

    #[test]
    fn turning_the_look_does_not_turn_the_walk() {
        let mut input = Input { move_forward: 100, yaw: 0, ..Input::default() };
        let me = PlayerView {
            id: arbiter_schema::StableId(1),
            slot: None,
            team: 1,
            hero: 0,
            position: Vec3::ZERO,
            velocity: Vec3::ZERO,
            eye: 1.6,
            yaw: 0.0,
            pitch: 0.0,
            health: 1.0,
            health_max: 1.0,
            alive: true,
            crouching: false,
            grounded: true,
            weapon: 0,
        };
        // An enemy on the left: a quarter turn. Walking on along -z is walking to the right of the new look.
        let enemy = PlayerView { position: Vec3::NEG_X * 10.0, ..me };
        aim_at(Some((me, enemy)), &mut input, 1);
        assert_eq!((input.yaw, input.pitch), (16_384, 0));
        assert!(input.move_right >= 99 && input.move_forward.abs() <= 1, "{input:?}");
    }
}
