//! Contract: a token says who a player is; whoever comes back with a fresh one gets their place back, and nobody else does.

mod common;

use arbiter_protocol::{GoodbyeReason, RefusedReason, UserData};
use arbiter_server::{ServerConfig, ServerHandle};
use arbiter_transport::USER_DATA_BYTES;

use common::listener::Hall;
use common::{Client, config, registry, start, until};

/// More inputs than wait for a room.
const INPUTS_THAT_WAIT: u32 = 8_400;

fn player(player: u64) -> UserData {
    UserData { player, ..UserData::default() }
}

fn is_welcomed(clients: &mut [Client]) -> bool {
    clients.iter().all(|client| !client.welcomes.is_empty())
}

/// Plays until the room's figures, which lag behind, count one player.
fn until_counted(server: &ServerHandle, clients: &mut [Client]) {
    until("it is counted", clients, |_| server.room_stats(0).is_some_and(|stats| stats.players == 1));
}

#[test]
fn a_fresh_token_takes_over_the_place_at_once_and_the_old_connection_is_told() {
    let config = config();
    let server = start(&config);
    let registry = registry(&config);
    let client = |user: &UserData| Client::of(user, server.local_address(), &config.key, &registry);
    let mut clients = vec![client(&player(7))];
    until("it is welcomed", &mut clients, is_welcomed);
    clients.push(client(&player(7)));
    until("the newer is welcomed", &mut clients, is_welcomed);
    until("the older is told", &mut clients, |clients| clients[0].goodbye.is_some());
    assert_eq!(clients[0].goodbye, Some(GoodbyeReason::TakenOver));
    let (old, new) = (&clients[0].welcomes[0], &clients[1].welcomes[0]);
    assert_eq!((old.slot, old.player, old.match_id), (new.slot, new.player, new.match_id));
    until_counted(&server, &mut clients[1..]);
    let before = clients[1].snapshots;
    until("the newer plays on", &mut clients[1..], |clients| clients[0].snapshots > before + 30);
}

#[test]
fn a_lost_connection_keeps_its_place_for_the_player_and_not_for_a_stranger() {
    let mut config = config();
    config.settings.players_max = 1;
    let server = start(&config);
    let registry = registry(&config);
    let client = |user: &UserData| Client::of(user, server.local_address(), &config.key, &registry);
    let mut clients = vec![client(&player(7))];
    until("it is welcomed", &mut clients, is_welcomed);
    until_counted(&server, &mut clients);
    let place = (clients[0].welcomes[0].slot, clients[0].welcomes[0].player);
    // Its machine is gone, without a word.
    drop(clients);
    until("its connection times out", &mut [], |_| server.room_stats(0).is_some_and(|stats| stats.players == 0));
    let mut strangers = [client(&player(8)), client(&UserData::default())];
    until("they are refused", &mut strangers, |clients| clients.iter().all(|client| client.refused.is_some()));
    assert!(strangers.iter().all(|client| client.refused.as_ref().is_some_and(|it| it.reason == RefusedReason::Full)));
    let mut back = [client(&player(7))];
    until("it is welcomed again", &mut back, is_welcomed);
    assert_eq!((back[0].welcomes[0].slot, back[0].welcomes[0].player), place);
}

#[test]
fn whoever_has_no_account_has_no_place_to_come_back_to() {
    let mut config = config();
    config.settings.players_max = 1;
    let server = start(&config);
    let registry = registry(&config);
    let client = || Client::of(&UserData::default(), server.local_address(), &config.key, &registry);
    let mut clients = vec![client()];
    until("it is welcomed", &mut clients, is_welcomed);
    until_counted(&server, &mut clients);
    drop(clients);
    until("its connection times out", &mut [], |_| server.room_stats(0).is_some_and(|stats| stats.players == 0));
    let mut next = [client()];
    until("another gets the place", &mut next, is_welcomed);
}

#[test]
fn who_quits_gives_the_place_away() {
    let mut config = config();
    config.settings.players_max = 1;
    let server = start(&config);
    let registry = registry(&config);
    let client = |user: &UserData| Client::of(user, server.local_address(), &config.key, &registry);
    let mut clients = [client(&player(7))];
    until("it is welcomed", &mut clients, is_welcomed);
    until_counted(&server, &mut clients);
    clients[0].quit();
    until("it has left", &mut [], |_| server.room_stats(0).is_some_and(|stats| stats.players == 0));
    let mut next = [client(&player(8))];
    until("another gets the place", &mut next, is_welcomed);
}

#[test]
fn a_token_that_does_not_say_who_connects_is_refused() {
    let config = config();
    let server = start(&config);
    let nothing = [0; USER_DATA_BYTES];
    let mut clients = [Client::with_user_data(&nothing, server.local_address(), &config.key, &registry(&config))];
    until("it is refused", &mut clients, |clients| clients[0].refused.is_some());
    assert_eq!(clients[0].refused.as_ref().map(|refused| refused.reason), Some(RefusedReason::Token));
}

#[test]
fn a_token_leads_to_its_room_and_team() {
    let mut config = config();
    config.rooms = 2;
    let server = start(&config);
    let registry = registry(&config);
    let client = |user: &UserData| Client::of(user, server.local_address(), &config.key, &registry);
    let mut clients =
        [client(&UserData { room: Some(1), ..player(7) }), client(&UserData { room: Some(2), ..player(8) })];
    until("one is in, the other not", &mut clients, |clients| {
        !clients[0].welcomes.is_empty() && clients[1].refused.is_some()
    });
    assert_eq!(clients[1].refused.as_ref().map(|refused| refused.reason), Some(RefusedReason::NoRoom));
    until("the room has it", &mut clients[..1], |_| server.room_stats(1).is_some_and(|stats| stats.players == 1));
    assert_eq!(server.room_stats(0).map(|stats| stats.players), Some(0));
}

#[test]
fn whoever_comes_while_a_room_cannot_keep_up_is_let_in_as_soon_as_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut hall = Hall::new(&ServerConfig { record_dir: Some(folder.path().to_owned()), ..config() });
    hall.enter(1, None);
    hall.settle();
    (0..INPUTS_THAT_WAIT).for_each(|_| hall.stall());
    // The other one asks to be let in while there is no room for it.
    hall.enter(2, None);
    (0..20).for_each(|_| hall.stall());
    assert!(hall.clients[1].welcomes.is_empty());
    (0..60).for_each(|_| hall.step());
    assert_eq!(hall.clients[1].welcomes.len(), 1);
}
