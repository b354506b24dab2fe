//! Contract: whoever watches is shown the match as it was a while ago, through what everybody is told with; the match itself
//! cannot know of it; and whoever watches otherwise than it may is refused or dropped, and nobody else notices.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arbiter_protocol::{
    ClientMessage, GoodbyeReason, Join, MatchMessage, Notice, PROTOCOL_VERSION, RefusedReason, Role, ServerMessage,
    Target, UserData, Watching,
};
use arbiter_schema::{Registry, StableId};
use arbiter_server::{ServerConfig, ServerHandle};
use arbiter_sim::Command;

use common::remote::recorded;
use common::{Client, config, divided, registry, start, until};

/// A room that lets three watch what was half a second ago.
fn watched() -> ServerConfig {
    let mut config = config();
    config.spectators_max = 3;
    config.spectator_delay = Duration::from_millis(500);
    config
}

fn client(server: &ServerHandle, config: &ServerConfig, registry: &Registry, watch: Option<Target>) -> Client {
    let mut client = Client::new(server.local_address(), &config.key, registry);
    if let Some(join) = &mut client.join {
        join.watch = watch;
    }
    client
}

/// A player and a spectator of everybody who see the match.
fn both(server: &ServerHandle, config: &ServerConfig, registry: &Registry) -> [Client; 2] {
    let mut clients = [client(server, config, registry, None), client(server, config, registry, Some(Target::Free))];
    until("both are in", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 0));
    clients
}

fn watch(client: &mut Client, target: Target) {
    client.connection.send_message(&ClientMessage::Watch(target).encode()).expect("sent");
}

fn watchings(client: &Client) -> Vec<Watching> {
    let watching = |message: &ServerMessage| match message {
        ServerMessage::Watching(watching) => Some(*watching),
        _ => None,
    };
    client.messages.iter().filter_map(watching).collect()
}

fn knows(client: &Client, player: StableId) -> bool {
    client.newest().entity(player).next().is_some()
}

#[test]
fn a_spectator_is_shown_what_was_and_never_what_is() {
    let mut config = watched();
    let live = Arc::new(AtomicU32::new(0));
    let tick = Arc::clone(&live);
    config.observer = Some(Arc::new(move |_, simulation| tick.store(simulation.tick(), Ordering::SeqCst)));
    let server = start(&config);
    let registry = registry(&config);
    let mut clients =
        [client(&server, &config, &registry, None), client(&server, &config, &registry, Some(Target::Free))];
    let delay_ticks = 30;
    until("two seconds are shown", &mut clients, |clients| {
        let shown = clients[1].newest().tick();
        let live = live.load(Ordering::SeqCst);
        assert!(shown == 0 || shown + delay_ticks <= live, "tick {shown} is shown at tick {live}");
        shown > 120
    });
    let (welcome, player) = (&clients[1].welcomes[0], clients[0].welcomes[0].player);
    assert!(welcome.is_spectators() && welcome.player == StableId::NONE);
    assert!(knows(&clients[1], player));
    assert!(clients[1].snapshots > 40, "{} pictures of two seconds", clients[1].snapshots);
    let watching = watchings(&clients[1]);
    assert_eq!((watching.len(), watching[0].target, watching[0].delay_ms), (1, Target::Free, 500));
    let stats = server.room_stats(0).expect("a room");
    assert_eq!((stats.players, stats.spectators, stats.spectator_ticks_left_out), (1, 1, 0));
    clients[1].quit();
    until("it is gone", &mut clients[..1], |_| server.room_stats(0).is_some_and(|stats| stats.spectators == 0));
}

#[test]
fn whoever_watches_a_player_is_shown_what_that_player_was_told_and_may_change() {
    let mut config = watched();
    config.map = divided();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = vec![client(&server, &config, &registry, None), client(&server, &config, &registry, None)];
    until("both play", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 10));
    let players = [0, 1].map(|at: usize| (clients[at].welcomes[0].slot, clients[at].welcomes[0].player));
    assert!(!knows(&clients[0], players[1].1), "the wall hides them");
    clients.push(client(&server, &config, &registry, Some(Target::Player(players[0].0))));
    until("it watches", &mut clients, |clients| knows(&clients[2], players[0].1));
    let pictures = clients[2].snapshots;
    until("a second passes", &mut clients, |clients| {
        assert!(!knows(&clients[2], players[1].1), "what the player was not told is not shown");
        clients[2].snapshots > pictures + 30
    });
    watch(&mut clients[2], Target::Free);
    until("it sees both", &mut clients, |clients| players.iter().all(|(_, player)| knows(&clients[2], *player)));
    watch(&mut clients[2], Target::Player(players[1].0));
    until("it sees the other one alone", &mut clients, |clients| {
        knows(&clients[2], players[1].1) && !knows(&clients[2], players[0].1)
    });
    until("it is told so", &mut clients, |clients| watchings(&clients[2]).len() == 3);
    let targets: Vec<_> = watchings(&clients[2]).iter().map(|watching| watching.target).collect();
    assert_eq!(targets, [Target::Player(players[0].0), Target::Free, Target::Player(players[1].0)]);
}

#[test]
fn what_is_for_its_owner_alone_is_told_to_nobody_who_watches() {
    let config = watched();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = vec![client(&server, &config, &registry, None)];
    until("it plays", &mut clients, |clients| clients[0].snapshots > 10);
    let (slot, player) = (clients[0].welcomes[0].slot, clients[0].welcomes[0].player);
    for target in [Target::Free, Target::Player(slot)] {
        clients.push(client(&server, &config, &registry, Some(target)));
    }
    until("both watch", &mut clients, |clients| clients[1..].iter().all(|client| knows(client, player)));
    for client in &clients[1..] {
        assert!(client.newest().entity(player).all(|row| !row.known.owner));
    }
    assert!(clients[0].newest().entity(player).any(|row| row.known.owner));
}

#[test]
fn nobody_watches_where_nobody_may_nor_more_than_may() {
    let refused = |spectators_max: u16, count: usize| {
        let config = ServerConfig { spectators_max, ..watched() };
        let server = start(&config);
        let registry = registry(&config);
        let watcher = |_| client(&server, &config, &registry, Some(Target::Free));
        let mut clients: Vec<_> = (0..count).map(watcher).collect();
        until("all have an answer", &mut clients, |clients| {
            clients.iter().all(|client| !client.welcomes.is_empty() || client.refused.is_some())
        });
        clients.iter().filter_map(|client| client.refused.as_ref().map(|refused| refused.reason)).collect::<Vec<_>>()
    };
    assert_eq!(refused(0, 1), [RefusedReason::NoSpectators]);
    assert_eq!(refused(2, 3), [RefusedReason::NoSpectators]);
}

#[test]
fn a_token_is_good_for_what_it_was_made_for() {
    let config = watched();
    let server = start(&config);
    let registry = registry(&config);
    let with = |role: Role, watch: Option<Target>| {
        let user = UserData { role, ..UserData::default() };
        let mut client = Client::of(&user, server.local_address(), &config.key, &registry);
        if let Some(join) = &mut client.join {
            join.watch = watch;
        }
        client
    };
    let mut clients = [
        with(Role::Player, None),
        with(Role::Spectator, Some(Target::Free)),
        with(Role::Player, Some(Target::Free)),
        with(Role::Spectator, None),
    ];
    until("all have an answer", &mut clients, |clients| {
        clients.iter().all(|client| !client.welcomes.is_empty() || client.refused.is_some())
    });
    let refused = |client: &Client| client.refused.as_ref().map(|refused| refused.reason);
    let role = Some(RefusedReason::Role);
    assert_eq!(clients.each_ref().map(refused), [None, None, role, role]);
}

#[test]
fn a_player_who_asks_to_watch_breaks_the_protocol_and_so_does_a_spectator_who_asks_to_play() {
    let config = watched();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = both(&server, &config, &registry);
    watch(&mut clients[0], Target::Free);
    let join = Join { version: PROTOCOL_VERSION, protocol_hash: 0, hero: 0, team: 0, watch: None };
    clients[1].connection.send_message(&ClientMessage::Join(join).encode()).expect("sent");
    until("both are told", &mut clients, |clients| clients.iter().all(|client| client.goodbye.is_some()));
    assert!(clients.iter().all(|client| client.goodbye == Some(GoodbyeReason::Protocol)));
}

#[test]
fn a_flood_of_wishes_costs_the_server_a_change_now_and_then_and_the_newest_wish_stands() {
    let config = watched();
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = both(&server, &config, &registry);
    let (slot, began) = (clients[0].welcomes[0].slot, Instant::now());
    for round in 0..300_u16 {
        // Slots that do not exist are nobody's; there is nothing to see there.
        watch(&mut clients[1], if round.is_multiple_of(2) { Target::Free } else { Target::Player(round * 200) });
        clients.iter_mut().for_each(Client::step);
        std::thread::sleep(Duration::from_millis(3));
    }
    watch(&mut clients[1], Target::Player(slot));
    until("the last wish is granted", &mut clients, |clients| {
        watchings(&clients[1]).last().is_some_and(|watching| watching.target == Target::Player(slot))
    });
    let most = began.elapsed().as_millis() / 250 + 2;
    let changes = watchings(&clients[1]).len() as u128;
    assert!(changes <= most, "{changes} changes where {most} are allowed");
    assert!(clients.iter().all(|client| client.goodbye.is_none() && client.ended.is_none()));
}

fn short_match() -> ServerConfig {
    let mut config = common::short_match();
    (config.spectators_max, config.spectator_delay) = (3, Duration::from_millis(500));
    config.intermission = Duration::from_millis(100);
    config
}

fn heard_the_end(client: &Client) -> bool {
    let ended = |message: &ServerMessage| {
        matches!(message, ServerMessage::Match(MatchMessage { notice: Notice::MatchEnded { .. }, .. }))
    };
    client.messages.iter().any(ended)
}

#[test]
fn whoever_watches_sees_a_match_to_its_end_although_the_room_is_further_already() {
    let mut config = short_match();
    config.matches = 2;
    // Longer than it takes until the next match begins.
    config.spectator_delay = Duration::from_millis(1_500);
    let server = start(&config);
    let registry = registry(&config);
    let mut clients =
        [client(&server, &config, &registry, None), client(&server, &config, &registry, Some(Target::Free))];
    until("the next match has begun", &mut clients, |clients| clients[0].welcomes.len() == 2);
    assert!(!heard_the_end(&clients[1]) && clients[1].welcomes.len() == 1, "that is not shown yet");
    until("the spectator is told", &mut clients, |clients| clients[1].welcomes.len() == 2);
    assert!(heard_the_end(&clients[1]));
    assert_eq!(clients[1].welcomes[1].match_id, clients[0].welcomes[1].match_id);
    until("the last match is over", &mut clients, |clients| clients[0].goodbye.is_some());
    assert_eq!(clients[1].goodbye, None, "its end is not shown yet");
    clients[1].messages.clear();
    until("its end is shown", &mut clients, |clients| clients[1].goodbye.is_some());
    assert!(heard_the_end(&clients[1]));
    assert_eq!(clients[1].goodbye, Some(GoodbyeReason::MatchOver));
    assert_eq!(server.join().matches_ended, 2);
}

#[test]
fn a_match_is_recorded_alike_whoever_watches() {
    let (unwatched, _) = recorded(&short_match(), &[]);
    let (watched, told) = recorded(&short_match(), &[Target::Free, Target::Player(0), Target::Player(1)]);
    let pictures: usize = told[2..].iter().map(Vec::len).sum();
    assert!(pictures > 3 * 100, "{pictures} pictures were shown");
    assert!(unwatched.len() > 290, "{} ticks", unwatched.len());
    let plays = |command: &Command| matches!(command, Command::Input { .. });
    assert!(unwatched.iter().any(|(_, commands)| commands.iter().any(plays)), "they play");
    let differs = unwatched.iter().zip(&watched).position(|(one, other)| one != other);
    assert_eq!((differs, unwatched.len()), (None, watched.len()));
}

#[test]
fn a_connection_that_only_watches_needs_no_place_in_a_full_match() {
    let mut config = watched();
    config.settings.players_max = 1;
    let server = start(&config);
    let registry = registry(&config);
    let mut clients =
        [client(&server, &config, &registry, None), client(&server, &config, &registry, Some(Target::Player(0)))];
    until("both are in", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 0));
}
