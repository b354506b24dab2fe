//! libFuzzer over one of the targets, whose name stands in `ARBITER_FUZZ_TARGET`. Built and run by `cargo xtask fuzz`.
#![no_main]

use std::sync::LazyLock;

use arbiter_fuzz::{Counting, Target, find};

#[global_allocator]
static ALLOCATOR: Counting = arbiter_fuzz::COUNTING;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("ARBITER_FUZZ_TARGET").unwrap_or_default();
    let target = find(&name).unwrap_or_else(|| panic!("ARBITER_FUZZ_TARGET names no target: {name:?}"));
    target.warm_up();
    target
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    TARGET.check(bytes);
});
