//! What a studio adds without editing ours: its own component, its own weapon behaviour and its own mode.
//!
//! Start at [`gold_rush`]; `cargo run --release -p arbiter-examples --example gold_rush` plays it.

pub mod gold_rush;
