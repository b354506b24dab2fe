//! Contract: a server keeps Agones told of what it is, through every sidecar that comes and goes, and does what allocations order.
//! Against a double that behaves as Agones does, over real HTTP.

mod common;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

use arbiter_agones_double::{Allocation, CONFORMANCE, Double, Manners};
use arbiter_protocol::UserData;
use arbiter_server::agones::Agones;
use arbiter_server::agones::sidecar::{Counter, List, Sidecar, State};
use arbiter_server::drain::Reason;
use arbiter_server::{Server, ServerConfig, ServerHandle, StartError};

use common::{Client, config, registry, start, until};

/// The match that tests order.
const MATCH: &str = "0123456789abcdef0123456789abcdef";

fn double() -> Double {
    Double::start(Manners::default()).expect("a port")
}

fn with(double: &Double) -> ServerConfig {
    let mut config = config();
    config.agones = Some(Agones { port: double.port(), answers_within: None });
    config
}

/// Waits for something without players.
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    until(what, &mut [], |_| done());
}

fn wait_for_state(double: &Double, state: &str) {
    wait(state, || double.state() == state);
}

fn ready(double: &Double) -> (ServerConfig, ServerHandle) {
    let config = with(double);
    let server = start(&config);
    wait_for_state(double, "Ready");
    (config, server)
}

/// A player with an account who has come in.
fn player(number: u64, server: &ServerHandle, config: &ServerConfig) -> [Client; 1] {
    let user = UserData { player: number, ..UserData::default() };
    let mut clients = [Client::of(&user, server.local_address(), &config.key, &registry(config))];
    until("they are in", &mut clients, |clients| !clients[0].welcomes.is_empty());
    clients
}

fn order(settings: &str) -> Allocation {
    let annotations = [("arbiter.dev/match", MATCH), ("arbiter.dev/settings", settings)];
    Allocation {
        annotations: annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..Allocation::default()
    }
}

#[test]
fn the_client_makes_every_call_of_a_conformance_run_in_the_shapes_that_agones_takes() {
    let double = double();
    let sidecar = Sidecar::new(double.port());
    sidecar.ready().expect("ready");
    sidecar.health().expect("health");
    sidecar.reserve(5).expect("reserve");
    sidecar.allocate().expect("allocate");
    let known = sidecar.game_server().expect("a game server");
    sidecar.set_label("creationTimestamp", &known.creation_timestamp).expect("a label");
    sidecar.set_annotation("UID", &known.uid).expect("an annotation");
    sidecar.set_counter("rooms", Counter { count: 1, capacity: 42 }).expect("a counter");
    sidecar.count("rooms", -1).expect("counted");
    assert_eq!(sidecar.counter("rooms").expect("a counter"), Counter { count: 0, capacity: 42 });
    sidecar.set_list("players", &List { capacity: 10, values: vec!["1".to_owned(), "2".to_owned()] }).expect("a list");
    sidecar.add_to_list("players", "3").expect("added");
    sidecar.remove_from_list("players", "1").expect("removed");
    let list = List { capacity: 10, values: vec!["2".to_owned(), "3".to_owned()] };
    assert_eq!(sidecar.list("players").expect("a list"), list);
    sidecar.shutdown().expect("shutdown");
    let mut states = Vec::new();
    let watched = sidecar.watch(|told| {
        states.push(told.state);
        told.state != State::Shutdown
    });
    assert_eq!((watched, states.last()), (Ok(()), Some(&State::Shutdown)));
    let (made, wanted): (BTreeSet<_>, BTreeSet<_>) = (double.calls().into_iter().collect(), CONFORMANCE.into());
    assert_eq!(made, wanted);
}

#[test]
fn a_server_whose_rooms_can_be_joined_is_ready_and_pings() {
    let double = double();
    let (config, _server) = ready(&double);
    wait("a ping", || double.count("health") > 0);
    let hash = arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(&registry(&config)));
    wait("the label", || {
        double.look(|cluster| cluster.labels.get("agones.dev/sdk-arbiter-protocol") == Some(&format!("{hash:016x}")))
    });
}

#[test]
fn a_sidecar_that_starts_after_its_server_is_found() {
    let mut double = double();
    double.stop();
    let _server = start(&with(&double));
    double.start_again().expect("the same port");
    wait_for_state(&double, "Ready");
}

#[test]
fn a_server_that_must_have_agones_does_not_start_without_and_says_what_to_do() {
    let mut double = double();
    double.stop();
    let mut config = with(&double);
    config.agones = Some(Agones { port: double.port(), answers_within: Some(Duration::from_millis(200)) });
    let error = Server::start(config).expect_err("nobody answers");
    assert!(matches!(error, StartError::Agones(_)) && error.to_string().contains("--agones off"), "{error}");
}

#[test]
fn a_server_that_listens_everywhere_is_reached_where_agones_says() {
    let double = double();
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    double.change(|cluster| cluster.port = port);
    let mut config = with(&double);
    config.bind = ([0, 0, 0, 0], port).into();
    let _server = start(&config);
    let token =
        common::token(&UserData::default().encode().expect("user data"), &config.key, ([127, 0, 0, 1], port).into());
    let mut clients = [Client::with_token(&token, &registry(&config))];
    until("in", &mut clients, |clients| !clients[0].welcomes.is_empty());
}

#[test]
fn a_server_with_players_is_allocated_and_ready_again_once_they_have_left() {
    let double = double();
    let (config, server) = ready(&double);
    let mut clients = player(7, &server, &config);
    until("allocated", &mut clients, |_| double.state() == "Allocated");
    clients[0].quit();
    wait_for_state(&double, "Ready");
}

#[test]
fn a_sidecar_that_is_started_again_is_pinged_watched_and_told_everything_again() {
    let mut double = double();
    let (config, server) = ready(&double);
    let mut clients = player(7, &server, &config);
    until("told", &mut clients, |_| double.look(|cluster| cluster.counters["players"].count == 1));
    double.stop();
    // What the one before knew is gone.
    double.change(|cluster| {
        cluster.counters.values_mut().for_each(|counter| counter.count = 0);
        cluster.lists.values_mut().for_each(|list| list.values.clear());
    });
    let (pings, watches) = (double.count("health"), double.count("watch"));
    double.start_again().expect("the same port");
    until("told again", &mut clients, |_| {
        double.look(|cluster| cluster.counters["players"].count == 1 && cluster.lists["players"].values == ["7"])
    });
    until("pinged and watched", &mut clients, |_| double.count("health") > pings && double.count("watch") > watches);
    assert!(clients[0].ended.is_none(), "players notice nothing");
}

#[test]
fn an_ask_that_the_sidecar_had_not_done_when_it_died_is_asked_of_the_next() {
    let mut double = Double::start(Manners { delay: Duration::from_secs(600), ..Manners::default() }).expect("a port");
    let _server = start(&with(&double));
    wait("asked", || double.count("ready") == 1);
    assert_eq!(double.state(), "Scheduled");
    double.start_again().expect("the same port");
    wait("asked again", || double.count("ready") == 2);
}

#[test]
fn a_slow_sidecar_is_pinged_in_time() {
    let manners = Manners { latency: Duration::from_millis(700), ..Manners::default() };
    let double = Double::start(manners).expect("a port");
    double.probe();
    let _server = start(&with(&double));
    wait_for_state(&double, "Ready");
    wait("pings", || double.count("health") >= 4);
    assert_eq!(double.state(), "Ready");
}

#[test]
fn a_server_that_agones_has_marked_unhealthy_drains() {
    let double = double();
    let (_, server) = ready(&double);
    double.change(|cluster| cluster.state = "Unhealthy".to_owned());
    wait("it drains", || server.draining() == Some(Reason::Unhealthy));
    wait("its rooms end", || !server.is_running());
}

#[test]
fn a_server_that_agones_deletes_drains_before_any_signal_comes() {
    let double = double();
    let (_, server) = ready(&double);
    double.change(|cluster| cluster.deleted = 1_531_795_395);
    wait("it drains", || server.draining() == Some(Reason::Deleted));
}

#[test]
fn what_is_said_last_is_that_the_server_ends() {
    let double = double();
    let (_, server) = ready(&double);
    server.drain();
    server.join();
    assert_eq!(double.state(), "Shutdown");
    assert_eq!(double.calls().into_iter().rfind(|call| *call != "health"), Some("shutdown"));
}

#[test]
fn counters_and_lists_say_how_much_is_free_and_who_plays_where() {
    let double = double();
    let mut config = with(&double);
    config.rooms = 2;
    let server = start(&config);
    wait("all is free", || {
        double.look(|cluster| (cluster.counters["rooms"].capacity, cluster.counters["players"].capacity) == (2, 8))
    });
    let mut clients = player(7, &server, &config);
    until("it is told", &mut clients, |_| double.look(|cluster| cluster.lists["players"].values == ["7"]));
    let id: String = clients[0].welcomes[0].match_id.iter().map(|byte| format!("{byte:02x}")).collect();
    double.look(|cluster| {
        assert_eq!((cluster.counters["rooms"].count, cluster.counters["players"].count), (1, 1));
        assert_eq!(cluster.lists["matches"].values, core::slice::from_ref(&id));
    });
    let chosen = Allocation {
        state: "Allocated".to_owned(),
        min_available: vec![("rooms".to_owned(), 1), ("players".to_owned(), 7)],
        contains: Some(("matches".to_owned(), id)),
        ..Allocation::default()
    };
    until("allocated", &mut clients, |_| double.state() == "Allocated");
    assert!(double.allocate(&chosen));
    assert!(!double.allocate(&Allocation { min_available: vec![("rooms".to_owned(), 2)], ..chosen }));
}

#[test]
fn a_server_that_drains_has_nothing_available() {
    let double = double();
    let (config, server) = ready(&double);
    let mut clients = player(7, &server, &config);
    until("told", &mut clients, |_| double.look(|cluster| cluster.counters["players"].count == 1));
    server.drain();
    until("closed", &mut clients, |_| {
        double.look(|cluster| cluster.counters.values().all(|counter| counter.count == counter.capacity))
    });
    assert!(clients[0].goodbye.is_none(), "the match goes on");
}

#[test]
fn counters_that_nobody_declared_are_left_out_and_nothing_else_suffers() {
    let double = double();
    double.change(|cluster| {
        cluster.counters.clear();
        cluster.lists.remove("matches");
    });
    let (config, server) = ready(&double);
    let mut clients = player(7, &server, &config);
    until("the other list is told", &mut clients, |_| double.look(|cluster| cluster.lists["players"].values == ["7"]));
    until("allocated", &mut clients, |_| double.state() == "Allocated");
}

#[test]
fn an_allocation_orders_a_match_which_is_played_under_its_name_with_its_settings() {
    let double = double();
    let (config, server) = ready(&double);
    assert!(double.allocate(&order(r#"{"mode":"free_for_all","seed":"5"}"#)));
    wait("it is hosted", || double.look(|cluster| cluster.lists["matches"].values == [MATCH]));
    let clients = player(7, &server, &config);
    let welcome = &clients[0].welcomes[0];
    assert_eq!(
        (u128::from_be_bytes(welcome.match_id), welcome.mode.as_str()),
        (0x0123_4567_89ab_cdef_0123_4567_89ab_cdef, "free_for_all")
    );
    wait("it is answered", || {
        let answer = format!("{MATCH} taken");
        double.look(|cluster| cluster.annotations.get("agones.dev/sdk-arbiter-order") == Some(&answer))
    });
}

#[test]
fn an_order_that_cannot_be_played_is_answered_with_why() {
    let double = double();
    let (_, _server) = ready(&double);
    assert!(double.allocate(&order(r#"{"map":"mars"}"#)));
    wait("it is refused", || {
        let told = |cluster: &arbiter_agones_double::Cluster| {
            let answer = cluster.annotations.get("agones.dev/sdk-arbiter-order")?;
            answer.contains("refused: map: expected test").then_some(())
        };
        double.look(told).is_some()
    });
    assert!(double.look(|cluster| cluster.lists["matches"].values.is_empty()));
}

#[test]
fn what_was_ordered_of_the_process_before_is_not_played_again() {
    let double = double();
    double.change(|cluster| drop(cluster.annotations.insert("arbiter.dev/match".to_owned(), MATCH.to_owned())));
    let (config, server) = ready(&double);
    let clients = player(7, &server, &config);
    assert_ne!(u128::from_be_bytes(clients[0].welcomes[0].match_id), 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
}
