//! What does not fit is thrown away and built again.

use std::fs;
use std::os::unix::fs::FileExt as _;

use arbiter_eventlog::{Folder, Reader, Signer};
use arbiter_views::{OpenError, Opened, Unfit, View};

use super::{Place, WORDS, Words, fill, follow, hash, log, options, some_words};

fn grown(count: usize) -> Place {
    let place = Place::with(count);
    follow(&mut place.open().0, &place.log);
    place
}

#[test]
fn a_view_of_another_version_is_built_again() {
    let place = grown(10);
    let path = place.path("words.sqlite");
    let (view, opened) = View::open(&path, Words { version: 2 }, &place.log).expect("a view");
    assert_eq!((view.position(), opened), (0, Opened::Again(Unfit::Version)));
}

#[test]
fn a_view_of_another_log_is_built_again() {
    let place = grown(10);
    let mut other = log(&place.path("other"));
    fill(&mut other, some_words(10).iter().map(Vec::as_slice));
    let (view, opened) = View::open(&place.path("words.sqlite"), WORDS, &other).expect("a view");
    assert_eq!((view.position(), opened), (0, Opened::Again(Unfit::OtherLog)));
}

#[test]
fn a_view_of_a_history_that_the_log_no_longer_has_is_built_again() {
    let mut place = Place::with(6);
    place.log.settle().expect("settled");
    let copy = place.path("copy");
    let to = Folder::make(&copy).expect("a folder");
    arbiter_eventlog::copy(&Folder::at(&place.path("log")).expect("a folder"), &to).expect("a backup");
    fill(&mut place.log, [&b"one"[..], b"two"]);
    follow(&mut place.open().0, &place.log);
    let mut restored = arbiter_eventlog::Log::open(to, options()).expect("a log").0;
    fill(&mut restored, [&b"one"[..], b"three", b"four"]);
    let (_, opened) = View::open(&place.path("words.sqlite"), WORDS, &restored).expect("a view");
    assert_eq!(opened, Opened::Again(Unfit::OtherHistory));
}

#[test]
fn a_damaged_file_is_built_again_to_the_same_content() {
    let place = grown(2_000);
    let path = place.path("words.sqlite");
    let whole = fs::metadata(&path).expect("a file").len();
    let damages: [&dyn Fn(&fs::File); 4] = [
        &|file| file.write_all_at(b"nonsense", 0).expect("written"),
        &|file| file.write_all_at(&[0x5A; 600], 4_096).expect("written"),
        &|file| file.set_len(whole / 2).expect("cut"),
        &|file| file.set_len(0).expect("cut"),
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage(&fs::File::options().write(true).open(&path).expect("a file"));
        let (mut view, opened) = place.open();
        assert!(matches!(opened, Opened::Again(Unfit::Damaged(_))), "damage {number}: {opened:?}");
        follow(&mut view, &place.log);
        assert_eq!(hash(&view), place.rebuilt(), "damage {number}");
    }
}

#[test]
fn a_file_that_is_no_database_is_built_again() {
    let place = Place::with(3);
    fs::write(place.path("words.sqlite"), "some words of somebody ".repeat(1_000)).expect("written");
    assert!(matches!(place.open().1, Opened::Again(Unfit::Damaged(_))));
}

#[test]
fn a_view_that_cannot_be_built_again_is_not_thrown_away() {
    let mut place = Place::with(0);
    // More than a segment, so that the first can be dropped.
    let words: Vec<Vec<u8>> = (0..200_u32).map(|number| number.to_le_bytes().repeat(200)).collect();
    fill(&mut place.log, words.iter().map(Vec::as_slice));
    follow(&mut place.open().0, &place.log);
    let root = Signer::from_seed(&[3; 32]).expect("a key");
    place.log.retain_from(100, &root).expect("dropped");
    let start = place.log.start();
    assert!(start > 0);
    let (view, opened) = place.open();
    assert_eq!((view.position(), opened), (200, Opened::Continues));
    drop(view);
    let again = View::open(&place.path("words.sqlite"), Words { version: 2 }, &place.log);
    assert!(matches!(again, Err(OpenError::Gap { position: 0, start: found, .. }) if found == start));
    assert_eq!(place.open().1, Opened::Continues);
}

#[test]
fn a_view_follows_a_log_that_another_process_writes() {
    let mut place = Place::with(4);
    let folder = Folder::at(&place.path("log")).expect("a folder");
    let mut reader = Reader::open(folder, None).expect("a log");
    let (mut view, _) = View::open(&place.path("words.sqlite"), WORDS, &reader).expect("a view");
    assert_eq!(view.follow(&reader).expect("followed"), 4);
    fill(&mut place.log, [&b"more"[..]]);
    assert_eq!(view.follow(&reader).expect("followed"), 0);
    reader.refresh().expect("refreshed");
    assert_eq!(view.follow(&reader).expect("followed"), 1);
}
