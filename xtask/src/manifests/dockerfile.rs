//! The Dockerfile by hadolint. Its last stage, which compiles, is only read: the image of Rust that it starts from
//! cannot be had here.

use anyhow::Result;

use super::Place;
use crate::{shell, tools};

pub(super) fn check(place: &Place) -> Result<u64> {
    let mut hadolint = shell::program(tools::hadolint()?);
    shell::output(hadolint.arg("--failure-threshold=info").arg(place.file("agones/image/Dockerfile")))?;
    Ok(1)
}
