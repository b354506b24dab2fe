//! Writes the corpus again: what honest encoders make, a file for each example. `cargo run -p arbiter-fuzz --bin fuzz-corpus`.
//!
//! To be run when a format changes, or a target learns to read more; the files are committed, since a fuzzer that begins with
//! nothing spends its first hours on finding a magic number.

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in arbiter_fuzz::TARGETS {
        let folder = folder.join(target.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let (mut files, mut bytes) = (0, 0);
        for (name, example) in (target.examples)() {
            assert!(example.len() <= target.bytes_max, "{} {name} has {} bytes", target.name, example.len());
            std::fs::write(folder.join(&name), &example).with_context(|| name)?;
            (files, bytes) = (files + 1, bytes + example.len());
        }
        println!("{:<12} {files:>3} files, {bytes:>7} bytes", target.name);
    }
    Ok(())
}
