//! Access tokens: who plays, as a short text that every service can check by itself.
//!
//! A token is a JWT (RFC 7519) signed with Ed25519 (RFC 8037). One process of an installation makes them, with an [`Issuer`]; all
//! others check them with a [`Verifier`], which needs public keys only. A token holds the number of its player and nothing
//! else about anybody. Nothing here knows how a player proves who they are: that is the service `join`.
//!
//! Next: [`Issuer`] for keys on disk and their rotation, [`Verifier`] for what is checked, [`Jwks`] for what stands between
//! them. Why there is no library for it: `docs/decisions/access.md`.

mod clock;
mod fetched;
mod issuer;
mod jwks;
mod key;
mod seen;
mod store;
mod token;
mod verifier;

pub use clock::{Clock, system_clock};
pub use fetched::{FetchConfig, FetchError};
pub use issuer::{
    IssueError, Issued, Issuer, IssuerConfig, LIFETIME, LIFETIME_MAX, LIFETIME_MIN, OpenError, ROTATE_AFTER,
};
pub use jwks::{JWKS_BYTES_MAX, Jwk, Jwks, JwksError, KEYS_MAX};
pub use store::StoreError;
pub use token::{CLOCK_LEEWAY, TOKEN_BYTES_MAX, TokenError};
pub use verifier::Verifier;
