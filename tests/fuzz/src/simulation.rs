//! A small match for the targets that need one, and the checkpoint that a recording hands to it.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use arbiter_sim::assets::map::load;
use arbiter_sim::{Command, Input, Loadout, Map, MatchSettings, Rules, Simulation};

use crate::script::damage;
use crate::{Script, Target, Writer};

/// The map of the house, so that nothing large is committed twice.
pub const ARENA: &[u8] = include_bytes!("../../../assets/maps/arena.glb");

static MAP: LazyLock<Arc<Map>> = LazyLock::new(|| Arc::new(load("arena", ARENA).expect("the arena loads")));
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(Rules::shipped()));
static CHECKPOINT_BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut simulation = new();
    (1..=30).for_each(|tick| simulation.step(&commands(tick)));
    let mut out = Vec::new();
    simulation.checkpoint(&mut out);
    out
});

thread_local! {
    /// One that only bytes which were refused have touched since it was built.
    static KEPT: RefCell<Option<Simulation>> = const { RefCell::new(None) };
}

/// The map.
pub fn map() -> Arc<Map> {
    Arc::clone(&MAP)
}

/// A match of four on the arena.
pub fn new() -> Simulation {
    of(Arc::clone(&RULES)).expect("the house's rules make a match")
}

/// A match with other rules, in the first of their modes that the arena suits.
pub fn of(rules: Arc<Rules>) -> Option<Simulation> {
    let modes: Vec<String> = rules.modes.iter().map(|mode| mode.name.clone()).collect();
    modes.into_iter().find_map(|mode| {
        let settings = MatchSettings { mode, tick_rate: 60, players_max: 4, ..MatchSettings::default() };
        Simulation::new(Arc::clone(&rules), map(), 5, settings).ok()
    })
}

/// Four players join, run, turn, shoot and cast by a fixed pattern.
pub fn commands(tick: u32) -> Vec<Command> {
    let mut commands = Vec::new();
    for slot in 0..4_u16 {
        if tick == 1 {
            let loadout = Loadout { hero: slot as u8, team: (slot % 2) as u8 + 1 };
            commands.push(Command::Join { slot, loadout });
        }
        let noise =
            (u64::from(tick / 8) * 0x9E37_79B9 + u64::from(slot) * 0x85EB_CA6B).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        let input = Input {
            buttons: (noise >> 20) as u16 & arbiter_sim::button::ALL,
            move_right: ((noise >> 32) as i8).max(-127),
            move_forward: ((noise >> 40) as i8).max(-127),
            yaw: (noise >> 48) as u16,
            pitch: ((noise >> 8) as i16) / 16,
            view_tick: tick.saturating_sub(6),
            view_fraction: noise as u8,
        };
        commands.push(Command::Input { slot, input, substituted: false });
    }
    commands
}

/// A checkpoint that was damaged: restoring says so, or gives a state that can be hashed.
pub const CHECKPOINT: Target = Target {
    name: "checkpoint",
    what: "a checkpoint of the simulation, damaged as a script says",
    bytes_max: 4_096,
    allocated_max: 256 << 20,
    run: |bytes| {
        let mut checkpoint = CHECKPOINT_BYTES.clone();
        damage(&mut Script(bytes), &mut checkpoint);
        let mut simulation = KEPT.take().unwrap_or_else(new);
        // After an error a simulation is to be dropped; so is one that took what is not known to be sane.
        if simulation.restore(&checkpoint).is_ok() {
            let _ = simulation.hash();
        }
    },
    examples: || {
        let patch = |at: u32, with: &[u8]| {
            let [a, b, c, d] = at.to_le_bytes();
            Writer::default().u8(3).u8(a).u8(b).u8(c).u8(d).bytes(with)
        };
        vec![
            ("whole".into(), Vec::new()),
            ("cut".into(), vec![0, 0, 9, 0, 0]),
            ("front".into(), patch(0, &[0; 4]).0),
            ("early".into(), patch(40, &[255; 8]).0),
            ("middle".into(), patch(9_000, &[1; 4]).0),
            ("late".into(), patch(60_000, &[0x7F; 4]).0),
        ]
    },
};
