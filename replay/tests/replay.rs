//! Contract: what was recorded is simulated again bit for bit, from the start and from any checkpoint; where it is not, the
//! report names tick, entity, component, field and both values.

#[path = "../../shared/sim/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arbiter_recording::{End, Header, Reader, Stamp, Writer};
use arbiter_replay::{Assets, EmbeddedOnly, Options, Replay, ReplayError, diff, verify, verify_many};
use arbiter_schema::StableId;
use arbiter_sim::{Admin, Command, Knob, Map, MatchSettings, Rules, Simulation};

const TICKS: u32 = 400;
const EVERY: u32 = 100;

fn rules() -> Arc<Rules> {
    Arc::new(Rules::shipped())
}

fn simulation(seed: u64) -> Simulation {
    Simulation::new(rules(), common::map(), seed, common::settings("team_deathmatch")).expect("builds")
}

struct Recorded {
    // Kept so that the folder lives as long as the file is used.
    _folder: tempfile::TempDir,
    path: PathBuf,
}

/// Records a match; `meddle` may change the simulation's commands behind the recording's back, or the header.
fn record(
    seed: u64,
    header: impl Fn(&mut Header),
    recorded: impl Fn(u32, &mut Vec<Command>),
    meddle: impl Fn(u32, &mut Vec<Command>),
) -> Recorded {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("match.arbrec");
    let mut simulation = simulation(seed);
    let mut tick0 = Vec::new();
    simulation.checkpoint(&mut tick0);
    let mut head = Header::of(&simulation, 77).expect("header");
    header(&mut head);
    let mut writer = Writer::create(&path, head, tick0).expect("creates");
    for tick in 1..=TICKS {
        let mut commands = common::commands(tick);
        recorded(tick, &mut commands);
        let mut stepped = commands.clone();
        meddle(tick, &mut stepped);
        simulation.step(&stepped);
        writer.push_tick(tick, &commands, simulation.hash()).expect("writes");
        if tick.is_multiple_of(EVERY) {
            let mut state = Vec::new();
            simulation.checkpoint(&mut state);
            writer.push_checkpoint(tick, &state).expect("writes");
        }
    }
    writer.finish(End::Abandoned).expect("finishes");
    Recorded { _folder: folder, path }
}

fn plain(seed: u64) -> Recorded {
    record(seed, |_| (), |_, _| (), |_, _| ())
}

#[test]
fn every_tick_of_a_recording_is_the_same_again() {
    let file = plain(1);
    let done = AtomicU32::new(0);
    let count = |ticks: u32| {
        done.fetch_add(ticks, Ordering::Relaxed);
    };
    let report = verify(&file.path, &EmbeddedOnly, Options::default(), &count).expect("verifies");
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.ticks, report.divergent, report.skipped), (TICKS, 0, 0));
    assert_eq!(report.end, Some(End::Abandoned));
    assert_eq!(done.into_inner(), TICKS);
}

#[test]
fn many_files_are_verified_on_many_threads_and_reported_in_order() {
    let files = [plain(1), plain(2), plain(3)];
    let mut paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    paths.insert(1, PathBuf::from("nowhere.arbrec"));
    let reports = verify_many(&paths, &EmbeddedOnly, Options::default(), 2, &|_| ());
    assert_eq!(reports.len(), 4);
    for (path, report) in paths.iter().zip(&reports) {
        match report {
            Ok(report) => assert!(report.is_good() && report.path == *path),
            Err(error) => assert!(error.to_string().contains("nowhere.arbrec"), "{error}"),
        }
    }
}

#[test]
fn seeking_anywhere_gives_the_recorded_hash() {
    let file = plain(4);
    let mut replay = Replay::open(&file.path, &EmbeddedOnly, Options::default()).expect("opens");
    for tick in [0, 150, 399, 100, 101, 99, 1, 400, 400, 0] {
        let recorded = replay.seek(tick).expect("seeks");
        assert_eq!((replay.simulation().tick(), replay.simulation().hash()), (tick, recorded), "tick {tick}");
    }
    let error = replay.seek(401).expect_err("no such tick").to_string();
    assert!(error.contains("ticks 0 to 400"), "{error}");
}

#[test]
fn one_entity_of_a_tick_can_be_read() {
    let file = plain(5);
    let mut replay = Replay::open(&file.path, &EmbeddedOnly, Options::default()).expect("opens");
    let all = replay.dump(50, None).expect("dumps");
    let player = replay.simulation().view().player(0).expect("there");
    let one = replay.dump(50, Some(player)).expect("dumps");
    assert_eq!(one.len(), 1);
    assert!(all.contains(&one[0]) && !one[0].components.is_empty());
    assert!(matches!(replay.dump(50, Some(StableId(u32::MAX))), Err(ReplayError::NoEntity { .. })));
}

#[test]
fn a_divergence_names_tick_entity_component_field_and_both_values() {
    // The server simulated a score that it did not record.
    let file = record(
        6,
        |_| (),
        |_, _| (),
        |tick, commands| {
            if tick == 250 {
                commands.push(Command::Admin(Admin::AddScore { team: 1, points: 3 }));
            }
        },
    );
    let report = verify(&file.path, &EmbeddedOnly, Options::default(), &|_| ()).expect("verifies");
    let divergence = report.divergence.expect("diverges");
    assert_eq!((divergence.tick, report.divergent), (250, TICKS - 249));
    assert_eq!(divergence.compared_at, Some(300));
    let difference = divergence.differences.first().expect("differs");
    assert!(!difference.component.is_empty() && !difference.field.is_empty(), "{difference}");
    let text: Vec<String> = divergence.differences.iter().map(ToString::to_string).collect();
    assert!(text.iter().any(|line| line.contains("score") && line.contains(": 3 | 0")), "{text:#?}");
}

#[test]
fn verification_goes_on_behind_damage() {
    let file = plain(7);
    let mut bytes = fs::read(&file.path).expect("reads");
    let mut reader = Reader::open(&file.path).expect("opens");
    assert_eq!(reader.info().checkpoints, [100, 200, 300, 400]);
    assert_eq!(reader.damage().expect("reads").damages, []);
    // The middle of the second block of ticks, 101 to 200.
    let frames: Vec<usize> =
        (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == arbiter_recording::block::MARKER).collect();
    bytes[frames[3] + 500] ^= 4;
    fs::write(&file.path, bytes).expect("writes");
    let report = verify(&file.path, &EmbeddedOnly, Options::default(), &|_| ()).expect("verifies");
    assert!(!report.is_good());
    assert_eq!((report.damages.len(), report.damages[0].ticks.clone()), (1, 101..201));
    assert_eq!((report.ticks, report.divergent, report.skipped), (300, 0, 100));
}

#[test]
fn a_recording_of_another_build_says_what_differs_and_what_to_do() {
    let file = record(8, |header| header.stamp.rapier = "0.1.0".to_owned(), |_, _| (), |_, _| ());
    let error = verify(&file.path, &EmbeddedOnly, Options::default(), &|_| ()).expect_err("another build").to_string();
    for part in ["rapier", "`0.1.0`", "release that wrote it", "--any-build"] {
        assert!(error.contains(part), "{error}");
    }
    let report = verify(&file.path, &EmbeddedOnly, Options { any_build: true }, &|_| ()).expect("verifies");
    assert!(report.is_good());
}

#[test]
fn a_map_that_is_not_embedded_comes_from_the_assets_and_must_be_the_same() {
    struct Maps(Arc<Map>);
    impl Assets for Maps {
        fn map(&self, name: &str) -> Result<Arc<Map>, String> {
            if name == "test" { Ok(Arc::clone(&self.0)) } else { Err(format!("no {name}")) }
        }
    }
    let file = record(9, |header| header.map = None, |_, _| (), |_, _| ());
    let error = verify(&file.path, &EmbeddedOnly, Options::default(), &|_| ()).expect_err("no map").to_string();
    assert!(error.contains("`test`") && error.contains("assets/maps"), "{error}");
    let report = verify(&file.path, &Maps(common::map()), Options::default(), &|_| ()).expect("verifies");
    assert!(report.is_good());
    let other = Map { hash: [1; 32], ..(*common::map()).clone() };
    let error = verify(&file.path, &Maps(Arc::new(other)), Options::default(), &|_| ()).expect_err("other").to_string();
    assert!(error.contains("another version"), "{error}");
}

#[test]
fn two_recordings_are_compared_by_command_and_by_state() {
    let one = plain(10);
    let same = diff(&one.path, &plain(10).path, &EmbeddedOnly, Options::default()).expect("compares");
    assert!(same.is_same(), "{same:?}");
    let retuned = record(
        10,
        |_| (),
        |tick, commands| {
            if tick == 120 {
                commands.push(Command::Retune { knob: Knob::SpeedScale, value: 0.5 });
            }
        },
        |_, _| (),
    );
    let other = diff(&one.path, &retuned.path, &EmbeddedOnly, Options::default()).expect("compares");
    assert_eq!((other.commands.as_ref().map(|(tick, _)| *tick), other.state), (Some(120), Some(120)));
    assert!(!other.differences.is_empty());
    let seeded = diff(&one.path, &plain(11).path, &EmbeddedOnly, Options::default()).expect("compares");
    assert_eq!((seeded.headers.len(), seeded.state), (1, Some(0)));
}

#[test]
fn a_header_embeds_rules_map_and_settings_and_names_the_build() {
    let simulation = simulation(1);
    let header = Header::of(&simulation, 5).expect("header");
    assert_eq!(header.rules().expect("rules"), *rules());
    assert_eq!(header.map().expect("map").as_ref(), Some(&*common::map()));
    let settings: MatchSettings = header.settings().expect("settings");
    assert_eq!(settings, common::settings("team_deathmatch"));
    assert_eq!(header.stamp, Stamp::of(&simulation));
}
