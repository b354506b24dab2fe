//! Events over HTTP into the log of events: each once, acknowledged when it is on disk, whatever the disk does.

use std::sync::Arc;

use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Attributes, Envelope, batch, v1};
use arbiter_eventlog::simulated::{Faults, SimulatedDisk};
use arbiter_eventlog::{Folder, Log, Options, Reader, backup, copy};
use arbiter_intake::{Event, Intake, Refused, Stored};
use arbiter_web::{Access, AccessDenied, Limits, Running, ServiceKey, serve};

struct Nobody;

impl Access for Nobody {
    fn player(&self, token: &str) -> Result<u64, AccessDenied> {
        if token == "player" { Ok(1) } else { Err(AccessDenied("nobody has tokens here".to_owned())) }
    }
}

fn served(intake: &Intake) -> Running {
    let key = ServiceKey::derive(&[1; 32]);
    serve(([127, 0, 0, 1], 0).into(), vec![intake.service()], key, Arc::new(Nobody), Limits::default()).expect("served")
}

fn event(number: u64, winner: u32) -> Vec<u8> {
    let ended = v1::MatchEnded { winner, ..v1::MatchEnded::default() };
    let attributes = Attributes {
        id: number.to_string(),
        source: "/matches/1".to_owned(),
        sequence: number,
        ..Attributes::default()
    };
    Envelope { attributes, event: ended.into() }.encode().expect("an event")
}

fn body(events: &[Vec<u8>]) -> Vec<u8> {
    batch::encode(events.iter().map(Vec::as_slice))
}

fn send(server: &Running, bearer: &str, kind: &str, body: &[u8]) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("http://{}/events", server.address)).header("Content-Type", kind);
    let mut answer = request.header("Authorization", format!("Bearer {bearer}")).send(body).expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
}

fn bring(server: &Running, events: &[Vec<u8>]) -> (u16, String) {
    send(server, &ServiceKey::derive(&[1; 32]).bearer(), batch::CONTENT_TYPE, &body(events))
}

#[test]
fn what_is_brought_twice_is_there_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = Intake::start(folder.path(), Options::default()).expect("started");
    let server = served(&intake);
    let events: Vec<_> = (0..20).map(|number| event(number, 0)).collect();
    assert_eq!(bring(&server, &events[..15]), (200, r#"{"position":15,"new":15}"#.to_owned()));
    assert_eq!(bring(&server, &events[10..]), (200, r#"{"position":20,"new":5}"#.to_owned()));
    assert_eq!(bring(&server, &events[..3]), (200, r#"{"position":3,"new":0}"#.to_owned()));
    drop((server, intake));
    let mut records = Vec::new();
    let log = Reader::open(Folder::at(folder.path()).expect("there"), None).expect("a log");
    log.read(0, 1 << 20, &mut records).expect("read");
    let found: Vec<_> = records.into_iter().map(|record| record.data).collect();
    assert_eq!(found, events);
}

#[test]
fn what_a_service_of_the_same_process_brings_is_known_to_everybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = Intake::start(folder.path(), Options::default()).expect("started");
    let (server, bringer) = (served(&intake), intake.bringer());
    let named = |number: u64| Event { id: log_id("/matches/1", &number.to_string()), bytes: event(number, 0) };
    let stored = bringer.bring((0..5).map(named).collect()).expect("stored");
    assert_eq!(stored, Stored { behind: 5, new: 5, backed_up: None });
    assert_eq!(bring(&server, &[event(4, 0), event(5, 0)]), (200, r#"{"position":6,"new":1}"#.to_owned()));
    assert_eq!(bringer.bring(vec![named(5)]), Ok(Stored { behind: 6, new: 0, backed_up: None }));
    drop((server, intake));
    assert_eq!(bringer.bring(vec![named(6)]), Err(Refused::Ended));
}

#[test]
fn how_far_the_last_backup_reaches_is_told_with_every_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, to) = (folder.path().join("log"), folder.path().join("backup"));
    let begin = || Intake::start(&log, Options::default()).expect("started");
    let intake = begin();
    assert_eq!(bring(&served(&intake), &[event(0, 0)]), (200, r#"{"position":1,"new":1}"#.to_owned()));
    let log_of_it = Folder::at(&log).expect("there");
    let copied = copy(&log_of_it, &Folder::make(&to).expect("made")).expect("backed up");
    backup::note(&log_of_it, copied.end).expect("noted");
    drop(intake);
    let intake = begin();
    assert_eq!(bring(&served(&intake), &[event(1, 0)]), (200, r#"{"position":2,"new":1,"backed_up":1}"#.to_owned()));
}

#[test]
fn who_follows_the_log_in_the_same_process_is_told_that_something_is_stored_and_only_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = Intake::start(folder.path(), Options::default()).expect("started");
    let (told, stored) = std::sync::mpsc::channel();
    intake.when_stored(move || told.send(()).unwrap_or_default());
    let server = served(&intake);
    assert_eq!(bring(&server, &[event(0, 0)]).0, 200);
    stored.recv().expect("told");
    // Nothing new.
    assert_eq!(bring(&server, &[event(0, 0)]).0, 200);
    assert!(stored.try_recv().is_err());
}

#[test]
fn another_fact_under_a_known_name_is_a_conflict_that_says_where() {
    let intake = Intake::start(tempfile::tempdir().expect("a folder").path(), Options::default()).expect("started");
    let server = served(&intake);
    assert_eq!(bring(&server, &[event(0, 0), event(1, 0)]).0, 200);
    let (status, text) = bring(&server, &[event(2, 0), event(1, 7)]);
    assert_eq!(status, 409);
    assert!(text.contains("event 1 of the batch") && text.contains("position 1"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_and_players_are_too() {
    let intake = Intake::start(tempfile::tempdir().expect("a folder").path(), Options::default()).expect("started");
    let server = served(&intake);
    let bearer = ServiceKey::derive(&[1; 32]).bearer();
    let good = body(&[event(0, 0)]);
    assert_eq!(send(&server, "player", batch::CONTENT_TYPE, &good).0, 403);
    assert_eq!(send(&server, "stranger", batch::CONTENT_TYPE, &good).0, 401);
    assert_eq!(send(&server, &bearer, "application/json", &good).0, 415);
    assert_eq!(send(&server, &bearer, batch::CONTENT_TYPE, &[]).0, 400);
    assert_eq!(send(&server, &bearer, batch::CONTENT_TYPE, b"nonsense").0, 400);
    assert_eq!(send(&server, &bearer, batch::CONTENT_TYPE, &body(&[b"nonsense".to_vec()])).0, 400);
    assert_eq!(send(&server, &bearer, batch::CONTENT_TYPE, &vec![10; batch::BATCH_BYTES_MAX + 1]).0, 413);
    assert_eq!(bring(&server, &[event(0, 0)]).1, r#"{"position":1,"new":1}"#);
}

#[test]
fn a_flush_that_fails_acknowledges_nothing_and_bringing_it_again_stores_it_once() {
    let disk = SimulatedDisk::default();
    let opened = disk.clone();
    let open = move || Ok(Log::open(opened.clone(), Options::default())?.0);
    let intake = Intake::start_with(open).expect("started");
    let server = served(&intake);
    assert_eq!(bring(&server, &[event(0, 0)]).0, 200);
    disk.set_faults(Faults { syncs_fail: true, ..Faults::default() });
    let (status, text) = bring(&server, &[event(1, 0)]);
    assert_eq!(status, 503, "{text}");
    disk.set_faults(Faults::default());
    let (status, text) = bring(&server, &[event(1, 0)]);
    assert_eq!(status, 200, "{text}");
    assert!(text.starts_with(r#"{"position":2"#), "{text}");
}
