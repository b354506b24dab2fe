//! Writes all recordings on one thread, so that no Tick waits for a disk.

use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_recording::{End, Header, WriteError, Writer};
use arbiter_sim::Command;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{OnRecorded, ServerConfig};

/// Ticks and checkpoints that may wait: ten seconds of fifty rooms. A checkpoint is large, but comes every few seconds.
const QUEUE_MAX: usize = 32_768;

/// Finished recordings that may wait for whoever takes them; more are not handed on.
const FINISHED_MAX: usize = 1_024;

/// How often closed blocks are flushed when nothing else happens.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// What a recording begins with.
pub(crate) struct Begin {
    pub path: PathBuf,
    pub header: Header,
    pub tick0: Vec<u8>,
}

pub(crate) enum Entry {
    Begin(Box<Begin>),
    Tick { tick: u32, commands: Vec<Command>, hash: u64 },
    Checkpoint { tick: u32, bytes: Vec<u8> },
    Finish(End),
}

/// Hands entries of rooms to the thread.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: Sender<(u16, Entry)>,
}

impl Recorder {
    pub fn start(config: &ServerConfig) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, entries) = bounded(QUEUE_MAX);
        let on_recorded = config.on_recorded.clone();
        let run = move || run(&entries, on_recorded);
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(run)?;
        Ok((Self { queue }, thread))
    }

    /// Whether the entry was taken: if not, the recording has a hole and must not go on.
    pub fn put(&self, room: u16, entry: Entry) -> bool {
        self.queue.try_send((room, entry)).is_ok()
    }

    /// Ends a recording; waits for a place in the queue, since the room has no tick to miss any more.
    pub fn finish(&self, room: u16, end: End) {
        // Without the thread there is nothing to finish.
        let _ = self.queue.send((room, Entry::Finish(end)));
    }
}

struct Open {
    writer: Writer,
    path: PathBuf,
}

fn begin(begin: Begin) -> Result<Open, WriteError> {
    Ok(Open { writer: Writer::create(&begin.path, begin.header, begin.tick0)?, path: begin.path })
}

fn run(entries: &Receiver<(u16, Entry)>, on_recorded: Option<OnRecorded>) {
    // Whoever takes finished recordings may re-simulate them, which takes longer than writing the next ticks may wait.
    let (finished, to_take) = bounded::<PathBuf>(FINISHED_MAX);
    let taker = on_recorded.and_then(|on_recorded| {
        let run = move || {
            for path in to_take {
                on_recorded(&path);
            }
        };
        std::thread::Builder::new().name("verifier".to_owned()).spawn(run).ok()
    });
    let started = Instant::now();
    let mut open: HashMap<u16, Open> = HashMap::new();
    loop {
        let entry = match entries.recv_timeout(FLUSH_EVERY) {
            Ok(entry) => Some(entry),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Some((room, entry)) = entry {
            let path = open.get(&room).map(|open| open.path.clone());
            if let Err(error) = take(&mut open, room, entry, &finished) {
                tracing::error!(room, ?path, %error, "recording");
                // What could not be written now is kept by the writer and tried again; anything else leaves a hole, and
                // a recording with a hole is worth nothing behind it.
                if !matches!(error, WriteError::Io(..)) {
                    open.remove(&room);
                }
            }
        }
        for (room, open) in &mut open {
            if let Err(error) = open.writer.sync(started.elapsed()) {
                tracing::warn!(room, path = %open.path.display(), %error, "recording");
            }
        }
    }
    for (_, mut open) in open.drain() {
        // A room that panicked leaves its recording open: what is there is right.
        if let Err(error) = open.writer.finish(End::Abandoned) {
            tracing::error!(path = %open.path.display(), %error, "recording");
        }
    }
    drop(finished);
    if let Some(taker) = taker
        && taker.join().is_err()
    {
        tracing::error!("whoever takes finished recordings panicked");
    }
}

fn take(open: &mut HashMap<u16, Open>, room: u16, entry: Entry, finished: &Sender<PathBuf>) -> Result<(), WriteError> {
    match entry {
        Entry::Begin(first) => {
            open.insert(room, begin(*first)?);
        }
        Entry::Tick { tick, commands, hash } => {
            if let Some(open) = open.get_mut(&room) {
                open.writer.push_tick(tick, &commands, hash)?;
            }
        }
        Entry::Checkpoint { tick, bytes } => {
            if let Some(open) = open.get_mut(&room) {
                open.writer.push_checkpoint(tick, &bytes)?;
            }
        }
        Entry::Finish(end) => {
            if let Some(mut open) = open.remove(&room) {
                open.writer.finish(end)?;
                if finished.try_send(open.path).is_err() {
                    tracing::debug!(room, "nobody takes the finished recording");
                }
            }
        }
    }
    Ok(())
}
