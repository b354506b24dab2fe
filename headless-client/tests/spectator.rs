//! Contract: a client that watches is shown the match of a server over real sockets, also where datagrams are lost, and may
//! change whom it watches.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arbiter_headless_client::client::Stage;
use arbiter_headless_client::runner::spectator::{SpectatorConfig, run_spectator};
use arbiter_headless_client::runner::{BotsConfig, Content, Door, run_bots};
use arbiter_headless_client::world::{number, read};
use arbiter_protocol::Target;
use arbiter_server::{Server, ServerConfig};
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::{MatchSettings, Rules};
use arbiter_transport::Key;
use arbiter_transport::conditioner::Profile;

const BOTS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn it_is_shown_everybody_then_one_and_everybody_again_over_a_link_that_loses() {
    let (rules, map, key) =
        (Arc::new(Rules::shipped()), Arc::new(support::hall()), Key::generate().expect("randomness"));
    let content = Content::new(rules.clone(), map.clone()).expect("builds");
    let settings = MatchSettings { players_max: BOTS, ..MatchSettings::default() };
    let mut config = ServerConfig::new(key.clone(), rules, map, settings);
    (config.spectators_max, config.spectator_delay) = (1, Duration::from_millis(300));
    let server = Server::start(config).expect("the server starts");
    let door = Door::Key { server: server.local_address(), key: key.clone() };
    let bots = BotsConfig { seed: 5, ..BotsConfig::new(door, BOTS, content.clone()) };
    let watch = SpectatorConfig {
        server: server.local_address(),
        key,
        room: Some(0),
        target: Target::Free,
        registry: Arc::clone(&content.registry),
        link: "lossy".parse::<Profile>().expect("a link"),
        duration: Some(PATIENCE),
    };
    let identity = number::<Identity>(&content.registry);
    let plan = [Target::Free, Target::Player(1), Target::Free];
    let (mut step, mut slots) = (0, BTreeSet::new());
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let played = scope.spawn(|| run_bots(&bots, &stop));
        let report = run_spectator(&watch, &stop, |client, _| {
            let shown = client.watching().is_some_and(|watching| watching.target == plan[step]);
            if !shown || *client.stage() != Stage::Playing {
                return true;
            }
            let Some(frame) = client.newest() else { return true };
            let rows = frame.rows().filter(|row| Some(row.component) == identity);
            let told = rows.filter_map(|row| read::<Identity>(frame, row.id, identity));
            slots = told.filter(|told| told.kind == Kind::Player).filter_map(|told| told.slot()).collect();
            let is_seen = match plan[step] {
                Target::Free => slots.len() == usize::from(BOTS),
                Target::Player(slot) => slots.contains(&slot),
            };
            if is_seen {
                step += 1;
                plan.get(step).into_iter().for_each(|target| client.watch(*target));
            }
            step < plan.len()
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        played.join().expect("the bots play").expect("the bots play");
        report
    });
    let report = report.expect("it watches");
    assert_eq!((report.failure, report.matches, step), (None, 1, plan.len()), "last seen: {slots:?}");
}
