//! What a room hands to the recorder. Nothing here waits for a disk but the end of a match.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use arbiter_contracts::Envelope;
use arbiter_recording::{End, Header};

use super::Room;
use crate::outbox::Story;
use crate::recorder::{Begin, Entry};
use crate::stats::UnwrittenRecording;

/// Seconds between two checkpoints: what a replay has to simulate again at most to reach a tick.
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
        let mut tick0 = Vec::new();
        self.simulation.checkpoint(&mut tick0);
        let header = match Header::of(&self.simulation, u128::from_be_bytes(self.match_id)) {
            Ok(header) => header,
            Err(error) => return self.unrecorded(path, &error.to_string()),
        };
        let begin = Begin { path: path.clone(), header, tick0 };
        if self.break_recording() && self.recorder.put(self.number, Entry::Begin(Box::new(begin))) {
            self.recording = Some(path);
            // The time of the world goes into the story once: everything behind it follows from the tick.
            let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let tells = self.shared.outbox.is_some();
            self.story = tells
                .then(|| Story::new(u128::from_be_bytes(self.match_id), began, self.simulation.settings().tick_rate));
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

    pub(super) fn record(&mut self, tick: u32) {
        self.break_recording();
        if self.recording.is_none() {
            return;
        }
        let hash = self.simulation.hash();
        let mut taken =
            self.recorder.put(self.number, Entry::Tick { tick, commands: self.recorder.copy(&self.commands), hash });
        if let Some(story) = &mut self.story {
            let seats = &self.seats;
            let player_in =
                |slot: u16| seats.get(usize::from(slot)).and_then(Option::as_ref).map_or(0, |seat| seat.player);
            let events = story.after(&self.simulation, player_in);
            taken = taken && (events.is_empty() || self.recorder.put(self.number, Entry::Happened { tick, events }));
        }
        let every = u32::from(self.simulation.settings().tick_rate) * CHECKPOINT_SECONDS;
        // Rooms take turns, so that they do not all write at once.
        if taken && tick % every == (u32::from(self.number) * 37) % every {
            let mut bytes = Vec::new();
            self.simulation.checkpoint(&mut bytes);
            taken = self.recorder.put(self.number, Entry::Checkpoint { tick, bytes });
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
