//! Whole-system tests: the program as people run it, over real sockets, with files that it leaves behind.
//!
//! This library is what they share: `Arbiter` finds the program and runs it.

pub mod authority;
pub mod depot;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arbiter_contracts::Envelope;
use arbiter_eventlog::{Folder, Reader};

/// Longest that a test waits for one thing: a machine under load takes its time, a hung program takes forever.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How variables begin that tell a program of the package that it was built from.
const OF_A_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];

/// A test of this package that is compiled in no time.
const SMALLEST_TEST: &str = "assets";

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes of a log that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Looks until something is there; a test that waits for longer than [`PATIENCE`] fails with what it waited for.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "no {what} in {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

/// The program, built with the profile of the tests.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // A test lies in target/PROFILE/deps, the program in target/PROFILE, and so do other programs that start it.
        let me = std::env::current_exe().expect("a test has a path");
        let folder = me.parent().expect("a test lies in a folder");
        let is_test = folder.ends_with("deps");
        let folder = if is_test { folder.parent().expect("deps lies in a profile") } else { folder };
        let mut build = Command::new(env!("CARGO"));
        // As whoever built this was built: for another choice of packages, or without any test, cargo takes other features and compiles
        // a hundred crates anew.
        build.args(["build", "--quiet", "--workspace", "--bin", "arbiter"]);
        if is_test {
            build.args(["--test", SMALLEST_TEST]);
        }
        if folder.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        build.env("CARGO_TARGET_DIR", folder.parent().expect("a profile lies in a target folder"));
        // What the runner told this test of its package: build scripts that watch it would run again, and all that hangs on them.
        for (name, _) in std::env::vars().filter(|(name, _)| OF_A_PACKAGE.iter().any(|part| name.starts_with(part))) {
            build.env_remove(name);
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
        assert!(status.success(), "arbiter is built");
        folder.join(format!("arbiter{}", std::env::consts::EXE_SUFFIX))
    })
}

/// A command of the program, with nothing of the caller's environment that would change its settings.
pub fn arbiter(arguments: &[&str]) -> Command {
    arbiter_at(binary(), arguments)
}

/// The same of a certain build of the program.
pub fn arbiter_at(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ARBITER_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A command of the program that may make no file longer than `kilobytes`: what a full disk is to whoever writes.
pub fn arbiter_with_small_files(kilobytes: u32, arguments: &[&str]) -> Command {
    // POSIX counts files in half kilobytes; without the trap the system would kill it rather than refuse the write.
    through_shell(&format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kilobytes * 2), arguments)
}

/// A command of the program whose log lines stand among the lines that it prints.
pub fn arbiter_with_its_log(arguments: &[&str]) -> Command {
    through_shell("exec \"$0\" \"$@\" 2>&1", arguments)
}

fn through_shell(script: &str, arguments: &[&str]) -> Command {
    let mut command = arbiter_at(Path::new("sh"), &["-c", script]);
    command.arg(binary()).args(arguments);
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    arbiter(arguments).output().expect("arbiter runs")
}

/// What a run printed, both streams, for messages of tests.
pub fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A program that runs beside the test, and is killed with it.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts it.
    pub fn start(arguments: &[&str]) -> Self {
        Self::of(arbiter(arguments))
    }

    /// Starts a command.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("arbiter runs");
        let out = child.stdout.take().expect("its output is piped");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that contains `part`.
    pub fn wait_for_line(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no line with {part:?} in {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without a line with {part:?}"),
            }
        }
    }

    /// Ends it as an operator's orchestrator does.
    pub fn terminate(&mut self) {
        self.signal("-TERM");
    }

    /// Ends it as Ctrl-C does.
    pub fn interrupt(&mut self) {
        self.signal("-INT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(status.success(), "the program was still there to be told");
    }

    /// Ends it as a failing machine does: without a word.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was ours");
    }

    /// Waits for its end and tells whether it ended well.
    pub fn wait(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status.success();
            }
            assert!(Instant::now() < until, "it still runs after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a process as a failing machine does.
pub fn kill(process: &str) {
    let status = Command::new("kill").args(["-9", process]).status().expect("kill runs");
    assert!(status.success(), "process {process} was there");
}

/// Waits until a folder holds a recording of at least `bytes`.
pub fn wait_for_recording(folder: &Path, bytes: u64) -> PathBuf {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(path) = recordings(folder).into_iter().find(|path| size(path) >= bytes) {
            return path;
        }
        assert!(Instant::now() < until, "no recording of {bytes} bytes in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Recordings in a folder, by name.
pub fn recordings(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "arbrec")).collect();
    found.sort();
    found
}

/// Everything that a log of events tells, in its order.
///
/// # Errors
/// The folder holds no log, or something that is no event.
pub fn envelopes(folder: &Path) -> Result<Vec<Envelope>> {
    let log = Reader::open(Folder::at(folder)?, None).with_context(|| format!("the log in {}", folder.display()))?;
    let (mut told, mut records, mut next) = (Vec::new(), Vec::new(), log.start());
    while next < log.end() {
        records.clear();
        log.read(next, READ_BYTES, &mut records)?;
        for record in &records {
            next = record.position + 1;
            told.push(Envelope::decode(&record.data)?);
        }
    }
    Ok(told)
}

/// A path as an argument.
pub fn argument(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}
