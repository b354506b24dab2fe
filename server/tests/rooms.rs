//! Contract: a room is one match, and what happens to it happens to no other; a server told to stop says so to everyone and
//! leaves whole recordings.

mod common;

use std::sync::Arc;
use std::time::Duration;

use arbiter_protocol::{GoodbyeReason, Notice, Outcome, RefusedReason, ServerMessage};
use arbiter_server::{OnStop, ServerConfig};
use arbiter_sim::Rules;

use common::{Client, config, registry, start, until};

/// Rooms for one player each, so that two players are in two rooms.
fn duels() -> ServerConfig {
    let mut config = config();
    config.settings.players_max = 1;
    config.rooms = 2;
    config
}

fn with_modes(config: &mut ServerConfig, change: impl Fn(&mut arbiter_sim::rules::Mode)) {
    let mut rules = Rules::shipped();
    rules.modes.iter_mut().for_each(change);
    config.rules = rules.into();
}

fn clients(config: &ServerConfig, server: &arbiter_server::ServerHandle, count: usize) -> Vec<Client> {
    let registry = registry(config);
    (0..count).map(|_| Client::new(server.local_address(), &config.key, &registry)).collect()
}

#[test]
fn a_room_that_panics_takes_nobody_else_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = duels();
    config.record_dir = Some(folder.path().to_owned());
    // The next match would panic as well, and be counted if it came before the end of the test.
    config.intermission = Duration::from_secs(3_600);
    config.observer = Some(Arc::new(|room, simulation| {
        assert!(room != 1 || simulation.tick() < 90, "this room is to panic");
    }));
    let server = start(&config);
    let mut clients = clients(&config, &server, 2);
    let abandoned = Notice::MatchEnded { outcome: Outcome::Abandoned };
    let is_told = |client: &Client| {
        let tells = |message: &ServerMessage| matches!(message, ServerMessage::Match(it) if it.notice == abandoned);
        client.messages.iter().any(tells)
    };
    until("one of them is told that its match was abandoned", &mut clients, |clients| clients.iter().any(is_told));
    let well = clients.iter().position(|client| !is_told(client)).expect("the other one plays");
    let before = clients[well].snapshots;
    until("the other one plays on", &mut clients, |clients| clients[well].snapshots > before + 30);
    assert_eq!(clients[well].welcomes.len(), 1, "nobody began anew there");
    server.stop(OnStop::Abandon);
    let stats = server.join();
    assert_eq!((stats.rooms_failed, stats.recoveries.abandoned), (0, 1), "{stats:?}");
}

#[test]
fn a_match_is_played_to_its_end_if_that_is_wished_and_nobody_joins_it_any_more() {
    let mut config = config();
    config.settings.match_seconds = Some(6);
    with_modes(&mut config, |mode| (mode.round_seconds, mode.warmup_seconds, mode.rounds_to_win) = (6, 0, 1));
    let server = start(&config);
    let mut first = clients(&config, &server, 1);
    until("a match runs", &mut first, |clients| clients[0].snapshots > 10);
    server.stop(OnStop::Finish);
    let mut late = clients(&config, &server, 1);
    until("who comes late is refused", &mut late, |clients| clients[0].refused.is_some());
    assert_eq!(late[0].refused.as_ref().expect("refused").reason, RefusedReason::Stopping);
    until("the match is over", &mut first, |clients| clients[0].goodbye.is_some());
    assert_eq!(first[0].goodbye, Some(GoodbyeReason::Stopping));
    assert_eq!(server.join().matches_ended, 1, "it came to its own end");
}

#[test]
fn a_room_without_players_does_not_keep_a_server_that_finishes() {
    let config = config();
    let server = start(&config);
    server.stop(OnStop::Finish);
    until("it ends", &mut [], |_| !server.is_running());
}

#[test]
fn what_was_to_be_finished_can_still_be_abandoned() {
    let config = config();
    let server = start(&config);
    let mut clients = clients(&config, &server, 1);
    until("a match runs", &mut clients, |clients| clients[0].snapshots > 10);
    server.stop(OnStop::Finish);
    let before = clients[0].snapshots;
    until("it goes on", &mut clients, |clients| clients[0].snapshots > before + 30);
    server.stop(OnStop::Abandon);
    until("goodbye is said", &mut clients, |clients| clients[0].goodbye.is_some());
    assert_eq!(server.join().matches_ended, 0);
}

#[test]
fn a_player_who_does_nothing_is_told_so_and_gives_up_the_place() {
    let mut config = config();
    with_modes(&mut config, |mode| mode.idle_kick_seconds = 2);
    let server = start(&config);
    let mut clients = clients(&config, &server, 2);
    // Walking on the spot is no idleness: any button counts.
    clients[1].buttons = arbiter_sim::button::JUMP;
    until("the idle one is sent away", &mut clients, |clients| clients[0].goodbye.is_some());
    assert_eq!(clients[0].goodbye, Some(GoodbyeReason::Idle));
    let before = clients[1].snapshots;
    until("the other one plays on", &mut clients, |clients| clients[1].snapshots > before + 30);
    assert!(clients[1].goodbye.is_none());
    until("the place is free", &mut clients[1..], |_| server.room_stats(0).is_some_and(|stats| stats.players == 1));
}

#[test]
fn a_room_keeps_128_ticks_a_second() {
    let mut config = config();
    config.settings.tick_rate = 128;
    config.settings.match_seconds = Some(5);
    config.matches = 1;
    with_modes(&mut config, |mode| (mode.round_seconds, mode.warmup_seconds, mode.rounds_to_win) = (5, 0, 1));
    let server = start(&config);
    let mut clients = clients(&config, &server, 1);
    until("a goodbye", &mut clients, |clients| clients[0].goodbye.is_some());
    assert_eq!(clients[0].welcomes[0].tick_rate, 128);
    let tick = server.room_stats(0).expect("a room").tick;
    assert_eq!(tick, 5 * 128, "a match of five seconds has that many ticks");
}

#[test]
fn players_are_told_in_the_small_form_where_the_server_is_set_to_it() {
    let mut config = config();
    config.snapshot_form = arbiter_snapshot::Form::Small;
    let server = start(&config);
    let mut clients = clients(&config, &server, 2);
    until("both are told of many ticks", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 60));
    for client in &clients {
        assert!(client.welcomes.iter().all(|welcome| welcome.small_parts));
        assert!(client.newest().len() > 2, "nothing is known of the match");
    }
    server.stop(OnStop::Abandon);
    server.join();
}
