//! Trains the tables of the snapshot codec: `cargo run --release -p arbiter-benches --bin train-codec -- TRACE OUT`, with OUT
//! `assets/codec/tables.txt`; with `--more` in front, only what drifts and the small form of parts, and the rest of OUT stays. A
//! change of that file is a change of the protocol.

use std::path::Path;

use arbiter_benches::{cubes::Trace, train};

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let failed = |path: &str, error: std::io::Error| format!("{path}: {error}");
    let trace = |path: &str| Trace::read(Path::new(path));
    let (text, out) = match &arguments[..] {
        [more, path, out] if more == "--more" => {
            let text = std::fs::read_to_string(out).map_err(|error| failed(out, error))?;
            (train::more(&trace(path)?, &text), out)
        }
        [path, out] => (train::train(&trace(path)?), out),
        _ => return Err("usage: train-codec [--more] TRACE OUT".to_owned()),
    };
    std::fs::write(out, text).map_err(|error| failed(out, error))
}
