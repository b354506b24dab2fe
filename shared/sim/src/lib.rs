//! The rules of combat: one deterministic Tick, a Bevy plugin per domain. No sockets, threads, files or clock.
//!
//! Start at [`tick`] for the order of everything, at [`state`] for what counts as state, at [`input`] and [`event`] for what
//! goes in and comes out.

pub mod abilities;
pub mod assets;
pub mod collide;
pub mod deployables;
pub mod effects;
pub mod event;
pub mod hitbox;
pub mod index;
pub mod input;
pub(crate) mod limits;
pub mod map;
pub mod modes;
pub mod movement;
pub mod physics;
pub mod pickups;
pub mod players;
pub mod prediction;
pub mod projectiles;
pub mod rules;
pub mod rules_load;
pub mod simulation;
pub mod state;
pub mod tick;
pub mod time;
pub mod told;
pub mod vitals;
pub mod weapons;

pub use event::{Cause, Cue, DomainEvent, Outcome, Part};
pub use input::{Admin, Command, Input, Knob, LeaveReason, Loadout, button};
pub use map::Map;
pub use rules::{AssetError, MatchSettings, Rules};
pub use simulation::{BuildError, RestoreError, Simulation, View};
pub use state::{EntityDump, Row};

/// Adds the built-in domains in the order of their components.
fn add_domains(app: &mut bevy_app::App) {
    app.add_plugins((players::PlayersPlugin, movement::MovementPlugin, physics::PhysicsPlugin, modes::ModesPlugin));
    app.add_plugins((
        weapons::WeaponsPlugin,
        projectiles::ProjectilesPlugin,
        abilities::AbilitiesPlugin,
        deployables::DeployablesPlugin,
        effects::EffectsPlugin,
        vitals::VitalsPlugin,
        pickups::PickupsPlugin,
        told::ToldPlugin,
    ));
}
