//! How a component is described: its fields, their ranges and precision, how they are best predicted and who may know them.
//!
//! One description serves everything that walks over state: the hash of a tick, checkpoints, dumps, diffs, the bits of a
//! snapshot and the hash of the protocol. This room knows no ECS, no network and no game. A component is described where it
//! is defined, with [`describe!`]; a fieldless enum with [`describe_enum!`].
//!
//! Next: [`value`] for what a field may be, [`sink`] for how state is walked, [`registry`] for the list of components.

pub mod bytes;
pub mod describe;
pub mod lanes;
pub mod registry;
pub mod sink;
pub mod value;

pub use bytes::{DecodeError, Reader};
pub use describe::{Describe, FieldDesc};
pub use lanes::{Audience, LaneDesc, Predictor, Replicate, Spec};
pub use registry::{ComponentDesc, ComponentId, Registry};
pub use sink::{ByteSink, DumpSink, HashSink, Leaf, Sink};
pub use value::{StableId, Value};
