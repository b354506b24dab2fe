//! What the HTTP of every service has in common, so that none of them can forget it: limits, problems, traces, callers, a
//! description that comes out of the code.
//!
//! A service is a router of documented handlers ([`Router`]); [`serve`] puts any number of them on one address. Handlers take
//! [`Json`], [`Path`] and [`Query`] from here, so that what is wrong with a request is a [`Problem`] that names the field, and
//! [`Caller`], so that nobody acts for somebody else. Nothing here knows what a service does.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200 while the process answers at all |
//! | `/readyz` | 200 while every service says that it can do its work, else 503 and who cannot |
//! | `/openapi.json` | OpenAPI 3.1 of everything that is served at this address |
//!
//! [`operate`] serves the first two at an address of its own, with `/metrics`: what operators ask is no player's business.

mod caller;
mod extract;
mod figures;
mod limits;
mod linger;
mod operate;
mod outside;
mod problem;
mod requests;
mod server;
mod trace;

pub use caller::{Access, AccessDenied, Caller, ServiceKey, ServiceOnly};
pub use extract::{Body, Json, Path, Query};
pub use figures::{Depth, Figures, Own};
pub use limits::Limits;
pub use linger::is_alone;
pub use operate::operate;
pub use outside::Outside;
pub use problem::Problem;
pub use server::{Ready, Running, Service, serve};
pub use trace::Trace;
pub use utoipa_axum::router::OpenApiRouter as Router;
pub use utoipa_axum::routes;
