//! Threads that step rooms, each room at its own deadlines.
//!
//! Deadlines are absolute: a late tick does not move the next one, so a room does not drift. A tick that begins a whole
//! period late or more is an overrun: the missed deadlines are skipped and counted, never caught up, since catching up is
//! what turns one late tick into many.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::Shared;
use crate::room::{Room, Scripted, Turn};
use crate::stats::CpuTimer;

/// The next deadline of a room that ticks every `period`, and how many were missed.
pub fn next_deadline(deadline: Instant, period: Duration, now: Instant) -> (Instant, u64) {
    let next = deadline + period;
    let late = now.saturating_duration_since(next);
    let missed = late.as_nanos() / period.as_nanos().max(1);
    // A process that slept for a week does not overflow.
    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
    (next + period * missed, u64::from(missed))
}

/// How often it is looked whether threads have ended.
const LOOK: Duration = Duration::from_millis(2);

/// Behind the end of all rooms a thread has nothing left to do but to find that out.
const LAST_STEPS: Duration = Duration::from_secs(5);

struct Due {
    deadline: Instant,
    room: Box<Room>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.deadline, self.room.number()).cmp(&(other.deadline, other.room.number()))
    }
}

#[derive(Default)]
struct Queue {
    due: BinaryHeap<Reverse<Due>>,
    /// Rooms that have not ended, in the heap or with a thread.
    running: usize,
}

struct Work {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Work {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the queue but a failed allocation.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of a server's rooms.
pub(crate) struct Pool {
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub fn start(shared: Arc<Shared>, rooms: Vec<Room>) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let wished = usize::from(shared.config.threads);
        let count = if wished == 0 { cores } else { wished }.clamp(1, rooms.len().max(1));
        shared.shed.set_threads(count);
        let now = Instant::now();
        let period = period(&shared);
        let total = rooms.len() as u32;
        // Rooms are spread over the period, so that they do not all want a core at once.
        let due = rooms
            .into_iter()
            .zip(0..)
            .map(|(room, at)| Reverse(Due { deadline: now + period * at / total.max(1), room: Box::new(room) }));
        let queue = Queue { due: due.collect(), running: total as usize };
        let work = Arc::new(Work { queue: Mutex::new(queue), changed: Condvar::new() });
        let threads = (0..count).map(|number| {
            let (work, shared) = (Arc::clone(&work), Arc::clone(&shared));
            let run = move || run(&work, &shared, period);
            std::thread::Builder::new().name(format!("rooms-{number}")).spawn(run)
        });
        Ok(Self { threads: threads.collect::<Result<_, _>>()? })
    }

    /// Rooms that play nothing, each with a thread of its own.
    pub fn of_scripted(rooms: impl Iterator<Item = Scripted>) -> std::io::Result<Self> {
        let threads = rooms.map(|room| std::thread::Builder::new().name("rooms-0".to_owned()).spawn(|| room.run()));
        Ok(Self { threads: threads.collect::<Result<_, _>>()? })
    }

    /// Waits for the threads. One that a stuck room holds is left to itself once it `is_over` for all others.
    pub fn join(self, is_over: impl Fn() -> bool) {
        while self.threads.iter().any(|thread| !thread.is_finished()) && !is_over() {
            std::thread::sleep(LOOK);
        }
        // A thread whose rooms have all ended may still be on its last steps.
        let until = Instant::now() + LAST_STEPS;
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        for thread in self.threads {
            if !thread.is_finished() {
                tracing::error!("a thread of the pool is held by a stuck room and is left behind");
            } else if thread.join().is_err() {
                tracing::error!("a thread of the pool panicked");
            }
        }
    }
}

fn period(shared: &Shared) -> Duration {
    Duration::from_secs(1) / u32::from(shared.config.settings.tick_rate.max(1))
}

/// Takes the room that is due first, waiting for its deadline; `None` when no room runs any more.
fn take(work: &Work) -> Option<Due> {
    let mut queue = work.queue();
    loop {
        if queue.running == 0 {
            return None;
        }
        let now = Instant::now();
        match queue.due.peek().map(|Reverse(due)| due.deadline) {
            Some(deadline) if deadline <= now => return queue.due.pop().map(|Reverse(due)| due),
            Some(deadline) => {
                let wait = work.changed.wait_timeout(queue, deadline - now);
                queue = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
            None => queue = work.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

fn run(work: &Work, shared: &Shared, period: Duration) {
    while let Some(mut due) = take(work) {
        let timer = CpuTimer::start();
        let turn = turn(&mut due.room, shared);
        let (now, busy_us) = (Instant::now(), timer.elapsed_us());
        let mut queue = work.queue();
        match turn {
            Turn::Next => {
                let (deadline, missed) = next_deadline(due.deadline, period, now);
                shared.shed.note_turn(due.room.number(), due.deadline, now, busy_us);
                due.deadline = deadline;
                due.room.note_overruns(missed);
            }
            // Behind whoever is due already.
            Turn::Again => due.deadline = now,
            Turn::Over | Turn::Failed => {
                queue.running -= 1;
                drop(queue);
                shared.rooms_running.fetch_sub(1, Ordering::Release);
                work.changed.notify_all();
                continue;
            }
        }
        queue.due.push(Reverse(due));
        drop(queue);
        work.changed.notify_one();
    }
}

/// A room that panics is made again. One that panics while that begins is lost, the others are not.
fn turn(room: &mut Room, shared: &Shared) -> Turn {
    let turn = catch_unwind(AssertUnwindSafe(|| room.tick(Instant::now())));
    let turn = turn.or_else(|_| catch_unwind(AssertUnwindSafe(|| room.recover()))).unwrap_or(Turn::Failed);
    if turn == Turn::Failed {
        tracing::error!(room = room.number(), "the room panicked; its match is lost");
        shared.note(|stats| stats.rooms_failed += 1);
        room.fail();
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_in_time_keeps_the_beat() {
        let start = Instant::now();
        let period = Duration::from_millis(10);
        assert_eq!(next_deadline(start, period, start + Duration::from_millis(3)), (start + period, 0));
        // Late, but by less than a tick: the next one comes sooner, nothing is missed.
        assert_eq!(next_deadline(start, period, start + Duration::from_millis(19)), (start + period, 0));
    }

    #[test]
    fn missed_deadlines_are_skipped_and_counted_and_the_beat_is_kept() {
        let start = Instant::now();
        let period = Duration::from_millis(10);
        let (next, missed) = next_deadline(start, period, start + Duration::from_millis(45));
        assert_eq!((next, missed), (start + period * 4, 3));
    }
}
