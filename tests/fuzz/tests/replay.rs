//! Contract: what honest encoders make and what once broke something runs through every target without a panic and within the
//! target's memory. What it has caught is named in `regressions/README.md`.

use std::path::{Path, PathBuf};

use arbiter_fuzz::{Counting, TARGETS, Target};

#[global_allocator]
static ALLOCATOR: Counting = arbiter_fuzz::COUNTING;

fn files(folder: &str, target: &Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target.name);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn run(folder: &str, least: usize) {
    for target in TARGETS {
        target.warm_up();
        let files = files(folder, target);
        assert!(files.len() >= least, "{} has {} files in {folder}/", target.name, files.len());
        for path in files {
            // A panic does not say which file it was about; the last line printed does.
            println!("{}", path.display());
            target.check(&std::fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn what_once_broke_a_target_no_longer_does() {
    run("regressions", 0);
}

#[test]
fn what_honest_encoders_make_passes_every_target() {
    run("corpus", 4);
}

#[test]
fn no_honest_example_is_cut_short_or_changed_by_one_byte_into_a_panic() {
    for target in TARGETS {
        target.warm_up();
        for path in files("corpus", target) {
            println!("{}", path.display());
            let mut bytes = std::fs::read(&path).expect("a file");
            let len = bytes.len();
            // Spread over the file, so that a large one takes no longer.
            for at in (0..len).step_by((len / 12).max(1)) {
                target.check(&bytes[..at]);
                bytes[at] ^= 0x5A;
                target.check(&bytes);
                bytes[at] ^= 0x5A;
            }
        }
    }
}

#[test]
fn the_corpus_is_small_enough_for_a_repository() {
    let sizes =
        TARGETS.iter().flat_map(|target| files("corpus", target).into_iter().chain(files("regressions", target)));
    let bytes: u64 = sizes.map(|path| std::fs::metadata(path).expect("a file").len()).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes");
}
