//! `arbiter recordings fetch`: brings the running matches of a lost machine back from where its server shipped them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use arbiter_server::{DepotAddress, Fetched, fetch_recordings};
use clap::{Args, Subcommand};

/// What can be done with shipped recordings.
#[derive(Debug, Subcommand)]
pub enum RecordingsCommand {
    /// Bring the running matches of a server that is lost to a folder of recordings
    ///
    /// A server that is then started with that folder (arbiter server --record-dir DIR), and with the same key file, map, rules and
    /// settings, goes on with them. Be sure that the first one is dead: nothing else keeps both from playing.
    Fetch(FetchArgs),
}

/// Flags of `arbiter recordings fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// What the server was given with --ship-recordings
    #[arg(env = "ARBITER_SHIP_RECORDINGS", value_name = "URL")]
    pub url: String,
    /// Folder to bring them to; made if it is missing
    #[arg(value_name = "DIR", default_value = "recordings")]
    pub to: PathBuf,
    /// Those too that were last written more than two minutes ago, which no server goes on with: it tells what can be proved of them,
    /// and closes them
    #[arg(long)]
    pub old: bool,
    /// File with headers that let one in, one a line, as Authorization: Bearer TOKEN
    #[arg(long, env = "ARBITER_SHIP_HEADERS", value_name = "FILE")]
    pub ship_headers: Option<PathBuf>,
    /// File with certificates (PEM) of those who vouch for that place. Left out, those that browsers trust
    #[arg(long, env = "ARBITER_SHIP_CA", value_name = "FILE")]
    pub ship_ca: Option<PathBuf>,
}

/// Does what the command line says.
pub fn run(command: &RecordingsCommand) -> Result<ExitCode> {
    let RecordingsCommand::Fetch(FetchArgs { url, to, old, ship_headers, ship_ca }) = command;
    let from = DepotAddress { url: url.clone(), headers: ship_headers.clone(), authorities: ship_ca.clone() };
    let fetched = fetch_recordings(&from, to, *old).context("the recordings were not brought")?;
    let mut brought = 0;
    for found in fetched {
        match found {
            Fetched::Brought(path, bytes) => {
                brought += 1;
                println!("{}: {bytes} bytes", path.display());
            }
            Fetched::Left(name, why) => println!("{name}: left, {why}"),
        }
    }
    println!("{brought} matches brought to {}", to.display());
    Ok(ExitCode::SUCCESS)
}
