//! The server and the bots, as processes of their own, and what the system knows of the server.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_transport::Key;
use arbiter_transport::token::{key_from_hex, key_to_hex};
use tempfile::TempDir;

/// For a start or an end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The clock that the system counts a process's CPU with: a hundredth of a second on every Linux.
const CLOCK_TICKS: f64 = 100.0;

/// A process and what it prints.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        // A line for each client that breaks the rules would be all that one sees.
        command
            .args(arguments)
            .env("ARBITER_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let out = child.stdout.take().context("a process without output")?;
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    fn wait_for_line(&self, part: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.with_context(|| format!("no line with {part:?} was printed"))?;
            if line.contains(part) {
                return Ok(line);
            }
        }
    }

    /// Waits for its end and returns what it has printed since.
    fn wait(&mut self) -> Result<Vec<String>> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let lines = self.lines.iter().collect();
                return if status.success() { Ok(lines) } else { bail!("a process failed ({status}): {lines:?}") };
            }
            if Instant::now() > until {
                bail!("a process did not end in {PATIENCE:?}");
            }
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

/// A match that is played.
pub struct Game {
    server: Running,
    bots: Running,
    folder: TempDir,
    /// Where the server is.
    pub address: SocketAddr,
    /// What it seals tokens with.
    pub key: Key,
}

/// What a match leaves behind.
pub struct Ended {
    /// The recording.
    pub recording: PathBuf,
    /// What the bots say of it.
    pub bots: String,
    /// What became of each datagram, as the server says.
    pub datagrams: String,
    /// Holds the recording.
    _folder: TempDir,
}

impl Game {
    /// Starts a server and bots on it.
    pub fn start(arbiter: &Path, bots: u16, map: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (key_file, recordings, bots) = (path("arbiter.key"), path("recordings"), bots.to_string());
        // Made here, so that nobody else has it.
        let key = Key::generate()?;
        let mut text = key_to_hex(&key);
        writeln!(text)?;
        std::fs::write(&key_file, text)?;
        let key = key_from_hex(&std::fs::read_to_string(&key_file)?)?;
        let server = Running::start(
            arbiter,
            &[
                &["server", "--bind", "127.0.0.1:0", "--seed", "7", "--verify", "false", "--match-seconds", "3600"][..],
                &["--players-max", &bots, "--map", map, "--key-file", &key_file, "--record-dir", &recordings],
            ]
            .concat(),
        )?;
        let line = server.wait_for_line("listening on ")?;
        let address = line.split_whitespace().nth(2).context("no address")?.trim_end_matches(':').to_owned();
        let arguments = ["bots", "--count", &bots, "--server", &address, "--key-file", &key_file, "--map", map];
        let bots = Running::start(arbiter, &[&arguments[..], &["--seed", "3"]].concat())?;
        bots.wait_for_line(" bots, seed")?;
        Ok(Self { server, bots, folder, address: address.parse()?, key })
    }

    fn proc(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.server.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: only Linux has it"))
    }

    /// Memory of the server that is in use.
    pub fn memory_mb(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1_000.0)
    }

    /// CPU that the server has taken.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat").unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |at: usize| after.split_whitespace().nth(at).and_then(|word| word.parse::<f64>().ok());
        (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / CLOCK_TICKS
    }

    /// Datagrams that found the buffers of the server's sockets full.
    pub fn socket_drops(&self) -> u64 {
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
        let rows =
            table.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)));
        rows.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    }

    /// Stops the server and waits for both.
    pub fn end(mut self) -> Result<Ended> {
        let id = self.server.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status().context("kill")?;
        anyhow::ensure!(status.success(), "the server had ended before it was told to");
        let said = self.server.wait()?;
        let datagrams = said.iter().find_map(|line| line.strip_prefix("datagrams: "));
        let datagrams = datagrams.context("the server did not say what became of datagrams")?.to_owned();
        let bots = match self.bots.wait() {
            Ok(lines) => lines.join("; "),
            // Dropped players are counted from the recording too; this says why.
            Err(error) => format!("{error:#}"),
        };
        let entries = std::fs::read_dir(self.folder.path().join("recordings"))?;
        let mut found = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let recording = found.next().context("the server left no recording")?;
        Ok(Ended { recording, bots, datagrams, _folder: self.folder })
    }
}
