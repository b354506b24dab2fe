//! What a room hands to the recorder. Nothing here waits for a disk but the end of a match.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arbiter_contracts::Envelope;
use arbiter_recording::{End, Header};

use super::Room;
use crate::outbox::Story;
use crate::recorder::{Begin, Entry};
use crate::stats::UnwrittenRecording;

/// Seconds between two checkpoints: what a replay has to simulate again at most to reach a tick, and a room that panicked. Five
/// seconds of ten players take some 50 ms.
const CHECKPOINT_SECONDS: u32 = 5;

/// Why a match is not recorded, or not to its end.
const BEHIND: &str =
    "the disk is too slow for the recordings of this server; record to a faster one, or host fewer rooms";

impl Room {
    /// Starts the recording of a fresh simulation, if there is a folder for it.
    pub(super) fn begin_recording(&mut self) {
        let Some(folder) = &self.shared.config.record_dir else { return };
        let name: String = self.match_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("{name}.{}", arbiter_recording::EXTENSION));
        let header = match Header::of(&self.simulation, u128::from_be_bytes(self.match_id)) {
            Ok(header) => header,
            Err(error) => return self.unrecorded(path, &error.to_string()),
        };
        // The time of the world goes into the story once: everything behind it follows from the tick.
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (tells, rate) = (self.shared.outbox.is_some(), self.simulation.settings().tick_rate);
        let story = tells.then(|| Story::new(u128::from_be_bytes(self.match_id), began, rate));
        self.journal.story = story.clone().map(Arc::new);
        let (tick0, told) = (Arc::clone(&self.journal.state), self.journal.story.clone());
        let begin = Begin { path: path.clone(), header, tick0, story: told };
        if self.break_recording() && self.recorder.put(self.number, Entry::Begin(Box::new(begin))) {
            (self.recording, self.story) = (Some(path), story);
        } else {
            self.unrecorded(path, BEHIND);
        }
    }

    fn unrecorded(&self, path: PathBuf, why: &str) {
        let unwritten = UnwrittenRecording { path, why: why.to_owned() };
        tracing::error!(room = self.number, "the match goes on unrecorded: {unwritten}");
        self.shared.note(|stats| stats.note_unwritten(unwritten));
    }

    /// Ends a recording that has a hole, without waiting. Whether that is done, or there is none.
    fn break_recording(&mut self) -> bool {
        if self.recording_breaks {
            self.recording_breaks = !self.recorder.put(self.number, Entry::Finish(End::Abandoned));
        }
        !self.recording_breaks
    }

    /// Keeps a tick, in memory and in the recording.
    pub(super) fn record(&mut self, tick: u32) {
        self.break_recording();
        let hash = self.simulation.hash();
        let mut taken = true;
        if self.recording.is_some() {
            let journal = &self.journal;
            let told =
                self.story.as_mut().map(|story| story.after(&self.simulation, |slot| journal.player(tick, slot)));
            let (commands, events) = (self.recorder.copy(&self.commands), told.unwrap_or_default());
            let joined = journal.joined(tick).collect();
            taken = self.recorder.put(self.number, Entry::Tick { tick, commands, hash, joined, events });
        }
        self.journal.push(&self.commands, hash);
        let every = u32::from(self.simulation.settings().tick_rate) * CHECKPOINT_SECONDS;
        // Rooms take turns, so that they do not all write at once.
        if tick % every == (u32::from(self.number) * 37) % every {
            self.journal.checkpoint(&self.simulation, self.story.as_ref());
            if self.recording.is_some() && taken {
                let (state, story) = (Arc::clone(&self.journal.state), self.journal.story.clone());
                taken = self.recorder.put(self.number, Entry::Checkpoint { tick, state, story });
            }
        }
        if !taken && let Some(path) = self.recording.take() {
            (self.recording_breaks, self.story) = (true, None);
            self.unrecorded(path, BEHIND);
        }
    }

    /// Tells the services of what the room found rather than the simulation.
    pub(super) fn tell_found(&self, tick: u32, event: Envelope) {
        if self.recording.is_some() {
            // One that finds no place is one that operators do not see: they see the same in the log.
            let _ = self.recorder.put(self.number, Entry::Happened { tick, events: vec![event] });
        }
    }

    pub(super) fn close_recording(&mut self, end: End) {
        if self.recording.take().is_some() {
            let story = self.story.take().filter(|_| end == End::Abandoned);
            if let Some(mut story) = story {
                let (tick, ended) = (self.simulation.tick(), story.abandon(&self.simulation));
                self.recorder.happened(self.number, tick, ended);
            }
            self.recorder.finish(self.number, end);
        }
    }
}
