//! Questions: at one moment each, beside the writer, and at a position if somebody asks for it.

use std::time::Duration;

use arbiter_views::{NotYet, Queries, QueryError, ReadError};

use super::{Place, follow, records};

fn count(queries: &Queries) -> Result<(u64, i64), QueryError> {
    queries.read(|moment| {
        let sum = "SELECT coalesce(sum(count), 0) FROM words";
        Ok((moment.position, moment.connection.query_row(sum, [], |row| row.get(0))?))
    })
}

#[test]
fn a_question_sees_one_moment_of_the_view() {
    let place = Place::with(20);
    let all = records(&place.log);
    let (mut view, _) = place.open();
    view.apply(&all[..10]).expect("applied");
    let seen = view.queries(1).read(|moment| {
        let sum = "SELECT sum(count) FROM words";
        let before: i64 = moment.connection.query_row(sum, [], |row| row.get(0))?;
        view.apply(&all[10..]).expect("a reader is in nobody's way");
        let after: i64 = moment.connection.query_row(sum, [], |row| row.get(0))?;
        Ok((moment.position, before, after))
    });
    assert_eq!(seen.expect("an answer"), (10, 10, 10));
    assert_eq!(count(&view.queries(1)).expect("an answer"), (20, 20));
}

#[test]
fn a_question_writes_nothing() {
    let place = Place::with(1);
    let (view, _) = place.open();
    let written = view.queries(1).read(|moment| Ok(moment.connection.execute("DELETE FROM words", [])?));
    assert!(matches!(written, Err(QueryError::Read(ReadError::Sqlite(_)))), "{written:?}");
}

#[test]
fn questions_go_on_with_the_view_that_was_built_again() {
    let place = Place::with(20);
    let (mut view, _) = place.open();
    follow(&mut view, &place.log);
    let queries = view.queries(2);
    assert_eq!(count(&queries).expect("an answer"), (20, 20));
    view.rebuild(&place.log).expect("thrown away");
    assert_eq!(count(&queries).expect("an answer"), (0, 0));
    follow(&mut view, &place.log);
    assert_eq!(count(&queries).expect("an answer"), (20, 20));
}

#[test]
fn whoever_asks_when_all_connections_are_in_use_is_told_so() {
    let place = Place::with(1);
    let (view, _) = place.open();
    let queries = view.queries(1);
    let second = queries.read(|_| Ok(count(&queries)));
    assert!(matches!(second, Ok(Err(QueryError::Busy))), "{second:?}");
    assert!(count(&queries).is_ok());
}

#[test]
fn a_view_that_is_not_there_is_named_so() {
    let place = Place::with(0);
    let queries = Queries::open(&place.path("nothing.sqlite"), 1);
    assert!(matches!(count(&queries), Err(QueryError::Read(ReadError::NotThere))));
}

#[test]
fn whoever_waits_for_a_position_is_woken_when_it_is_applied() {
    let place = Place::with(20);
    let (mut view, _) = place.open();
    let queries = view.queries(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let early = runtime.block_on(queries.reached(1, Duration::from_millis(1)));
    assert_eq!(early, Err(NotYet { wanted: 1, applied: 0 }));
    let waiting = std::thread::spawn(move || runtime.block_on(queries.reached(20, Duration::from_secs(60))));
    follow(&mut view, &place.log);
    assert_eq!(waiting.join().expect("no panic"), Ok(20));
}
