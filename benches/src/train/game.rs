//! Matches of fighting players as a corpus: what a server tells of entities of many components.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fight;
use arbiter_schema::{Registry, StableId};
use arbiter_snapshot::codec::entity::{Around, Subject};
use arbiter_snapshot::codec::near::{Context, Head};
use arbiter_snapshot::codec::{Coder, Past, Plan, Tables};
use arbiter_snapshot::exchange::REFRESH_TICKS;
use arbiter_snapshot::{Known, Layout};

use super::tell_in_part;

/// Matches: map, players, ticks a second, seed, seconds.
const MATCHES: [(&str, u16, u16, u64, u32); 4] = [
    ("arena", 10, 60, 4_001, 60),
    ("arena", 10, 128, 4_002, 30),
    ("field", 60, 60, 4_003, 10),
    ("arena", 8, 30, 4_004, 60),
];

/// Ticks between what is told and the newest state that is held: links of all lengths.
const AGES: [u32; 6] = [2, 3, 4, 6, 9, 14];

/// Ticks that are kept.
const KEPT: usize = 64;

/// An entity at a tick, as one client is told of it.
struct State {
    id: StableId,
    shape: Vec<(u16, bool, bool)>,
    lanes: Vec<i32>,
}

/// Walks all that clients are told in all matches, each entity by itself.
pub fn walk<C: Coder>(tables: &Tables, coder: &mut C) {
    play(&mut |registry, _, past, age| tell(tables, coder, registry, past, age));
}

/// The same as parts in the small form.
pub fn walk_parts<C: Coder>(tables: &Tables, coder: &mut C) {
    let mut clients: BTreeMap<(usize, u16), Client> = BTreeMap::new();
    play(&mut |registry, client, past, age| {
        clients.entry(client).or_default().tell(tables, coder, registry, past, age);
    });
}

/// Calls back for each client and tick: the match and the client's slot, the states of the last ticks, the newest first, and the
/// ticks that lie between the first and what the client is known to hold.
fn play(each: &mut impl FnMut(&Registry, (usize, u16), &VecDeque<Vec<State>>, usize)) {
    for (number, (map, players, rate, seed, seconds)) in MATCHES.into_iter().enumerate() {
        let map = Arc::new(Assets::embedded().map(map).expect("built-in maps are valid"));
        let mut fight = Fight::endless(map, players, rate, seed, &|_| ()).expect("the match starts");
        let registry = fight.simulation.registry().clone();
        let layout = Layout::new(&registry);
        // Each client of a match is on another link.
        let clients: Vec<(u16, u32)> =
            (0..players.min(3)).map(|at| (at * 2, AGES[(usize::from(at) * 2 + number) % 6])).collect();
        let mut pasts: Vec<VecDeque<Vec<State>>> = clients.iter().map(|_| VecDeque::new()).collect();
        for _ in 0..u32::from(rate) * (seconds + 5) {
            fight.step();
            for ((slot, age), past) in clients.iter().zip(&mut pasts) {
                past.push_front(states(&fight, &layout, *slot));
                past.truncate(KEPT);
                each(&registry, (number, *slot), past, *age as usize);
            }
        }
        eprintln!("walked match {} of {}", number + 1, MATCHES.len());
    }
}

fn states(fight: &Fight, layout: &Layout, slot: u16) -> Vec<State> {
    let view = fight.simulation.view();
    let team = 1 + (slot % 2) as u8;
    let mut states: Vec<State> = Vec::new();
    view.for_each_row(&mut |row| {
        let owner = row.owner == Some(slot);
        let known = Known { team: owner || row.team == team, owner };
        if !layout.tells(row.component, known) {
            return;
        }
        if states.last().is_none_or(|last| last.id != row.id) {
            states.push(State { id: row.id, shape: Vec::new(), lanes: Vec::new() });
        }
        let Some(state) = states.last_mut() else { return };
        state.shape.push((row.component, known.team, known.owner));
        let lanes = layout.lanes(row.component).iter().zip(row.lanes).filter(|(lane, _)| known.knows(lane.audience));
        state.lanes.extend(lanes.map(|(lane, value)| (*value).clamp(0, lane.max as i32)));
    });
    states
}

fn find(past: &VecDeque<Vec<State>>, back: usize, id: StableId) -> Option<&State> {
    let states = past.get(back)?;
    states.binary_search_by_key(&id, |state| state.id).ok().map(|at| &states[at])
}

fn plan_of(registry: &Registry, state: &State) -> Plan {
    Plan::of(state.shape.iter().map(|(component, team, owner)| {
        let known = Known { team: *team, owner: *owner };
        registry.components()[usize::from(*component)].lanes.iter().filter(move |lane| known.knows(lane.audience))
    }))
}

fn tell<C: Coder>(tables: &Tables, coder: &mut C, registry: &Registry, past: &VecDeque<Vec<State>>, age: usize) {
    let (near, far) = (age + 1, 2 * age);
    if past.len() <= far {
        return;
    }
    for now in &past[0] {
        let [Some(a), Some(b), Some(c)] = [age, near, far].map(|back| find(past, back, now.id)) else { continue };
        let same = [a, b, c].iter().all(|state| state.shape == now.shape);
        // What rests is not told.
        let rests = find(past, 1, now.id).is_some_and(|before| before.lanes == now.lanes) && now.lanes == a.lanes;
        if !same || rests {
            continue;
        }
        let plan = plan_of(registry, now);
        let past =
            Past { states: [&a.lanes, &b.lanes, &c.lanes], age: age as i64, gaps: [1, (far - age) as i64], trail: &[] };
        let (nobody, mut told) = (Around::default(), now.lanes.clone());
        let mut subject = Subject::new(tables, &plan, &past);
        subject.change(coder, &nobody, true, &mut told).expect("a recorder does not fail");
    }
}

/// How an entity of a part is told: against the bases of the part, against others, in full.
const USUAL: u32 = 0;
const OWN: u32 = 1;
const FULL: u32 = 2;

/// One part of so many is lost.
const LOST_OF: u32 = 50;

/// What a client was told of entities, as a server remembers it.
#[derive(Default)]
struct Client {
    tick: u32,
    context: Context,
    /// By entity the ticks of which it was told, and whether that came.
    told: BTreeMap<StableId, VecDeque<(u32, bool)>>,
}

impl Client {
    fn tell<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        registry: &Registry,
        past: &VecDeque<Vec<State>>,
        age: usize,
    ) {
        let Self { tick, context, told } = self;
        *tick += 1;
        let comes = !tick.wrapping_mul(0x9E37_79B1).rotate_right(16).is_multiple_of(LOST_OF);
        context.clear();
        let mut next = 0;
        for now in &past[0] {
            let ticks = told.entry(now.id).or_default();
            let same = |back: usize| find(past, back, now.id).filter(|state| state.shape == now.shape);
            // What is true and under way is not told again.
            let last = ticks.back().map(|(at, _)| *tick - at).filter(|back| *back < REFRESH_TICKS);
            if last.and_then(|back| same(back as usize)).is_some_and(|state| state.lanes == now.lanes) {
                continue;
            }
            let came = ticks.iter().rev().filter(|(_, came)| *came).map(|(at, _)| (*tick - at) as usize);
            let held: Vec<(usize, &State)> =
                came.filter(|back| *back >= age).map_while(|back| Some((back, same(back)?))).collect();
            let step = now.id.0 - next;
            next = now.id.0 + 1;
            ticks.push_back((*tick, comes));
            if ticks.len() > KEPT {
                ticks.pop_front();
            }
            let Some(newest) = held.first() else {
                // What is told in full is raw.
                tell_in_part(context, coder, step, FULL);
                continue;
            };
            let near = held.get(1).unwrap_or(newest);
            let far = held[1.min(held.len() - 1)..].iter().min_by_key(|(back, _)| back.abs_diff(2 * newest.0));
            let far = far.unwrap_or(near);
            let is_usual = [newest.0, near.0, far.0] == [age, age + 1, 2 * age];
            tell_in_part(context, coder, step, if is_usual { USUAL } else { OWN });
            let past = Past {
                states: [&newest.1.lanes, &near.1.lanes, &far.1.lanes],
                age: newest.0 as i64,
                gaps: [(near.0 - newest.0) as i64, (far.0 - newest.0) as i64],
                trail: &[],
            };
            let is_owned = now.shape.iter().any(|(_, _, owner)| *owner);
            let plan = plan_of(registry, now);
            let changed = context.change(coder, tables, &plan, &past, is_owned, true, &mut now.lanes.clone());
            changed.expect("a recorder does not fail");
        }
        context.head(coder, Head::End).expect("a recorder does not fail");
    }
}
