//! `arbiter demo`: a server, bots that play over real UDP sockets, and a view of the running match, in one process.

mod canvas;
pub mod model;
pub mod summary;
pub mod tally;
mod terrain;
pub mod view;
