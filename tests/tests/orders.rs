//! Contract: a match is ordered with its settings once, an allocation names it, and the server that was allocated plays it as it was
//! ordered: real services and a real server against a double of Agones' sidecar, over the real wire.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use arbiter_agones_double::{Allocation, Double, Manners};
use arbiter_cli::assets::Assets;
use arbiter_cli::lobby::Lobby;
use arbiter_cli::plugins;
use arbiter_cli::services::{Services, ServicesSettings, bearer};
use arbiter_server::agones::Agones;
use arbiter_server::{Server, ServerConfig, ServerHandle, services};
use arbiter_sim::rules::{MatchSettings, Rules};
use arbiter_tests::PATIENCE;
use arbiter_transport::Key;
use serde_json::{Value, json};

const MATCH: &str = "0123456789abcdef0123456789abcdef";

struct Town {
    double: Double,
    services: Option<Services>,
    address: SocketAddr,
    key: Key,
    folder: tempfile::TempDir,
}

impl Town {
    fn found() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::generate().expect("randomness");
        let double = Double::start(Manners::default()).expect("a port");
        let services = serve(folder.path(), SocketAddr::from(([127, 0, 0, 1], 0)), &key);
        Self { double, address: services.address(), services: Some(services), key, folder }
    }

    fn server(&self) -> ServerHandle {
        let map = Assets::embedded().map("arena").expect("a built-in map");
        let settings = MatchSettings { players_max: 4, ..MatchSettings::default() };
        let mut config = ServerConfig::new(self.key.clone(), Rules::shipped().into(), map.into(), settings);
        config.plugins = plugins::none();
        config.record_dir = Some(self.folder.path().join("recordings"));
        config.outbox_dir = Some(self.folder.path().join("outbox"));
        let (url, bearer) = (format!("http://{}", self.address), bearer(&self.key));
        config.services = Some(services::Services { url, bearer });
        config.agones = Some(Agones { port: self.double.port(), answers_within: None });
        let server = Server::start(config).expect("a server");
        self.wait("ready", || self.double.state() == "Ready");
        server
    }

    /// Orders the match.
    fn order(&self, settings: &Value) {
        let body = json!({ "match": MATCH, "settings": settings }).to_string();
        let request = ureq::post(format!("http://{}/matches", self.address))
            .header("Authorization", format!("Bearer {}", bearer(&self.key)))
            .header("Content-Type", "application/json");
        assert_eq!(request.send(&body[..]).expect("ordered").status(), 201);
    }

    /// Allocates a server for the match by nothing but its id.
    fn allocate(&self) {
        let annotations = vec![("arbiter.dev/match".to_owned(), MATCH.to_owned())];
        let state = self.double.state();
        assert!(self.double.allocate(&Allocation { state, annotations, ..Allocation::default() }));
    }

    fn answer(&self) -> String {
        self.double.look(|cluster| cluster.annotations.get("agones.dev/sdk-arbiter-order").cloned().unwrap_or_default())
    }

    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < until, "never: {what}; the server's answer is {:?}", self.answer());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the services would send players to the match in a mode.
    fn wait_for_match(&self, mode: &str) {
        let (lobby, bearer) = (Lobby::new(&format!("http://{}", self.address)), bearer(&self.key));
        self.wait("the match", || {
            let said = lobby.get("/servers", &bearer).expect("an answer");
            let room = &said["servers"][0]["rooms"][0];
            room["match"] == MATCH && room["mode"] == mode
        });
    }
}

fn serve(folder: &Path, bind: SocketAddr, key: &Key) -> Services {
    let settings = ServicesSettings {
        bind,
        development_login: true,
        segment_bytes: 16 << 20,
        ..ServicesSettings::in_folder(folder.join("services"))
    };
    let until = Instant::now() + PATIENCE;
    loop {
        // Connections of the ones before may linger for a moment.
        match Services::start(&settings, key) {
            Err(error) if Instant::now() >= until => panic!("no services: {error:#}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            Ok(services) => return services,
        }
    }
}

#[test]
fn a_match_is_allocated_by_its_id_and_played_as_it_was_ordered() {
    let town = Town::found();
    let _server = town.server();
    town.order(&json!({ "mode": "free_for_all", "match_seconds": 300 }));
    town.allocate();
    town.wait_for_match("free_for_all");
    town.wait("the answer", || town.answer() == format!("{MATCH} taken"));
    let lobby = Lobby::new(&format!("http://{}", town.address));
    let anna = lobby.log_in("anna").expect("a session");
    assert_eq!(lobby.join(&anna).expect("a token").len(), 2_048);
}

#[test]
fn services_that_are_away_are_asked_again_and_know_after_a_restart_what_was_ordered() {
    let mut town = Town::found();
    let _server = town.server();
    town.order(&json!({ "mode": "free_for_all" }));
    drop(town.services.take());
    town.allocate();
    // Only to be sure that it asked in vain: the order must be taken whether or not it did.
    town.wait("allocated", || town.double.state() == "Allocated");
    town.services = Some(serve(town.folder.path(), town.address, &town.key));
    town.wait_for_match("free_for_all");
}

#[test]
fn a_match_that_nobody_ordered_is_refused_with_what_to_do() {
    let town = Town::found();
    let _server = town.server();
    town.allocate();
    town.wait("the answer", || town.answer().contains("refused: the services do not know this match"));
    town.order(&json!({ "mode": "free_for_all" }));
    town.allocate();
    town.wait_for_match("free_for_all");
}

#[test]
fn an_order_that_this_server_cannot_play_names_the_setting() {
    let town = Town::found();
    let _server = town.server();
    town.order(&json!({ "map": "field" }));
    town.allocate();
    town.wait("the answer", || town.answer().contains("refused: map: expected arena"));
}
