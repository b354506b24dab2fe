//! What a recording says about itself: everything needed to build tick 0 again, and nothing about a person.
//!
//! The header is two parts. The [`Stamp`] says which build wrote it and never changes its layout within a format version, so
//! that another build can always say what differs. The rest is content.

use arbiter_sim::{Map, MatchSettings, Rules, Simulation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::block::Chain;
use crate::error::{ReadError, WriteError};

/// Bytes that the header may have: rules are some 100 KB, an embedded map at most [`Header::MAP_BYTES_MAX`].
pub const HEADER_BYTES_MAX: usize = 4 << 20;

/// Bytes that an embedded part may have once it is decompressed: a map of 300 KB compressed is some 3 MB.
pub const PART_BYTES_MAX: usize = 32 << 20;

/// Level 9: written once per match, on the writer's thread.
const LEVEL: i32 = 9;

/// The limits of everything that bincode reads here: lengths are checked before memory is reserved.
pub(crate) fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<HEADER_BYTES_MAX>()
}

/// Which build wrote a recording. What differs here may differ in the simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Version of Arbiter.
    pub arbiter: String,
    /// Version of Rapier.
    pub rapier: String,
    /// What else decides the bits of a simulation: features of the crates that compute.
    pub features: String,
    /// Hash of the names, fields and types of all components, a studio's own too.
    pub components: u64,
}

impl Stamp {
    /// This build's, for this simulation.
    pub fn of(simulation: &Simulation) -> Self {
        let mut hasher = blake3::Hasher::new();
        for component in simulation.registry().components() {
            // Debug text is unambiguous here: names and types are quoted, fields are bracketed.
            hasher.update(format!("{:?} {:?};", component.name, component.fields).as_bytes());
        }
        let mut components = [0; 8];
        components.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self::current(u64::from_le_bytes(components))
    }

    /// This build's, for a simulation with these components.
    pub fn current(components: u64) -> Self {
        Self {
            arbiter: env!("CARGO_PKG_VERSION").to_owned(),
            rapier: "0.36.1".to_owned(),
            features: "rapier: f32 enhanced-determinism; glam 0.33: libm scalar-math".to_owned(),
            components,
        }
    }

    /// One line for everything that differs: what, in the recording, in this build.
    pub fn differences(&self, build: &Self) -> Vec<String> {
        let mut out = Vec::new();
        let mut compare = |what: &str, recorded: &str, ours: &str| {
            if recorded != ours {
                out.push(format!("{what}: the recording has `{recorded}`, this build `{ours}`"));
            }
        };
        compare("arbiter", &self.arbiter, &build.arbiter);
        compare("rapier", &self.rapier, &build.rapier);
        compare("features", &self.features, &build.features);
        compare("components", &format!("{:016x}", self.components), &format!("{:016x}", build.components));
        out
    }
}

/// Everything needed to build tick 0 again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Which build wrote it. First, so that it can be read when the rest cannot.
    pub stamp: Stamp,
    /// The match: random, says nothing about anyone in it.
    pub match_id: u128,
    /// What the simulation's random stream begins with.
    pub seed: u64,
    /// Ticks a second.
    pub tick_rate: u16,
    /// The match's settings.
    pub settings: Part,
    /// Content hash of the rules.
    pub rules_hash: [u8; 32],
    /// The rules themselves, so that a replay needs no assets.
    pub rules: Part,
    /// The map's name.
    pub map_name: String,
    /// Content hash of the map's file.
    pub map_hash: [u8; 32],
    /// The map itself, unless it is larger than [`Header::MAP_BYTES_MAX`].
    pub map: Option<Part>,
    /// Hash of the state at tick 0.
    pub tick0_hash: u64,
    /// Digest of the checkpoint of tick 0, against which checkpoints are compressed. The writer fills it in.
    pub tick0_digest: Chain,
}

impl Header {
    /// Compressed bytes up to which a map is embedded. The arena is far below; a field of 1,000 would be most of a file.
    pub const MAP_BYTES_MAX: usize = 300_000;

    /// The header of a match that was just made and has not been stepped. `match_id` is random.
    pub fn of(simulation: &Simulation, match_id: u128) -> Result<Self, WriteError> {
        let encode = |why: String| WriteError::Encode { what: "the header", why };
        let map = Part::of(&**simulation.map()).map_err(encode)?;
        Ok(Self {
            stamp: Stamp::of(simulation),
            match_id,
            seed: simulation.seed(),
            tick_rate: simulation.settings().tick_rate,
            settings: Part::of(simulation.settings()).map_err(encode)?,
            rules_hash: simulation.rules().hash(),
            rules: Part::of(&**simulation.rules()).map_err(encode)?,
            map_name: simulation.map().name.clone(),
            map_hash: simulation.map().hash,
            map: (map.packed_bytes() <= Self::MAP_BYTES_MAX).then_some(map),
            tick0_hash: simulation.hash(),
            tick0_digest: [0; 16],
        })
    }

    /// The settings of the match.
    pub fn settings(&self) -> Result<MatchSettings, ReadError> {
        self.settings.get().map_err(|why| ReadError::HeaderContent(format!("settings: {why}")))
    }

    /// The rules of the match; their hash is checked.
    pub fn rules(&self) -> Result<Rules, ReadError> {
        let fault = |why: String| ReadError::HeaderContent(format!("rules: {why}"));
        let rules: Rules = self.rules.get().map_err(fault)?;
        if rules.hash() != self.rules_hash {
            return Err(fault("they do not have the hash that the header names".to_owned()));
        }
        Ok(rules)
    }

    /// The map, if it is embedded.
    pub fn map(&self) -> Result<Option<Map>, ReadError> {
        let fault = |why: String| ReadError::HeaderContent(format!("map: {why}"));
        self.map.as_ref().map(Part::get).transpose().map_err(fault)
    }

    /// Its bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, String> {
        bincode::serde::encode_to_vec(self, config()).map_err(|error| error.to_string())
    }

    /// Reads a header, and says what build wrote it if it cannot.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        match bincode::serde::decode_from_slice::<Self, _>(bytes, config()) {
            Ok((header, used)) if used == bytes.len() => Ok(header),
            Ok((header, _)) => Err(ReadError::HeaderContent(other_build(&header.stamp))),
            Err(error) => Err(match bincode::serde::decode_from_slice::<Stamp, _>(bytes, config()) {
                Ok((stamp, _)) => ReadError::HeaderContent(other_build(&stamp)),
                Err(_) => ReadError::HeaderContent(error.to_string()),
            }),
        }
    }
}

fn other_build(stamp: &Stamp) -> String {
    format!("it was written by arbiter {} with rapier {} ({})", stamp.arbiter, stamp.rapier, stamp.features)
}

/// A value inside a header: bincode, then zstd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    raw_bytes: u32,
    packed: Vec<u8>,
}

impl Part {
    /// Packs a value.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, String> {
        let config = bincode::config::standard().with_limit::<PART_BYTES_MAX>();
        let raw = bincode::serde::encode_to_vec(value, config).map_err(|error| error.to_string())?;
        let packed = zstd::bulk::compress(&raw, LEVEL).map_err(|error| error.to_string())?;
        Ok(Self { raw_bytes: raw.len() as u32, packed })
    }

    /// Unpacks it again.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, String> {
        let limit = self.raw_bytes as usize;
        if limit > PART_BYTES_MAX {
            return Err(format!("it claims {limit} bytes where at most {PART_BYTES_MAX} are allowed"));
        }
        let raw = zstd::bulk::decompress(&self.packed, limit).map_err(|error| error.to_string())?;
        let config = bincode::config::standard().with_limit::<PART_BYTES_MAX>();
        let (value, used) = bincode::serde::decode_from_slice(&raw, config).map_err(|error| error.to_string())?;
        if used != raw.len() {
            return Err(format!("{} bytes are left over", raw.len() - used));
        }
        Ok(value)
    }

    /// Bytes that it takes in the file.
    pub fn packed_bytes(&self) -> usize {
        self.packed.len()
    }
}

/// How the recorded match ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// A team won: from 1, or slot + 1 where each plays alone.
    Won(u16),
    /// Nobody did.
    Draw,
    /// It was stopped before its end.
    Abandoned,
}

impl From<arbiter_sim::Outcome> for End {
    fn from(outcome: arbiter_sim::Outcome) -> Self {
        match outcome {
            arbiter_sim::Outcome::Won(team) => End::Won(team),
            arbiter_sim::Outcome::Draw => End::Draw,
            arbiter_sim::Outcome::Abandoned => End::Abandoned,
        }
    }
}

/// What became of the room that played the match, beside what it played: nothing that a replay has to know to get the same
/// states, and what somebody who asks why has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// A panic; the room was rebuilt and went on behind this tick.
    Rebuilt {
        /// The last tick before.
        tick: u32,
    },
    /// The inputs of this tick were replaced by neutral ones, since the room panicked twice with those that came.
    Blanked {
        /// Which.
        tick: u32,
    },
    /// The process ended; another one went on behind this tick.
    Resumed {
        /// The last tick before.
        tick: u32,
    },
}

/// The index at the end of a finished recording: what a scan would find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footer {
    pub end: End,
    pub entries: Vec<Entry>,
    pub marks: Vec<Mark>,
}

/// The same in version 2, which had no marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footer2 {
    pub end: End,
    pub entries: Vec<Entry>,
}

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub offset: u64,
    pub first_tick: u32,
    /// 0 for a checkpoint.
    pub ticks: u32,
}

impl Footer {
    /// Blocks of a recording: a week at a block a second and a checkpoint a second.
    pub const ENTRIES_MAX: usize = 1 << 20;
    /// Marks of a recording: a room is rebuilt a few times at most before its match is given up, and a process some times more.
    pub const MARKS_MAX: usize = 1 << 10;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_names_the_rapier_and_glam_that_are_built() {
        let manifest = include_str!("../../../Cargo.toml");
        let stamp = Stamp::current(0);
        assert!(manifest.contains(&format!("rapier3d = {{ version = \"={}\"", stamp.rapier)), "rapier moved: stamp it");
        assert!(manifest.contains("glam = { version = \"0.33\""), "glam moved: stamp it");
        assert!(manifest.contains("\"enhanced-determinism\""), "rapier's features moved: stamp them");
    }

    #[test]
    fn a_part_comes_back_and_a_lying_length_does_not() {
        let part = Part::of(&vec![7_u32; 1_000]).expect("packs");
        assert_eq!(part.get::<Vec<u32>>(), Ok(vec![7; 1_000]));
        assert!(Part { raw_bytes: u32::MAX, ..part.clone() }.get::<Vec<u32>>().is_err());
        assert!(Part { raw_bytes: 3, ..part }.get::<Vec<u32>>().is_err());
    }
}
