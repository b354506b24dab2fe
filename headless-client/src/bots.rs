//! Bots: players made of code that see what a player sees and press what a player presses. They are clients like any
//! other: nothing here knows the server's state.
//!
//! [`brain`] decides, [`navigation`] walks, [`aim`] is the hand, [`senses`] the eyes, [`kit`] what a hero can do.

pub mod aim;
pub mod brain;
pub mod kit;
pub mod navigation;
pub mod senses;
