//! One's own hero, shown ahead of the server: inputs take effect at once, and what the server tells is compared with what was
//! predicted for that tick. Where they differ the state of that tick is taken and everything since is simulated again; what
//! that moves on the screen is a correction, and fades.
//!
//! The simulation is [`arbiter_sim::prediction`]; here stand the past, the comparing and the fading.

use std::collections::VecDeque;
use std::sync::Arc;

use arbiter_schema::{ComponentId, Describe, Registry, StableId};
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::MoverState;
use arbiter_sim::effects::Afflictions;
use arbiter_sim::movement::Mobility;
use arbiter_sim::players::Life;
use arbiter_sim::prediction::{Mine, Prediction, Shown, Told};
use arbiter_sim::vitals::Vitals;
use arbiter_sim::weapons::Arsenal;
use arbiter_sim::{Input, Map, MatchSettings, Rules, button};
use arbiter_snapshot::Frame;
use bevy_app::App;
use glam::Vec3;

use crate::client::ClientCore;
use crate::prespawn::Prespawned;
use crate::shots::{Shot, shot_of};

/// Adds a studio's own plugins to a simulation.
pub type Plugins = Arc<dyn Fn(&mut App) + Send + Sync>;

/// Ticks that are remembered: half a second at the highest rate, as many as the server lets inputs lie ahead.
const PAST_TICKS: usize = 64;
/// Lanes of what is measured (metres, metres a second, degrees) may be so many steps off: told states are rounded, and rounded
/// anew whenever one is taken. Three steps of a place are 12 mm.
const STEPS_OFF_MAX: u32 = 3;
/// Metres that nobody sees: what moves less than a hand's breadth in fifty is no correction.
pub const CORRECTION_MIN: f32 = 0.02;
/// Metres from which a correction is not faded but done: a teleport or a respawn.
const SNAP: f32 = 2.0;
/// A correction fades with this time constant, in seconds: gone in a third of one.
const FADE_S: f32 = 0.1;
/// Shots that wait to be read; older ones go first.
const SHOTS_MAX: usize = 256;
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
    /// Corrections that can be seen and have no cause but one's own deeds.
    pub corrections: u64,
    /// Metres of all of them.
    pub correction_m: f32,
    /// Metres of the largest.
    pub correction_max_m: f32,
    /// Corrections that followed what others did in that moment: hits that push, effects, death. Nobody can foresee those.
    pub pushed: u64,
    /// Metres of all of them.
    pub pushed_m: f32,
    /// Times that each component was the first that was not as predicted: movement, mobility, weapons, abilities, effects,
    /// life.
    pub wrong: [u64; WATCHED],
    /// Things that were shown before the server told of them, and that it did tell of.
    pub matched: u64,
    /// Things that it never told of.
    pub unmatched: u64,
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

/// One tick that was predicted.
#[derive(Default)]
struct Past {
    tick: u32,
    input: Input,
    /// Of the watched components, one after the other.
    lanes: Vec<i32>,
}

/// See the module.
pub struct OwnHero {
    maker: Option<Maker>,
    watched: Vec<Watched>,
    vitals: Option<ComponentId>,
    life: Option<ComponentId>,
    afflictions: Option<ComponentId>,
    prediction: Option<Box<Prediction>>,
    past: Vec<Past>,
    compared: u32,
    health: f32,
    outside: Vec<i32>,
    offset: Vec3,
    prespawned: Prespawned,
    shots: VecDeque<Shot>,
    counts: PredictionCounts,
    lanes: Vec<i32>,
}

fn watched(registry: &Registry, name: &str) -> Option<Watched> {
    let component = registry.find(name)?;
    let slack = component.lanes.iter().map(|lane| {
        let spec = component.fields.iter().find(|field| field.name == lane.field).and_then(|field| field.spec);
        if spec.is_some_and(|spec| spec.step < 1.0) { STEPS_OFF_MAX } else { 0 }
    });
    Some(Watched { id: component.id, slack: slack.collect() })
}

fn told(frame: &Frame) -> impl Iterator<Item = Told<'_>> {
    frame.rows().map(|row| (row.id, row.component, row.lanes))
}

impl OwnHero {
    /// For the components of a registry. Predicts nothing until [`Self::predict`].
    pub fn new(registry: &Registry) -> Self {
        let names = [MoverState::NAME, Mobility::NAME, Arsenal::NAME, Kit::NAME, Afflictions::NAME, Life::NAME];
        let number = |name| registry.find(name).map(|component| component.id);
        Self {
            maker: None,
            watched: names.into_iter().filter_map(|name| watched(registry, name)).collect(),
            vitals: number(Vitals::NAME),
            life: number(Life::NAME),
            afflictions: number(Afflictions::NAME),
            prediction: None,
            past: Vec::new(),
            compared: 0,
            health: 0.0,
            outside: Vec::new(),
            offset: Vec3::ZERO,
            prespawned: Prespawned::new(registry),
            shots: VecDeque::new(),
            counts: PredictionCounts::default(),
            lanes: Vec::new(),
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

    /// The next shot that was shown, oldest first.
    pub fn next_shot(&mut self) -> Option<Shot> {
        self.shots.pop_front()
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
        let tick = frame.tick();
        // The part that tells of oneself may be lost, or still be under way.
        let is_told = frame.entity(mine.player).next().is_some_and(|row| row.tick == tick);
        if tick == self.compared || !is_told {
            return;
        }
        // An older tick than the last is another match of the same server.
        let begins = self.compared == 0 || tick < self.compared;
        self.compared = tick;
        let from_outside = self.note_outside(frame, mine.player);
        let Some(prediction) = self.prediction.as_deref_mut() else { return };
        self.counts.compared += 1;
        if begins || tick >= prediction.tick() {
            // Nothing was predicted so far.
            prediction.begin_again(0);
            let input = self.past.get(tick as usize % PAST_TICKS).filter(|past| past.tick == tick);
            prediction.restore(tick, &input.map_or(Input::default(), |past| past.input), told(frame));
            prediction.place_bodies(true, || told(frame));
            prediction.go_on();
            return;
        }
        prediction.place_bodies(false, || told(frame));
        self.prespawned.compare(prediction, frame);
        if let Some(wrong) = self.first_wrong(frame, mine.player) {
            self.counts.wrong[wrong.min(WATCHED - 1)] += 1;
            self.again(frame, from_outside);
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
        self.past.iter_mut().for_each(|past| past.tick = 0);
        (self.compared, self.offset) = (0, Vec3::ZERO);
        self.prespawned.forget();
        true
    }

    /// Whether others have done something to one since the last comparison.
    fn note_outside(&mut self, frame: &Frame, me: StableId) -> bool {
        let vitals = self.vitals.and_then(|id| frame.lanes(me, id)).map(Vitals::from_lanes).unwrap_or_default();
        let health = vitals.health + vitals.armour + vitals.shield;
        self.lanes.clear();
        for id in [self.life, self.afflictions].into_iter().flatten() {
            self.lanes.extend(frame.lanes(me, id).unwrap_or_default());
        }
        let changed = health < self.health || self.lanes != self.outside;
        self.health = health;
        core::mem::swap(&mut self.lanes, &mut self.outside);
        changed
    }

    /// The first watched component that is not as it was predicted.
    fn first_wrong(&self, frame: &Frame, me: StableId) -> Option<usize> {
        let tick = frame.tick();
        let Some(past) = self.past.get(tick as usize % PAST_TICKS).filter(|past| past.tick == tick) else {
            return Some(0);
        };
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

    /// Takes a state of the past and simulates everything since again.
    fn again(&mut self, frame: &Frame, from_outside: bool) {
        let Some(mut prediction) = self.prediction.take() else { return };
        let place = |prediction: &Prediction| prediction.own::<MoverState>().map_or(Vec3::ZERO, |own| own.position);
        let (tick, head, before) = (frame.tick(), prediction.tick(), place(&prediction));
        prediction.begin_again(tick);
        let input = self.input_of(tick, Input::default());
        prediction.restore(tick, &input, told(frame));
        prediction.place_bodies(true, || told(frame));
        let mut last = input;
        for next in tick + 1..=head {
            last = self.input_of(next, last);
            prediction.step(last);
            self.remember(next, last, &prediction);
        }
        prediction.go_on();
        self.counts.again += 1;
        self.counts.again_ticks += u64::from(head - tick);
        self.note_correction(before - place(&prediction), from_outside);
        self.prediction = Some(prediction);
    }

    fn note_correction(&mut self, moved: Vec3, from_outside: bool) {
        let metres = moved.length();
        // Who is put somewhere else by others comes back to life or was teleported: that is news and not an error.
        let placed = from_outside && metres > SNAP;
        if metres > CORRECTION_MIN && !placed {
            if from_outside {
                self.counts.pushed += 1;
                self.counts.pushed_m += metres;
            } else {
                self.counts.corrections += 1;
                self.counts.correction_m += metres;
                self.counts.correction_max_m = self.counts.correction_max_m.max(metres);
            }
        }
        self.offset += moved;
        if !self.offset.is_finite() || self.offset.length() > SNAP {
            self.offset = Vec3::ZERO;
        }
    }

    /// The input of a tick; where none was made, as the server makes one up.
    fn input_of(&self, tick: u32, last: Input) -> Input {
        let past = self.past.get(tick as usize % PAST_TICKS).filter(|past| past.tick == tick);
        past.map_or(Input { buttons: last.buttons & HELD, ..last }, |past| past.input)
    }

    fn remember(&mut self, tick: u32, input: Input, prediction: &Prediction) {
        let past = &mut self.past[tick as usize % PAST_TICKS];
        (past.tick, past.input) = (tick, input);
        past.lanes.clear();
        for watched in &self.watched {
            let from = past.lanes.len();
            if !prediction.own_lanes(watched.id, &mut past.lanes) {
                past.lanes.resize(from + watched.slack.len(), -1);
            }
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
        let mut last = input;
        for missing in tick - gap..tick {
            last = self.input_of(missing, last);
            prediction.step(last);
            self.remember(missing, last, &prediction);
        }
        if prediction.tick() + 1 == tick {
            prediction.step(input);
            self.remember(tick, input, &prediction);
            self.counts.ticks += 1;
            self.note_shots(tick, &prediction);
        }
        self.offset *= libm::expf(-tick_s / FADE_S);
        self.prediction = Some(prediction);
    }

    fn note_shots(&mut self, tick: u32, prediction: &Prediction) {
        let mut made = arrayvec::ArrayVec::<Shot, 4>::new();
        for pull in prediction.pulls().take(4) {
            made.push(shot_of(tick, pull, prediction));
        }
        for shot in made {
            if self.shots.len() == SHOTS_MAX {
                self.shots.pop_front();
            }
            self.shots.push_back(shot);
        }
    }
}
