//! Contract: two state machines connected by nothing but bytes and time connect, talk and part as the standard says; what is
//! hostile, late, doubled or changed costs its sender at most.

mod connection;
mod handshake;
mod harness;
mod hostile;
mod single_use;
