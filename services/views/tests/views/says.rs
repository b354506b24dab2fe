//! What a fold says is heard before it is kept, and again if that failed.

use std::convert::Infallible;

use arbiter_eventlog::Record;
use arbiter_views::rusqlite::Transaction;
use arbiter_views::{ApplyError, Fold as _, FoldError, FollowError, SayError, Saying};

use super::{Place, UNKNOWN, Words, fill, hash};

/// Bytes that are read at once: all of a small log.
const ALL: usize = 1 << 20;

impl Saying for Words {
    type Said = (u64, i64);

    /// Where a word is, and how often it was there.
    fn say(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(u64, i64), FoldError> {
        self.apply(transaction, record)?;
        let mut count = transaction.prepare_cached("SELECT count FROM words WHERE word = ?")?;
        Ok((record.position, count.query_row([&record.data], |row| row.get(0))?))
    }
}

#[test]
fn what_is_said_is_heard_before_it_is_kept() {
    let place = Place::with(20);
    let (mut view, _) = place.open();
    let (queries, mut heard) = (view.queries(1), Vec::new());
    let position = || queries.read(|moment| Ok(moment.position)).expect("read");
    let said = view.follow_and_say(&place.log, ALL, |said| {
        heard.extend(said);
        assert_eq!(position(), 0, "nothing is kept yet");
        Ok::<(), Infallible>(())
    });
    assert_eq!((said.expect("said"), position()), (20, 20));
    assert!(heard.iter().map(|(position, _)| *position).eq(0..20), "{heard:?}");
    assert_eq!(hash(&view), place.rebuilt(), "it is the view of a fold that says nothing");
}

#[test]
fn what_was_not_heard_is_said_again_word_for_word() {
    let place = Place::with(20);
    let (mut view, _) = place.open();
    let mut told = Vec::new();
    let refused = view.follow_and_say(&place.log, ALL, |said| {
        told.push(said);
        Err("deaf")
    });
    assert!(matches!(refused, Err(SayError::NotHeard("deaf"))));
    drop(view);
    let (mut view, _) = place.open();
    view.follow_and_say(&place.log, ALL, |said| {
        told.push(said);
        Ok::<(), Infallible>(())
    })
    .expect("said");
    assert_eq!((told.len(), &told[0]), (2, &told[1]));
    assert_eq!(view.position(), 20);
}

#[test]
fn what_comes_before_a_record_that_is_not_known_is_said() {
    let mut place = Place::with(5);
    fill(&mut place.log, [UNKNOWN, b"after"]);
    let (mut view, _) = place.open();
    let mut heard = Vec::new();
    let stopped = view.follow_and_say(&place.log, ALL, |said| {
        heard.extend(said);
        Ok::<(), Infallible>(())
    });
    let Err(SayError::Follow(FollowError::Apply(ApplyError::Stopped { position: 5, .. }))) = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!((heard.len(), view.position()), (5, 5));
}
