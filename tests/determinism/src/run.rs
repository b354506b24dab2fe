//! Plays a generated match in one of the ways that must not matter.

use std::collections::VecDeque;
use std::sync::Mutex;

use anyhow::{Context, Result};
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::MoverState;
use arbiter_sim::index::{Index, Kind};
use arbiter_sim::physics::Physics;
use arbiter_sim::players::Life;
use arbiter_sim::simulation::Simulation;
use arbiter_sim::weapons::Arsenal;
use arbiter_sim::{Command, Rules};

use crate::disturb;
use crate::plan::Plan;
use crate::players::Players;
use crate::random::{Random, mix};

/// One tick in this many is followed by a restore, so that casts, jumps, reloads and contacts are cut in the middle.
const RESTORE_ONE_IN: u32 = 90;
/// Ticks that a thread plays of a room before it takes the next: rooms wander between threads.
const TURN_TICKS: u32 = 50;

/// How a match is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Shuffle entities and archetypes.
    pub shuffle: bool,
    /// Checkpoint at random ticks and go on from that, in turn in the same simulation and in a new one.
    pub restore: bool,
}

/// In the middle of what checkpoints were taken and restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cuts {
    /// Restores.
    pub restores: u64,
    /// Restores with a player in a cast or channel.
    pub casting: u64,
    /// Restores with a player who reloads.
    pub reloading: u64,
    /// Restores with a living player in the air.
    pub in_the_air: u64,
    /// Restores with something in flight.
    pub in_flight: u64,
    /// Restores with bodies in contact.
    pub in_contact: u64,
}

impl Cuts {
    fn note(&mut self, simulation: &Simulation) {
        let view = simulation.view();
        let (mut casting, mut reloading, mut in_the_air) = (false, false, false);
        for id in view.slots().filter_map(|slot| view.player(slot)) {
            casting |= view.get::<Kit>(id).is_some_and(Kit::busy);
            reloading |= view.get::<Arsenal>(id).is_some_and(|arsenal| arsenal.reloading);
            let alive = view.get::<Life>(id).is_some_and(|life| life.alive);
            in_the_air |= alive && view.get::<MoverState>(id).is_some_and(|body| !body.grounded);
        }
        let in_flight = view.resource::<Index>().is_some_and(|index| !index.of(Kind::Projectile).is_empty());
        let in_contact = view.resource::<Physics>().is_some_and(|physics| physics.contacts() > 0);
        self.restores += 1;
        self.casting += u64::from(casting);
        self.reloading += u64::from(reloading);
        self.in_the_air += u64::from(in_the_air);
        self.in_flight += u64::from(in_flight);
        self.in_contact += u64::from(in_contact);
    }

    fn add(&mut self, other: &Self) {
        self.restores += other.restores;
        self.casting += other.casting;
        self.reloading += other.reloading;
        self.in_the_air += other.in_the_air;
        self.in_flight += other.in_flight;
        self.in_contact += other.in_contact;
    }

    /// Each with its name.
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("restores", self.restores),
            ("casting", self.casting),
            ("reloading", self.reloading),
            ("in_the_air", self.in_the_air),
            ("in_flight", self.in_flight),
            ("in_contact", self.in_contact),
        ]
    }
}

/// A generated match as it is played.
pub struct Match {
    plan: Plan,
    way: Way,
    simulation: Simulation,
    players: Players,
    restores: Random,
    commands: Vec<Command>,
    checkpoint: Vec<u8>,
    chain: u64,
    cuts: Cuts,
}

impl Match {
    /// The match of a seed before its first tick.
    pub fn new(seed: u64, way: Way) -> Result<Self> {
        let plan = Plan::new(seed);
        let simulation = build(&plan, way)?;
        Ok(Self {
            players: Players::new(seed, plan.settings.players_max),
            // Not the way's own seed: which ticks are cut must be the same in every leg that cuts.
            restores: Random::new(seed, "restores"),
            plan,
            way,
            simulation,
            commands: Vec::new(),
            checkpoint: Vec::new(),
            chain: 0,
            cuts: Cuts::default(),
        })
    }

    /// Plays one tick and returns the hash of state and events behind it.
    pub fn step(&mut self) -> Result<u64> {
        self.players.next(&mut self.commands);
        self.simulation.step(&self.commands);
        let mut hash = self.simulation.hash();
        for event in self.simulation.events() {
            // Events are few; their text holds every field.
            hash = format!("{event:?}").bytes().fold(hash, |hash, byte| mix(hash ^ u64::from(byte)));
        }
        self.chain = mix(self.chain ^ hash);
        if self.restores.once_in(RESTORE_ONE_IN) {
            let anew = self.restores.once_in(2);
            if self.way.restore {
                self.restore(anew)?;
            }
        }
        Ok(hash)
    }

    fn restore(&mut self, anew: bool) -> Result<()> {
        self.cuts.note(&self.simulation);
        self.checkpoint.clear();
        self.simulation.checkpoint(&mut self.checkpoint);
        if anew {
            self.simulation = build(&self.plan, self.way)?;
        }
        let tick = self.simulation.tick();
        self.simulation.restore(&self.checkpoint).with_context(|| format!("restoring at tick {tick}"))
    }

    /// The simulation as it stands.
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// The hashes of all ticks so far in one.
    pub fn chain(&self) -> u64 {
        self.chain
    }

    /// In the middle of what it was cut so far.
    pub fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// The rules that it is played by.
    pub fn rules(&self) -> &Rules {
        &self.plan.rules
    }
}

fn build(plan: &Plan, way: Way) -> Result<Simulation> {
    let (rules, map) = (plan.rules.clone(), plan.map.clone());
    let seed = plan.seed;
    let shuffle = move |app: &mut bevy_app::App| {
        if way.shuffle {
            disturb::plugin(app, seed);
        }
    };
    Simulation::with_plugins(rules, map, seed, plan.settings.clone(), &shuffle)
        .with_context(|| format!("the match of seed {seed} cannot be built"))
}

/// Plays matches on a pool of threads and returns (seed, chain) in the order of seeds, and where they were cut. With more than one thread, rooms
/// wander between threads every few ticks. `progress` hears how many have been played.
pub fn play(
    seeds: std::ops::Range<u64>,
    ticks: u32,
    way: Way,
    threads: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(Vec<(u64, u64)>, Cuts)> {
    struct Work {
        waiting: std::ops::Range<u64>,
        begun: VecDeque<(u64, u32, Box<Match>)>,
        done: Vec<(u64, u64)>,
        cuts: Cuts,
    }
    let begun = VecDeque::new();
    let work = Mutex::new(Work { waiting: seeds, begun, done: Vec::new(), cuts: Cuts::default() });
    let lock = || work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Twice as many rooms as threads are on the way at a time: enough to wander, few enough for the memory.
    let rooms_max = threads * 2;
    let worker = || -> Result<()> {
        loop {
            let mut queue = lock();
            let begun = queue.begun.len() >= rooms_max || queue.waiting.is_empty();
            let taken = if begun { queue.begun.pop_front() } else { None };
            let next = if taken.is_none() { queue.waiting.next() } else { None };
            drop(queue);
            let (seed, from, mut room) = match (taken, next) {
                (Some(taken), _) => taken,
                (None, Some(seed)) => (seed, 0, Box::new(Match::new(seed, way)?)),
                // What is left is being played by the others.
                (None, None) => return Ok(()),
            };
            let until = if threads == 1 { ticks } else { ticks.min(from + TURN_TICKS) };
            for tick in from..until {
                room.step().with_context(|| format!("match {seed}, tick {}", tick + 1))?;
            }
            let chain = room.chain();
            let mut queue = lock();
            if until == ticks {
                queue.cuts.add(room.cuts());
                queue.done.push((seed, chain));
                progress(queue.done.len());
            } else {
                queue.begun.push_back((seed, until, room));
            }
        }
    };
    if threads <= 1 {
        // On the caller's own thread: an emulator may know no others.
        worker()?;
    } else {
        std::thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            for worker in workers {
                worker.join().map_err(|_| anyhow::anyhow!("a match panicked; see above"))??;
            }
            Ok(())
        })?;
    }
    let Work { mut done, cuts, .. } = work.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable();
    Ok((done, cuts))
}
