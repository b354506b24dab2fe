//! Plays a generated match in one of the ways that must not matter.

use std::collections::VecDeque;
use std::sync::Mutex;

use anyhow::{Context, Result};
use arbiter_sim::simulation::Simulation;
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

/// Plays matches on a pool of threads and returns (seed, chain) in the order of seeds. With more than one thread, rooms
/// wander between threads every few ticks.
pub fn play(seeds: std::ops::Range<u64>, ticks: u32, way: Way, threads: usize) -> Result<Vec<(u64, u64)>> {
    struct Work {
        waiting: std::ops::Range<u64>,
        begun: VecDeque<(u64, u32, Box<Match>)>,
        done: Vec<(u64, u64)>,
    }
    let work = Mutex::new(Work { waiting: seeds, begun: VecDeque::new(), done: Vec::new() });
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
            if until == ticks { queue.done.push((seed, chain)) } else { queue.begun.push_back((seed, until, room)) }
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a match panicked; see above"))??;
        }
        Ok(())
    })?;
    let mut done = work.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).done;
    done.sort_unstable();
    Ok(done)
}
