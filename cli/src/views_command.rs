//! `arbiter views`: proves that what services look things up in is what their logs say. Exit status: 0 the same, 1 not.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use arbiter_persistence::rebuild_check;
use clap::{Args, Subcommand};

use crate::keys::read_key;
use crate::log_command::masters;
use crate::services::persistence_config;

/// `arbiter views`.
#[derive(Debug, Subcommand)]
pub enum ViewsCommand {
    /// Build the view of persistence again beside the one that is used, and compare them
    ///
    /// Nothing is changed, and the services may run meanwhile. A view that differs is no loss: remove its file while they stand still, and
    /// it is built again.
    Verify(VerifyArgs),
}

/// Flags of `arbiter views verify`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VerifyArgs {
    /// Folder of the services, as `arbiter services --folder` has it
    #[arg(long, env = "ARBITER_SERVICES_DIR", value_name = "DIR", default_value = "services-data")]
    pub folder: PathBuf,
    /// Development key of the game servers
    #[arg(long, env = "ARBITER_KEY_FILE", value_name = "FILE", default_value = "arbiter.key")]
    pub key_file: PathBuf,
    /// File with the keys that seal the services' logs
    #[arg(long, value_name = "FILE", env = "ARBITER_LOG_KEY_FILE")]
    pub log_key_file: Option<PathBuf>,
}

/// Runs it.
pub fn run(command: &ViewsCommand) -> Result<ExitCode> {
    let ViewsCommand::Verify(args) = command;
    let (key, masters) = (read_key(&args.key_file)?, masters(args.log_key_file.as_deref())?);
    let config = persistence_config(&args.folder, masters, &key);
    let check = rebuild_check(&config).with_context(|| args.folder.display().to_string())?;
    let (same, hex) = (check.is_same(), |hash| blake3::Hash::from_bytes(hash).to_hex());
    println!("events before {}: {} as it grew, {} built again", check.position, hex(check.grown), hex(check.rebuilt));
    println!("{}", if same { "the view is what the log says" } else { "the view is NOT what the log says" });
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
