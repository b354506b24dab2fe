//! Trains the tables of the snapshot codec: `cargo run --release -p arbiter-benches --bin train-codec -- TRACE OUT`, with OUT
//! `assets/codec/tables.txt`. A change of that file is a change of the protocol.

use std::path::Path;

use arbiter_benches::{cubes::Trace, train::train};

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [trace, out] = &arguments[..] else { return Err("usage: train-codec TRACE OUT".to_owned()) };
    let text = train(&Trace::read(Path::new(trace))?);
    std::fs::write(out, text).map_err(|error| format!("{out}: {error}"))
}
