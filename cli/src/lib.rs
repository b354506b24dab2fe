//! `arbiter` as a library, so that a studio's own `main` can add its plugins. The only place that knows every room.

pub mod config;
pub mod demo;
pub mod fight;
pub mod keys;
pub mod stop;
