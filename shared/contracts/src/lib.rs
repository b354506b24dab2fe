//! What the server and the services tell each other and the world: domain events, their envelope, and how versions of them live
//! side by side. No file, no socket, no clock: times are passed in.
//!
//! An event is a CloudEvent 1.0 whose payload is protobuf. The payloads stand in `proto/`, the list of all types in
//! [`catalogue`], and both together, generated, in `docs/events.md`. No event holds personal data: a player is a number.
//!
//! Compatibility is one rule for each side. Who emits never changes what a field means and gives every new type the next
//! number of [`CONTRACTS`]. Who consumes ignores fields that it does not know, and stops at a type that it does not know if it
//! keeps state: stepping over a fact is how two stores come to differ. Next: [`Envelope`], [`Event`], [`quarantine`]; [`outward`] for how
//! calls between them are made.

pub mod batch;
pub mod catalogue;
pub mod envelope;
pub mod event_id;
pub mod orders;
pub mod outward;
pub mod quarantine;
pub mod servers;
pub mod trace;

/// Payloads, as compiled from `proto/arbiter/events/v1`.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/arbiter.events.v1.rs"));
}

/// The envelope on the wire, as compiled from `proto/io/cloudevents/v1`.
#[expect(clippy::enum_variant_names, reason = "the names are those of the specification of CloudEvents")]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/io.cloudevents.v1.rs"));
}

pub use catalogue::{Classification, Event, KINDS, Kind};
pub use envelope::{Attributes, DecodeError, EncodeError, Envelope};
pub use event_id::MatchEventId;

/// Version of the contracts that this build knows all types of. It grows by one when a type is added.
pub const CONTRACTS: u32 = 1;

/// The .proto files as a `FileDescriptorSet`, comments included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
