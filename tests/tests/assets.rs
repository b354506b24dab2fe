//! `arbiter assets` as a designer uses it.

use arbiter_tests::{printed, run};

#[test]
fn the_built_in_assets_are_valid() {
    let out = run(&["assets", "check"]);
    assert!(out.status.success(), "{}", printed(&out));
}

#[test]
fn the_assets_of_this_repository_are_valid() {
    let out = run(&["assets", "check", concat!(env!("CARGO_MANIFEST_DIR"), "/../assets")]);
    assert!(out.status.success(), "{}", printed(&out));
}

#[test]
fn the_schema_names_every_part_of_the_rules() {
    let out = run(&["assets", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&out.stdout).expect("standard output is JSON");
    for part in ["heroes", "weapons", "abilities", "effects", "modes"] {
        assert!(schema["properties"][part].is_object(), "{part} is missing");
    }
}
