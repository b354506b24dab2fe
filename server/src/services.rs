//! What a game server says to the services over HTTP: on threads of its own, each call bounded in time, never on a tick's path.
//! Whatever fails there, matches go on.

mod client;
mod register;
mod retention;
mod ship;

pub(crate) use client::Client;
pub(crate) use register::{RegisterStats, Registering};
pub(crate) use ship::{ShipStats, Shipping};

/// Where the services are, and what lets this server in.
#[derive(Clone, PartialEq, Eq)]
pub struct Services {
    /// Address of the services, as `http://127.0.0.1:7780`.
    pub url: String,
    /// What stands behind `Bearer ` in every request; a secret.
    pub bearer: String,
}

impl core::fmt::Debug for Services {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Services").field("url", &self.url).finish_non_exhaustive()
    }
}
