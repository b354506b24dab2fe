//! Bots: players made of code that see what a player sees and press what a player presses. They are clients like any
//! other: nothing here knows the server's state.
//!
//! [`brain`] decides, [`navigation`] walks, [`aim`] is the hand, [`senses`] the eyes, [`kit`] what a hero can do.

pub mod aim;
pub mod brain;
pub mod cheat;
pub mod kit;
pub mod navigation;
pub mod senses;

use core::time::Duration;
use std::sync::Arc;

use arbiter_schema::Registry;
use arbiter_sim::collide::{DynamicWorld, SolidError, StaticWorld, World};
use arbiter_sim::{Input, Loadout, Map, Rules, button};
use glam::Vec3;

use crate::client::ClientCore;
use crate::prediction::OwnHero;
use crate::view::WorldView;
use crate::world::WorldReader;
use brain::{Brain, Surroundings};
use cheat::{Cheat, Cheater};
use navigation::Graph;
use senses::Sight;

/// A bot makes up for at most this many seconds that it has not thought.
const THINK_MAX_S: f32 = 0.1;

/// Sight through the solids of a map that never move.
struct StaticSight {
    statics: StaticWorld,
    nothing: DynamicWorld,
}

impl Sight for StaticSight {
    fn clear(&self, from: Vec3, to: Vec3) -> bool {
        World { statics: &self.statics, dynamics: &self.nothing }.sees(from, to)
    }
}

impl Surroundings {
    /// What bots need to know of a map and of rules. The error names a solid of the map that cannot be looked past.
    pub fn new(rules: &Rules, map: Arc<Map>) -> Result<Self, SolidError> {
        let mut nothing = DynamicWorld::default();
        nothing.build();
        Ok(Self {
            graph: Graph::new(&map),
            sight: Box::new(StaticSight { statics: StaticWorld::new(&map.solids)?, nothing }),
            heroes: kit::heroes(rules),
            pickup_heals: kit::pickup_heals(rules),
            map,
        })
    }
}

/// A bot with its client: bytes in, bytes out, time passed in.
pub struct Bot {
    /// The client that it plays through.
    pub client: ClientCore,
    brain: Brain,
    cheater: Option<Cheater>,
    reader: WorldReader,
    /// Its own hero, ahead of the server.
    pub own: OwnHero,
    view: WorldView,
    thought: Option<Duration>,
    last_input: u32,
}

impl Bot {
    /// A bot that wishes to play as `loadout` says and decides by `seed`.
    pub fn new(registry: &Registry, rules: Arc<Rules>, loadout: Loadout, seed: u64) -> Self {
        Self {
            client: ClientCore::new(registry, loadout),
            brain: Brain::new(seed),
            cheater: None,
            reader: WorldReader::new(registry, rules),
            own: OwnHero::new(registry),
            view: WorldView::default(),
            thought: None,
            last_input: 0,
        }
    }

    /// Turns hostile.
    pub fn cheat(&mut self, cheat: Cheat) {
        self.cheater = Some(Cheater::new(cheat));
    }

    /// How often each of its datagrams is sent: once, if it is honest.
    pub fn copies(&self) -> usize {
        self.cheater.as_ref().map_or(1, Cheater::copies)
    }

    /// What it knows.
    pub fn view(&self) -> &WorldView {
        &self.view
    }

    /// The tick that it made its last input for; 0 before the first.
    pub fn last_input(&self) -> u32 {
        self.last_input
    }

    /// Makes the inputs that are due and appends the body that carries them; `false` if none was due.
    pub fn think(&mut self, around: &Surroundings, now: Duration, out: &mut Vec<u8>) -> bool {
        while let Some(tick) = self.client.next_input(now) {
            self.own.follow(&self.client);
            self.reader.read(&mut self.client, &self.own, now, tick, &mut self.view);
            self.view.sounds.extend(core::iter::from_fn(|| self.own.next_sound()));
            let since = self.thought.map_or(0.0, |thought| now.saturating_sub(thought).as_secs_f32());
            self.thought = Some(now);
            let input = self.brain.think(&self.view, around, since.clamp(0.001, THINK_MAX_S));
            let Self { client, reader, own, view, cheater, .. } = self;
            let mut input = input;
            match cheater {
                None => client.push_input(tick, input),
                Some(cheater) => cheater.bend(view, around, tick, input, &mut |at, bent| {
                    client.push_input(at, bent);
                    input = bent;
                }),
            }
            self.last_input = tick;
            own.step(tick, sent(tick, input), client.clock().tick_s() as f32, |shown| {
                reader.show(client, view, tick, shown);
            });
        }
        if self.cheater.as_ref().is_some_and(Cheater::is_silent) {
            return false;
        }
        self.client.write_datagram(out)
    }
}

/// An input as the server will apply it.
fn sent(tick: u32, input: Input) -> Input {
    Input {
        buttons: input.buttons & button::ALL,
        move_right: input.move_right.max(-127),
        move_forward: input.move_forward.max(-127),
        view_tick: input.view_tick.min(tick.saturating_sub(1)),
        ..input
    }
}
