//! Interest management: what each client may know, in which order it is told, and what it may not know any more.
//!
//! Law 3: nothing a player may not know is sent to that player. An enemy who cannot come into view within the latency
//! horizon is not told, nor anything of theirs that is out of view. Once a tick, [`Interest::look`] takes in the match, then
//! each client's [`Watcher`] judges what is due and makes two lists: [`Watcher::wanted`] and [`Watcher::gone`]. The encoder
//! says what it told with [`Watcher::told`] and [`Watcher::forgotten`]. It costs what docs/decisions/visibility.md says.
//!
//! `scene` is what there is, `reach` where it may be in a moment, `shaft` whether there is a line of sight, `above` the same at
//! a glance where an upright box hides all, `watcher` one client's view of it, `rank` what goes first, `hearing` who hears what;
//! `marks` is what there is in short, `pairs` what a client remembers of it, and `sweep` walks along both.

mod above;
mod aim;
mod grid;
pub mod hearing;
mod marks;
mod pairs;
pub mod rank;
pub mod reach;
mod reader;
mod scene;
mod settings;
pub mod shaft;
mod sweep;
mod watcher;

use arbiter_schema::StableId;
use arbiter_sim::Simulation;
use hearing::Noises;

pub use hearing::{Ears, Heard};
pub(crate) use pairs::News;
pub use scene::{Body, Scene, Secrecy};
pub use settings::{ENTITIES_MAX, HORIZON_MS, HORIZON_MS_MAX, HORIZON_SLACK_MS, InterestSettings, RANGE_M};
pub use watcher::{COST_PER_SECOND, COST_PER_TICK_ALL, WANTED_MAX, Watcher};

/// Interest management of one match.
#[derive(Debug)]
pub struct Interest {
    settings: InterestSettings,
    scene: Scene,
    watchers: Vec<Watcher>,
    /// For each team and place whether somebody of the team saw what stands there in the last tick.
    sights: Vec<bool>,
    noises: Noises,
}

impl Interest {
    /// For a match; another match needs another one.
    pub fn new(simulation: &Simulation, settings: InterestSettings) -> Self {
        let slots = simulation.settings().players_max;
        let watchers = (0..slots).map(|slot| Watcher::new(slot, &settings)).collect();
        let teams = usize::from(u8::MAX) + 1;
        let sights = if settings.team_sight { vec![false; teams * ENTITIES_MAX] } else { Vec::new() };
        Self { settings, scene: Scene::new(simulation), watchers, sights, noises: Noises::default() }
    }

    /// Takes in the match behind a tick. Call it once a tick, before any client is served.
    pub fn look(&mut self, simulation: &Simulation) {
        if self.settings.team_sight {
            self.sights.fill(false);
            for watcher in &self.watchers {
                let team = usize::from(watcher.team());
                watcher.for_each_seen(&self.scene, |place| self.sights[team * ENTITIES_MAX + place as usize] = true);
            }
        }
        self.scene.look(simulation);
        self.noises.gather(&self.scene, simulation);
    }

    /// What is left out to save time, from the next look on: clients are served every so many ticks by turns, and whether far entities
    /// are told rarely.
    pub fn shed(&mut self, stride: u32, thin: bool) {
        (self.scene.stride, self.scene.thin) = (stride.max(1), thin);
    }

    /// What there is.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Serves one client; `None` if there is no such slot.
    pub fn watch(&mut self, slot: u16) -> Option<&mut Watcher> {
        let (watch, _, watchers) = self.split();
        let watcher = watchers.get_mut(usize::from(slot))?;
        watch(watcher);
        Some(watcher)
    }

    /// The watcher of a slot as its last look left it.
    pub fn watcher(&mut self, slot: u16) -> Option<&mut Watcher> {
        self.watchers.get_mut(usize::from(slot))
    }

    /// From now on what clients are told of is kept for those who watch.
    pub(crate) fn keep_watched(&mut self) {
        self.watchers.iter_mut().for_each(Watcher::keep_watched);
    }

    /// What clients were told of since the last call, by slot; all of it if it is `again` to be said.
    pub(crate) fn take_watched(&mut self, again: bool) -> impl Iterator<Item = (u16, News)> + '_ {
        let watchers = (0..).zip(&mut self.watchers);
        watchers.flat_map(move |(slot, watcher)| watcher.take_watched(again).map(move |news| (slot, news)))
    }

    /// All watchers by slot.
    pub fn watchers(&self) -> &[Watcher] {
        &self.watchers
    }

    /// Whether the client in a slot may know an entity, as its last look left it.
    pub fn may_know(&self, slot: u16, id: StableId) -> bool {
        self.watchers.get(usize::from(slot)).is_some_and(|watcher| watcher.may_know(&self.scene, id))
    }

    /// What clients hear with.
    pub fn ears(&self) -> Ears<'_> {
        Ears { scene: &self.scene, noises: &self.noises }
    }

    /// What serves a client, what clients hear with, and all watchers by slot: to serve them on many threads. The order makes no
    /// difference.
    pub fn split(&mut self) -> (impl Fn(&mut Watcher) + Sync + '_, Ears<'_>, &mut [Watcher]) {
        let (scene, settings, sights) = (&self.scene, &self.settings, &self.sights);
        let ears = Ears { scene, noises: &self.noises };
        let watch = move |watcher: &mut Watcher| {
            let team = usize::from(watcher.team());
            let see = |place: u32| team != 0 && sights.get(team * ENTITIES_MAX + place as usize) == Some(&true);
            watcher.look(scene, settings, &see);
        };
        (watch, ears, &mut self.watchers)
    }
}
