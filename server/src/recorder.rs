//! Writes all recordings on one thread, so that no Tick waits for a disk.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_contracts::{Envelope, Event};
use arbiter_recording::{End, Header, Mark, WriteError, Writer};
use arbiter_sim::Command;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::Shared;
use crate::outbox::{Outbox, Story, is_kept};
use crate::resume::companion::Companion;
use crate::resume::settle::Remains;
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
    /// What was told so far: nothing.
    pub story: Option<Arc<Story>>,
}

/// What a recording goes on with.
pub(crate) struct Resume {
    pub path: PathBuf,
    pub writer: Writer,
    pub companion: Companion,
}

pub(crate) enum Entry {
    Begin(Box<Begin>),
    Resume(Box<Resume>),
    /// A match that no room goes on with.
    Settle(PathBuf, Box<Remains>),
    Tick {
        tick: u32,
        commands: Vec<Command>,
        hash: u64,
        /// Who joined with it: slot and player.
        joined: Vec<(u16, u64)>,
        /// What happened in it; told once it is on disk.
        events: Vec<Envelope>,
    },
    Checkpoint {
        tick: u32,
        state: Arc<Vec<u8>>,
        /// What was told until there.
        story: Option<Arc<Story>>,
    },
    /// What became of the room, and how often the match was taken up again.
    Mark(Mark, u32),
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

    /// Hands over what cannot be left out; waits for a place in the queue, since the room has no tick to miss.
    pub fn hand(&self, room: u16, entry: Entry) {
        // Without the thread nothing is recorded.
        let _ = self.queue.send((room, entry));
    }

    /// Hands over the end of a match that is abandoned; waits as the end of the recording does.
    pub fn happened(&self, room: u16, tick: u32, event: Envelope) {
        self.hand(room, Entry::Happened { tick, events: vec![event] });
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
    /// `None` if it could not be written: then the match cannot be taken up again.
    companion: Option<Companion>,
    /// Checkpoints up to which not everything is known to be told, the oldest first.
    checkpoints: VecDeque<(u32, Option<Arc<Story>>)>,
    /// When it was last noted which tick was played.
    noted: Option<Instant>,
}

impl Open {
    fn new(path: PathBuf, writer: Writer, companion: Option<Companion>) -> Self {
        let (happened, checkpoints) = (VecDeque::new(), VecDeque::new());
        Self { writer, path, told: None, happened, companion, checkpoints, noted: None }
    }

    /// Writes beside the recording; if that fails the match goes on, and cannot be taken up again.
    fn beside(&mut self, write: impl FnOnce(&mut Companion) -> std::io::Result<()>) {
        let Some(companion) = &mut self.companion else { return };
        if let Err(error) = write(companion) {
            tracing::error!("{}: the match could not be taken up again: {error}", self.path.display());
            self.give_up_resuming();
        }
    }

    fn give_up_resuming(&mut self) {
        if let Some(companion) = self.companion.take() {
            remove(companion);
        }
    }

    /// Notes now and then what was played, and up to which checkpoint everything was told.
    fn note_progress(&mut self, outbox: Option<&Outbox>) {
        if self.noted.is_none_or(|noted| noted.elapsed() >= FLUSH_EVERY) {
            self.noted = Some(Instant::now());
            let played = self.writer.next_tick() - 1;
            self.beside(|companion| companion.played(played));
        }
        while let Some((tick, _)) = self.checkpoints.front() {
            let told = self.happened.front().is_none_or(|(next, _)| next > tick)
                && outbox.is_none_or(|it| it.stats.waiting() == 0);
            if !told || *tick > self.writer.durable_tick() {
                break;
            }
            if let Some((tick, story)) = self.checkpoints.pop_front() {
                self.beside(|companion| companion.told(tick, story.as_deref()));
            }
        }
        // Before the ticks that it is about.
        self.beside(Companion::sync);
    }

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

fn remove(companion: Companion) {
    if let Err(error) = companion.remove() {
        tracing::warn!("what is beside a recording cannot be removed: {error}");
    }
}

/// Checkpoints that wait until everything before them is told: ten seconds. Older ones are of no use.
const CHECKPOINTS_MAX: usize = 2;

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
    /// Beside recordings of matches that are over, until all of them is told.
    over: Vec<Companion>,
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
        Self {
            shared,
            outbox,
            late: VecDeque::new(),
            over: Vec::new(),
            started: Instant::now(),
            open: HashMap::new(),
            finished,
            spare,
        }
    }

    fn run(mut self, entries: &Receiver<(u16, Entry)>) {
        loop {
            match entries.recv_timeout(FLUSH_EVERY) {
                Ok((room, entry)) => self.take(room, entry),
                // A stuck room never lets go of its end of the queue.
                Err(RecvTimeoutError::Timeout) if self.shared.closing.load(Ordering::Acquire) => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.shared.recorder_waiting.store(entries.len() as u64, Ordering::Relaxed);
            for (room, open) in &mut self.open {
                open.note_progress(self.outbox.as_ref());
                let (durable, began) = (open.writer.durable_tick(), Instant::now());
                let result = open.writer.sync(self.started.elapsed());
                let ticks = open.writer.durable_tick().saturating_sub(durable);
                if ticks > 0 {
                    self.shared.recordings.committed(ticks.into(), began.elapsed());
                }
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
            if self.late.is_empty() && self.over.is_empty() {
                return;
            }
            std::thread::sleep(FLUSH_EVERY);
        }
        // Those matches are told again by the next process, from their recordings.
        self.leave_out(self.late.len());
    }

    /// Counts events that nobody is told of.
    fn leave_out(&self, events: usize) {
        self.outbox.iter().for_each(|outbox| outbox.stats.leave_out(events as u64));
    }

    fn tell_late(&mut self) {
        let Some(outbox) = &self.outbox else { return self.forget_told() };
        while let Some(event) = self.late.pop_front() {
            if let Some(event) = outbox.post(event) {
                return self.late.push_front(event);
            }
        }
        self.forget_told();
    }

    /// A match that is over and told needs nothing beside its recording.
    fn forget_told(&mut self) {
        if self.late.is_empty() && self.outbox.as_ref().is_none_or(|outbox| outbox.stats.waiting() == 0) {
            self.over.drain(..).for_each(remove);
        }
    }

    fn take(&mut self, room: u16, entry: Entry) {
        let pushed = match entry {
            Entry::Begin(begin) => return self.begin(room, *begin),
            Entry::Resume(resume) => {
                let Resume { path, writer, companion } = *resume;
                self.open.insert(room, Open::new(path, writer, Some(companion)));
                return;
            }
            Entry::Settle(path, remains) => return self.settle(path, *remains),
            Entry::Finish(end) => {
                if let Some(open) = self.open.remove(&room) {
                    self.finish(open, end);
                }
                return;
            }
            Entry::Tick { tick, commands, hash, joined, events } => {
                if let Some(open) = self.open.get_mut(&room) {
                    for (slot, player) in joined {
                        open.beside(|companion| companion.join(tick, slot, player));
                    }
                }
                let pushed = self.open.get_mut(&room).map(|open| open.writer.push_tick(tick, &commands, hash));
                self.spare.give(commands);
                if !events.is_empty() {
                    self.happened(room, tick, events);
                }
                pushed
            }
            Entry::Happened { tick, events } => return self.happened(room, tick, events),
            Entry::Checkpoint { tick, state, story } => self.open.get_mut(&room).map(|open| {
                if open.checkpoints.len() == CHECKPOINTS_MAX {
                    open.checkpoints.pop_front();
                }
                open.checkpoints.push_back((tick, story));
                open.writer.push_checkpoint(tick, &state)
            }),
            Entry::Mark(mark, epoch) => self.open.get_mut(&room).map(|open| {
                open.beside(|companion| companion.epoch(epoch));
                open.writer.push_mark(mark)
            }),
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
                if let Some(mut open) = self.open.remove(&room) {
                    open.give_up_resuming();
                    self.leave_out(open.happened.len());
                    self.unwritten(open.path, &error);
                }
            }
            Some(Ok(())) | None => {}
        }
    }

    /// What is left of a match that no room goes on with.
    fn settle(&mut self, path: PathBuf, Remains { writer, events, companion, is_abandoned }: Remains) {
        if let Some(mut writer) = writer
            && let Err(error) = writer.finish(End::Abandoned)
        {
            return self.unwritten(path, &error);
        }
        if is_abandoned {
            self.shared.note(|stats| {
                stats.recoveries.abandoned += 1;
                stats.note_recording(path);
            });
        }
        if self.outbox.is_some() {
            self.late.extend(events);
        }
        self.over.push(companion);
    }

    fn begin(&mut self, room: u16, Begin { path, header, tick0, story }: Begin) {
        match Writer::create(&path, header, tick0.to_vec()) {
            Ok(writer) => {
                let companion = Companion::create(&path, room, story.as_deref());
                let companion = companion.inspect_err(|error| {
                    tracing::error!("{}: the match could not be taken up again: {error}", path.display());
                });
                self.open.insert(room, Open::new(path, writer, companion.ok()));
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
            open.give_up_resuming();
            self.leave_out(open.happened.len());
            return self.unwritten(open.path, &error);
        }
        self.late.extend(open.happened.into_iter().map(|(_, event)| event));
        self.over.extend(open.companion);
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
