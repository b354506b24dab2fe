//! Assets as bytes: what designers make, turned into what the simulation needs, or into errors that name file, place and
//! remedy. Nothing here opens a file: whoever starts a room reads the bytes.
//!
//! [`map`] says what a map may hold; [`glb`] reads the container without trusting it; [`ground`] answers what a player
//! can stand on and walk along, and links waypoints with it.

pub mod glb;
pub mod ground;
pub mod map;
