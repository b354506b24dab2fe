//! Numbers that other threads may read while the server runs.

use std::collections::VecDeque;
use std::path::PathBuf;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

use arbiter_sim::Outcome;
use arbiter_transport::Counters;

use crate::histogram::Histogram;
use crate::room::PHASES;
#[cfg(doc)]
use crate::room::TickPhase;
use crate::suspicion::DETECTORS;
#[cfg(doc)]
use crate::suspicion::Detector;

/// Tick times that percentiles are taken over: half a minute at 60 Hz.
const WINDOW: usize = 2_048;

/// Ticks between two updates of what others read: sorting the window costs some microseconds.
const PUBLISH_EVERY: u32 = 16;

/// How the whole server does.
#[derive(Debug, Clone, Default)]
pub struct ServerStats {
    /// Connections now.
    pub clients: usize,
    /// Datagrams received, the junk too.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Bytes received, with IP and UDP headers.
    pub bytes_in: u64,
    /// Bytes sent, with IP and UDP headers.
    pub bytes_out: u64,
    /// Datagrams that were no packets, or messages that were none.
    pub malformed: u64,
    /// What did not get where it should, by why. A server that keeps up has none.
    pub drops: Drops,
    /// What became of each datagram that came, handshakes included.
    pub packets: Counters,
    /// Clients that were expelled because they broke the rules of the transport.
    pub violations: u64,
    /// Smoothed round trips, one of each client and second.
    pub round_trips: Histogram,
    /// CPU time of all socket threads together, in microseconds. Wall time where the system does not tell CPU time.
    pub sockets_cpu_us: u64,
    /// The socket threads, one by one. The figures above are their sums.
    pub sockets: Vec<SocketStats>,
    /// Matches that ended.
    pub matches_ended: u32,
    /// Finished recordings, oldest first; the last 1,000.
    pub recordings: VecDeque<PathBuf>,
    /// Recordings that are not what was played, oldest first; the last 1,000.
    pub unwritten: VecDeque<UnwrittenRecording>,
    /// Rooms that panicked and could not be made again. Their matches are lost, their recordings end with the tick before.
    pub rooms_failed: u32,
    /// Rooms that do not advance any more; the process drains because of them.
    pub rooms_stuck: u32,
    /// Rooms that were made again.
    pub recoveries: Recoveries,
}

/// How matches were taken up again, each time once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recoveries {
    /// Rooms that panicked and went on as if nothing had been.
    pub rebuilt: u64,
    /// Rooms that panicked twice in a tick and went on without its inputs.
    pub blanked: u64,
    /// Matches that another process had begun.
    pub resumed: u64,
    /// Matches that could not go on, and ended with the scores of the last tick that can be proved.
    pub abandoned: u64,
}

/// What was dropped, each time once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// Inputs whose room's queue was full.
    pub inputs: u64,
    /// Parts of snapshots whose socket thread's queue was full.
    pub snapshots: u64,
    /// Messages that waited too long for a place in a socket thread's queue. Their clients find out by their timeout.
    pub messages: u64,
    /// Datagrams from outside, junk too, that came while the buffer of the socket was full; raise it with `--socket-buffer`.
    /// At most a second old. 0 where the system does not tell.
    pub receive_buffer_full: u64,
    /// Datagrams to clients that found the buffer of the socket full; raise it with `--socket-buffer`.
    pub send_buffer_full: u64,
    /// Datagrams that the system would not send for another reason, such as no route to the client.
    pub send_refused: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        let queues = self.inputs + self.snapshots + self.messages;
        queues + self.receive_buffer_full + self.send_buffer_full + self.send_refused
    }
}

/// How a socket thread does.
#[derive(Debug, Clone, Default)]
pub struct SocketStats {
    /// Connections now.
    pub clients: usize,
    /// Datagrams received, the junk too.
    pub datagrams_in: u64,
    /// Bytes received, with IP and UDP headers.
    pub bytes_in: u64,
    /// Calls to receive that failed for another reason than that nothing was there.
    pub receive_errors: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Bytes sent, with IP and UDP headers.
    pub bytes_out: u64,
    /// See [`Drops::send_buffer_full`].
    pub send_buffer_full: u64,
    /// See [`Drops::send_refused`].
    pub send_refused: u64,
    /// See [`ServerStats::malformed`].
    pub malformed: u64,
    /// See [`ServerStats::violations`].
    pub violations: u64,
    /// See [`Drops::inputs`].
    pub inputs_dropped: u64,
    /// CPU time of the thread, in microseconds. Wall time where the system does not tell CPU time.
    pub cpu_us: u64,
    /// See [`ServerStats::packets`].
    pub packets: Counters,
    /// See [`ServerStats::round_trips`].
    pub round_trips: Histogram,
}

/// Recordings whose paths are remembered.
const RECORDINGS_MAX: usize = 1_000;

/// A recording that could not be written, or not to its end. What is in the file can be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnwrittenRecording {
    /// Where it is or was to be.
    pub path: PathBuf,
    /// What is wrong and what to do.
    pub why: String,
}

impl core::fmt::Display for UnwrittenRecording {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl ServerStats {
    /// Adds what a socket thread says.
    pub(crate) fn add(&mut self, of: SocketStats) {
        self.clients += of.clients;
        self.datagrams_in += of.datagrams_in;
        self.datagrams_out += of.datagrams_out;
        self.bytes_in += of.bytes_in;
        self.bytes_out += of.bytes_out;
        self.malformed += of.malformed;
        self.violations += of.violations;
        self.drops.inputs += of.inputs_dropped;
        self.drops.send_buffer_full += of.send_buffer_full;
        self.drops.send_refused += of.send_refused;
        self.sockets_cpu_us += of.cpu_us;
        self.packets += of.packets;
        self.round_trips += of.round_trips;
        self.sockets.push(of);
    }

    pub(crate) fn note_recording(&mut self, path: PathBuf) {
        push_bounded(&mut self.recordings, path);
    }

    pub(crate) fn note_unwritten(&mut self, unwritten: UnwrittenRecording) {
        push_bounded(&mut self.unwritten, unwritten);
    }
}

fn push_bounded<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == RECORDINGS_MAX {
        list.pop_front();
    }
    list.push_back(entry);
}

/// How a room does.
#[derive(Debug, Clone, Default)]
pub struct RoomStats {
    /// Matches that this room has started.
    pub matches: u32,
    /// The tick of the running match.
    pub tick: u32,
    /// Players in it.
    pub players: u16,
    /// Spectators.
    pub spectators: u16,
    /// Bytes of what waits to be shown to them.
    pub spectator_bytes: u64,
    /// Ticks that spectators were not shown, since what waits for them has taken all the memory that is set aside for it.
    pub spectator_ticks_left_out: u64,
    /// Thread CPU per tick, everything included, in microseconds: middle and one in a hundred, over the last 2,048 ticks.
    /// Wall time where the system does not tell CPU time.
    pub tick_p50_us: f32,
    /// See [`Self::tick_p50_us`].
    pub tick_p99_us: f32,
    /// Thread CPU of all ticks so far, everything included.
    pub ticks: Histogram,
    /// The last ticks, oldest first, in microseconds.
    pub tick_recent_us: VecDeque<u64>,
    /// Thread CPU of the simulation alone, in microseconds: middle.
    pub step_p50_us: f32,
    /// Ticks that began late by a whole tick or more: the missed ones were skipped.
    pub overruns: u64,
    /// Time by the clock on the wall in each phase of a tick so far, in microseconds, in the order of [`TickPhase::ALL`].
    pub phases_us: [u64; PHASES],
    /// Inputs that ticks were stepped with, made up ones too.
    pub inputs: u64,
    /// How long inputs waited for their tick.
    pub input_delays: Histogram,
    /// How old the newest state is that a client is known to have, several of each client and second.
    pub staleness: Histogram,
    /// Inputs that were made up because they did not arrive in time.
    pub inputs_substituted: u64,
    /// Inputs that came too late.
    pub inputs_late: u64,
    /// Anomalies so far, in the order of [`Detector::ALL`].
    pub anomalies: [u64; DETECTORS],
    /// The most evidence that there is against any player, as a share of what is too much, in the same order.
    pub suspicion: [f32; DETECTORS],
    /// Bytes of snapshots handed to the socket.
    pub snapshot_bytes: u64,
    /// Bytes of these that are sounds.
    pub sound_bytes: u64,
    /// Snapshots handed to the socket.
    pub snapshots: u64,
    /// Snapshots that were left out because the client's link carries no more.
    pub held_back: u64,
    /// Encodings of an entity that another client's could be used for, and those that had to be made.
    pub encodings: (u64, u64),
    /// Entities that clients were told of, each once a tick, and those that had to be told in full.
    pub entities: (u64, u64),
    /// Path of the running recording.
    pub recording: Option<PathBuf>,
    /// How the last match ended.
    pub outcome: Option<Outcome>,
    /// Whether the room has ended for good.
    pub ended: bool,
}

/// Tick times of a room.
#[derive(Debug, Default)]
pub(crate) struct TickTimes {
    ticks: VecDeque<u64>,
    steps: VecDeque<u64>,
    all: Histogram,
    since: u32,
    sorted: Vec<u64>,
}

impl TickTimes {
    pub fn note(&mut self, tick_us: u64, step_us: u64) {
        for (window, value) in [(&mut self.ticks, tick_us), (&mut self.steps, step_us)] {
            if window.len() == WINDOW {
                window.pop_front();
            }
            window.push_back(value);
        }
        self.all.note(tick_us);
        self.since += 1;
    }

    /// Whether it is time to tell others.
    pub fn is_due(&mut self) -> bool {
        let due = self.since >= PUBLISH_EVERY;
        if due {
            self.since = 0;
        }
        due
    }

    pub fn publish(&mut self, stats: &mut RoomStats) {
        let mut percentile = |window: &VecDeque<u64>, share: f32| {
            self.sorted.clear();
            self.sorted.extend(window);
            self.sorted.sort_unstable();
            let at = (self.sorted.len() as f32 * share) as usize;
            self.sorted.get(at.min(self.sorted.len().saturating_sub(1))).map_or(0.0, |us| *us as f32)
        };
        stats.tick_p50_us = percentile(&self.ticks, 0.5);
        stats.tick_p99_us = percentile(&self.ticks, 0.99);
        stats.step_p50_us = percentile(&self.steps, 0.5);
        stats.ticks = self.all;
        stats.tick_recent_us.clear();
        stats.tick_recent_us.extend(self.ticks.iter().rev().take(64).rev());
    }
}

/// Measures the CPU of this thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTimer {
    #[cfg(target_os = "linux")]
    start_ns: i64,
    #[cfg(not(target_os = "linux"))]
    start: Instant,
}

#[cfg(target_os = "linux")]
fn thread_cpu_ns() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

impl CpuTimer {
    pub fn start() -> Self {
        #[cfg(target_os = "linux")]
        return Self { start_ns: thread_cpu_ns() };
        #[cfg(not(target_os = "linux"))]
        return Self { start: Instant::now() };
    }

    pub fn elapsed_us(self) -> u64 {
        #[cfg(target_os = "linux")]
        return u64::try_from((thread_cpu_ns() - self.start_ns) / 1_000).unwrap_or(0);
        #[cfg(not(target_os = "linux"))]
        return self.start.elapsed().as_micros() as u64;
    }
}
