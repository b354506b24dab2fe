//! Everything that reads what comes from outside, as targets of a fuzzer: a function over bytes that must return, whatever
//! the bytes are, and may not take more memory than it says.
//!
//! `cargo xtask fuzz` lets libFuzzer look for bytes that break one; `tests/replay.rs` runs all that are known, in every test
//! run: `corpus/` holds what honest encoders make ([the generator](../src/bin/fuzz-corpus.rs) writes it), `regressions/` what
//! once broke something. A finding is fixed where it is, and its bytes go to `regressions/TARGET/NAME`.
//!
//! What is sealed or has a checksum is sealed by the target itself, with keys that it has: a fuzzer cannot guess them, but a
//! client with a valid token does not have to. State machines read a script: what happens, in which order.

mod assets;
mod datagram;
mod flow;
mod netcode;
mod pair;
mod protocol;
mod recording;
mod script;
mod simulation;
mod snapshot;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

pub use script::{Script, Writer};

/// An allocator that counts, for programs that run targets.
pub type Counting = &'static StatsAlloc<System>;

/// The one that [`Target::check`] reads. A program that does not install it checks no memory.
pub const COUNTING: Counting = &INSTRUMENTED_SYSTEM;

/// A name and the bytes.
pub type Example = (String, Vec<u8>);

/// Something that reads what comes from outside.
#[derive(Debug)]
pub struct Target {
    /// How it is called.
    pub name: &'static str,
    /// What it reads.
    pub what: &'static str,
    /// Most bytes of an input: more finds nothing new and takes time, so that the rest is cut off.
    pub bytes_max: usize,
    /// Most bytes that one run may allocate in all, whether or not they are freed again. What a decoder takes must follow
    /// from what it was given, not from the lengths that are written there.
    pub allocated_max: usize,
    /// Reads.
    pub run: fn(&[u8]),
    /// What honest encoders make of it.
    pub examples: fn() -> Vec<Example>,
}

impl Target {
    /// Runs it.
    ///
    /// # Panics
    /// If it broke: that is what a fuzzer looks for.
    pub fn check(&self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.bytes_max)];
        let region = Region::new(COUNTING);
        (self.run)(bytes);
        let allocated = region.change().bytes_allocated;
        assert!(
            allocated <= self.allocated_max,
            "{} allocated {allocated} bytes for an input of {}, more than {}",
            self.name,
            bytes.len(),
            self.allocated_max
        );
    }

    /// Runs it once for what is made on first use, so that no later run is charged with it.
    pub fn warm_up(&self) {
        (self.run)(&[]);
        (self.run)(&[0]);
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    netcode::TOKEN,
    netcode::PACKET,
    netcode::SERVER,
    netcode::CLIENT,
    datagram::HEADER,
    datagram::MESSAGES,
    flow::FLOW,
    pair::PAIR,
    protocol::PROTOCOL,
    snapshot::SNAPSHOT,
    recording::RECORDING,
    recording::BLOCKS,
    assets::MAP,
    assets::RULES,
    simulation::CHECKPOINT,
];

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
