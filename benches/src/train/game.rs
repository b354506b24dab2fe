//! Matches of fighting players as a corpus: what a server tells of entities of many components.

use std::collections::VecDeque;
use std::sync::Arc;

use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fight;
use arbiter_schema::{Registry, StableId};
use arbiter_snapshot::codec::entity::{Around, Subject};
use arbiter_snapshot::codec::{Coder, Past, Plan, Tables};
use arbiter_snapshot::{Known, Layout};

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
const KEPT: usize = 32;

/// An entity at a tick, as one client is told of it.
struct State {
    id: StableId,
    shape: Vec<(u16, bool, bool)>,
    lanes: Vec<i32>,
}

/// Walks all that clients are told in all matches.
pub fn walk<C: Coder>(tables: &Tables, coder: &mut C) {
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
                tell(tables, coder, &registry, past, *age as usize);
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

fn tell<C: Coder>(tables: &Tables, coder: &mut C, registry: &Registry, past: &VecDeque<Vec<State>>, age: usize) {
    let (near, far) = (age + 1, 2 * age);
    if past.len() <= far {
        return;
    }
    let find = |back: usize, id: StableId| {
        let states = &past[back];
        states.binary_search_by_key(&id, |state| state.id).ok().map(|at| &states[at])
    };
    for now in &past[0] {
        let [Some(a), Some(b), Some(c)] = [age, near, far].map(|back| find(back, now.id)) else { continue };
        let same = [a, b, c].iter().all(|state| state.shape == now.shape);
        // What rests is not told.
        let rests = find(1, now.id).is_some_and(|before| before.lanes == now.lanes) && now.lanes == a.lanes;
        if !same || rests {
            continue;
        }
        let plan = Plan::of(now.shape.iter().map(|(component, team, owner)| {
            let known = Known { team: *team, owner: *owner };
            registry.components()[usize::from(*component)].lanes.iter().filter(move |lane| known.knows(lane.audience))
        }));
        let past =
            Past { states: [&a.lanes, &b.lanes, &c.lanes], age: age as i64, gaps: [1, (far - age) as i64], trail: &[] };
        let (nobody, mut told) = (Around::default(), now.lanes.clone());
        let mut subject = Subject::new(tables, &plan, &past);
        subject.change(coder, &nobody, true, &mut told).expect("a recorder does not fail");
    }
}
