//! The whole order of a Tick, like a table of contents. Nothing else decides what runs before what between domains.
//!
//! A plugin puts its systems into one of these sets; inside a set, systems that touch the same data must be ordered by the
//! plugin itself, since an ambiguity is an error when the schedule is built.

use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel, SingleThreadedExecutor};

use crate::hitbox::Shown;
use crate::time::Clock;

/// The schedule of one tick.
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tick;

/// The parts of a tick, in order.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TickSet {
    /// Runs first. Joins, leaves, administration and re-tuning are done; queues of the last tick are empty behind it.
    Commands,
    /// Each player's input of this tick stands in `Controls` behind it.
    Inputs,
    /// Platforms know where they go; players have moved behind it, and their poses are in the history.
    Movement,
    /// Props, doors and platforms have moved; the geometry that rays meet is up to date behind it.
    Physics,
    /// Triggers were pulled, projectiles have flown; damage is queued, nobody was hurt yet.
    Weapons,
    /// Abilities were cast; deployables, shields and areas have acted.
    Abilities,
    /// Effects were added, have ticked and ended; what they do to speed and damage is known.
    Effects,
    /// Queued damage and healing were applied; the dead are dead; loot lies there.
    Vitals,
    /// Points, score, rounds, waves and the end of the match.
    MatchRules,
    /// Last: what happened is in `Events` and `Cues` for the room to read.
    Events,
}

/// An empty schedule with this order, on the single-threaded executor, that refuses ambiguities.
pub fn schedule() -> Schedule {
    let mut schedule = Schedule::new(Tick);
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        hierarchy_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    });
    schedule.configure_sets(
        (
            TickSet::Commands,
            TickSet::Inputs,
            TickSet::Movement,
            TickSet::Physics,
            TickSet::Weapons,
            TickSet::Abilities,
            TickSet::Effects,
            TickSet::Vitals,
            TickSet::MatchRules,
            TickSet::Events,
        )
            .chain(),
    );
    let moving = (
        TickSet::Inputs,
        TickSet::Movement,
        TickSet::Physics,
        TickSet::Weapons,
        TickSet::Abilities,
        TickSet::Effects,
        TickSet::Vitals,
        TickSet::MatchRules,
    );
    schedule.configure_sets(moving.run_if(|clock: Res<'_, Clock>| !clock.stands()));
    // What only the server decides, a client does not foresee.
    let decided = (TickSet::Vitals, TickSet::MatchRules);
    schedule.configure_sets(decided.run_if(not(resource_exists::<Shown>)));
    schedule
}
