//! One recording, opened, with a simulation that can be brought to any of its ticks.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arbiter_recording::{Header, ReadError, Reader, Stamp};
use arbiter_schema::StableId;
use arbiter_sim::{BuildError, Command, EntityDump, Map, MatchSettings, RestoreError, Rules, Simulation};
use thiserror::Error;

/// What a replay needs from outside the recording.
pub trait Assets: Sync {
    /// The map of this name, for recordings whose map was too large to embed. The error says where it was looked for.
    fn map(&self, name: &str) -> Result<Arc<Map>, String>;

    /// Builds the match. A studio with plugins of its own adds them here.
    fn simulate(
        &self,
        rules: Arc<Rules>,
        map: Arc<Map>,
        seed: u64,
        settings: MatchSettings,
    ) -> Result<Simulation, BuildError> {
        Simulation::new(rules, map, seed, settings)
    }
}

/// No assets: replays recordings that embed their map.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbeddedOnly;

impl Assets for EmbeddedOnly {
    fn map(&self, _name: &str) -> Result<Arc<Map>, String> {
        Err("no assets were given".to_owned())
    }
}

/// How strict a replay is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Replay although another build wrote the recording: to see where it parts.
    pub any_build: bool,
}

/// Why a recording cannot be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {error}; check the path and its permissions")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: ReadError,
    },
    /// Another build wrote it.
    #[error(
        "{path} was written by another build, which may simulate differently:\n  {}\nreplay it with the release that \
         wrote it, or see how far this one agrees with --any-build", .differences.join("\n  ")
    )]
    OtherBuild {
        /// Which file.
        path: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The map is not there, or is another.
    #[error(
        "{path} was played on the map `{name}`, which is not embedded: {why}; put that version of the map into assets/maps"
    )]
    Map {
        /// Which file.
        path: PathBuf,
        /// Which map.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The match cannot be built.
    #[error("{path}: the match cannot be built: {error}")]
    Build {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: BuildError,
    },
    /// The state at tick 0 is another.
    #[error(
        "{path}: the state at tick 0 has hash {found:016x} where {recorded:016x} was recorded, though rules, map and seed \
         are the same: this build or machine simulates differently; replay with the release that wrote it"
    )]
    Tick0 {
        /// Which file.
        path: PathBuf,
        /// What was recorded.
        recorded: u64,
        /// What was made.
        found: u64,
    },
    /// A checkpoint cannot be restored.
    #[error("{path}: the checkpoint of tick {tick} cannot be restored: {error}")]
    Restore {
        /// Which file.
        path: PathBuf,
        /// Which checkpoint.
        tick: u32,
        /// Why.
        error: RestoreError,
    },
    /// No such entity at that tick.
    #[error("{path}: there is no entity {id} at tick {tick}; leave --entity out to see all that there are")]
    NoEntity {
        /// Which file.
        path: PathBuf,
        /// Which entity.
        id: StableId,
        /// At which tick.
        tick: u32,
    },
}

/// A recording and a simulation of it.
pub struct Replay<'a> {
    pub(crate) path: PathBuf,
    pub(crate) reader: Reader<File>,
    pub(crate) simulation: Simulation,
    pub(crate) tick0: Vec<u8>,
    assets: &'a dyn Assets,
}

impl<'a> Replay<'a> {
    /// Opens a recording and builds its tick 0.
    pub fn open(path: &Path, assets: &'a dyn Assets, options: Options) -> Result<Self, ReplayError> {
        let read = |error| match error {
            ReadError::Io(error) => ReplayError::Open { path: path.to_owned(), error },
            error => ReplayError::Read { path: path.to_owned(), error },
        };
        let reader = Reader::open(path).map_err(read)?;
        let header = reader.header();
        let rules = Arc::new(header.rules().map_err(read)?);
        let settings = header.settings().map_err(read)?;
        let map = find_map(path, header, assets)?;
        let simulation = assets
            .simulate(rules, map, header.seed, settings)
            .map_err(|error| ReplayError::Build { path: path.to_owned(), error })?;
        let differences = header.stamp.differences(&Stamp::of(&simulation));
        if !differences.is_empty() && !options.any_build {
            return Err(ReplayError::OtherBuild { path: path.to_owned(), differences });
        }
        let (recorded, found) = (header.tick0_hash, simulation.hash());
        if recorded != found && !options.any_build {
            return Err(ReplayError::Tick0 { path: path.to_owned(), recorded, found });
        }
        let mut tick0 = Vec::new();
        simulation.checkpoint(&mut tick0);
        Ok(Self { path: path.to_owned(), reader, simulation, tick0, assets })
    }

    /// What the recording says about itself.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// The file behind it.
    pub fn reader(&mut self) -> &mut Reader<File> {
        &mut self.reader
    }

    /// The simulation at the tick it was last brought to.
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// Brings the simulation to a tick, from the nearest checkpoint or from where it stands. Returns the hash that was
    /// recorded for that tick; the simulation's own is [`Simulation::hash`].
    pub fn seek(&mut self, tick: u32) -> Result<u64, ReplayError> {
        let last = self.reader.info().range.map_or(0, |(_, last)| last);
        if tick > last {
            return Err(self.read(ReadError::NoSuchTick { wanted: tick, first: 0, last }));
        }
        let near = match self.reader.checkpoint_before(tick, &self.tick0) {
            Ok(near) => near,
            // The checkpoints fit another tick 0: the long way round still works.
            Err(ReadError::OtherTick0) => None,
            Err(error) => return Err(self.read(error)),
        };
        let here = self.simulation.tick();
        let near = near.filter(|(at, _)| here > tick || *at > here);
        match near {
            Some((at, state)) => self.restore(at, &state)?,
            None if here > tick => {
                let tick0 = self.tick0.clone();
                self.restore(0, &tick0)?;
            }
            None => {}
        }
        let recorded = step_to(&mut self.reader, &mut self.simulation, tick);
        recorded.map_err(|error| self.read(error))
    }

    /// Simulates the whole recording. `each` sees the simulation before every tick, with the commands that it is stepped with,
    /// and behind it, without. Ends at the first tick that is missing or damaged.
    pub fn walk(&mut self, mut each: impl FnMut(&Simulation, Option<&[Command]>)) -> Result<(), ReplayError> {
        let tick0 = self.tick0.clone();
        self.restore(0, &tick0)?;
        let Self { reader, simulation, path, .. } = self;
        for step in reader.ticks(1) {
            let step = step.map_err(|error| ReplayError::Read { path: path.clone(), error })?;
            if step.tick != simulation.tick() + 1 {
                break;
            }
            each(simulation, Some(&step.commands));
            simulation.step(&step.commands);
            each(simulation, None);
        }
        Ok(())
    }

    /// The state at a tick as text: all of it, or one entity.
    pub fn dump(&mut self, tick: u32, entity: Option<StableId>) -> Result<Vec<EntityDump>, ReplayError> {
        self.seek(tick)?;
        let mut dump = self.simulation.dump();
        if let Some(id) = entity {
            dump.retain(|entry| entry.id == id);
            if dump.is_empty() {
                return Err(ReplayError::NoEntity { path: self.path.clone(), id, tick });
            }
        }
        Ok(dump)
    }

    /// Another simulation of the same match at tick 0.
    pub(crate) fn sibling(&self) -> Result<Simulation, ReplayError> {
        let of = &self.simulation;
        self.assets
            .simulate(Arc::clone(of.rules()), Arc::clone(of.map()), of.seed(), of.settings().clone())
            .map_err(|error| ReplayError::Build { path: self.path.clone(), error })
    }

    pub(crate) fn restore(&mut self, tick: u32, state: &[u8]) -> Result<(), ReplayError> {
        let restored = self.simulation.restore(state);
        restored.map_err(|error| ReplayError::Restore { path: self.path.clone(), tick, error })
    }

    pub(crate) fn read(&self, error: ReadError) -> ReplayError {
        ReplayError::Read { path: self.path.clone(), error }
    }
}

/// Steps a simulation to a tick with what was recorded, and returns the hash that was recorded for it.
pub(crate) fn step_to(reader: &mut Reader<File>, simulation: &mut Simulation, tick: u32) -> Result<u64, ReadError> {
    let missing = |wanted: u32, last: u32| ReadError::NoSuchTick { wanted, first: 0, last };
    if tick == 0 {
        return Ok(reader.header().tick0_hash);
    }
    // From one tick earlier than needed if it stands there already: the recorded hash is wanted in any case.
    let here = simulation.tick();
    let mut recorded = None;
    for step in reader.ticks(tick.min(here.saturating_add(1))) {
        let step = step?;
        if step.tick > simulation.tick() {
            if step.tick != simulation.tick() + 1 {
                return Err(missing(simulation.tick() + 1, simulation.tick()));
            }
            simulation.step(&step.commands);
        }
        if step.tick == tick {
            recorded = Some(step.hash);
            break;
        }
    }
    recorded.ok_or_else(|| missing(tick, simulation.tick()))
}

fn find_map(path: &Path, header: &Header, assets: &dyn Assets) -> Result<Arc<Map>, ReplayError> {
    let embedded = header.map().map_err(|error| ReplayError::Read { path: path.to_owned(), error })?;
    let fault = |why: String| ReplayError::Map { path: path.to_owned(), name: header.map_name.clone(), why };
    let map = match embedded {
        Some(map) => Arc::new(map),
        None => assets.map(&header.map_name).map_err(fault)?,
    };
    if map.hash != header.map_hash {
        return Err(fault("the map found under this name is another version".to_owned()));
    }
    Ok(map)
}
