//! However records come, in whatever batches, the same is in the view.

use arbiter_views::{ApplyError, Fold, FoldError, OpenError, Opened, View};
use proptest::prelude::*;

use super::{Place, UNKNOWN, WORDS, fill, follow, hash, records};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_view_that_grew_in_any_batches_is_the_one_that_is_built_at_once(
        words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 1..60),
        cuts in prop::collection::vec((0_usize..20, any::<bool>()), 1..20),
    ) {
        let mut place = Place::with(0);
        fill(&mut place.log, words.iter().map(Vec::as_slice));
        let all = records(&place.log);
        let (mut view, _) = place.open();
        for (count, reopen) in cuts {
            let from = view.position() as usize;
            view.apply(&all[from..all.len().min(from + count)]).expect("applied");
            if reopen {
                drop(view);
                let (again, opened) = place.open();
                prop_assert_eq!(opened, Opened::Continues);
                view = again;
            }
        }
        follow(&mut view, &place.log);
        prop_assert_eq!(view.position(), all.len() as u64);
        prop_assert_eq!(hash(&view), place.rebuilt());
    }
}

#[test]
fn another_value_anywhere_is_another_hash() {
    let place = Place::with(40);
    let (mut view, _) = place.open();
    follow(&mut view, &place.log);
    let before = hash(&view);
    let path = view.path().to_owned();
    drop(view);
    let connection = arbiter_views::rusqlite::Connection::open(path).expect("SQLite");
    connection
        .execute("UPDATE words SET count = count + 1 WHERE word = CAST('word 1' AS BLOB)", [])
        .expect("one value");
    drop(connection);
    assert_ne!(hash(&place.open().0), before);
}

#[test]
fn a_view_stops_before_what_it_does_not_know_and_keeps_all_before_it() {
    let mut place = Place::with(5);
    fill(&mut place.log, [UNKNOWN, b"after"]);
    let (mut view, _) = place.open();
    let stopped = view.apply(&records(&place.log)).expect_err("one is not known");
    assert!(
        matches!(&stopped, ApplyError::Stopped { position: 5, reason } if reason == "this needs version 2"),
        "{stopped}"
    );
    assert_eq!(view.position(), 5);
}

#[test]
fn records_that_do_not_follow_are_refused() {
    let place = Place::with(5);
    let (mut view, _) = place.open();
    let skipping = view.apply(&records(&place.log)[1..]);
    assert!(matches!(skipping, Err(ApplyError::OutOfOrder { expected: 0, found: 1 })));
    assert_eq!(view.position(), 0);
}

/// Its table has rows of no order.
#[derive(Debug)]
struct Loose;

impl Fold for Loose {
    fn name(&self) -> &'static str {
        "loose"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> &'static str {
        "CREATE TABLE loose (a INTEGER)"
    }

    fn apply(
        &self,
        _: &arbiter_views::rusqlite::Transaction<'_>,
        _: &arbiter_eventlog::Record,
    ) -> Result<(), FoldError> {
        Ok(())
    }
}

#[test]
fn a_table_whose_rows_have_no_order_is_refused() {
    let place = Place::with(0);
    let opened = View::open(&place.path("loose.sqlite"), Loose, &place.log);
    assert!(matches!(opened, Err(OpenError::Definition(words)) if words.contains("loose")));
}

#[test]
fn a_view_has_one_writer() {
    let place = Place::with(0);
    let _first = place.open();
    assert!(matches!(View::open(&place.path("words.sqlite"), WORDS, &place.log), Err(OpenError::Locked)));
}
