//! A client without a screen: what a client must know and do to play, as a library, and bots that play with it.
//!
//! [`client`] is the core, [`comeback`] when it needs another connection, [`clock`] finds out the server's time, [`prediction`] shows one's own hero ahead, [`interpolation`] the others behind, [`hearing`] keeps what is heard until it is shown, [`view`] is what a player knows, [`bots`] decide. None of these knows a socket or
//! a clock: bytes and times are passed in.

pub mod bots;
pub mod client;
pub mod clock;
pub mod comeback;
pub mod freezes;
pub mod hearing;
pub mod interpolation;
pub mod prediction;
pub mod prespawn;
pub mod runner;
pub mod shots;
pub mod view;
pub mod world;
