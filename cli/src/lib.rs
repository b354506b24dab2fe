//! `arbiter` as a library, so that a studio's own `main` can add its plugins. The only place that knows every room.
//!
//! Start at [`arguments`] for what it can do; [`host`] is where a server and its bots are put together.

pub mod arguments;
pub mod assets;
pub mod bots_command;
pub mod cheats;
pub mod config;
pub mod demo;
pub mod feel;
pub mod fight;
pub mod host;
pub mod keys;
pub mod leaks;
pub mod lobby;
pub mod log_command;
pub mod logging;
pub mod mint;
pub mod operate_command;
pub mod plugins;
pub mod reconcile_command;
pub mod recordings_command;
pub mod replay_command;
pub mod report;
pub mod server_command;
pub mod services;
pub mod services_command;
pub mod spectate;
pub mod stop;
pub mod supervise;
pub mod token_command;
pub mod views_command;

use std::process::ExitCode;

use anyhow::Result;
use arguments::{Arguments, Command, DemoArguments};
use clap::Parser as _;
use plugins::Plugins;
use stop::Stop;

/// The whole program with the built-in domains.
pub fn main() -> ExitCode {
    main_with(plugins::none())
}

/// The whole program with a studio's own plugins: reads the command line, does what it says, prints what went wrong.
pub fn main_with(plugins: Plugins) -> ExitCode {
    let arguments = Arguments::parse();
    let ran = logging::start(&arguments.logging, is_long_running(&arguments)).and_then(|logging| {
        let ran = run(arguments, plugins);
        // What was logged stands before what is said last.
        drop(logging);
        ran
    });
    match ran {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether it is one of the programs that operators read the log of.
fn is_long_running(arguments: &Arguments) -> bool {
    matches!(arguments.command, Some(Command::Server(_) | Command::Services(_)))
}

/// Does what the command line says.
pub fn run(arguments: Arguments, plugins: Plugins) -> Result<ExitCode> {
    match arguments.command.unwrap_or_else(|| Command::Demo(DemoArguments::default())) {
        Command::Demo(arguments) => demo::run(&arguments, plugins, &Stop::listen()?),
        Command::Server(arguments) if supervise::is_parent(arguments.supervise) => supervise::run(&Stop::listen()?),
        Command::Server(arguments) => {
            supervise::end_with_parent();
            server_command::run(*arguments, plugins, &Stop::listen()?)
        }
        Command::Drain(arguments) => operate_command::drain(&arguments),
        Command::Reserve(arguments) => operate_command::reserve(&arguments),
        Command::Services(arguments) => services_command::run(&arguments, &Stop::listen()?),
        Command::Bots(arguments) => bots_command::run(&arguments, plugins, &Stop::listen()?),
        Command::Spectate(arguments) => spectate::run(&arguments, plugins, &Stop::listen()?),
        Command::Replay(arguments) => {
            replay_command::run(&arguments.replay, &host::Replaying::new(arguments.assets, plugins)?)
        }
        Command::Recordings(command) => recordings_command::run(&command),
        Command::Log(arguments) => log_command::run(&arguments),
        Command::Reconcile(arguments) => reconcile_command::run(&arguments),
        Command::Views(command) => views_command::run(&command),
        Command::Token(command) => token_command::run(&command),
        Command::Assets(command) => assets::run(command),
    }
}
