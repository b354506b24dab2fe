//! A studio's own plugins, as they travel through this crate.
//!
//! A studio's `main` is one line:
//!
//! ```no_run
//! # struct GoldRushPlugin;
//! # impl bevy_app::Plugin for GoldRushPlugin { fn build(&self, _: &mut bevy_app::App) {} }
//! fn main() -> std::process::ExitCode {
//!     arbiter_cli::main_with(std::sync::Arc::new(|app| { app.add_plugins(GoldRushPlugin); }))
//! }
//! ```

use std::sync::Arc;

use bevy_app::App;

/// Adds plugins to every simulation: of servers, bots and replays alike, since all must know the same components.
pub type Plugins = Arc<dyn Fn(&mut App) + Send + Sync>;

/// No plugins but the built-in ones.
pub fn none() -> Plugins {
    Arc::new(|_| ())
}
