//! Writes all recordings on one thread, so that no Tick waits for a disk.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_contracts::{Envelope, Event};
use arbiter_recording::{End, Header, Mark, WriteError, Writer};
use arbiter_sim::Command;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::Shared;
use crate::outbox::{Outbox, is_kept};
use crate::spare::Spare;
use crate::stats::UnwrittenRecording;

/// Ticks and checkpoints that may wait: ten seconds of fifty rooms. A checkpoint is large, but comes every few seconds.
const QUEUE_MAX: usize = 32_768;

/// Finished recordings that may wait for whoever takes them; more are not handed on.
const FINISHED_MAX: usize = 1_024;

/// How often closed blocks are flushed when nothing else happens.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// A disk that stays full is told of this often, not with every tick.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a recording begins with.
pub(crate) struct Begin {
    pub path: PathBuf,
    pub header: Header,
    pub tick0: Arc<Vec<u8>>,
}

pub(crate) enum Entry {
    Begin(Box<Begin>),
    Tick {
        tick: u32,
        commands: Vec<Command>,
        hash: u64,
        /// What happened in it; told once it is on disk.
        events: Vec<Envelope>,
    },
    Checkpoint {
        tick: u32,
        state: Arc<Vec<u8>>,
    },
    Mark(Mark),
    /// What else happened in the tick that was handed over last; told once that tick is on disk.
    Happened {
        tick: u32,
        events: Vec<Envelope>,
    },
    Finish(End),
}

/// Hands entries of rooms to the thread.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: Sender<(u16, Entry)>,
    spare: Arc<Spare<Command>>,
}

/// Lists of commands that are kept.
const SPARE_MAX: usize = 256;

impl Recorder {
    pub fn start(shared: Arc<Shared>, outbox: Option<Outbox>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, entries) = bounded(QUEUE_MAX);
        let spare = Arc::new(Spare::new(SPARE_MAX));
        let to_refill = Arc::clone(&spare);
        let run = move || Writing::new(&shared, outbox, to_refill).run(&entries);
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(run)?;
        Ok((Self { queue, spare }, thread))
    }

    /// A copy of the commands of a tick, to be put.
    pub fn copy(&self, commands: &[Command]) -> Vec<Command> {
        let mut copy = self.spare.take();
        copy.extend_from_slice(commands);
        copy
    }

    /// Whether the entry was taken: if not, the recording has a hole and must not go on.
    pub fn put(&self, room: u16, entry: Entry) -> bool {
        self.queue.try_send((room, entry)).is_ok()
    }

    /// Hands over the end of a match that is abandoned; waits for a place in the queue, as the end of the recording does.
    pub fn happened(&self, room: u16, tick: u32, event: Envelope) {
        let _ = self.queue.send((room, Entry::Happened { tick, events: vec![event] }));
    }

    /// Ends a recording; waits for a place in the queue, since the room has no tick to miss any more.
    pub fn finish(&self, room: u16, end: End) {
        // Without the thread there is nothing to finish.
        let _ = self.queue.send((room, Entry::Finish(end)));
    }
}

/// A recording that is being written.
struct Open {
    writer: Writer,
    path: PathBuf,
    /// When it was last told that the disk takes nothing; `None` while all is well.
    told: Option<Instant>,
    /// What happened in ticks that are not on disk yet, in order.
    happened: VecDeque<(u32, Envelope)>,
}

impl Open {
    /// Keeps an event until its tick is on disk. Of too many those that may be left out are.
    fn keep(&mut self, tick: u32, mut event: Envelope, outbox: &Outbox) {
        if self.happened.len() >= HAPPENED_MAX && !is_kept(&event.event) {
            return outbox.stats.leave_out(1);
        }
        if let Event::MatchEnded(ended) = &mut event.event {
            // What the result can be proved with. A disk that takes nothing now changes nothing of the chain.
            let _ = self.writer.flush();
            // Of a match without a tick there is nothing that could be proved.
            if ended.ticks > 0 {
                ended.recording_hash = self.writer.ticks_chain().to_vec();
            }
        }
        self.happened.push_back((tick, event));
    }

    /// Tells what happened in ticks that are on disk.
    fn tell(&mut self, outbox: &Outbox) {
        let durable = self.writer.durable_tick();
        while let Some((tick, event)) = self.happened.pop_front() {
            let event = if tick <= durable { outbox.post(event) } else { Some(event) };
            if let Some(event) = event {
                return self.happened.push_front((tick, event));
            }
        }
    }

    /// Notes how a write went. An error is told when it is new and then now and then, and its end is told too.
    fn note(&mut self, room: u16, result: Result<(), &WriteError>) {
        match (result, self.told) {
            (Err(error), told) if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) => {
                tracing::error!(room, "{}: {error}", self.path.display());
                self.told = Some(Instant::now());
            }
            (Ok(()), Some(_)) => {
                tracing::warn!(room, "{}: the recording is written again; nothing is missing", self.path.display());
                self.told = None;
            }
            _ => {}
        }
    }
}

/// So often the last events are offered to the outbox when the server ends: some seconds.
const LAST_TRIES: u32 = 50;

/// Events of a match that wait for their ticks to be on disk: a minute of a thousand players.
const HAPPENED_MAX: usize = 16_384;

/// The state of the thread.
struct Writing<'a> {
    shared: &'a Shared,
    outbox: Option<Outbox>,
    /// Events of matches that are over, for which the outbox had no place.
    late: VecDeque<Envelope>,
    started: Instant,
    open: HashMap<u16, Open>,
    finished: Option<Sender<PathBuf>>,
    spare: Arc<Spare<Command>>,
}

impl<'a> Writing<'a> {
    fn new(shared: &'a Shared, outbox: Option<Outbox>, spare: Arc<Spare<Command>>) -> Self {
        // Whoever takes finished recordings may re-simulate them, which takes longer than writing the next ticks may wait,
        // and longer than the end of the server: nobody waits for that thread.
        let finished = shared.config.on_recorded.clone().and_then(|on_recorded| {
            let (finished, to_take) = bounded::<PathBuf>(FINISHED_MAX);
            let run = move || to_take.iter().for_each(|path| on_recorded(&path));
            std::thread::Builder::new().name("verifier".to_owned()).spawn(run).ok().map(|_| finished)
        });
        Self { shared, outbox, late: VecDeque::new(), started: Instant::now(), open: HashMap::new(), finished, spare }
    }

    fn run(mut self, entries: &Receiver<(u16, Entry)>) {
        loop {
            match entries.recv_timeout(FLUSH_EVERY) {
                Ok((room, entry)) => self.take(room, entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for (room, open) in &mut self.open {
                let result = open.writer.sync(self.started.elapsed());
                open.note(*room, result.as_ref().copied());
                if let Some(outbox) = &self.outbox {
                    open.tell(outbox);
                }
            }
            self.tell_late();
        }
        // A room that ended without a word leaves its recording open: what is there is right.
        for (_, open) in core::mem::take(&mut self.open) {
            self.finish(open, End::Abandoned);
        }
        for _ in 0..LAST_TRIES {
            self.tell_late();
            if self.late.is_empty() {
                return;
            }
            std::thread::sleep(FLUSH_EVERY);
        }
        self.leave_out(self.late.len());
    }

    /// Counts events that nobody is told of.
    fn leave_out(&self, events: usize) {
        self.outbox.iter().for_each(|outbox| outbox.stats.leave_out(events as u64));
    }

    fn tell_late(&mut self) {
        let Some(outbox) = &self.outbox else { return };
        while let Some(event) = self.late.pop_front() {
            if let Some(event) = outbox.post(event) {
                return self.late.push_front(event);
            }
        }
    }

    fn take(&mut self, room: u16, entry: Entry) {
        let pushed = match entry {
            Entry::Begin(begin) => return self.begin(room, *begin),
            Entry::Finish(end) => {
                if let Some(open) = self.open.remove(&room) {
                    self.finish(open, end);
                }
                return;
            }
            Entry::Tick { tick, commands, hash, events } => {
                let pushed = self.open.get_mut(&room).map(|open| open.writer.push_tick(tick, &commands, hash));
                self.spare.give(commands);
                if !events.is_empty() {
                    self.happened(room, tick, events);
                }
                pushed
            }
            Entry::Happened { tick, events } => return self.happened(room, tick, events),
            Entry::Checkpoint { tick, state } => {
                self.open.get_mut(&room).map(|open| open.writer.push_checkpoint(tick, &state))
            }
            Entry::Mark(mark) => self.open.get_mut(&room).map(|open| open.writer.push_mark(mark)),
        };
        match pushed {
            // What could not be written now is kept by the writer and tried again; anything else leaves a hole, and a
            // recording with a hole is worth nothing behind it.
            Some(Err(error @ WriteError::Io(..))) => {
                if let Some(open) = self.open.get_mut(&room) {
                    open.note(room, Err(&error));
                }
            }
            Some(Err(error)) => {
                if let Some(open) = self.open.remove(&room) {
                    self.leave_out(open.happened.len());
                    self.unwritten(open.path, &error);
                }
            }
            Some(Ok(())) | None => {}
        }
    }

    fn begin(&mut self, room: u16, Begin { path, header, tick0 }: Begin) {
        match Writer::create(&path, header, tick0.to_vec()) {
            Ok(writer) => {
                self.open.insert(room, Open { writer, path, told: None, happened: VecDeque::new() });
            }
            Err(error) => self.unwritten(path, &error),
        }
    }

    fn happened(&mut self, room: u16, tick: u32, events: Vec<Envelope>) {
        let Some(outbox) = &self.outbox else { return };
        match self.open.get_mut(&room) {
            Some(open) => events.into_iter().for_each(|event| open.keep(tick, event, outbox)),
            // Nobody could ever show what led to it.
            None => self.leave_out(events.len()),
        }
    }

    fn finish(&mut self, mut open: Open, end: End) {
        let finished = open.writer.finish(end);
        if let Some(outbox) = &self.outbox {
            open.tell(outbox);
        }
        if let Err(error) = finished {
            self.leave_out(open.happened.len());
            return self.unwritten(open.path, &error);
        }
        self.late.extend(open.happened.into_iter().map(|(_, event)| event));
        let path = open.path;
        if self.finished.as_ref().is_some_and(|finished| finished.try_send(path.clone()).is_err()) {
            tracing::warn!("{}: not verified, too many recordings wait for it", path.display());
        }
        self.shared.note(|stats| stats.note_recording(path));
    }

    fn unwritten(&self, path: PathBuf, error: &WriteError) {
        let unwritten = UnwrittenRecording { path, why: error.to_string() };
        tracing::error!("{unwritten}");
        self.shared.note(|stats| stats.note_unwritten(unwritten));
    }
}
