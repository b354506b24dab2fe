//! Trains the tables of the snapshot codec: `cargo run --release -p arbiter-benches --bin train-codec -- TRACE OUT`, with OUT
//! `assets/codec/tables.txt`; with `-- OUT` alone, only what needs no trace: what drifts, and the small form of parts. A change of that file is a change of the protocol.

use std::path::Path;

use arbiter_benches::{cubes::Trace, train};

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let failed = |path: &str, error: std::io::Error| format!("{path}: {error}");
    let (text, out) = match &arguments[..] {
        [trace, out] => (train::train(&Trace::read(Path::new(trace))?), out),
        [out] => (train::more(&std::fs::read_to_string(out).map_err(|error| failed(out, error))?), out),
        _ => return Err("usage: train-codec [TRACE] OUT".to_owned()),
    };
    std::fs::write(out, text).map_err(|error| failed(out, error))
}
