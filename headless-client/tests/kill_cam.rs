//! Contract: whoever was killed is told what its killer had been told in the seconds before, and nothing of the killer's mates; and
//! only if the server has kill cams.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arbiter_headless_client::bots::Bot;
use arbiter_headless_client::runner::{BotsConfig, Content, Door, run_bots};
use arbiter_headless_client::world::{number, read};
use arbiter_server::{Server, ServerConfig};
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::{MatchSettings, Rules};
use arbiter_transport::Key;

const BOTS: u16 = 4;
const LENGTH: Duration = Duration::from_millis(1_500);
/// The same in ticks: what is shown is at least so old.
const LENGTH_TICKS: u32 = 90;
const PATIENCE: Duration = Duration::from_secs(60);

/// What one bot was told in kill cams: how many pictures, and the tick of the newest.
#[derive(Default)]
struct Shown {
    pictures: u32,
    newest: u32,
}

/// Plays until enough kill cams were shown, or for so long; returns what each bot was shown.
fn play(kill_cam: Duration, most: Duration) -> BTreeMap<u16, Shown> {
    let (rules, map, key) =
        (Arc::new(Rules::shipped()), Arc::new(support::hall()), Key::generate().expect("randomness"));
    let content = Content::new(rules.clone(), map.clone()).expect("builds");
    let settings = MatchSettings { players_max: BOTS, ..MatchSettings::default() };
    let mut config = ServerConfig::new(key.clone(), rules, map, settings);
    let live = Arc::new(AtomicU32::new(0));
    let tick = Arc::clone(&live);
    config.kill_cam = kill_cam;
    config.observer = Some(Arc::new(move |_, simulation| tick.store(simulation.tick(), Ordering::SeqCst)));
    let server = Server::start(config).expect("the server starts");
    let identity = number::<Identity>(&content.registry);
    let shown = Arc::new(Mutex::new(BTreeMap::<u16, Shown>::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let (all, done) = (Arc::clone(&shown), Arc::clone(&stop));
    let look = move |bot_number: u16, bot: &Bot| {
        let (Some(frame), Some(welcome)) = (bot.client.kill_cam(), bot.client.welcome()) else { return };
        let mut all = all.lock().expect("no panic");
        let shown = all.entry(bot_number).or_default();
        if frame.tick() == shown.newest {
            return;
        }
        (shown.newest, shown.pictures) = (frame.tick(), shown.pictures + 1);
        let live = live.load(Ordering::SeqCst);
        assert!(frame.tick() + LENGTH_TICKS <= live, "tick {} is shown at tick {live}", frame.tick());
        let rows = frame.rows().filter(|row| Some(row.component) == identity);
        let told = rows.filter_map(|row| read::<Identity>(frame, row.id, identity));
        let players: Vec<_> = told.filter(|told| told.kind == Kind::Player).collect();
        let own = players.iter().find(|it| it.slot() == Some(welcome.slot)).map(|it| it.team);
        let enemies: BTreeSet<_> = players.iter().filter(|it| Some(it.team) != own).map(|it| it.slot()).collect();
        assert!(own.is_none() || enemies.len() <= 1, "more than the killer is shown: {players:?}");
        assert!(frame.rows().all(|row| !row.known.owner), "what is for owners is told to nobody else");
        if all.values().filter(|shown| shown.pictures > 60).count() >= 2 {
            done.store(true, Ordering::SeqCst);
        }
    };
    let bots = BotsConfig {
        seed: 5,
        duration: Some(most),
        watch: Some(Arc::new(look)),
        ..BotsConfig::new(Door::Key { server: server.local_address(), key }, BOTS, content)
    };
    let report = run_bots(&bots, &stop).expect("the bots play");
    assert!(report.failed.is_empty(), "{report:?}");
    drop(bots);
    Arc::into_inner(shown).expect("the bots are gone").into_inner().expect("no panic")
}

#[test]
fn whoever_was_killed_sees_the_last_seconds_from_the_killers_side_and_none_of_the_killers_mates() {
    let shown = play(LENGTH, PATIENCE);
    let pictures: Vec<_> = shown.values().map(|shown| shown.pictures).collect();
    assert!(pictures.iter().filter(|pictures| **pictures > 60).count() >= 2, "pictures of each: {pictures:?}");
}

#[test]
fn nothing_is_shown_where_there_are_no_kill_cams() {
    assert!(play(Duration::ZERO, Duration::from_secs(15)).is_empty());
}
