//! One's own hero, shown ahead of the server: inputs take effect at once, and what the server tells is compared with what was
//! predicted for that tick. Where they differ the state of that tick is taken and everything since is simulated again; what
//! that moves on the screen is a correction, and fades.
//!
//! The simulation is [`arbiter_sim::prediction`]; here stand the past, the comparing and the fading. What may be predicted and
//! what counts as a correction is settled in `docs/decisions/prediction.md`.

use std::collections::VecDeque;
use std::sync::Arc;

use arbiter_protocol::Noise;
use arbiter_schema::{ComponentId, Describe, Registry, StableId};
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::MoverState;
use arbiter_sim::effects::Afflictions;
use arbiter_sim::modes::{MatchState, Phase};
use arbiter_sim::movement::Mobility;
use arbiter_sim::players::Life;
use arbiter_sim::prediction::{Mine, PAST_TICKS, Prediction, Shown, ShownPlayer, Told};
use arbiter_sim::rules::Behaviour;
use arbiter_sim::time::Clock;
use arbiter_sim::weapons::Arsenal;
use arbiter_sim::{Cue, Input, Map, MatchSettings, Rules, button};
use arbiter_snapshot::Frame;
use bevy_app::App;
use glam::Vec3;

use crate::client::ClientCore;
use crate::prespawn::Prespawned;
use crate::shots::{Shot, shot_of};
use crate::view::{SoundOrigin, SoundView};

/// Adds a studio's own plugins to a simulation.
pub type Plugins = Arc<dyn Fn(&mut App) + Send + Sync>;

/// Lanes of what is measured (metres, metres a second, degrees) may be so many steps off: told states are rounded, and rounded
/// anew whenever one is taken. Three steps of a place are 12 mm.
const STEPS_OFF_MAX: u32 = 3;
/// Metres that nobody sees: what moves less than a hand's breadth in fifty is no correction.
pub const CORRECTION_MIN: f32 = 0.02;
/// Metres from which a correction is not faded but done: a teleport or a respawn.
pub const SNAP: f32 = 2.0;
/// A correction fades with this time constant, in seconds: gone in a third of one.
const FADE_S: f32 = 0.1;
/// A deed that a correction moves by so many ticks is the one that was shown.
const SAME_DEED_TICKS: u32 = 4;
/// Shots that wait to be read; older ones go first.
const SHOTS_MAX: usize = 256;
/// Sounds of one's own that wait to be played; older ones go first.
const SOUNDS_MAX: usize = 64;
/// Corrections that wait to be read; older ones go first.
const CORRECTIONS_MAX: usize = 256;
/// Components whose prediction is compared.
pub const WATCHED: usize = 6;
/// Buttons that act when they go down; where an input is missing they are not pressed.
const HELD: u16 = button::CROUCH | button::FIRE;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PredictionCounts {
    /// Ticks that were predicted.
    pub ticks: u64,
    /// Snapshots that were compared.
    pub compared: u64,
    /// Times that ticks were simulated again.
    pub again: u64,
    /// Ticks that were simulated again.
    pub again_ticks: u64,
    /// Times that each component was the first that was not as predicted: movement, mobility, weapons, abilities, effects,
    /// life; and the last, that only a prop or a door near by was not.
    pub wrong: [u64; WATCHED + 1],
    /// Things that were shown before the server told of them, and that it did tell of.
    pub matched: u64,
    /// Things that it never told of.
    pub unmatched: u64,
}

/// What is shown of one's own hero moved, since the server told other than what was predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// The tick whose state was told.
    pub tick: u32,
    /// The tick whose state was compared before it: what was not foreseen happened behind it.
    pub before: u32,
    /// Metres that it moved, more than [`CORRECTION_MIN`].
    pub metres: f32,
    /// What was not as predicted, as a place in [`PredictionCounts::wrong`].
    pub wrong: usize,
}

/// What makes a prediction.
struct Maker {
    rules: Arc<Rules>,
    map: Arc<Map>,
    plugins: Plugins,
}

/// A component whose predicted lanes must be the server's.
struct Watched {
    id: ComponentId,
    /// How many steps each lane may be off.
    slack: Vec<u32>,
}

/// What one did in a tick, by number of the weapon or ability; those from 63 on count as one.
#[derive(Debug, Clone, Copy, Default)]
struct Deeds {
    shots: u64,
    abilities: u64,
}

impl Deeds {
    fn bit(number: u8) -> u64 {
        1 << number.min(63)
    }

    fn and(self, other: Self) -> Self {
        Self { shots: self.shots | other.shots, abilities: self.abilities | other.abilities }
    }
}

/// One tick that was predicted.
#[derive(Default)]
struct Past {
    tick: u32,
    input: Input,
    /// Of the watched components, one after the other.
    lanes: Vec<i32>,
    /// Where one's own hero was, more precisely than lanes say.
    position: Vec3,
    /// The others as they were shown.
    shown: Vec<ShownPlayer>,
    /// What one was shown doing.
    deeds: Deeds,
}

/// See the module.
pub struct OwnHero {
    maker: Option<Maker>,
    watched: Vec<Watched>,
    mover: Option<ComponentId>,
    match_state: Option<ComponentId>,
    clock: Option<ComponentId>,
    /// The tick behind which a round begins of which nothing is told yet, or never.
    round_from: u32,
    /// Metres that a place which is told is rounded by at most.
    rounding: f32,
    prediction: Option<Box<Prediction>>,
    past: Vec<Past>,
    compared: u32,
    /// See [`ClientCore::beginnings`].
    beginnings: u32,
    offset: Vec3,
    prespawned: Prespawned,
    shots: VecDeque<Shot>,
    sounds: VecDeque<SoundView>,
    corrections: VecDeque<Correction>,
    counts: PredictionCounts,
}

/// What is remembered of a tick.
fn past_at(past: &[Past], tick: u32) -> Option<&Past> {
    past.get(tick as usize % PAST_TICKS).filter(|past| past.tick == tick)
}

fn watched(registry: &Registry, name: &str) -> Option<Watched> {
    let component = registry.find(name)?;
    let slack = component.lanes.iter().map(|lane| {
        let spec = component.fields.iter().find(|field| field.name == lane.field).and_then(|field| field.spec);
        if spec.is_some_and(|spec| spec.step < 1.0) { STEPS_OFF_MAX } else { 0 }
    });
    Some(Watched { id: component.id, slack: slack.collect() })
}

/// What is told of the match itself.
fn of_match<C: Describe>(frame: &Frame, component: Option<ComponentId>) -> Option<C> {
    let lanes = frame.lanes(StableId::NONE, component?)?;
    (lanes.len() == C::lane_descs().len()).then(|| C::from_lanes(lanes))
}

fn told(frame: &Frame) -> impl Iterator<Item = Told<'_>> {
    frame.rows().map(|row| (row.id, row.component, row.lanes))
}

impl OwnHero {
    /// For the components of a registry. Predicts nothing until [`Self::predict`].
    pub fn new(registry: &Registry) -> Self {
        let names = [MoverState::NAME, Mobility::NAME, Arsenal::NAME, Kit::NAME, Afflictions::NAME, Life::NAME];
        let mover = registry.find(MoverState::NAME);
        let step =
            mover.and_then(|it| it.fields.iter().find(|field| field.name == "position")?.spec).map(|spec| spec.step);
        Self {
            maker: None,
            mover: mover.map(|mover| mover.id),
            match_state: registry.find(MatchState::NAME).map(|it| it.id),
            clock: registry.find(Clock::NAME).map(|it| it.id),
            round_from: u32::MAX,
            rounding: step.map_or(0.0, |step| step * 0.5),
            watched: names.into_iter().filter_map(|name| watched(registry, name)).collect(),
            prediction: None,
            past: Vec::new(),
            compared: 0,
            beginnings: 0,
            offset: Vec3::ZERO,
            prespawned: Prespawned::new(registry),
            shots: VecDeque::new(),
            sounds: VecDeque::new(),
            corrections: VecDeque::new(),
            counts: PredictionCounts::default(),
        }
    }

    /// Lets it predict in matches on `map`; rules, map and plugins must be the server's.
    pub fn predict(&mut self, rules: Arc<Rules>, map: Arc<Map>, plugins: Plugins) {
        self.maker = Some(Maker { rules, map, plugins });
        self.past = (0..PAST_TICKS).map(|_| Past::default()).collect();
    }

    /// What was counted so far.
    pub fn counts(&self) -> PredictionCounts {
        let (matched, unmatched) = self.prespawned.counts();
        PredictionCounts { matched, unmatched, ..self.counts }
    }

    /// The next shot that was shown, in the order in which they were: one that only a correction brought comes behind later ones.
    pub fn next_shot(&mut self) -> Option<Shot> {
        self.shots.pop_front()
    }

    /// The next sound that one made oneself, oldest first: it is heard at once, and the server does not tell it. What bursts and
    /// who is hurt is the server's to say.
    pub fn next_sound(&mut self) -> Option<SoundView> {
        self.sounds.pop_front()
    }

    /// The next correction that was shown, oldest first.
    pub fn next_correction(&mut self) -> Option<Correction> {
        self.corrections.pop_front()
    }

    /// The hero as predicted; `None` while nothing is.
    pub fn predicted(&self) -> Option<&Prediction> {
        self.prediction.as_deref().filter(|prediction| prediction.tick() > 0 && self.compared > 0)
    }

    /// What is shown of what one made: predicted id, the server's id once it is known, and where it is.
    pub fn prespawned(&self) -> &Prespawned {
        &self.prespawned
    }

    /// How far off its predicted place the hero is shown, while a correction fades.
    pub fn offset(&self) -> Vec3 {
        self.offset
    }

    /// Compares with the newest state, if it was not yet. To be called before the next input is made.
    pub fn follow(&mut self, client: &ClientCore) {
        let (Some(welcome), Some(frame)) = (client.welcome(), client.newest()) else { return };
        let mine = Mine { slot: welcome.slot, player: welcome.player };
        if self.prediction.as_ref().is_none_or(|prediction| prediction.mine() != mine) {
            let settings =
                MatchSettings { mode: welcome.mode.clone(), tick_rate: welcome.tick_rate, ..MatchSettings::default() };
            if !self.make(mine, settings) {
                return;
            }
        }
        if core::mem::replace(&mut self.beginnings, client.beginnings()) != client.beginnings() {
            self.forget();
        }
        let tick = frame.tick();
        // The part that tells of oneself may be lost, or still be under way.
        let is_told = frame.entity(mine.player).next().is_some_and(|row| row.tick == tick);
        if tick == self.compared || !is_told {
            return;
        }
        // An older tick than the last is another match of the same server.
        let begins = self.compared == 0 || tick < self.compared;
        let before = core::mem::replace(&mut self.compared, tick);
        self.round_from = self.next_round(frame);
        let Some(prediction) = self.prediction.as_deref_mut() else { return };
        self.counts.compared += 1;
        if begins || tick >= prediction.tick() {
            // Nothing was predicted so far.
            prediction.begin_again(0);
            let input = past_at(&self.past, tick);
            prediction.restore(tick, &input.map_or(Input::default(), |past| past.input), told(frame));
            prediction.restore_bodies(tick, told(frame));
            prediction.go_on();
            return;
        }
        let body_wrong = prediction.compare_bodies(tick, told(frame));
        self.prespawned.compare(prediction, frame);
        let wrong = self.first_wrong(frame, mine.player).or(body_wrong.then_some(WATCHED));
        if let Some(wrong) = wrong {
            self.counts.wrong[wrong.min(WATCHED)] += 1;
            let moved = self.again(frame);
            self.note_correction(Correction { tick, before, metres: moved.length(), wrong }, moved);
        } else {
            self.refine(frame, mine.player);
        }
    }

    /// By how much the predicted place behind a tick contradicts the one that was told, which is rounded; `None` if that is
    /// more than rounding.
    fn contradiction(&self, frame: &Frame, me: StableId) -> Option<Vec3> {
        let past = past_at(&self.past, frame.tick())?;
        let told = frame.lanes(me, self.mover?).map(MoverState::from_lanes)?.position;
        let off = told - past.position;
        let most = self.rounding * (2.0 * STEPS_OFF_MAX as f32 + 1.0);
        let rounding = Vec3::splat(self.rounding);
        (off.abs().max_element() <= most).then(|| off - off.clamp(-rounding, rounding))
    }

    /// Everything is as it was predicted but for rounding. Each place that is told bounds the true one, so that what is
    /// predicted comes nearer to it than any single one could say: shots begin there.
    fn refine(&mut self, frame: &Frame, me: StableId) {
        let Some(by) = self.contradiction(frame, me).filter(|by| *by != Vec3::ZERO) else { return };
        for past in self.past.iter_mut().filter(|past| past.tick >= frame.tick()) {
            past.position += by;
        }
        if let Some(prediction) = &mut self.prediction {
            prediction.nudge(by);
        }
    }

    /// Whether the prediction could be made.
    fn make(&mut self, mine: Mine, settings: MatchSettings) -> bool {
        let Some(Maker { rules, map, plugins }) = &self.maker else { return false };
        match Prediction::new(rules.clone(), map.clone(), settings, mine, &**plugins) {
            Ok(made) => self.prediction = Some(Box::new(made)),
            Err(error) => {
                tracing::warn!(%error, "nothing is predicted");
                self.maker = None;
                return false;
            }
        }
        self.forget();
        true
    }

    /// What was predicted is of another match, or of a clock that starts anew.
    fn forget(&mut self) {
        self.past.iter_mut().for_each(|past| past.tick = 0);
        (self.compared, self.offset) = (0, Vec3::ZERO);
        self.prespawned.forget();
        self.sounds.clear();
    }

    /// The first watched component that is not as it was predicted.
    fn first_wrong(&self, frame: &Frame, me: StableId) -> Option<usize> {
        let Some(past) = past_at(&self.past, frame.tick()) else { return Some(0) };
        let mut at = 0;
        for (number, watched) in self.watched.iter().enumerate() {
            let ours = past.lanes.get(at..at + watched.slack.len());
            let (Some(ours), Some(theirs)) = (ours, frame.lanes(me, watched.id)) else { return Some(number) };
            let close = |((one, two), slack): ((&i32, &i32), &u32)| one.abs_diff(*two) <= *slack;
            if !ours.iter().zip(theirs).zip(&watched.slack).all(close) {
                return Some(number);
            }
            at += watched.slack.len();
        }
        None
    }

    /// Takes a state of the past and simulates everything since again. How far that moves what is shown, in metres.
    fn again(&mut self, frame: &Frame) -> Vec3 {
        let Some(mut prediction) = self.prediction.take() else { return Vec3::ZERO };
        let place = |prediction: &Prediction| prediction.own::<MoverState>().map_or(Vec3::ZERO, |own| own.position);
        let (tick, head, before) = (frame.tick(), prediction.tick(), place(&prediction));
        prediction.begin_again(tick);
        let input = self.input_of(tick, Input::default());
        prediction.restore(tick, &input, told(frame));
        self.keep_precision(frame, &mut prediction);
        prediction.restore_bodies(tick, told(frame));
        let mut last = input;
        for next in tick + 1..=head {
            last = self.input_of(next, last);
            self.swap_shown(next, &mut prediction);
            prediction.step(self.foreseen(next, last));
            self.remember(next, last, &prediction);
            self.note_deeds(next, &prediction, true);
            self.swap_shown(next, &mut prediction);
        }
        prediction.go_on();
        self.counts.again += 1;
        self.counts.again_ticks += u64::from(head - tick);
        let moved = before - place(&prediction);
        self.prediction = Some(prediction);
        moved
    }

    /// The place that was predicted is more precise than the one that was told, where the two agree.
    fn keep_precision(&self, frame: &Frame, prediction: &mut Prediction) {
        let me = prediction.mine().player;
        let past = past_at(&self.past, frame.tick());
        let own = prediction.own::<MoverState>().map(|own| own.position);
        if let (Some(past), Some(own), Some(by)) = (past, own, self.contradiction(frame, me)) {
            prediction.nudge(past.position + by - own);
        }
    }

    fn note_correction(&mut self, correction: Correction, moved: Vec3) {
        if correction.metres > CORRECTION_MIN {
            if self.corrections.len() == CORRECTIONS_MAX {
                self.corrections.pop_front();
            }
            self.corrections.push_back(correction);
        }
        self.offset += moved;
        if !self.offset.is_finite() || self.offset.length() > SNAP {
            self.offset = Vec3::ZERO;
        }
    }

    /// What of an input is foreseen: whoever is put somewhere else for a new round fires from there, and nobody knows at what.
    fn foreseen(&self, tick: u32, input: Input) -> Input {
        if tick <= self.round_from { input } else { Input { buttons: input.buttons & !button::FIRE, ..input } }
    }

    /// The tick behind which a round begins of which `frame` does not tell yet, or never.
    fn next_round(&self, frame: &Frame) -> u32 {
        let (Some(state), Some(clock)) =
            (of_match::<MatchState>(frame, self.match_state), of_match::<Clock>(frame, self.clock))
        else {
            return u32::MAX;
        };
        let from = state.phase_until.saturating_add(clock.stood);
        let is_next = matches!(state.phase, Phase::WarmUp | Phase::RoundOver) && from > frame.tick();
        if is_next { from } else { u32::MAX }
    }

    /// The input of a tick; where none was made, as the server makes one up.
    fn input_of(&self, tick: u32, last: Input) -> Input {
        past_at(&self.past, tick).map_or(Input { buttons: last.buttons & HELD, ..last }, |past| past.input)
    }

    fn remember(&mut self, tick: u32, input: Input, prediction: &Prediction) {
        let past = &mut self.past[tick as usize % PAST_TICKS];
        if past.tick != tick {
            past.deeds = Deeds::default();
        }
        (past.tick, past.input) = (tick, input);
        past.position = prediction.own::<MoverState>().map_or(Vec3::ZERO, |own| own.position);
        past.lanes.clear();
        for watched in &self.watched {
            let from = past.lanes.len();
            if !prediction.own_lanes(watched.id, &mut past.lanes) {
                past.lanes.resize(from + watched.slack.len(), -1);
            }
        }
    }

    fn remember_shown(&mut self, tick: u32, prediction: &mut Prediction) {
        let past = &mut self.past[tick as usize % PAST_TICKS];
        past.shown.clear();
        past.shown.extend_from_slice(&prediction.shown().players);
    }

    /// Shows the others as they were shown in a tick of the past, or behind its step, as they are shown now.
    fn swap_shown(&mut self, tick: u32, prediction: &mut Prediction) {
        let past = &mut self.past[tick as usize % PAST_TICKS];
        if past.tick == tick {
            core::mem::swap(&mut past.shown, &mut prediction.shown().players);
        }
    }

    /// Predicts the tick that `input` is for. `show` says where the others are drawn.
    pub fn step(&mut self, tick: u32, input: Input, tick_s: f32, show: impl FnOnce(&mut Shown)) {
        if self.predicted().is_none() {
            return;
        }
        let Some(mut prediction) = self.prediction.take() else { return };
        show(&mut prediction.shown());
        let gap = tick.saturating_sub(prediction.tick() + 1).min(PAST_TICKS as u32);
        // Before the first input the server lets one stand.
        let mut last =
            self.input_of(prediction.tick(), Input { yaw: input.yaw, pitch: input.pitch, ..Input::default() });
        for missing in tick - gap..tick {
            last = self.input_of(missing, last);
            prediction.step(self.foreseen(missing, last));
            self.remember(missing, last, &prediction);
            self.remember_shown(missing, &mut prediction);
        }
        if prediction.tick() + 1 == tick {
            prediction.step(self.foreseen(tick, input));
            self.remember(tick, input, &prediction);
            self.remember_shown(tick, &mut prediction);
            self.counts.ticks += 1;
            self.note_deeds(tick, &prediction, false);
        }
        self.offset *= libm::expf(-tick_s / FADE_S);
        self.prediction = Some(prediction);
    }

    /// Shows what one did in the last step. What was simulated again was shown before, but for what `is_late`: what a correction
    /// brought, which the server decided and of which nothing was to be seen.
    fn note_deeds(&mut self, tick: u32, prediction: &Prediction, is_late: bool) {
        let shown = if is_late { self.deeds_around(tick) } else { Deeds::default() };
        let deeds = &mut self.past[tick as usize % PAST_TICKS].deeds;
        *deeds = deeds.and(deeds_of(prediction));
        self.note_shots((tick, is_late), shown.shots, prediction);
        self.note_sounds(tick, shown, prediction);
    }

    fn deeds_around(&self, tick: u32) -> Deeds {
        let ticks = tick.saturating_sub(SAME_DEED_TICKS)..=tick + SAME_DEED_TICKS;
        let shown = ticks.filter_map(|tick| past_at(&self.past, tick));
        shown.fold(Deeds::default(), |all, past| all.and(past.deeds))
    }

    /// But for what was `shown`.
    fn note_sounds(&mut self, tick: u32, shown: Deeds, prediction: &Prediction) {
        let (me, rules) = (prediction.mine().player, prediction.rules());
        let at = prediction.own::<MoverState>().map_or(Vec3::ZERO, |own| own.position);
        let sound = |noise, number, from| SoundView {
            tick,
            noise,
            origin: SoundOrigin::At(from),
            by: Some(me),
            target: None,
            number: Some(number),
            head: false,
            told: None,
        };
        for cue in prediction.cues() {
            let made = match *cue {
                Cue::Fired { by, weapon, from, .. } if by == me && shown.shots & Deeds::bit(weapon) == 0 => {
                    let behaviour = rules.weapons.get(usize::from(weapon)).map(|weapon| &weapon.behaviour);
                    let noise = match behaviour {
                        Some(Behaviour::Projectile(_)) => Noise::Launch,
                        Some(Behaviour::Melee(_)) => Noise::Swing,
                        Some(Behaviour::Beam(_)) => Noise::Beam,
                        _ => Noise::Shot,
                    };
                    sound(noise, weapon, from)
                }
                Cue::AbilityUsed { by, ability } if by == me && shown.abilities & Deeds::bit(ability) == 0 => {
                    sound(Noise::Ability, ability, at)
                }
                _ => continue,
            };
            if self.sounds.len() == SOUNDS_MAX {
                self.sounds.pop_front();
            }
            self.sounds.push_back(made);
        }
    }

    /// But for those with weapons in `shown`.
    fn note_shots(&mut self, (tick, late): (u32, bool), shown: u64, prediction: &Prediction) {
        for pull in prediction.pulls().filter(|pull| shown & Deeds::bit(pull.weapon) == 0).take(4) {
            if self.shots.len() == SHOTS_MAX {
                self.shots.pop_front();
            }
            self.shots.push_back(Shot { late, ..shot_of(tick, pull, prediction) });
        }
    }
}

/// What one did in the last step.
fn deeds_of(prediction: &Prediction) -> Deeds {
    let me = prediction.mine().player;
    let pulls = prediction.pulls().fold(0, |all, pull| all | Deeds::bit(pull.weapon));
    prediction.cues().iter().fold(Deeds { shots: pulls, abilities: 0 }, |all, cue| match *cue {
        Cue::Fired { by, weapon, .. } if by == me => Deeds { shots: all.shots | Deeds::bit(weapon), ..all },
        Cue::AbilityUsed { by, ability } if by == me => Deeds { abilities: all.abilities | Deeds::bit(ability), ..all },
        _ => all,
    })
}
