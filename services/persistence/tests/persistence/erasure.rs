//! What was erased is nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use arbiter_eventlog::Masters;
use serde_json::json;

use super::House;
use super::events::whole;

const NAME: &str = "Adalovelace";

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(folder: &Path, text: &[u8]) -> Vec<PathBuf> {
    let has = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text));
    files(folder).into_iter().filter(has).collect()
}

#[test]
fn a_name_is_in_no_file_before_or_after_it_was_erased() {
    let mut house = House::new();
    house.tell(whole(1, &[7, 8]));
    assert_eq!(house.rename(7, NAME).0, 200);
    // What is no secret is found, so that the search is one.
    assert!(!holds(house.folder.path(), b"control_point").is_empty());
    assert_eq!(holds(house.folder.path(), NAME.as_bytes()), Vec::<PathBuf>::new());
    assert_eq!(house.ask("DELETE", "/player/7/profile", "player-7", "").0, 204);
    assert_eq!(holds(house.folder.path(), NAME.as_bytes()), Vec::<PathBuf>::new());
    house.stop();
    assert_eq!(holds(house.folder.path(), NAME.as_bytes()), Vec::<PathBuf>::new());
}

#[test]
fn an_erased_player_has_no_name_and_keeps_matches_under_a_number() {
    let mut house = House::new();
    let after = house.tell(whole(1, &[7, 8]));
    assert_eq!((house.rename(7, NAME).0, house.rename(8, "Bob").0), (200, 200));
    assert_eq!(house.ask("DELETE", "/player/7/profile", "player-7", "").0, 204);
    assert_eq!(house.ask("DELETE", "/player/7/profile", "player-7", "").0, 204);
    for start_again in [false, true] {
        if start_again {
            house.stop();
            house.start();
        }
        let (_, seen) = house.get(8, &format!("/player/7/profile?after={after}"));
        assert_eq!((seen.get("display_name"), &seen["progress"]["matches"]), (None, &json!(1)), "{seen}");
        assert_eq!(house.get(7, "/player/8/profile").1["display_name"], json!("Bob"));
    }
}

#[test]
fn a_copy_of_the_profiles_from_before_the_erasure_tells_nothing_afterwards() {
    let mut house = House::new();
    assert_eq!(house.rename(7, NAME).0, 200);
    house.stop();
    let profiles = house.folder.path().join("persistence/profiles");
    let copy: Vec<(PathBuf, Vec<u8>)> = files(&profiles)
        .into_iter()
        .filter(|path| !path.to_string_lossy().contains("profile-keys"))
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect();
    house.start();
    assert_eq!(house.ask("DELETE", "/player/7/profile", "player-7", "").0, 204);
    house.stop();
    for path in files(&profiles).iter().filter(|path| !path.to_string_lossy().contains("profile-keys")) {
        fs::remove_file(path).expect("removed");
    }
    copy.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("put back"));
    house.start();
    assert_eq!(house.get(7, "/player/7/profile").1.get("display_name"), None);
}

#[test]
fn a_place_of_keys_that_was_destroyed_holds_zeros() {
    let mut house = House::new();
    assert_eq!(house.rename(7, NAME).0, 200);
    assert_eq!(house.ask("DELETE", "/player/7/profile", "player-7", "").0, 204);
    house.stop();
    for file in ["profile-keys", "profile-keys-copy"] {
        let path = house.folder.path().join("persistence/profiles").join(file);
        let bytes = fs::read(path).expect("a file");
        assert!(bytes.len() > 512 && bytes[512..].iter().all(|byte| *byte == 0), "{file}");
    }
}

#[test]
fn events_may_be_sealed_and_profiles_open_with_their_master_key_only() {
    let mut house = House::new();
    assert_eq!(house.rename(7, NAME).0, 200);
    house.stop();
    let mut config = house.config();
    config.master = [6; 32];
    config.events_masters = Some(Masters::from_key([1; 32]));
    let refused = arbiter_persistence::Persistence::start(config).expect_err("another key");
    assert!(refused.to_string().contains("another master key"), "{refused}");
}
