//! `arbiter views`: proves that what services look things up in is what their logs say. Exit status: 0 the same, 1 not.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use arbiter_views::RebuildCheck;
use clap::{Args, Subcommand};

use crate::keys::read_key;
use crate::log_command::masters;
use crate::services::{ECONOMY, TOLD, TRANSACTIONS, persistence_config};

/// `arbiter views`.
#[derive(Debug, Subcommand)]
pub enum ViewsCommand {
    /// Build the views again beside those that are used, and compare them
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
    let config = persistence_config(&args.folder, masters.clone(), &key);
    let (log, transactions, told) = (args.folder.join(ECONOMY), args.folder.join(TRANSACTIONS), args.folder.join(TOLD));
    let checks = [
        ("history", arbiter_persistence::rebuild_check(&config).context("the view of persistence")?),
        (
            "transactions",
            arbiter_economy::rebuild_check(&log, &transactions, masters.clone()).context("the view of transactions")?,
        ),
        ("told", arbiter_economy::tell::rebuild_check(&log, &told, masters).context("the view of what was told")?),
    ];
    for (name, check) in &checks {
        let RebuildCheck { position, grown, rebuilt } = *check;
        let (verdict, hex) =
            (if check.is_same() { "the same" } else { "NOT the same" }, |hash| blake3::Hash::from_bytes(hash).to_hex());
        println!("{name}: {verdict}, {position} records; {} as it grew, {} built again", hex(grown), hex(rebuilt));
    }
    let same = checks.iter().all(|(_, check)| check.is_same());
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
