//! Contract: all of `sessions` holds where the server talks to its socket with the standard library alone, as it does on
//! systems other than Linux. The harness chooses that by this file's name.

#[path = "sessions.rs"]
mod sessions;
