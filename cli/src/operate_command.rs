//! `arbiter drain` and `arbiter reserve`: what an operator asks of a running server over HTTP, with the secret of its key file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::keys::read_key;

/// Until the server has answered, whatever it does.
const CALL_MAX: Duration = Duration::from_secs(10);

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OperateArgs {
    /// Address at which the server serves health and metrics, as its --operate says
    #[arg(long, value_name = "ADDR", env = "ARBITER_OPERATE", default_value = "127.0.0.1:9464")]
    pub operate: String,
    /// The key file of the server
    #[arg(long, value_name = "FILE", env = "ARBITER_KEY_FILE", default_value = "arbiter.key")]
    pub key_file: PathBuf,
}

/// Flags of `arbiter reserve`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ReserveArgs {
    /// Which server
    #[command(flatten)]
    pub server: OperateArgs,
    /// Seconds to keep it for, 1 to 3,600
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
}

/// Drains a server.
pub fn drain(arguments: &OperateArgs) -> Result<ExitCode> {
    post(arguments, "/drain")
}

/// Keeps a server.
pub fn reserve(arguments: &ReserveArgs) -> Result<ExitCode> {
    post(&arguments.server, &format!("/reserve?seconds={}", arguments.seconds))
}

fn post(arguments: &OperateArgs, path: &str) -> Result<ExitCode> {
    let bearer = crate::services::bearer(&read_key(&arguments.key_file)?);
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(CALL_MAX)).proxy(None);
    let agent: ureq::Agent = config.build().into();
    let (address, secret) = (&arguments.operate, format!("Bearer {bearer}"));
    let answer = agent.post(format!("http://{address}{path}")).header("Authorization", secret).send_empty();
    let mut answer = answer.with_context(|| format!("{address} does not answer; check --operate of both"))?;
    let said = answer.body_mut().read_to_string().unwrap_or_default();
    if !answer.status().is_success() {
        bail!("{address}: {}: {}; check --key-file", answer.status(), said.trim());
    }
    println!("{}", said.trim());
    Ok(ExitCode::SUCCESS)
}
