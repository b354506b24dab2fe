//! What lies at a depot, under which names:
//!
//! | name | is |
//! | --- | --- |
//! | `running.json` | which matches run: where to begin |
//! | `MATCH/manifest.json` | of how many parts the recording is made so far, and what stands beside it |
//! | `MATCH/GENERATION-NUMBER` | a part: whole blocks, one behind the other |
//!
//! A manifest is put behind the parts that it speaks of, so that what it says is there, whatever fails in between. Each process that
//! ships a recording begins a generation of parts, and its manifest takes the place of the one before once all of them are
//! there: a disk that came back shorter than what was shipped never mixes with it.

use arbiter_recording::block::{FRAME_BYTES, PAYLOAD_BYTES_MAX, PREAMBLE_BYTES};
use serde::{Deserialize, Serialize};

/// Changes when the meaning of a name or field does.
pub(super) const VERSION: u32 = 1;

/// The name of [`Running`].
pub(super) const RUNNING: &str = "running.json";

/// Bytes of blocks that go in one part if several wait. The last of them may have more.
pub(super) const PART_BYTES: u64 = 4 << 20;

/// Bytes of a part at most.
pub(super) const PART_BYTES_MAX: u64 = PART_BYTES + (PREAMBLE_BYTES + FRAME_BYTES + PAYLOAD_BYTES_MAX) as u64;

/// Bytes of each of the two others at most: what stands beside a recording may say a thousand players' results.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// Which matches run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub version: u32,
    pub matches: Vec<String>,
}

/// A recording so far.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub version: u32,
    pub generation: String,
    /// Counted from 0.
    pub parts: u32,
    /// Of all of them together.
    pub bytes: u64,
    /// When the last part was written: seconds since 1970.
    pub written: u64,
    /// What stands beside the recording, as far as another process needs it; `None` once the match is over and told.
    pub notes: Option<String>,
}

/// Whether it can be the name of a match: what is read from a depot becomes the name of a file.
pub(super) fn is_match(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The name of a manifest.
pub(super) fn manifest_of(name: &str) -> String {
    format!("{name}/manifest.json")
}

/// The name of a part.
pub(super) fn part_of(name: &str, generation: &str, number: u32) -> String {
    format!("{name}/{generation}-{number:08}")
}
