//! `arbiter server --supervise`: a small parent in the same container starts the server, and starts it again when it dies, so that
//! whoever runs containers does not take the death of a process for that of the machine. The new process takes the matches up
//! again from their recordings.
//!
//! It does nothing else: no socket, no file. What ends in good order is not started again, nor what failed to start.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::stop::Stop;

/// Says whose child a server is.
const PARENT: &str = "ARBITER_SUPERVISOR";

/// So many times a server is started again within [`WINDOW`]: what dies more often would do so for ever, and the orchestrator shall see it.
const RESTARTS_MAX: usize = 8;

/// See [`RESTARTS_MAX`].
const WINDOW: Duration = Duration::from_secs(60);

/// How often it is looked whether the server lives.
const LOOK: Duration = Duration::from_millis(10);

/// What a Rust program that panics ends with.
const PANICKED: i32 = 101;

/// What a shell adds to the number of a signal.
const SIGNALLED: i32 = 128;

/// Whether this process is to be the parent, and not the child of one.
pub fn is_parent(wished: bool) -> bool {
    wished && !is_child()
}

/// Whether a parent of this kind started this process.
fn is_child() -> bool {
    let said = std::env::var(PARENT).ok().and_then(|id| id.parse::<u32>().ok());
    said.is_some() && said == parent()
}

/// In a server: ends in good order when its parent is killed, since nobody else would know of it.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if is_child() {
        let signal = Some(rustix::process::Signal::TERM);
        if let Err(error) = rustix::process::set_parent_process_death_signal(signal) {
            tracing::warn!(%error, "the server would outlive its supervisor");
        }
    }
}

/// Runs this program again with the same arguments, and again when it dies.
pub fn run(stop: &Stop) -> Result<ExitCode> {
    // Once: the system tells another name for a program that was replaced meanwhile.
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut restarts: VecDeque<Instant> = VecDeque::new();
    loop {
        let mut child = start(&program)?;
        println!("supervising process {}", child.id());
        let status = watch(&mut child, stop)?;
        let died = status.code().is_none_or(|code| code == PANICKED);
        if !died || stop.asked() {
            return Ok(passed_on(status));
        }
        let now = Instant::now();
        restarts.retain(|at| now.duration_since(*at) < WINDOW);
        if restarts.len() >= RESTARTS_MAX {
            eprintln!(
                "error: the server ended with {status}, for the {}th time in {} s; it is not started again",
                RESTARTS_MAX + 1,
                WINDOW.as_secs()
            );
            return Ok(passed_on(status));
        }
        restarts.push_back(now);
        eprintln!("error: the server ended with {status} and is started again");
    }
}

fn start(program: &Path) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(PARENT, std::process::id().to_string());
    // Ctrl-C goes to a whole group: the server hears of it from here, once.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().context("cannot start the server")
}

/// Waits for its end, and passes on what this process is told.
fn watch(child: &mut Child, stop: &Stop) -> Result<ExitStatus> {
    let mut told = 0;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the server")? {
            return Ok(status);
        }
        if stop.times() > told {
            told += 1;
            terminate(child);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(unix)]
fn terminate(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    // It may have ended a moment ago.
    let _ = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM));
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) {
    let _ = child.kill();
}

#[cfg(unix)]
fn parent() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

#[cfg(not(unix))]
fn parent() -> Option<u32> {
    std::env::var(PARENT).ok().and_then(|id| id.parse().ok())
}

/// The end of the server as this process's own.
fn passed_on(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
