//! Contract: whoever has a place goes back to it, everybody else to the fullest room that fits, and no room is given more players
//! than it has places, whatever servers and players do in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::mint::Role;

const SECOND: Duration = Duration::from_secs(1);
const LIFETIME: Duration = Duration::from_secs(30);
const HASH: u64 = 0xc0ffee;
const PROTOCOL_ID: u64 = 7;

fn id(name: &str) -> ServerId {
    ServerId::parse(name.to_owned()).expect("an id")
}

fn room(room: u16, players_max: u16) -> RoomState {
    RoomState {
        room,
        match_id: 1_000 + u128::from(room),
        epoch: 0,
        mode: "team_deathmatch".into(),
        map: "arena".into(),
        tick_rate: 60,
        players: 0,
        players_max,
        spectators: 0,
        spectators_max: 0,
        open: true,
        holders: Vec::new(),
    }
}

fn server(rooms: Vec<RoomState>) -> Registration {
    let addresses = vec!["192.0.2.1:7777".parse().expect("an address")];
    Registration { addresses, build: "0.1.0".into(), protocol_hash: HASH, protocol_id: PROTOCOL_ID, rooms }
}

fn with(servers: &[(&str, Vec<RoomState>)]) -> Registry {
    let mut registry = Registry::new(LIFETIME);
    for (name, rooms) in servers {
        registry.beat(Duration::ZERO, &id(name), server(rooms.clone())).expect("taken");
    }
    registry
}

fn wish(player: u64) -> Wish<'static> {
    Wish { player, role: Role::Player, mode: None, map: None, match_id: None, protocol_hash: Some(HASH) }
}

fn watch(player: u64) -> Wish<'static> {
    Wish { role: Role::Spectator, ..wish(player) }
}

/// Server and room of a place.
fn at(place: &Place) -> (String, u16) {
    (place.server.clone(), place.room)
}

fn join(registry: &mut Registry, player: u64) -> (String, u16) {
    at(&registry.place(Duration::ZERO, &wish(player)).expect("a place"))
}

#[test]
fn matches_fill_one_after_the_other() {
    let mut registry = with(&[("a", vec![room(0, 3), room(1, 3)]), ("b", vec![room(0, 3)])]);
    let places: Vec<_> = (1..=9).map(|player| join(&mut registry, player)).collect();
    for three in places.chunks(3) {
        assert!(three.iter().all(|place| *place == three[0]), "{places:?}");
    }
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(registry.place(Duration::ZERO, &wish(10)), Err(Refusal::NoPlace));
}

#[test]
fn the_fullest_room_is_chosen_as_servers_tell_it() {
    let half = RoomState { players: 5, ..room(1, 10) };
    let full = RoomState { players: 10, ..room(2, 10) };
    let shut = RoomState { players: 9, open: false, ..room(3, 10) };
    let mut registry = with(&[("a", vec![room(0, 10), half, full, shut])]);
    assert_eq!(join(&mut registry, 1), ("a".to_owned(), 1));
}

#[test]
fn equals_are_chosen_among_by_the_player_and_not_by_order() {
    let forward = [("a", vec![room(0, 4)]), ("b", vec![room(0, 4)]), ("c", vec![room(0, 4)])];
    let mut backward = forward.clone();
    backward.reverse();
    let mut chosen = BTreeSet::new();
    for player in 1..=50 {
        let place = join(&mut with(&forward), player);
        assert_eq!(place, join(&mut with(&backward), player));
        chosen.insert(place);
    }
    assert_eq!(chosen.len(), 3, "each has its share");
}

#[test]
fn one_server_less_moves_only_its_own_players() {
    let all = [("a", vec![room(0, 4)]), ("b", vec![room(0, 4)]), ("c", vec![room(0, 4)])];
    for player in 1..=50 {
        let (before, after) = (join(&mut with(&all), player), join(&mut with(&all[..2]), player));
        assert!(before == after || before.0 == "c");
    }
}

#[test]
fn whoever_has_a_place_is_sent_back_whatever_they_ask_for() {
    let held = RoomState { players: 10, open: false, holders: vec![9, 7, 8], ..room(1, 10) };
    let mut registry = with(&[("a", vec![room(0, 10)]), ("b", vec![held])]);
    let asked = Wish { mode: Some("control_point"), match_id: Some(1_000), ..wish(7) };
    let place = registry.place(Duration::ZERO, &asked).expect("a place");
    assert_eq!((at(&place), place.returned), (("b".to_owned(), 1), true));
}

#[test]
fn whoever_watches_need_not_go_back() {
    let held = RoomState { holders: vec![7], ..room(1, 10) };
    let watched = RoomState { spectators_max: 1, ..room(0, 10) };
    let mut registry = with(&[("a", vec![watched, held])]);
    assert_eq!(registry.place(Duration::ZERO, &watch(7)).map(|place| place.room), Ok(0));
}

#[test]
fn whoever_asks_twice_gets_the_same_place_and_takes_one() {
    let mut registry = with(&[("a", vec![room(0, 2)]), ("b", vec![room(0, 2)])]);
    let first = join(&mut registry, 7);
    for _ in 0..10 {
        assert_eq!(join(&mut registry, 7), first);
    }
    assert_eq!(join(&mut registry, 8), first);
    assert_ne!(join(&mut registry, 9), first);
}

#[test]
fn whoever_asks_for_something_else_gives_the_first_place_back() {
    let other = RoomState { mode: "control_point".into(), ..room(1, 1) };
    let mut registry = with(&[("a", vec![room(0, 1), other])]);
    let asked = Wish { mode: Some("team_deathmatch"), ..wish(7) };
    assert_eq!(registry.place(Duration::ZERO, &asked).map(|place| place.room), Ok(0));
    let asked = Wish { mode: Some("control_point"), ..wish(7) };
    assert_eq!(registry.place(Duration::ZERO, &asked).map(|place| place.room), Ok(1));
    assert_eq!(join(&mut registry, 8).1, 0);
}

#[test]
fn a_place_counts_until_the_server_knows_its_player() {
    let mut registry = with(&[("a", vec![room(0, 2)])]);
    join(&mut registry, 7);
    // A registration that was on its way when the place was given out.
    registry.beat(SECOND, &id("a"), server(vec![room(0, 2)])).expect("taken");
    join(&mut registry, 8);
    assert_eq!(registry.place(SECOND, &wish(9)), Err(Refusal::NoPlace));
    let arrived = RoomState { players: 2, holders: vec![7, 8], ..room(0, 2) };
    registry.beat(SECOND, &id("a"), server(vec![arrived])).expect("taken");
    let left = RoomState { players: 1, holders: vec![8], ..room(0, 2) };
    registry.beat(SECOND, &id("a"), server(vec![left])).expect("taken");
    assert!(registry.place(SECOND, &wish(9)).is_ok(), "the place of who left is free at once");
}

#[test]
fn a_place_that_a_second_token_is_out_for_counts_until_that_is_over() {
    let arrived = || RoomState { players: 1, holders: vec![7], ..room(0, 1) };
    let mut registry = with(&[("a", vec![arrived()])]);
    join(&mut registry, 7);
    // Still there, then gone: with the token they may come back.
    registry.beat(SECOND, &id("a"), server(vec![arrived()])).expect("taken");
    registry.beat(SECOND, &id("a"), server(vec![room(0, 1)])).expect("taken");
    assert_eq!(registry.place(SECOND, &wish(8)), Err(Refusal::NoPlace));
}

#[test]
fn a_place_that_nobody_takes_is_free_again_behind_its_token() {
    let mut registry = with(&[("a", vec![room(0, 1)])]);
    join(&mut registry, 7);
    let mut now = Duration::ZERO;
    while now < LIFETIME + UNDER_WAY {
        assert_eq!(registry.place(now, &wish(8)), Err(Refusal::NoPlace), "{now:?}");
        now += SECOND;
        registry.beat(now, &id("a"), server(vec![room(0, 1)])).expect("taken");
    }
    assert!(registry.place(now, &wish(8)).is_ok());
}

#[test]
fn a_place_that_was_not_minted_is_given_back() {
    let watched = RoomState { spectators_max: 1, ..room(0, 1) };
    let mut registry = with(&[("a", vec![watched])]);
    for wish in [wish(7), watch(7)] {
        let place = registry.place(Duration::ZERO, &wish).expect("a place");
        registry.give_back(&place, &wish);
        let other = Wish { player: 8, ..wish };
        assert!(registry.place(Duration::ZERO, &other).is_ok());
    }
}

#[test]
fn a_server_that_is_silent_is_gone() {
    let mut registry = with(&[("a", vec![room(0, 10)])]);
    assert!(registry.place(SILENCE - Duration::from_millis(1), &wish(7)).is_ok());
    assert_eq!(registry.place(SILENCE, &wish(7)), Err(Refusal::NoPlace));
    assert!(registry.list(SILENCE).is_empty());
}

#[test]
fn a_server_that_drains_is_chosen_no_more_and_may_come_back() {
    let mut registry = with(&[("a", vec![room(0, 10)])]);
    assert!(registry.drain(SECOND, &id("a")));
    assert!(!registry.drain(SECOND, &id("a")));
    assert_eq!(registry.place(SECOND, &wish(7)), Err(Refusal::NoPlace));
    assert_eq!(registry.beat(SECOND, &id("a"), server(vec![room(0, 10)])), Ok(true));
    assert!(registry.place(SECOND, &wish(7)).is_ok());
}

#[test]
fn what_is_asked_for_is_what_is_given() {
    let point = RoomState { mode: "control_point".into(), map: "field".into(), ..room(1, 10) };
    let busy = RoomState { players: 5, ..room(0, 10) };
    let mut registry = with(&[("a", vec![busy, point])]);
    for asked in [
        Wish { mode: Some("control_point"), ..wish(7) },
        Wish { map: Some("field"), ..wish(7) },
        Wish { match_id: Some(1_001), ..wish(7) },
    ] {
        assert_eq!(registry.place(Duration::ZERO, &asked).map(|place| place.room), Ok(1), "{asked:?}");
    }
    let nowhere = Wish { mode: Some("control_point"), map: Some("arena"), ..wish(8) };
    assert_eq!(registry.place(Duration::ZERO, &nowhere), Err(Refusal::NoPlace));
    let unknown = Wish { match_id: Some(5), ..wish(8) };
    assert_eq!(registry.place(Duration::ZERO, &unknown), Err(Refusal::NoSuchMatch(5)));
}

#[test]
fn a_client_of_another_protocol_is_told_what_is_served() {
    let held = RoomState { holders: vec![7], players: 1, ..room(0, 10) };
    let mut registry = with(&[("a", vec![held])]);
    for player in [7, 8] {
        let asked = Wish { protocol_hash: Some(1), ..wish(player) };
        let refusal = registry.place(Duration::ZERO, &asked).expect_err("another protocol");
        assert_eq!(refusal, Refusal::Protocol { asked: 1, served: [(HASH, "0.1.0".to_owned())].into() });
        assert!(refusal.to_string().contains("0000000000c0ffee (build 0.1.0)"), "{refusal}");
    }
    let silent = Wish { protocol_hash: None, ..wish(8) };
    assert!(registry.place(Duration::ZERO, &silent).is_ok());
}

#[test]
fn a_client_is_sent_to_the_servers_that_speak_with_it() {
    let mut registry = with(&[("old", vec![RoomState { players: 9, ..room(0, 10) }])]);
    let new = Registration { protocol_hash: 2, protocol_id: 9, ..server(vec![room(0, 10)]) };
    registry.beat(Duration::ZERO, &id("new"), new).expect("taken");
    let asked = Wish { protocol_hash: Some(2), ..wish(7) };
    let place = registry.place(Duration::ZERO, &asked).expect("a place");
    assert_eq!((place.server.as_str(), place.protocol_id), ("new", 9));
}

#[test]
fn of_two_rooms_that_claim_a_match_the_one_that_took_it_up_has_it() {
    let old = RoomState { holders: vec![7], players: 5, ..room(0, 10) };
    let taken_up = RoomState { match_id: old.match_id, epoch: 1, holders: vec![7], players: 1, ..room(3, 10) };
    let mut registry = with(&[("a", vec![old]), ("b", vec![taken_up])]);
    for player in [7, 8] {
        let place = registry.place(Duration::ZERO, &wish(player)).expect("a place");
        assert_eq!((at(&place), place.epoch), (("b".to_owned(), 3), 1));
    }
}

#[test]
fn no_more_watch_than_may() {
    let watched = RoomState { spectators_max: 2, spectators: 1, open: false, ..room(0, 10) };
    let mut registry = with(&[("a", vec![watched])]);
    assert!(registry.place(Duration::ZERO, &watch(7)).is_ok());
    assert_eq!(registry.place(Duration::ZERO, &watch(8)), Err(Refusal::NoPlace));
}

#[test]
fn a_registration_that_makes_no_sense_changes_nothing() {
    let mut registry = with(&[("a", vec![room(0, 10)])]);
    let good = server(vec![room(0, 10)]);
    let rooms = |state: RoomState| server(vec![state]);
    let unreachable = |text: &str| vec![text.parse().expect("an address")];
    let address = good.addresses[0];
    for bad in [
        Registration { addresses: Vec::new(), ..good.clone() },
        Registration { addresses: vec![address; ADDRESSES_MAX + 1], ..good.clone() },
        Registration { addresses: unreachable("0.0.0.0:7777"), ..good.clone() },
        Registration { addresses: unreachable("192.0.2.1:0"), ..good.clone() },
        Registration { build: "b".repeat(BUILD_BYTES_MAX + 1), ..good.clone() },
        Registration { build: "a\nb".into(), ..good.clone() },
        server(vec![room(0, 1), room(1, 1), room(0, 1)]),
        server((0..=ROOMS_MAX as u16).map(|number| room(number, 1)).collect()),
        rooms(room(u16::MAX, 1)),
        rooms(room(0, 0)),
        rooms(room(0, PLACES_MAX + 1)),
        rooms(RoomState { mode: String::new(), ..room(0, 1) }),
        rooms(RoomState { map: "m".repeat(NAME_BYTES_MAX + 1), ..room(0, 1) }),
        rooms(RoomState { holders: vec![0], ..room(0, 1) }),
        rooms(RoomState { holders: (1..=u64::from(PLACES_MAX) + 1).collect(), ..room(0, 1) }),
    ] {
        assert!(registry.beat(Duration::ZERO, &id("a"), bad.clone()).is_err(), "{bad:?}");
    }
    assert!(registry.place(Duration::ZERO, &wish(7)).is_ok());
}

#[test]
fn more_rooms_than_can_be_looked_at_are_refused() {
    let many = || server((0..ROOMS_MAX as u16).map(|number| room(number, 1)).collect());
    let mut registry = Registry::new(LIFETIME);
    let servers = ROOMS_TOTAL_MAX / ROOMS_MAX;
    for number in 0..servers {
        assert_eq!(registry.beat(Duration::ZERO, &id(&number.to_string()), many()), Ok(true));
    }
    assert_eq!(registry.beat(Duration::ZERO, &id("more"), many()), Err(BeatError::Full));
    assert_eq!(registry.beat(Duration::ZERO, &id("0"), many()), Ok(false), "who is there goes on");
    assert_eq!(registry.beat(SILENCE, &id("more"), many()), Ok(true), "who is silent makes room");
}

#[test]
fn an_id_is_a_plain_word() {
    for wrong in ["", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
        assert_eq!(ServerId::parse(wrong.to_owned()), None, "{wrong:?}");
    }
}

/// What may happen to a registry.
#[derive(Debug, Clone)]
enum Happening {
    Join(u64),
    /// A player comes with the token.
    Arrive(u64),
    Leave(u64),
    Beat(u8),
    Wait(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1..20_u64).prop_map(Happening::Join),
        3 => (1..20_u64).prop_map(Happening::Arrive),
        1 => (1..20_u64).prop_map(Happening::Leave),
        3 => (0..2_u8).prop_map(Happening::Beat),
        2 => (0..12_u8).prop_map(Happening::Wait),
    ]
}

proptest! {
    /// Servers here let in whoever comes with a token that is not over, so that too many would be seen.
    #[test]
    fn no_room_is_given_more_players_than_it_has_places(happenings in prop::collection::vec(happening(), 1..200)) {
        const PLACES: u16 = 3;
        let names = ["a", "b"];
        let mut registry = Registry::new(LIFETIME);
        let mut now = Duration::ZERO;
        let mut inside: BTreeMap<u64, (String, u16)> = BTreeMap::new();
        let mut tokens: BTreeMap<u64, ((String, u16), Duration)> = BTreeMap::new();
        let beat = |registry: &mut Registry, name: &str, inside: &BTreeMap<u64, (String, u16)>, now| {
            let rooms = (0..2).map(|number| {
                let here = (name.to_owned(), number);
                let holders: Vec<u64> = inside.iter().filter(|(_, at)| **at == here).map(|(player, _)| *player).collect();
                let players = holders.len() as u16;
                RoomState { players, open: players < PLACES, holders, ..room(number, PLACES) }
            });
            registry.beat(now, &id(name), server(rooms.collect())).expect("taken");
        };
        names.iter().for_each(|name| beat(&mut registry, name, &inside, now));
        for happening in happenings {
            match happening {
                Happening::Join(player) => {
                    if let Ok(place) = registry.place(now, &wish(player)) {
                        tokens.insert(player, (at(&place), now + LIFETIME));
                    }
                }
                Happening::Arrive(player) => {
                    if let Some((place, until)) = tokens.remove(&player)
                        && now < until && !inside.contains_key(&player)
                    {
                        inside.insert(player, place);
                    }
                }
                Happening::Leave(player) => _ = inside.remove(&player),
                Happening::Beat(server) => beat(&mut registry, names[usize::from(server)], &inside, now),
                Happening::Wait(seconds) => {
                    // Both are heard of, so that neither is gone.
                    for _ in 0..seconds {
                        now += SECOND;
                        names.iter().for_each(|name| beat(&mut registry, name, &inside, now));
                    }
                }
            }
            for name in names {
                for number in 0..2 {
                    let here = (name.to_owned(), number);
                    let players = inside.values().filter(|at| **at == here).count();
                    prop_assert!(players <= usize::from(PLACES), "{players} players in {here:?}");
                }
            }
        }
    }
}
