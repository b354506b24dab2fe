//! A system that a studio might have written badly: it panics when it is told to, or when a player moves at the wrong moment. It keeps
//! no state of the match, so that recordings replay without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbiter_server::Plugins;
use arbiter_sim::Command;
use arbiter_sim::simulation::TickCommands;
use arbiter_sim::tick::{Tick, TickSet};
use arbiter_sim::time::Clock;
use bevy_app::App;
use bevy_ecs::prelude::*;

/// Why a tick panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Something outside of the match, once.
    World,
    /// What players do in that tick: as often as they do it.
    Input,
    /// Whatever is tried.
    Always,
}

/// Not armed.
const NEVER: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub struct Saboteur {
    /// The tick that panics.
    tick: AtomicU32,
    /// As a number: world, input, always.
    cause: AtomicU32,
    /// Panics of that tick.
    fired: AtomicU32,
    /// Microseconds since 1970.
    fired_at: AtomicU64,
}

pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Saboteur {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            tick: AtomicU32::new(NEVER),
            cause: AtomicU32::new(0),
            fired: AtomicU32::new(0),
            fired_at: AtomicU64::new(0),
        })
    }

    /// Adds it to a simulation.
    pub fn plugins(self: &Arc<Self>) -> Plugins {
        let saboteur = Arc::clone(self);
        Arc::new(move |app: &mut App| {
            let saboteur = Arc::clone(&saboteur);
            let system = move |clock: Res<'_, Clock>, commands: Res<'_, TickCommands>| {
                saboteur.look(clock.number, &commands.0);
            };
            app.add_systems(Tick, system.after(TickSet::Weapons).before(TickSet::Abilities));
        })
    }

    /// From this tick on the first that can panics.
    pub fn arm(&self, tick: u32, cause: Cause) {
        self.fired.store(0, Ordering::SeqCst);
        self.cause.store(cause as u32, Ordering::SeqCst);
        self.tick.store(tick, Ordering::SeqCst);
    }

    pub fn disarm(&self) {
        self.tick.store(NEVER, Ordering::SeqCst);
    }

    /// When it panicked first, once it has.
    pub fn fired(&self) -> Option<Duration> {
        (self.fired.load(Ordering::SeqCst) > 0).then(|| Duration::from_micros(self.fired_at.load(Ordering::SeqCst)))
    }

    fn look(&self, number: u32, commands: &[Command]) {
        let (tick, fired) = (self.tick.load(Ordering::SeqCst), self.fired.load(Ordering::SeqCst));
        let acts = |command: &Command| {
            matches!(command, Command::Input { input, .. }
                if input.buttons != 0 || input.move_forward != 0 || input.move_right != 0)
        };
        let due = match self.cause.load(Ordering::SeqCst) {
            0 => number >= tick && fired == 0,
            1 => (number == tick || number > tick && fired == 0) && commands.iter().any(acts),
            _ => number == tick || number > tick && fired == 0,
        };
        if tick == NEVER || !due {
            return;
        }
        if fired == 0 {
            self.fired_at.store(now().as_micros() as u64, Ordering::SeqCst);
            self.tick.store(number, Ordering::SeqCst);
        }
        self.fired.store(fired + 1, Ordering::SeqCst);
        panic!("{WORDS} {number}");
    }
}

/// What its panics say first.
const WORDS: &str = "sabotage of tick";

/// Leaves its panics out of what is printed, where a hundred backtraces that are meant to be would hide one that is not.
pub fn keep_quiet() {
    let plain = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(|said| said.starts_with(WORDS)) {
            plain(panic);
        }
    }));
}
