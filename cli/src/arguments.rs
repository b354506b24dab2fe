//! The commands and flags of `arbiter`.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use arbiter_transport::conditioner::Profile;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::assets::AssetsCommand;
use crate::bots_command::BotsArgs;
use crate::config::Layer;
use crate::log_command::LogArgs;
use crate::logging::LoggingArgs;
use crate::operate_command::{OperateArgs, ReserveArgs};
use crate::reconcile_command::ReconcileArgs;
use crate::recordings_command::RecordingsCommand;
use crate::replay_command::ReplayArgs;
use crate::services_command::ServicesArgs;
use crate::spectate::SpectateArgs;
use crate::token_command::TokenCommand;
use crate::views_command::ViewsCommand;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "arbiter", version, about = "An authoritative dedicated game server for combat games")]
pub struct Arguments {
    /// What to do; the demo if nothing is said
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What is logged
    #[command(flatten)]
    pub logging: LoggingArgs,
}

/// What `arbiter` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch bots fight a match over real UDP sockets on this machine
    ///
    /// Draws the match on a terminal (80 columns by 24 lines or more) and prints progress lines elsewhere. Fails if the match
    /// could not be recorded, or if its recording is not what was simulated.
    Demo(DemoArguments),
    /// Host matches
    ///
    /// Settings come from defaults, the configuration file, the environment and flags, the later one wins. SIGTERM and Ctrl-C
    /// stop it. Fails if a room panicked, or if a recording was not written or is not what was simulated. --log debug tells
    /// more.
    Server(Box<ServerArguments>),
    /// Drain a running server
    ///
    /// It begins no match and lets nobody new in; running matches are played to their end, for as long as its --drain-grace says. Then
    /// it ends. There is no way back.
    Drain(OperateArgs),
    /// Keep a running server for a party that was announced, in an Agones fleet
    ///
    /// Agones neither deletes nor allocates it, until players come or the time is over.
    Reserve(ReserveArgs),
    /// Run the services: accounts, joining, money, what players keep
    ///
    /// Game servers bring them what happens (arbiter server --services URL). Everything that is kept is in one folder and needs no other
    /// server. SIGTERM and Ctrl-C stop it.
    Services(ServicesArgs),
    /// Fill a running server with bots
    ///
    /// They play until the server says goodbye, the duration is over or Ctrl-C. Fails if one of them did not get to play to
    /// the end.
    Bots(BotsArgs),
    /// Watch a match on a running server
    ///
    /// It is shown as it was some seconds ago, which the server says, if the server lets anybody watch (--spectators-max). Draws
    /// it on a terminal and prints lines elsewhere, until the server says goodbye, the duration is over or q or Ctrl-C. Fails if
    /// nothing was shown.
    Spectate(SpectateArgs),
    /// Re-simulate recordings: verify, seek, dump, compare
    Replay(ReplayArguments),
    /// Bring back what servers shipped of running matches
    #[command(subcommand)]
    Recordings(RecordingsCommand),
    /// Verify, show, follow, back up and restore a log of record
    Log(LogArgs),
    /// Compare results, grants and ledger, and name every difference
    ///
    /// Reads all of the services' logs and changes nothing; they may run meanwhile. Exit status: 0 no difference, 1 some.
    Reconcile(ReconcileArgs),
    /// Prove that what services look things up in is what their logs say
    #[command(subcommand)]
    Views(ViewsCommand),
    /// Make a connect token for a player, or show what is in one
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check rules and maps, or print their schema
    #[command(subcommand)]
    Assets(AssetsCommand),
}

/// Flags of `arbiter replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Folder with maps/ for recordings that do not hold their map
    #[arg(long, global = true, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// What to do
    #[command(flatten)]
    pub replay: ReplayArgs,
}

/// Flags of `arbiter server`.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// Configuration file in TOML; the environment goes over it, flags go over both
    #[arg(long, env = "ARBITER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print what the server would run with, as such a file, and stop
    #[arg(long)]
    pub print_config: bool,
    /// Start the server again when it dies, as a container's first process does: its matches are taken up again from their
    /// recordings. Needs a port that is not 0
    #[arg(long, env = "ARBITER_SUPERVISE")]
    pub supervise: bool,
    /// Settings
    #[command(flatten)]
    pub settings: Layer,
}

/// How the demo tells what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SummaryForm {
    /// One JSON object on standard output; everything else goes to standard error
    Json,
}

/// Flags of `arbiter demo`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct DemoArguments {
    /// Seconds that the match takes at most, 5 to 7,200; the score limit of the mode may end it sooner
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u32).range(5..=7200))]
    pub duration: u32,
    /// Bots that play, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub bots: u16,
    /// Ticks a second, 10 to 128
    #[arg(long, value_name = "HZ", default_value_t = 60, value_parser = clap::value_parser!(u16).range(10..=128))]
    pub tick_rate: u16,
    /// Name of the map; built in are arena, for 10 players, and field, for 1,000
    #[arg(long, value_name = "NAME", default_value = "arena")]
    pub map: String,
    /// Name of the mode in the rules; built in are team_deathmatch, control_point and free_for_all
    #[arg(long, value_name = "NAME", default_value = "team_deathmatch")]
    pub mode: String,
    /// Teams, up to 16; 0 leaves it to the mode
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=16))]
    pub teams: u8,
    /// Seed of the match and its bots; left out, it is drawn and told at the end
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Link of the bots: perfect, broadband, wifi, 4g, transatlantic, lossy, satellite, dialup128
    #[arg(long, value_name = "NAME", default_value = "perfect")]
    pub link: Profile,
    /// Folder that the recording goes to; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "recordings")]
    pub record_dir: PathBuf,
    /// Folder with rules/ and maps/ over the built-in ones
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Without the services: bots make their connect tokens themselves, nothing is earned, and events are told to nobody
    #[arg(long)]
    pub no_services: bool,
    /// Progress lines even where a picture could be drawn
    #[arg(long)]
    pub plain: bool,
    /// Tell the result for a script; left out, for people
    #[arg(long, value_name = "FORM")]
    pub summary: Option<SummaryForm>,
}

impl Default for DemoArguments {
    fn default() -> Self {
        // The one place for defaults is the declaration above.
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            demo: DemoArguments,
        }
        Only::parse_from(["demo"]).demo
    }
}

/// What `--server` names.
pub(crate) fn server_address(server: &str) -> Result<SocketAddr> {
    server
        .to_socket_addrs()
        .with_context(|| format!("--server: {server:?} is no address; expected for example 127.0.0.1:7777"))?
        .next()
        .with_context(|| format!("--server: {server:?} has no address"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_link_is_named_and_an_unknown_one_is_answered_with_the_known() {
        let link = |name: &str| Arguments::try_parse_from(["arbiter", "demo", "--link", name]);
        let Some(Command::Demo(demo)) = link("lossy").unwrap().command else { panic!("not the demo") };
        assert_eq!(demo.link, "lossy".parse().unwrap());
        assert!(link("5g").unwrap_err().to_string().contains("transatlantic"));
    }

    #[test]
    fn nothing_said_is_the_demo_of_ten_for_two_minutes() {
        let demo = DemoArguments::default();
        assert_eq!((demo.bots, demo.duration, demo.tick_rate), (10, 120, 60));
        assert!(Arguments::parse_from(["arbiter"]).command.is_none());
    }
}
