//! Contract: whatever is lost, late or too much for the budget, a client's state of an entity at a tick is what its viewer may
//! know of that tick, bit for bit; once the world rests and parts arrive, it knows everything and nothing that is gone; and
//! what nobody wrote is refused without harm.

use std::collections::BTreeMap;

use arbiter_schema::{Audience, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::{Cache, Form, History, PART_BYTES_MAX, Peer, PeerParts, Receiver, SnapshotError, Viewer, Wish};
use proptest::prelude::*;

const fn spec(max: f32, predictor: Predictor, audience: Audience) -> Spec {
    Spec::new(0.0, max, 1.0, predictor, audience)
}

describe! {
    /// For everyone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Place {
        /// A vector.
        pub at: [i32; 3] => spec(60_000.0, Predictor::Linear, Audience::Everyone),
    }
    /// Mixed.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Health {
        /// For everyone.
        pub shown: u8 => spec(100.0, Predictor::Hold, Audience::Everyone),
        /// For the team.
        pub exact: u16 => spec(1_000.0, Predictor::Hold, Audience::Team),
        /// For the owner.
        pub wound: u32 => spec(1_000_000.0, Predictor::Hold, Audience::Owner),
    }
    /// For the owner alone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Pocket {
        /// A value.
        pub coins: u32 => spec(1_000_000.0, Predictor::Hold, Audience::Owner),
    }
    /// What drifts.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Stone {
        /// A place.
        pub at: [i32; 3] => spec(60_000.0, Predictor::Drift, Audience::Everyone),
        /// A rotation.
        pub turn: [u16; 4] => spec(2_047.0, Predictor::Spin, Audience::Everyone),
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add::<Place>();
    registry.add::<Health>();
    registry.add::<Pocket>();
    registry.add::<Stone>();
    registry
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[derive(Debug, Clone)]
struct Thing {
    owner: Option<u16>,
    team: u8,
    place: [i32; 3],
    speed: [i32; 3],
    health: [i32; 3],
    pocket: Option<i32>,
    /// A stone's rotation; none of another thing.
    turn: Option<[i32; 4]>,
}

type World = BTreeMap<u32, Thing>;

fn change(world: &mut World, dice: &mut Dice, entities: u64) {
    if dice.below(6) == 0 {
        let id = 1 + dice.below(entities) as u32;
        if world.remove(&id).is_none() {
            let owner = Some(dice.below(4) as u16).filter(|_| id.is_multiple_of(2));
            let speed = [0, 1, 2].map(|_| dice.below(40) as i32 - 20);
            let pocket = Some(3).filter(|_| id.is_multiple_of(3));
            let turn = Some([3, 900, 1_100, 1_000]).filter(|_| id.is_multiple_of(5));
            let (team, place, health) = ((id % 3) as u8, [30_000; 3], [50, 500, 7]);
            let thing = Thing { owner, team, place, speed, health, pocket, turn };
            world.insert(id, thing);
        }
    }
    for thing in world.values_mut() {
        for axis in 0..3 {
            thing.place[axis] = (thing.place[axis] + thing.speed[axis]).clamp(0, 60_000);
            if let Some(turn) = &mut thing.turn {
                turn[1 + axis] = (turn[1 + axis] + thing.speed[axis] / 3).rem_euclid(2_048);
            }
        }
        match dice.below(40) {
            0 => thing.speed = [0; 3],
            1 => thing.speed = [0, 1, 2].map(|_| dice.below(40) as i32 - 20),
            2 => thing.health = [dice.below(100) as i32, dice.below(1_000) as i32, dice.below(1_000_000) as i32],
            3 => thing.owner = Some(dice.below(4) as u16),
            5 => {
                thing.turn =
                    thing.turn.map(|_| [0; 4].map(|_| dice.below(2_048) as i32)).map(|[a, b, c, d]| [a % 4, b, c, d])
            }
            4 => thing.pocket = thing.pocket.map_or(Some(1), |_| None),
            _ => {}
        }
    }
}

fn tell(world: &World, history: &mut History, tick: u32) {
    history.begin(tick);
    for (id, thing) in world {
        let mut row = |component, lanes: &[i32]| history.row(StableId(*id), component, thing.owner, thing.team, lanes);
        row(0, &thing.place);
        row(1, &thing.health);
        if let Some(coins) = thing.pocket {
            row(2, &[coins]);
        }
        if let Some([a, b, c, d]) = thing.turn {
            let [x, y, z] = thing.place;
            row(3, &[x, y, z, a, b, c, d]);
        }
    }
    history.finish();
}

fn wish<'a>(wanted: &'a [StableId], gone: &'a [StableId], budget_bytes: usize) -> Wish<'a> {
    Wish { wanted, gone, always: None, budget_bytes }
}

fn seen(thing: &Thing, viewer: Viewer) -> Vec<i32> {
    let owns = viewer.slot.is_some() && viewer.slot == thing.owner;
    let mate = owns || (viewer.team != 0 && viewer.team == thing.team);
    let mut lanes = thing.place.to_vec();
    lanes.push(thing.health[0]);
    lanes.extend(Some(thing.health[1]).filter(|_| mate));
    lanes.extend(Some(thing.health[2]).filter(|_| owns));
    lanes.extend(thing.pocket.filter(|_| owns));
    lanes.extend(thing.turn.iter().flat_map(|turn| thing.place.iter().chain(turn)));
    lanes
}

struct Client {
    viewer: Viewer,
    peer: Peer,
    receiver: Receiver,
    /// When it arrives, tag, bytes; no bytes: it was lost.
    under_way: Vec<(u32, u32, Option<Vec<u8>>)>,
    /// When the server hears of it, tag, whether it came.
    told: Vec<(u32, u32, bool)>,
}

struct Play {
    history: History,
    cache: Cache,
    worlds: BTreeMap<u32, World>,
    clients: Vec<Client>,
    dice: Dice,
    bytes: usize,
    form: Form,
}

impl Play {
    fn new(seed: u64, clients: usize) -> Self {
        Self::with_form(seed, clients, Form::Shared)
    }

    fn with_form(seed: u64, clients: usize, form: Form) -> Self {
        let registry = registry();
        let client = |at: usize| {
            let (mut peer, mut receiver) = (Peer::new(2), Receiver::new(&registry));
            peer.set_form(form);
            receiver.set_form(form);
            let viewer = Viewer { slot: Some((at % 4) as u16), team: (at % 3) as u8 };
            Client { viewer, peer, receiver, under_way: Vec::new(), told: Vec::new() }
        };
        Self {
            history: History::new(&registry),
            cache: Cache::default(),
            worlds: BTreeMap::new(),
            clients: (0..clients).map(client).collect(),
            dice: Dice(seed | 1),
            bytes: 0,
            form,
        }
    }

    fn tick(&mut self, world: &World, tick: u32, loss: u64, budget: usize) {
        tell(world, &mut self.history, tick);
        self.worlds.insert(tick, world.clone());
        for client in &mut self.clients {
            let mut parts = PeerParts::default();
            let mut wanted: Vec<StableId> = world.keys().map(|id| StableId(*id)).collect();
            // Others are urgent at each tick, so that nobody starves.
            let turn = self.dice.below(wanted.len().max(1) as u64) as usize;
            wanted.rotate_left(turn);
            let Client { peer, viewer, .. } = client;
            peer.encode(&self.history, &mut self.cache, *viewer, &wish(&wanted, &[], budget), &mut parts);
            assert_eq!(parts.too_large, 0);
            for (tag, bytes) in parts.iter() {
                assert!(bytes.len() <= PART_BYTES_MAX);
                self.bytes += bytes.len();
                let came = self.dice.below(100) >= loss;
                let due = tick + self.dice.below(6) as u32;
                client.under_way.push((due, tag, Some(bytes.to_vec()).filter(|_| came)));
            }
            let bytes = parts.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            // What fits is found by the shared form; the other one hardly ever takes more.
            let more = if self.form == Form::Small { budget / 8 + 8 } else { 0 };
            assert!(bytes <= budget.saturating_add(more) || bytes < 60, "{bytes} for a budget of {budget}");
            let arrived: Vec<_> = client.under_way.extract_if(.., |(due, ..)| *due <= tick).collect();
            for (_, tag, bytes) in arrived {
                let came = bytes.is_some();
                if let Some(bytes) = bytes {
                    let of = client.receiver.receive(&bytes).unwrap_or_else(|error| panic!("tick {tick}: {error}"));
                    for (id, state) in client.receiver.entities().filter(|(_, state)| state.tick == of) {
                        assert_eq!(state.lanes, seen(&self.worlds[&of][&id.0], client.viewer), "{id:?} at tick {of}");
                    }
                }
                client.told.push((tick + 3, tag, came));
            }
            for (_, tag, came) in client.told.extract_if(.., |(due, ..)| *due <= tick) {
                if came { client.peer.delivered(tag) } else { client.peer.lost(tag) }
            }
        }
    }

    fn knows_everything(&self, world: &World) {
        for client in &self.clients {
            let known: Vec<_> = client.receiver.entities().map(|(id, state)| (id.0, state.lanes.clone())).collect();
            let truth: Vec<_> = world.iter().map(|(id, thing)| (*id, seen(thing, client.viewer))).collect();
            assert_eq!(known, truth);
        }
    }
}

fn play(seed: u64, entities: u64, loss: u64, budget: usize) {
    play_in(Form::Shared, seed, entities, loss, budget);
}

/// Returns how many bytes were sent.
fn play_in(form: Form, seed: u64, entities: u64, loss: u64, budget: usize) -> usize {
    let (mut play, mut world, mut dice) = (Play::with_form(seed, 3, form), World::new(), Dice(seed | 1));
    for tick in 1..=240 {
        change(&mut world, &mut dice, entities);
        play.tick(&world, tick, loss, budget);
    }
    // The world rests, and what was lost is told again.
    for tick in 241..=330 {
        play.tick(&world, tick, loss * u64::from(tick < 300), budget);
    }
    play.knows_everything(&world);
    play.bytes
}

#[test]
fn states_survive_loss_and_reordering() {
    (1..30).for_each(|seed| play(seed * 77, 30, 20, 4_000));
}

#[test]
fn states_survive_loss_and_reordering_in_the_small_form_too() {
    for seed in 1..30 {
        play_in(Form::Small, seed * 77, 30, 20, 4_000);
    }
}

#[test]
fn the_small_form_keeps_to_the_length_of_a_part() {
    (1..4).for_each(|seed| {
        play_in(Form::Small, seed * 131, 600, 30, 1 << 20);
    });
}

#[test]
fn no_part_is_too_long_although_its_entities_are_told_against_many_ticks() {
    let (mut play, mut world, mut dice) = (Play::new(21, 2), World::new(), Dice(21));
    for _ in 0..4_000 {
        change(&mut world, &mut dice, 600);
    }
    assert!(world.len() > 200, "{}", world.len());
    for tick in 1..=150 {
        change(&mut world, &mut dice, 600);
        play.tick(&world, tick, 30, if tick % 3 == 0 { 900 } else { 1 << 20 });
    }
}

#[test]
fn what_does_not_fit_the_budget_comes_later() {
    (1..10).for_each(|seed| play(seed * 31, 60, 10, 200));
}

#[test]
fn a_budget_that_is_too_small_for_anything_still_lets_one_entity_out_a_tick() {
    let (mut play, mut world, mut dice) = (Play::new(5, 1), World::new(), Dice(5));
    for _ in 0..60 {
        change(&mut world, &mut dice, 12);
    }
    for tick in 1..=200 {
        play.tick(&world, tick, 0, 1);
    }
    play.knows_everything(&world);
}

#[test]
fn a_client_that_fell_behind_all_history_is_told_in_full_in_bounded_slices() {
    let (mut play, mut world, mut dice) = (Play::new(9, 1), World::new(), Dice(9));
    for tick in 1..=500 {
        change(&mut world, &mut dice, 200);
        let silent = (100..400).contains(&tick);
        play.tick(&world, tick, if silent { 100 } else { 0 }, 400);
    }
    for tick in 501..=560 {
        play.tick(&world, tick, 0, 400);
    }
    play.knows_everything(&world);
}

#[test]
fn clients_that_hold_the_same_share_one_encoding() {
    let (mut play, mut world, mut dice) = (Play::new(3, 12), World::new(), Dice(3));
    play.clients.iter_mut().for_each(|client| client.viewer = Viewer { slot: None, team: 0 });
    for tick in 1..=200 {
        change(&mut world, &mut dice, 40);
        play.tick(&world, tick, 0, 8_000);
    }
    let (hits, misses) = play.cache.counts();
    assert!(hits > misses, "{hits} hits, {misses} misses");
}

#[test]
fn what_a_client_may_not_know_does_not_change_a_bit_of_what_it_is_sent() {
    for moves in [0, 1] {
        let told = [1, 2].map(|secret| {
            let registry = registry();
            let (mut history, mut cache, mut peer) = (History::new(&registry), Cache::default(), Peer::new(1));
            let viewer = Viewer { slot: Some(9), team: 2 };
            let mut sent = Vec::new();
            for tick in 1..60 {
                // What only others know changes, appears, disappears, and passes from one to another.
                let other = (secret == 2 && tick % 7 == 3) as i32;
                let health = [50, 100 * secret, 1_000 * secret + tick as i32 * other];
                let pocket = Some(tick as i32).filter(|_| other == 1);
                let place = [30_000 + moves * tick as i32; 3];
                let thing =
                    Thing { owner: Some(1 + other as u16), team: 1, place, speed: [0; 3], health, pocket, turn: None };
                tell(&World::from([(3, thing)]), &mut history, tick);
                let mut parts = PeerParts::default();
                peer.encode(&history, &mut cache, viewer, &wish(&[StableId(3)], &[], 1_000), &mut parts);
                for (tag, bytes) in parts.iter() {
                    sent.push((tick, bytes.to_vec()));
                    peer.delivered(tag);
                }
            }
            sent
        });
        assert_eq!(told[0], told[1]);
    }
}

#[test]
fn what_was_told_as_gone_in_a_part_that_could_not_be_read_does_not_stay() {
    let registry = registry();
    let (mut history, mut cache, mut peer) = (History::new(&registry), Cache::default(), Peer::new(1));
    let (mut receiver, viewer) = (Receiver::new(&registry), Viewer { slot: None, team: 0 });
    let thing =
        Thing { owner: None, team: 0, place: [9; 3], speed: [1; 3], health: [5, 5, 5], pocket: None, turn: None };
    let mut turn = |peer: &mut Peer, tick: u32, ids: &[u32]| {
        let place = [9 + tick as i32; 3];
        let world = ids.iter().map(|id| (*id, Thing { place, ..thing.clone() })).collect();
        tell(&world, &mut history, tick);
        let wanted: Vec<StableId> = ids.iter().map(|id| StableId(*id)).collect();
        let mut parts = PeerParts::default();
        peer.encode(&history, &mut cache, viewer, &wish(&wanted, &[], 4_000), &mut parts);
        parts.iter().for_each(|(tag, _)| peer.delivered(tag));
        parts.iter().map(|(_, part)| part.to_vec()).collect::<Vec<_>>()
    };
    turn(&mut peer, 1, &[2, 3]).iter().for_each(|part| assert!(receiver.receive(part).is_ok()));
    // The client misses what is told of 4, but the transport says that it came. That 3 is gone stands beside a change of 4.
    turn(&mut peer, 2, &[2, 3, 4]);
    let change = turn(&mut peer, 3, &[2, 4]);
    assert!(receiver.receive(&change[0]).is_err());
    receiver.forget_until(3);
    peer.restart(4);
    turn(&mut peer, 4, &[2, 4]).iter().for_each(|part| assert!(receiver.receive(part).is_ok()));
    let known: Vec<u32> = receiver.entities().map(|(id, _)| id.0).collect();
    assert_eq!(known, [2, 4]);
}

#[test]
fn a_client_that_kept_nothing_is_told_of_ticks_in_the_far_form_again() {
    let registry = registry();
    let (mut history, mut cache, mut peer) = (History::new(&registry), Cache::default(), Peer::new(1));
    let (mut receiver, viewer) = (Receiver::new(&registry), Viewer { slot: None, team: 0 });
    let thing =
        Thing { owner: None, team: 0, place: [9; 3], speed: [1; 3], health: [5, 5, 5], pocket: None, turn: None };
    let mut turn = |peer: &mut Peer, tick: u32| {
        let world = World::from([(2, Thing { place: [(tick % 100) as i32; 3], ..thing.clone() })]);
        tell(&world, &mut history, tick);
        let mut parts = PeerParts::default();
        peer.encode(&history, &mut cache, viewer, &wish(&[StableId(2)], &[], 4_000), &mut parts);
        parts.iter().for_each(|(tag, _)| peer.delivered(tag));
        parts.iter().map(|(_, part)| part.to_vec()).collect::<Vec<_>>().remove(0)
    };
    // The far form places ticks by the newest that is known, the near one by what was kept.
    receiver.begin(70_000);
    assert_eq!(receiver.receive(&turn(&mut peer, 70_300)), Ok(70_300));
    for tick in [70_301, 70_302, 70_366, 70_400] {
        assert_eq!(receiver.receive(&turn(&mut peer, tick)), Ok(tick));
    }
    // What comes before Welcome is acknowledged, and not kept.
    receiver.begin(70_400);
    assert_eq!(receiver.receive(&turn(&mut peer, 70_401)), Err(SnapshotError::Unplaced { tick: 70_401 }));
    receiver.forget_until(70_401);
    peer.restart(70_402);
    assert_eq!(receiver.receive(&turn(&mut peer, 70_402)), Ok(70_402));
    assert_eq!(receiver.receive(&turn(&mut peer, 70_403)), Ok(70_403));
    // An outage of more than the near form can tell: the states are too old, and so is what was kept.
    assert_eq!(receiver.receive(&turn(&mut peer, 90_000)), Ok(90_000));
}

proptest! {
    #[test]
    fn damaged_and_random_parts_never_panic(seed: u64, flip: u16, random in proptest::collection::vec(any::<u8>(), 0..300)) {
        let form = [Form::Shared, Form::Small][seed as usize % 2];
        let (mut play, mut world, mut dice) = (Play::with_form(seed, 1, form), World::new(), Dice(seed | 1));
        for tick in 1..=40 {
            change(&mut world, &mut dice, 20);
            play.tick(&world, tick, 0, 4_000);
        }
        let client = &mut play.clients[0];
        tell(&world, &mut play.history, 41);
        let (mut parts, wanted) = (PeerParts::default(), world.keys().map(|id| StableId(*id)).collect::<Vec<_>>());
        client.peer.encode(&play.history, &mut play.cache, client.viewer, &wish(&wanted, &[], 4_000), &mut parts);
        for (_, part) in parts.iter() {
            let mut part = part.to_vec();
            let bit = usize::from(flip) % (part.len() * 8);
            part[bit / 8] ^= 1 << (bit % 8);
            let _ = client.receiver.receive(&part);
            part.truncate(8);
            part.extend_from_slice(&random);
            let _ = client.receiver.receive(&part);
        }
        let _ = client.receiver.receive(&random);
    }
}
