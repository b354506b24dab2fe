//! Matches that another process began and did not end: found beside their recordings when a server starts, and taken up again in
//! their rooms, behind the last tick that is in the file.
//!
//! What cannot go on (another map, other rules, a damaged file, too long ago) ends as abandoned, with the scores of the last tick
//! that can be proved; of a match that had ended, what is not in the outbox is told. Nothing here makes a room wait: that
//! is [`settle`], on a thread of its own. Why it is so: docs/decisions/recovery.md. Next: [`companion`], then
//! `room/recovery.rs` for how a room is made again.

pub(crate) mod companion;
pub(crate) mod freight;
pub(crate) mod settle;

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arbiter_recording::{ReadError, Reader, Stamp, Writer};
use arbiter_sim::{BuildError, Simulation};
use thiserror::Error;

use self::companion::{Companion, EXTENSION, Notes};
use crate::outbox::Story;
use crate::room::Journal;
use crate::{ServerConfig, Shared};

/// A match whose process died longer ago is not taken up again: its players have gone.
pub(crate) const RESUME_WITHIN: Duration = Duration::from_secs(120);

/// Ticks that are simulated again at most: a minute at the highest rate. It is more than ten seconds only if the outbox took nothing.
const TICKS_AGAIN_MAX: u32 = 128 * 60;

/// Processes that may die of the same match before it is left alone.
const TRIES_MAX: u32 = 3;

/// Why a match is not taken up again.
#[derive(Debug, Error)]
pub(crate) enum Misfit {
    /// It is over.
    #[error("it had ended")]
    Over,
    /// Its players have gone.
    #[error("its process died more than {} s ago", RESUME_WITHIN.as_secs())]
    Old,
    /// This server plays something else.
    #[error("this server has another {0}")]
    Other(&'static str),
    /// Another match is played in its room.
    #[error("its room is taken")]
    Taken,
    /// Too much would have to be simulated again.
    #[error("{0} ticks would have to be simulated again")]
    Long(u32),
    /// The recording cannot go on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The match cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A match that was not ended.
pub(crate) struct Unfinished {
    pub path: PathBuf,
    notes: Notes,
    companion: Option<Companion>,
    is_old: bool,
}

/// A match that a room goes on with.
pub(crate) struct Resumed {
    pub path: PathBuf,
    pub match_id: u128,
    pub journal: Journal,
    /// How often it was taken up again, this time included.
    pub epoch: u32,
    /// Who had which slot last.
    pub holders: Vec<(u16, u64)>,
    /// Ticks that players saw and that are played again.
    pub lost: u32,
    /// For the recorder.
    pub writer: Writer,
    pub companion: Companion,
}

/// What is in the folder of recordings, oldest first by name.
pub(crate) fn find(folder: &Path) -> Vec<Unfinished> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == EXTENSION)).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| examine(&path)).collect()
}

/// Matches that another process began, by the room that goes on with them.
pub(crate) type TakenUp = BTreeMap<u16, (Simulation, Resumed)>;

/// Which room goes on with which match that another process began, and those that none goes on with.
pub(crate) fn sort(shared: &Shared, unfinished: Vec<Unfinished>) -> (TakenUp, Vec<Unfinished>) {
    let (mut resumed, mut left) = (TakenUp::new(), Vec::new());
    for mut found in unfinished {
        let room = found.room().filter(|room| usize::from(*room) < shared.rooms.len());
        let result = match room {
            Some(room) if !resumed.contains_key(&room) => found.resume(&shared.config).map(|it| (room, it)),
            _ => Err(Misfit::Taken),
        };
        match result {
            Ok((room, it)) => {
                resumed.insert(room, it);
            }
            Err(why) => {
                tracing::warn!("{}: the match is not taken up again: {why}", found.path.display());
                left.push(found);
            }
        }
    }
    (resumed, left)
}

fn examine(path: &Path) -> Option<Unfinished> {
    let recording = path.with_extension(arbiter_recording::EXTENSION);
    let age = |path: &Path| std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok();
    let is_old = age(&recording).is_none_or(|age| age > RESUME_WITHIN);
    let found = Companion::resume(path).and_then(|found| {
        let Some((mut companion, notes)) = found else { return Ok(None) };
        companion.tries()?;
        Ok(Some((companion, notes)))
    });
    let left = |why: &str| tracing::error!("{}: the match is left as it is: {why}", path.display());
    match found {
        Ok(Some((companion, notes))) if notes.tries >= TRIES_MAX || !recording.exists() => {
            left(
                "processes have died of it, or it has no recording; arbiter replay events --heal tells what can be told",
            );
            companion.put_away().inspect_err(|error| left(&error.to_string())).ok();
            None
        }
        Ok(Some((companion, notes))) => Some(Unfinished { path: recording, notes, companion: Some(companion), is_old }),
        // Another process plays it.
        Ok(None) => None,
        Err(error) => {
            left(&error.to_string());
            None
        }
    }
}

impl Unfinished {
    /// The room that it was played in.
    pub fn room(&self) -> Option<u16> {
        self.notes.room
    }

    /// The match at tick 0, and everything else that a room needs to go on with it.
    pub fn resume(&mut self, config: &ServerConfig) -> Result<(Simulation, Resumed), Misfit> {
        if self.is_old {
            return Err(Misfit::Old);
        }
        let mut reader = Reader::open(&self.path)?;
        let simulation = self.fitting(&reader, config)?;
        let tail = reader.tail()?;
        let base = self.base(&mut reader, &simulation)?;
        let again = tail.last_tick.saturating_sub(base.tick);
        if again > TICKS_AGAIN_MAX {
            return Err(Misfit::Long(again));
        }
        let mut journal = Journal::default();
        journal.begin(base.tick, Arc::new(base.state), base.story.map(Arc::new));
        for tick in reader.ticks(base.tick + 1) {
            let tick = tick?;
            journal.push(&tick.commands, tick.hash);
        }
        let joined = self.notes.joined.iter().filter(|((tick, _), _)| *tick <= tail.last_tick);
        let mut holders = BTreeMap::new();
        for ((tick, slot), player) in joined {
            holders.insert(*slot, *player);
            if *tick > base.tick {
                journal.join(*tick, *slot, *player);
            }
        }
        let match_id = reader.header().match_id;
        let writer = Writer::resume(&self.path, &mut reader, base.tick0)?;
        let companion = self.companion.take().ok_or(Misfit::Taken)?;
        let resumed = Resumed {
            path: self.path.clone(),
            match_id,
            journal,
            epoch: self.notes.epoch + 1,
            holders: holders.into_iter().collect(),
            lost: self.notes.played.saturating_sub(tail.last_tick),
            writer,
            companion,
        };
        Ok((simulation, resumed))
    }

    /// The match at tick 0, if this server plays the same.
    fn fitting(&self, reader: &Reader<File>, config: &ServerConfig) -> Result<Simulation, Misfit> {
        let header = reader.header();
        if reader.info().end.is_some() {
            return Err(Misfit::Over);
        }
        if header.map_hash != config.map.hash {
            return Err(Misfit::Other("map"));
        }
        if header.rules_hash != config.rules.hash() {
            return Err(Misfit::Other("set of rules"));
        }
        let settings = header.settings()?;
        // What an order cannot change: see `crate::order`.
        if settings.tick_rate != config.settings.tick_rate {
            return Err(Misfit::Other("tick rate"));
        }
        if settings.players_max != config.settings.players_max {
            return Err(Misfit::Other("number of places"));
        }
        let simulation = crate::room::build_with(config, header.seed, settings)?;
        if !header.stamp.differences(&Stamp::of(&simulation)).is_empty() || simulation.hash() != header.tick0_hash {
            return Err(Misfit::Other("build"));
        }
        Ok(simulation)
    }

    /// From where it is simulated again: the last checkpoint up to which everything was told.
    fn base(&self, reader: &mut Reader<File>, simulation: &Simulation) -> Result<Base, ReadError> {
        let mut tick0 = Vec::new();
        simulation.checkpoint(&mut tick0);
        // What is noted beside a copied recording may be ahead of it.
        for (told, story) in self.notes.told.iter().rev() {
            let found = match told {
                0 => Some((0, tick0.clone())),
                told => reader.checkpoint_before(*told, &tick0)?,
            };
            if let Some((_, state)) = found.filter(|(tick, _)| tick == told) {
                return Ok(Base { tick: *told, state, story: story.clone(), tick0 });
            }
        }
        Err(ReadError::NoSuchTick { wanted: self.notes.told.last().map_or(0, |it| it.0), first: 0, last: 0 })
    }
}

struct Base {
    tick: u32,
    state: Vec<u8>,
    story: Option<Story>,
    tick0: Vec<u8>,
}
