//! What is left out while a process has more to do than time, so that no tick is late: first spectators, then far detail, then every
//! second and third snapshot. Nothing of it reaches a simulation, whose rate never changes.
//!
//! Threads of the pool note what each turn of a room took (`Shedding::note_turn`); the thread `watch` looks at it five times a second
//! (`Shedding::look`) and lets a [`Governor`] decide; rooms and socket threads ask for the step when they have something that could be
//! left out. What a step means stands where it is done: `room::gallery`, `room::replication`, `interest`. Why it is so:
//! docs/decisions/shedding.md.

mod governor;

use core::time::Duration;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub use governor::{DOWN_BELOW, DOWN_DWELL, DOWN_DWELL_MAX, Governor, SOON, UP_ABOVE, UP_DWELL};

/// Whoever may not watch now should ask again after so long: two steps are given back by then, if the load is gone.
pub const RETRY: Duration = Duration::from_secs(15);

/// Of pictures for spectators every so many are shown while they are shed.
pub(crate) const SPECTATORS_EVERY: u64 = 3;

/// A turn counts as late by at most so many periods: one that the system held for a second says little of the load.
const LATE_MAX: u64 = 2;

/// What is left out. Each step leaves out what the ones before do, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing.
    #[default]
    Nothing,
    /// Spectators are shown a third of the pictures, and nobody new may watch.
    SpectatorsRarer,
    /// Nobody may watch; those who did are told so and let go.
    SpectatorsGone,
    /// Far entities are told rarely, and no kill cam begins. No match that is ordered begins, and nobody new is sent here.
    FarDetail,
    /// Each player is told every second tick.
    HalfRate,
    /// Each player is told every third tick.
    ThirdRate,
}

impl Step {
    /// All of them, in their order; the place is the number in figures.
    pub const ALL: [Self; 6] =
        [Self::Nothing, Self::SpectatorsRarer, Self::SpectatorsGone, Self::FarDetail, Self::HalfRate, Self::ThirdRate];

    /// As figures have it.
    pub fn number(self) -> u8 {
        self as u8
    }

    fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// In figures and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SpectatorsRarer => "spectators_rarer",
            Self::SpectatorsGone => "spectators_gone",
            Self::FarDetail => "far_detail",
            Self::HalfRate => "half_rate",
            Self::ThirdRate => "third_rate",
        }
    }

    /// Every how many ticks a player is told.
    pub fn stride(self) -> u32 {
        match self {
            Self::ThirdRate => 3,
            Self::HalfRate => 2,
            _ => 1,
        }
    }
}

/// Whether a server sheds load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shed {
    /// Never: ticks are late when there is too much to do.
    #[default]
    Off,
    /// As the load wants it.
    Auto,
    /// For tests: the same, and given back ten times as soon.
    #[doc(hidden)]
    Hurried,
    /// For tests and benches: always at this step.
    #[doc(hidden)]
    Held(Step),
}

/// What was left out so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ShedStats {
    /// What is left out now.
    pub step: Step,
    /// The share of their time that ticks take, smoothed: 1 is all of it.
    pub load: f32,
    /// Microseconds at each step, in the order of [`Step::ALL`].
    pub spent_us: [u64; Step::ALL.len()],
    /// How often each step was taken, coming from below.
    pub taken: [u64; Step::ALL.len()],
    /// Spectators who were let go.
    pub spectators_let_go: u64,
    /// Spectators who were not let in.
    pub spectators_refused: u64,
    /// Pictures that spectators were not shown.
    pub spectator_snapshots: u64,
    /// Far entities that could have been told in a snapshot and were held back.
    pub entities: u64,
    /// Snapshots that players were not told.
    pub snapshots: u64,
    /// Kill cams that did not begin.
    pub kill_cams: u64,
}

impl ShedStats {
    /// What was left out, with its names in figures.
    pub fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("spectators_let_go", self.spectators_let_go),
            ("spectators_refused", self.spectators_refused),
            ("spectator_snapshots", self.spectator_snapshots),
            ("entities", self.entities),
            ("snapshots", self.snapshots),
            ("kill_cams", self.kill_cams),
        ]
    }
}

/// What is noted of one room between two looks.
#[derive(Debug, Default)]
struct Meter {
    turns: AtomicU64,
    /// From when a turn was due until it was done, all of them.
    used_us: AtomicU64,
}

/// What of it the thread `watch` keeps.
#[derive(Debug)]
struct Book {
    governor: Governor,
    looked: Instant,
    stats: ShedStats,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shedding {
    mode: Shed,
    step: AtomicU8,
    period_us: u64,
    threads: AtomicU64,
    /// Thread CPU of all turns since the last look.
    busy_us: AtomicU64,
    /// By room.
    meters: Vec<Meter>,
    book: Mutex<Book>,
}

impl Shedding {
    pub fn new(mode: Shed, rooms: u16, tick_rate: u16) -> Self {
        let held = if let Shed::Held(step) = mode { step } else { Step::Nothing };
        let governor = if mode == Shed::Hurried { Governor::new(DOWN_DWELL / 10) } else { Governor::default() };
        let stats = ShedStats { step: held, ..ShedStats::default() };
        Self {
            mode,
            step: AtomicU8::new(held.number()),
            period_us: 1_000_000 / u64::from(tick_rate.max(1)),
            threads: AtomicU64::new(1),
            busy_us: AtomicU64::new(0),
            meters: (0..rooms).map(|_| Meter::default()).collect(),
            book: Mutex::new(Book { governor, looked: Instant::now(), stats }),
        }
    }

    /// What is left out now.
    pub fn step(&self) -> Step {
        Step::of(self.step.load(Ordering::Relaxed))
    }

    /// Whether spectators are let in.
    pub fn lets_watch(&self) -> bool {
        self.step() < Step::SpectatorsRarer
    }

    /// Whether matches may begin that nobody waits for yet, and players be sent here.
    pub fn takes_matches(&self) -> bool {
        self.step() < Step::FarDetail
    }

    /// Whether the load decides.
    fn decides(&self) -> bool {
        matches!(self.mode, Shed::Auto | Shed::Hurried)
    }

    /// So many threads share the turns.
    pub fn set_threads(&self, threads: usize) {
        self.threads.store(threads.max(1) as u64, Ordering::Relaxed);
    }

    /// A room had its turn: due at `deadline`, done by `now`, with so much CPU of its thread.
    pub fn note_turn(&self, room: u16, deadline: Instant, now: Instant, busy_us: u64) {
        let Some(meter) = self.meters.get(usize::from(room)).filter(|_| self.decides()) else { return };
        let used_us = now.saturating_duration_since(deadline).as_micros() as u64;
        meter.used_us.fetch_add(used_us.min(self.period_us * LATE_MAX), Ordering::Relaxed);
        meter.turns.fetch_add(1, Ordering::Relaxed);
        self.busy_us.fetch_add(busy_us, Ordering::Relaxed);
    }

    /// Looks at what was noted since the last time and decides.
    pub fn look(&self, now: Instant, is_watched: bool) {
        let mut book = self.book();
        let passed = now.saturating_duration_since(book.looked);
        if passed.is_zero() {
            return;
        }
        book.looked = now;
        let before = self.step();
        book.stats.spent_us[usize::from(before.number())] += passed.as_micros() as u64;
        if !self.decides() {
            return;
        }
        let load = self.take_load(passed);
        let step = book.governor.decide(now, passed, load, is_watched);
        (book.stats.load, book.stats.step) = (book.governor.load(), step);
        self.step.store(step.number(), Ordering::Relaxed);
        let load_percent = (book.governor.load() * 100.0).round();
        if step > before {
            book.stats.taken[usize::from(step.number())] += 1;
            tracing::warn!(step = step.name(), load_percent, "there is more to do than time: load is shed");
        } else if step < before {
            tracing::info!(step = step.name(), load_percent, "load is shed no more than that");
        }
    }

    /// The share of its time that the pool was busy, or that the room took which is worst off, since the last look.
    fn take_load(&self, passed: Duration) -> f32 {
        let threads_us = passed.as_micros() as u64 * self.threads.load(Ordering::Relaxed);
        let busy = self.busy_us.swap(0, Ordering::Relaxed) as f32 / threads_us.max(1) as f32;
        let worst = self.meters.iter().map(|meter| {
            let (turns, used_us) = (meter.turns.swap(0, Ordering::Relaxed), meter.used_us.swap(0, Ordering::Relaxed));
            used_us as f32 / (turns.max(1) * self.period_us) as f32
        });
        worst.fold(busy, f32::max)
    }

    /// Counts what was left out.
    pub fn note(&self, change: impl FnOnce(&mut ShedStats)) {
        change(&mut self.book().stats);
    }

    pub fn stats(&self) -> ShedStats {
        self.book().stats
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        // Numbers stay numbers, whatever panicked while it held them.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a pool of so many threads: rooms at 50 Hz that take so many milliseconds each and are late by so many.
    fn load_of(threads: usize, rooms: &[(u64, u64)]) -> f32 {
        let shedding = Shedding::new(Shed::Auto, rooms.len() as u16, 50);
        shedding.set_threads(threads);
        let due = Instant::now();
        for (room, (takes_ms, late_ms)) in (0..).zip(rooms) {
            for _ in 0..50 {
                let done = due + Duration::from_millis(takes_ms + late_ms);
                shedding.note_turn(room, due, done, takes_ms * 1_000);
            }
        }
        shedding.take_load(Duration::from_secs(1))
    }

    #[test]
    fn the_load_is_what_the_pool_does_or_what_the_worst_room_takes() {
        assert!((load_of(2, &[(2, 0); 10]) - 0.5).abs() < 1e-3, "ten rooms of a tenth on two threads");
        assert!((load_of(2, &[(2, 0), (18, 0)]) - 0.9).abs() < 1e-3, "one room that nearly fills its own period");
        assert!((load_of(2, &[(2, 0), (2, 14)]) - 0.8).abs() < 1e-3, "one room that waits for others");
        assert!((load_of(1, &[(2, 5_000)]) - 2.0).abs() < 1e-3, "a pause is not taken for more than it says");
        assert!(load_of(1, &[(0, 0)]) < 1e-3);
    }

    #[test]
    fn a_server_that_may_not_shed_never_does() {
        let shedding = Shedding::new(Shed::Off, 1, 50);
        let start = Instant::now();
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            shedding.note_turn(0, start, now, 1_000_000);
            shedding.look(now, true);
        }
        assert_eq!((shedding.step(), shedding.stats().taken), (Step::Nothing, [0; 6]));
    }

    #[test]
    fn the_seconds_of_each_step_are_counted() {
        let shedding = Shedding::new(Shed::Held(Step::HalfRate), 1, 50);
        let start = shedding.book().looked;
        shedding.look(start + Duration::from_secs(3), false);
        assert_eq!(shedding.stats().spent_us, [0, 0, 0, 0, 3_000_000, 0]);
    }
}
