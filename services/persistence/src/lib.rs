//! What players and matches were and did, and what players say of themselves, over HTTP.
//!
//! Two truths, two logs. The services' log of events is somebody else's: this service follows it into a view that can
//! be thrown away at any time (`facts`), and answers from there, always with the position that an answer is of.
//! Profiles are its own (`profiles`): the only personal data, sealed for each player, and gone when the player's key
//! is.
//!
//! Next: [`Persistence`] to run it, [`rebuild_check`] to prove its view; `facts` for what events do, `http` for what is
//! asked. Shapes, promises and limits stand in `docs/persistence.md`, why it is so in `docs/decisions/views.md`.

mod answers;
mod check;
mod config;
mod error;
mod facts;
mod follower;
mod http;
mod lookups;
mod persistence;
mod profiles;
mod replays;
mod status;
mod told;

pub use check::rebuild_check;
pub use config::{IDLE, PersistenceConfig};
pub use error::{CheckError, StartError};
pub use follower::Waker;
pub use persistence::Persistence;
pub use profiles::ProfileError;
pub use profiles::keys::KeyError;
pub use replays::ReplayError;
