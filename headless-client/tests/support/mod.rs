//! A match in memory: a real simulation, real snapshots and real bots, with a perfect link and a clock of its own.

#![allow(dead_code, reason = "each test file uses its part")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use arbiter_headless_client::bots::Bot;
use arbiter_headless_client::bots::brain::Surroundings;
use arbiter_headless_client::runner::hero_of;
use arbiter_protocol::{ClientMessage, Datagram, KIND_INPUT, KIND_SNAPSHOT, ServerMessage, SnapshotHeader, Welcome};
use arbiter_schema::StableId;
use arbiter_sim::map::{Point, Shape, Solid, Spawn, Volume, Waypoint};
use arbiter_sim::{Command, Cue, DomainEvent, Input, Loadout, Map, MatchSettings, Rules, Simulation};
use arbiter_snapshot::{Cache, History, Peer, PeerParts, Viewer, Wish};
use glam::{Quat, Vec3};

/// A floor of 40 by 40 metres with pillars, waypoints every 4 metres, spawns at two ends and a point in the middle.
pub fn hall() -> Map {
    let solid = |name: &str, position: Vec3, half: Vec3| Solid {
        name: name.into(),
        shape: Shape::Box { half },
        position,
        rotation: Quat::IDENTITY,
    };
    let mut solids = vec![
        solid("floor", Vec3::new(0.0, -0.5, 0.0), Vec3::new(21.0, 0.5, 21.0)),
        solid("north", Vec3::new(0.0, 2.0, -20.5), Vec3::new(21.0, 3.0, 0.5)),
        solid("south", Vec3::new(0.0, 2.0, 20.5), Vec3::new(21.0, 3.0, 0.5)),
        solid("west", Vec3::new(-20.5, 2.0, 0.0), Vec3::new(0.5, 3.0, 21.0)),
        solid("east", Vec3::new(20.5, 2.0, 0.0), Vec3::new(0.5, 3.0, 21.0)),
    ];
    for (x, z) in [(-10.0, -6.0), (10.0, -6.0), (-10.0, 6.0), (10.0, 6.0), (0.0, -10.0), (0.0, 10.0)] {
        solids.push(solid("pillar", Vec3::new(x, 1.5, z), Vec3::new(1.5, 1.5, 1.5)));
    }
    let side = 10u16;
    let at = |column: u16, row: u16| Vec3::new(f32::from(column) * 4.0 - 18.0, 0.0, f32::from(row) * 4.0 - 18.0);
    let blocked = |place: Vec3| solids[5..].iter().any(|s| (s.position - place).with_y(0.0).abs().max_element() < 2.2);
    let mut waypoints = Vec::new();
    for row in 0..side {
        for column in 0..side {
            let steps = [(-1i32, 0i32), (1, 0), (0, -1), (0, 1)];
            let links = steps.iter().filter_map(|(dx, dz)| {
                let (x, z) = (i32::from(column) + dx, i32::from(row) + dz);
                let inside = (0..i32::from(side)).contains(&x) && (0..i32::from(side)).contains(&z);
                (inside && !blocked(at(x as u16, z as u16))).then(|| z as u16 * side + x as u16)
            });
            waypoints.push(Waypoint { position: at(column, row), links: links.collect() });
        }
    }
    let spawn = |team: u8, x: f32| Spawn {
        team,
        position: Vec3::new(x, 0.05, if team == 1 { 17.0 } else { -17.0 }),
        yaw: if team == 1 { 0.0 } else { core::f32::consts::PI },
    };
    Map {
        hash: [7; 32],
        solids,
        spawns: (-3..=3).flat_map(|x| [spawn(1, x as f32 * 4.0), spawn(2, x as f32 * 4.0)]).collect(),
        points: vec![Point {
            name: "A".into(),
            volume: Volume { centre: Vec3::new(0.0, 1.5, 0.0), half: Vec3::new(4.0, 1.5, 4.0) },
        }],
        waypoints,
        ..Map::empty("hall", Volume { centre: Vec3::new(0.0, 5.0, 0.0), half: Vec3::new(22.0, 10.0, 22.0) })
    }
}

/// Bots and the simulation that they play in.
pub struct Match {
    pub simulation: Simulation,
    pub bots: Vec<Bot>,
    pub around: Surroundings,
    /// All domain events so far.
    pub events: Vec<DomainEvent>,
    /// How often each weapon and ability was used, by number.
    pub weapons_used: BTreeMap<u8, u32>,
    pub abilities_used: BTreeMap<u8, u32>,
    history: History,
    cache: Cache,
    parts: PeerParts,
    peers: Vec<Peer>,
    inputs: Vec<BTreeMap<u32, Input>>,
    rate: u16,
}

impl Match {
    pub fn new(map: Map, mode: &str, count: u16, seed: u64) -> Self {
        let (rules, map) = (Arc::new(Rules::shipped()), Arc::new(map));
        let settings = MatchSettings {
            mode: mode.into(),
            players_max: count,
            match_seconds: Some(600),
            ..MatchSettings::default()
        };
        let rate = settings.tick_rate;
        let simulation = Simulation::new(rules.clone(), map.clone(), seed, settings).unwrap();
        let loadout = |number: u16| Loadout { hero: hero_of(number, seed, rules.heroes.len()), team: 0 };
        let bots = (0..count)
            .map(|number| {
                let bot_seed = seed * 1_000 + u64::from(number);
                Bot::new(simulation.registry(), rules.clone(), loadout(number), bot_seed)
            })
            .collect();
        let mut made = Self {
            around: Surroundings::new(&rules, map).unwrap(),
            history: History::new(simulation.registry()),
            cache: Cache::default(),
            parts: PeerParts::default(),
            simulation,
            bots,
            events: Vec::new(),
            weapons_used: BTreeMap::new(),
            abilities_used: BTreeMap::new(),
            peers: (0..count).map(|_| Peer::new(1)).collect(),
            inputs: vec![BTreeMap::new(); usize::from(count)],
            rate,
        };
        made.join();
        made
    }

    fn join(&mut self) {
        let mut commands = Vec::new();
        for (slot, bot) in self.bots.iter_mut().enumerate() {
            bot.client.connected();
            let ClientMessage::Join(join) = ClientMessage::decode(&bot.client.next_message().unwrap()).unwrap() else {
                panic!("the first message is no join");
            };
            let loadout = Loadout { hero: join.hero, team: join.team };
            commands.push(Command::Join { slot: slot as u16, loadout });
        }
        self.simulation.step(&commands);
        for (slot, bot) in self.bots.iter_mut().enumerate() {
            let welcome = Welcome {
                slot: slot as u16,
                player: self.simulation.view().player(slot as u16).unwrap(),
                tick_rate: self.rate,
                tick: self.simulation.tick(),
                match_id: [0; 16],
                number: 0,
                small_parts: false,
                map: "hall".into(),
                map_hash: [7; 32],
                rules_hash: [0; 32],
                mode: "team_deathmatch".into(),
                teams: 2,
                players_max: 10,
            };
            bot.client.receive_message(&ServerMessage::Welcome(welcome).encode()).unwrap();
        }
    }

    /// One tick: snapshots out, inputs in, a step of the simulation.
    pub fn step(&mut self) {
        let tick = self.simulation.tick();
        let now = Duration::from_secs_f64(100.0 + f64::from(tick) / f64::from(self.rate));
        self.history.begin(tick);
        let (history, mut wanted) = (&mut self.history, Vec::<StableId>::new());
        self.simulation.view().for_each_row(&mut |row| {
            if wanted.last() != Some(&row.id) {
                wanted.push(row.id);
            }
            history.row(row.id, row.component, row.owner, row.team, row.lanes);
        });
        history.finish();
        let mut teams = vec![0; self.bots.len()];
        self.simulation.view().for_each_row(&mut |row| {
            if let Some(slot) = row.owner {
                teams[usize::from(slot)] = row.team;
            }
        });
        let mut commands = Vec::new();
        for (slot, &team) in teams.iter().enumerate() {
            let viewer = Viewer { slot: Some(slot as u16), team };
            let always = self.simulation.view().player(slot as u16);
            let wish = Wish { wanted: &wanted, gone: &[], always, budget_bytes: usize::MAX };
            self.peers[slot].encode(&self.history, &mut self.cache, viewer, &wish, &mut self.parts);
            let newest = self.inputs[slot].keys().next_back();
            let input_margin = newest.map(|newest| (i64::from(*newest) - i64::from(tick) - 1) as i8);
            let header = SnapshotHeader::new(input_margin, 0);
            let bot = &mut self.bots[slot];
            for (tag, part) in self.parts.iter() {
                self.peers[slot].delivered(tag);
                let mut bytes = Vec::new();
                Datagram::Snapshot(header, part).encode(&mut bytes);
                bot.client.receive_datagram(KIND_SNAPSHOT, &bytes, now).unwrap();
                bot.client.set_round_trip(Duration::from_micros(16_667));
            }
            let mut bytes = Vec::new();
            if bot.think(&self.around, now, &mut bytes) {
                let Datagram::Input(packet) = Datagram::decode(KIND_INPUT, &bytes).unwrap() else {
                    panic!("not an input")
                };
                assert_eq!(packet.discarded, None);
                for wire in packet.inputs {
                    let input = Input {
                        buttons: wire.buttons,
                        move_right: wire.move_right,
                        move_forward: wire.move_forward,
                        yaw: wire.yaw,
                        pitch: wire.pitch,
                        view_tick: wire.view_tick,
                        view_fraction: wire.view_fraction,
                    };
                    self.inputs[slot].insert(wire.tick, input);
                }
            }
            if let Some(input) = self.inputs[slot].remove(&(tick + 1)) {
                commands.push(Command::Input { slot: slot as u16, input, substituted: false });
            }
            self.inputs[slot].retain(|at, _| *at > tick + 1);
        }
        self.simulation.step(&commands);
        self.events.extend_from_slice(self.simulation.events());
        for cue in self.simulation.cues() {
            match cue {
                Cue::Fired { weapon, .. } => *self.weapons_used.entry(*weapon).or_default() += 1,
                Cue::AbilityUsed { ability, .. } => *self.abilities_used.entry(*ability).or_default() += 1,
                _ => {}
            }
        }
    }

    /// Plays on for some seconds.
    pub fn play(&mut self, seconds: u32) {
        for _ in 0..seconds * u32::from(self.rate) {
            self.step();
        }
    }

    pub fn kills(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, DomainEvent::Killed { killer: Some(_), .. })).count()
    }
}
