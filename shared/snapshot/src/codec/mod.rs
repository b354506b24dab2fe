//! The state of an entity as few bits: what both ends can guess from acknowledged states is not sent.
//!
//! Each lane is guessed from up to three states that the receiver provably holds ([`Past`]), and only the difference is told:
//! its class as a symbol, the rest as raw bits. Which table codes a symbol is chosen by a decision tree over what both ends
//! know. Trees, tables and the guesses' coefficients are trained offline and frozen (`assets/codec`): nothing adapts, so that
//! no lost packet can put two ends at odds. All arithmetic is in integers, so that both ends guess alike on every machine.
//!
//! Two forms. [`packet::encode_shared`] writes prefix codes that depend on nothing but the entity, so that one bit string
//! serves every client that holds the same states. [`packet::encode_small`] writes with a range coder, and looks at what was
//! told of neighbours in the same packet: fewer bytes for more time, for servers with few players.
//!
//! `docs/snapshot-codec.md` describes the first form bit by bit, for whoever writes another client. On the wire it codes one
//! entity at a time, with an `odd` flag in front of each: see [`exchange`](crate::exchange).
//!
//! Next: [`predict`] for the guesses, [`drift`] and [`glide`] for those of what nothing pushes, [`entity`] for the order of symbols, [`packet`] for a whole packet, [`tables`] for the
//! file.

pub mod drift;
pub mod entity;
pub mod glide;
pub mod groups;
pub mod near;
pub mod neighbours;
pub mod numbers;
pub mod packet;
pub mod plan;
pub mod predict;
pub mod prefix;
pub mod range;
pub mod tables;

pub use plan::Plan;
pub use predict::Past;
pub use tables::{Fit, Model, Tables, Tier};

/// The bits make no sense: they were damaged, or the other end has other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coded state is malformed: it was damaged, or the other end has other tables")]
pub struct Damaged;

/// Where symbols go to or come from. A writer writes the value that it is given and returns it; a reader returns what it
/// reads and looks at nothing that it is given, so that one walk serves both.
pub trait Coder {
    /// Whether it listens to [`Self::observe`].
    const OBSERVES: bool = false;

    /// One symbol of `model`, below the model's number of symbols, in the context of `features`.
    fn symbol(&mut self, model: Model, features: &[i32], symbol: u32) -> Result<u32, Damaged>;

    /// The low `bits` (at most 31) of `value`.
    fn raw(&mut self, value: u32, bits: u32) -> Result<u32, Damaged>;

    /// What a fit guesses from, and what came: for training alone.
    #[inline]
    fn observe(&mut self, fit: Fit, key: usize, inputs: &[i64], actual: i64) {
        let _ = (fit, key, inputs, actual);
    }
}
