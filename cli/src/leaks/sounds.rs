//! What clients heard, put beside what sounded: a judge of hearing that shares nothing with it but what things sound like. It is
//! told every tick's cues and where everybody stood, and asks of each sound whether there was such a sound there, whether one
//! could have heard it, and whether it says no more than that.

use std::collections::BTreeMap;

use arbiter_headless_client::view::{SoundOrigin, SoundView};
use arbiter_protocol::{Noise, Sound};
use arbiter_schema::StableId;
use arbiter_server::interest::hearing;
use arbiter_sim::collide::MoverState;
use arbiter_sim::players::Life;
use arbiter_sim::rules::Rules;
use arbiter_sim::{Cue, Simulation, weapons};
use glam::Vec3;

use super::oracle::Oracle;

/// Seconds for which somebody may be told to be where they were.
const HOLD_S: f32 = 1.0;
/// Metres of a cube that is told from near by, and of one that is told from further away.
const CUBES_M: [f32; 2] = [8.0, 16.0];
/// Metres from which on only the larger ones are told, and half the diagonal of one.
const LARGE_FROM_M: f32 = 32.0;
/// Metres above the feet at which somebody is heard, and what told places are rounded by.
const EAR_M: f32 = 1.2;
const ROUNDED_M: f32 = 0.1;
/// Metres of a ray's end that may be inside of what burst.
const BURST_M: f32 = 0.35;
/// Metres a second from which steps are heard.
const PACE: f32 = 2.5;

/// Somebody at a tick.
#[derive(Debug, Clone, Copy)]
struct Stand {
    slot: u16,
    id: StableId,
    feet: Vec3,
    runs: bool,
}

/// What sounded in each tick, and where everybody stood.
#[derive(Debug, Default)]
pub struct Sounded {
    ticks: BTreeMap<u32, (Vec<Stand>, Vec<Cue>)>,
    rate: u32,
}

/// What came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Sounds that clients were told.
    pub told: u64,
    /// Of these, such that name somebody.
    pub named: u64,
    /// Such that say what the client may not know: a name that it was not told of, a place that is not in sight, a finer place or a
    /// further sound than one hears.
    pub forbidden: u64,
    /// Such that nothing sounded like.
    pub made_up: u64,
}

impl Sounded {
    /// Behind each tick of the match.
    pub fn note(&mut self, simulation: &Simulation) {
        self.rate = u32::from(simulation.settings().tick_rate);
        let view = simulation.view();
        let stand = |slot: u16| {
            let id = view.player(slot)?;
            let state = view.get::<MoverState>(id)?;
            let lives = view.get::<Life>(id).is_some_and(|life| life.alive);
            let pace = state.velocity.with_y(0.0).length();
            let runs = lives && state.grounded && !state.crouched && pace > PACE;
            Some(Stand { slot, id, feet: state.position, runs })
        };
        self.ticks.insert(simulation.tick(), (view.slots().filter_map(stand).collect(), simulation.cues().to_vec()));
    }

    fn at(&self, tick: u32, id: StableId) -> Option<Stand> {
        self.ticks.get(&tick)?.0.iter().find(|stand| stand.id == id).copied()
    }

    /// Where somebody was within the time for which that is told.
    fn places(&self, tick: u32, id: StableId) -> impl Iterator<Item = Vec3> + '_ {
        let since = tick.saturating_sub((HOLD_S * self.rate as f32) as u32);
        (since..=tick).filter_map(move |tick| Some(self.at(tick, id)?.feet + Vec3::Y * EAR_M))
    }

    /// Whether something sounded so to whoever is in a slot, and came from somewhere in a cube.
    fn sounded_in(&self, rules: &Rules, tick: u32, me: StableId, noise: Noise, middle: Vec3, side: f32) -> bool {
        let Some((stands, cues)) = self.ticks.get(&tick) else { return false };
        let inside = |place: Vec3| (place - middle).abs().max_element() <= side * 0.5 + ROUNDED_M;
        let was_inside = |id: StableId| self.places(tick, id).any(inside);
        if noise == Noise::Steps {
            return stands.iter().any(|stand| stand.id != me && stand.runs && was_inside(stand.id));
        }
        cues.iter().any(|cue| match *cue {
            Cue::Fired { by, weapon, from, .. } => {
                by != me && noise_of(rules, weapon) == noise && (inside(from) || was_inside(by))
            }
            Cue::AbilityUsed { by, .. } => noise == Noise::Ability && by != me && was_inside(by),
            Cue::Hit { target, amount, .. } => noise == Noise::Hit && amount > 0.0 && was_inside(target),
            Cue::Exploded { at, .. } => noise == Noise::Burst && inside(at),
        })
    }

    /// Judges what one client heard.
    pub fn judge(&self, rules: &Rules, oracle: &mut Oracle, slot: u16, sound: &SoundView, heard: &mut Heard) {
        let (Some(told), Some((stands, cues))) = (sound.told, self.ticks.get(&sound.tick)) else { return };
        let Some(me) = stands.iter().find(|stand| stand.slot == slot).copied() else { return };
        heard.told += 1;
        // Whoever is not known may be anybody.
        let is = |known: Option<StableId>, id: StableId| known.is_none_or(|known| known == id);
        let hit = |by: Option<StableId>, target: Option<StableId>| {
            cues.iter().any(|cue| match *cue {
                Cue::Hit { by: who, target: whom, .. } => is(by, who) && is(target, whom),
                _ => false,
            })
        };
        let (is_true, may) = match told {
            Sound::Around { noise, .. } => {
                let SoundOrigin::Around(middle, side) = sound.origin else { return };
                let apart = middle.distance(me.feet + Vec3::Y * EAR_M);
                let is_coarse = side == CUBES_M[1] || (side == CUBES_M[0] && apart < LARGE_FROM_M + CUBES_M[1]);
                (self.sounded_in(rules, sound.tick, me.id, noise, middle, side), is_coarse && apart <= reach(noise))
            }
            Sound::Burst { .. } => {
                let SoundOrigin::At(place) = sound.origin else { return };
                let burst = |cue: &Cue| matches!(cue, Cue::Exploded { at, .. } if at.distance(place) < ROUNDED_M);
                let movement = &rules.movement;
                // Whoever stands may duck the next moment, and the other way round.
                let eyes = [true, false].map(|crouched| weapons::eye(movement, me.feet, crouched));
                let before = |eyes: Vec3| place - (place - eyes).normalize_or_zero() * BURST_M;
                let is_seen = eyes.into_iter().any(|eyes| oracle.sees(eyes, before(eyes)));
                (cues.iter().any(burst), is_seen)
            }
            Sound::Fired { .. } | Sound::Used { .. } => {
                heard.named += 1;
                let is_true = cues.iter().any(|cue| match *cue {
                    Cue::Fired { by, weapon, .. } => is(sound.by, by) && noise_of(rules, weapon) == sound.noise,
                    Cue::AbilityUsed { by, ability } => is(sound.by, by) && sound.number == Some(ability),
                    _ => false,
                });
                // Whoever was not told of somebody finds nobody behind the name.
                (is_true, sound.by.is_some())
            }
            Sound::Dealt { .. } => {
                heard.named += 1;
                (hit(Some(me.id), sound.target), sound.target.is_some())
            }
            Sound::Taken { by: named, .. } => (hit(sound.by, Some(me.id)), named.is_none() || sound.by.is_some()),
        };
        heard.made_up += u64::from(!is_true);
        heard.forbidden += u64::from(!may);
    }
}

/// Metres from which something may be heard that is not in sight, and the half of a cube in which it is.
fn reach(noise: Noise) -> f32 {
    match noise {
        Noise::Shot | Noise::Launch => hearing::SHOT_M,
        Noise::Ability => hearing::ABILITY_M,
        Noise::Swing | Noise::Beam | Noise::Hit => hearing::HIT_M,
        // The largest burst of the shipped rules reaches less than ten metres.
        Noise::Burst => hearing::BURST_M + 10.0,
        Noise::Steps => hearing::STEPS_M,
    }
}

fn noise_of(rules: &Rules, weapon: u8) -> Noise {
    hearing::report(rules, weapon).into()
}
