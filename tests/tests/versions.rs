//! Contract: clients and servers of two versions run side by side. Those that speak the same protocol play together, whatever their
//! builds; those that do not are never sent to each other, and who finds nobody is told which builds would do.
//!
//! The other protocol is a real one: that of the example's own component. `cargo xtask rollout` plays a real earlier build.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arbiter_cli::assets::Assets;
use arbiter_cli::config::{Fleet, OnStop, Settings};
use arbiter_cli::host::{Host, Play};
use arbiter_cli::lobby::Lobby;
use arbiter_cli::plugins::{self, Plugins};
use arbiter_cli::services::{Services, ServicesSettings, bearer};
use arbiter_examples::gold_rush::{self, GoldRushPlugin};
use arbiter_headless_client::runner::{BotsConfig, BotsError, BotsReport, Content, Door, run_bots};
use arbiter_sim::rules::Rules;
use arbiter_tests::PATIENCE;
use arbiter_transport::Key;
use serde_json::Value;

/// What is played, and by what name a server's build goes.
#[derive(Clone, Copy)]
struct Version {
    build: &'static str,
    has_gold: bool,
}

const PLAIN: Version = Version { build: "1.0.0", has_gold: false };
const GOLD: Version = Version { build: "2.0.0-gold", has_gold: true };

impl Version {
    fn play(self) -> Play {
        let mut rules = Rules::shipped();
        let mut plugins: Plugins = plugins::none();
        if self.has_gold {
            gold_rush::add_to(&mut rules).expect("the example's rules are valid");
            plugins = Arc::new(|app| {
                app.add_plugins(GoldRushPlugin);
            });
        }
        let assets = Assets::embedded();
        let map = Arc::new(assets.map("arena").expect("a built-in map"));
        Play { assets, rules: Arc::new(rules), map, plugins }
    }

    fn content(self) -> Content {
        let Play { rules, map, plugins, .. } = self.play();
        Content::with_plugins(rules, map, plugins).expect("the rules suit the map")
    }
}

struct Town {
    services: Services,
    key: Key,
    folder: tempfile::TempDir,
}

impl Town {
    fn found() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::generate().expect("randomness");
        let settings = ServicesSettings {
            development_login: true,
            segment_bytes: 16 << 20,
            ..ServicesSettings::in_folder(folder.path().join("services"))
        };
        let services = Services::start(&settings, &key).expect("services");
        Self { services, key, folder }
    }

    fn server(&self, version: Version, places: u16) -> Host {
        let at = |name: &str| Path::new(self.folder.path()).join(version.build).join(name);
        let settings = Settings {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            build: version.build.to_owned(),
            mode: if version.has_gold { gold_rush::MODE.to_owned() } else { Settings::default().mode },
            players_max: places,
            services: Some(self.services.url()),
            record_dir: at("recordings"),
            outbox_dir: Some(at("outbox")),
            agones: Fleet::Off,
            on_stop: OnStop::Abandon,
            verify: false,
            ..Settings::default()
        };
        let host = Host::start(&settings, &version.play(), self.key.clone(), None).expect("a server");
        self.wait(version.build, |servers| servers.iter().any(|server| server["build"] == version.build));
        host
    }

    /// Waits until what the services say of servers is as it should be.
    fn wait(&self, what: &str, done: impl Fn(&[Value]) -> bool) {
        let (lobby, bearer) = (Lobby::new(&self.services.url()), bearer(&self.key));
        let until = Instant::now() + PATIENCE;
        loop {
            let said = lobby.get("/servers", &bearer).expect("an answer");
            if done(said["servers"].as_array().expect("servers")) {
                return;
            }
            assert!(Instant::now() < until, "never: {what}; the services say {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn bots(&self, version: Version, count: u16, stop: &AtomicBool) -> Result<BotsReport, BotsError> {
        let content = version.content();
        let lobby = Lobby::new(&self.services.url()).agreeing(content.protocol_hash());
        let (tickets, _) = lobby.tickets(move |bot| format!("{}-{bot}", version.build));
        let config =
            BotsConfig { seed: 3, duration: Some(PATIENCE), ..BotsConfig::new(Door::Tickets(tickets), count, content) };
        run_bots(&config, stop)
    }
}

/// Players on the server of a build, as the services know.
fn players(servers: &[Value], build: &str) -> u64 {
    let server = servers.iter().find(|server| server["build"] == build);
    server.and_then(|server| server["rooms"][0]["players"].as_u64()).unwrap_or(0)
}

#[test]
fn two_builds_of_one_protocol_are_played_on_together() {
    let town = Town::found();
    let next = Version { build: "1.1.0", ..PLAIN };
    let _servers = [town.server(PLAIN, 2), town.server(next, 2)];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let bots = scope.spawn(|| town.bots(PLAIN, 4, &stop));
        town.wait("bots on both", |servers| [PLAIN, next].iter().all(|it| players(servers, it.build) == 2));
        stop.store(true, Ordering::Relaxed);
        let report = bots.join().expect("no panic").expect("bots");
        assert_eq!((report.played, report.failed.as_slice()), (4, &[][..]));
        assert_eq!(report.ends.values().sum::<u32>(), 4, "each end has a reason: {:?}", report.ends);
    });
}

#[test]
fn clients_of_two_protocols_are_each_sent_to_the_servers_that_speak_theirs() {
    let town = Town::found();
    let _servers = [town.server(PLAIN, 4), town.server(GOLD, 4)];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (house, stop) = (&town, &stop);
        let play = |version| scope.spawn(move || (version, house.bots(version, 2, stop)));
        let bots = [PLAIN, GOLD].map(play);
        town.wait("bots on both", |servers| [PLAIN, GOLD].iter().all(|it| players(servers, it.build) == 2));
        stop.store(true, Ordering::Relaxed);
        for bots in bots {
            let (version, report) = bots.join().expect("no panic");
            let report = report.expect("bots");
            assert_eq!((report.played, report.failed.as_slice()), (2, &[][..]), "{}", version.build);
        }
    });
}

#[test]
fn a_client_that_no_server_speaks_with_is_told_which_builds_are_served() {
    let town = Town::found();
    let _server = town.server(GOLD, 4);
    let error = town.bots(PLAIN, 1, &AtomicBool::new(false)).expect_err("nobody speaks with it").to_string();
    let (asked, served) = (PLAIN.content().protocol_hash(), GOLD.content().protocol_hash());
    for part in ["409".to_owned(), format!("{asked:016x}"), format!("{served:016x} (build {})", GOLD.build)] {
        assert!(error.contains(&part), "{part}: {error}");
    }
}
