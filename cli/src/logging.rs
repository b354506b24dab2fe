//! The program's log lines: to standard error, as text or as JSON, each kind at a bounded rate, and never so that whoever logs waits.
//!
//! A line goes through a filter (`--log`), a limit for its place in the program ([`limit`]) and a bounded queue to a thread that writes
//! ([`queue`]); the spans around it are written down with the first line inside of them ([`late`]). What is left out on the way is counted, told in the log itself and in `/metrics`. Lines name rooms, slots, matches
//! and players' numbers, and nothing else that could say who somebody is.

pub mod late;
pub mod limit;
pub mod queue;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::late::Late;
use self::limit::{Limit, Limited};
use self::queue::{Queue, Writing};

/// What is logged unless it is said: of programs that operators watch, and of those that people run.
const WATCHED: &str = "info";
const RUN: &str = "warn";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people: time, level, where it comes from, what it says, fields
    #[default]
    Text,
    /// For machines: one JSON object a line
    Json,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct LoggingArgs {
    /// What is logged to standard error: error, warn, info, debug or trace, or by module, as info,arbiter_server=debug. Left out, what
    /// RUST_LOG says; else info for server and services, warn for everything else
    #[arg(long, global = true, env = "ARBITER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How a log line is written
    #[arg(long, global = true, env = "ARBITER_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: Format,
}

impl LoggingArgs {
    /// What is logged, in the words of [`EnvFilter`].
    fn filter(&self, is_watched: bool) -> Result<Filter> {
        let (origin, text) = match (&self.log, std::env::var("RUST_LOG")) {
            (Some(said), _) if !said.is_empty() => ("--log", said.clone()),
            (_, Ok(said)) if !said.is_empty() => ("RUST_LOG", said),
            _ => ("--log", if is_watched { WATCHED } else { RUN }.to_owned()),
        };
        let expected = "expected for example info or warn,arbiter_server=debug";
        let filter = EnvFilter::try_new(&text);
        let filter = filter.with_context(|| format!("{origin}: {text:?} selects no log lines; {expected}"))?;
        Ok(by_targets(&text).map_or_else(|| filter.boxed(), Layer::boxed))
    }
}

/// What lets lines and spans through.
type Filter = Box<dyn Layer<Registry> + Send + Sync>;

/// Levels by their names.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// The same filter as [`EnvFilter`] for whoever asks for levels, and levels of modules: it knows once and for all what stands at a place
/// in the program, and looks at no span that begins, ends, is entered or left. `None` if more is asked for.
fn by_targets(text: &str) -> Option<Targets> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parts = parts.map(|part| {
        let (target, level) = part.split_once('=').unwrap_or(("", part));
        let is_plain = target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte));
        let (_, level) = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(level)).filter(|_| is_plain)?;
        Some((target, *level))
    });
    let parts = parts.collect::<Option<Vec<_>>>().filter(|parts| !parts.is_empty())?;
    Some(parts.into_iter().fold(Targets::new(), |targets, (target, level)| match target {
        "" => targets.with_default(level),
        _ => targets.with_target(target, level),
    }))
}

/// Logging that has begun; dropping it writes what waits.
#[derive(Debug)]
pub struct Logging {
    _writing: Writing,
}

/// Begins to log to standard error, for the rest of the process.
///
/// # Errors
/// If the flags select nothing that there is, or logging has begun before.
pub fn start(args: &LoggingArgs, is_watched: bool) -> Result<Logging> {
    let (subscriber, writing) = subscriber(args, is_watched, std::io::stderr())?;
    subscriber.try_init().context("logging has begun already")?;
    if is_watched {
        panics_are_lines();
    }
    Ok(Logging { _writing: writing })
}

/// The same to anything, for whoever installs it otherwise.
///
/// # Errors
/// See [`start`].
pub fn subscriber<W: Write + Send + 'static>(
    args: &LoggingArgs,
    is_watched: bool,
    out: W,
) -> Result<(impl Subscriber + Send + Sync + use<W>, Writing)> {
    let filter = args.filter(is_watched)?;
    let limit = Arc::new(Limit::default());
    let (queue, writing) = Queue::start(out, args.log_format, Arc::clone(&limit)).context("cannot start a thread")?;
    let format = tracing_subscriber::fmt::layer().with_writer(queue).with_ansi(false);
    let format = match args.log_format {
        Format::Text => format.boxed(),
        Format::Json => format.json().boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(Limited::new(Late::new(format), limit));
    Ok((subscriber, writing))
}

/// A panic becomes a line as any other: where the log is read by a machine, and on a room's thread, which must not wait for whoever reads.
fn panics_are_lines() {
    let plain = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Whoever left panics out of the log wants to know of them all the same.
        if !tracing::enabled!(target: "panic", tracing::Level::ERROR) {
            return plain(panic);
        }
        let message = panic.payload_as_str().unwrap_or("no words");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let current = std::thread::current();
        let thread = current.name().unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            tracing::error!(target: "panic", thread, location, %backtrace, "{message}");
        } else {
            tracing::error!(target: "panic", thread, location, "{message}");
        }
    }));
}
