//! The program that does the same with PostgreSQL: built on first use, told its turns over its input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::callers::Turn;

/// How requests may come to PostgreSQL: see `benches/peers/postgres/src/main.rs`.
pub const WAYS: [&str; 4] = ["direct:0", "direct:200", "batched:1", "batched:2"];

pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    seed: u64,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its input's end ends it, and PostgreSQL with it.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Builds and starts it over a folder, which is filled with keys on first use.
    pub fn start(folder: &Path, keys: u64) -> Result<Self, String> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| peers.join("../../target"), Into::into);
        let target = std::path::absolute(target.join("peers")).map_err(|error| error.to_string())?;
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--release", "--quiet", "--locked", "--package", "arbiter-peer-postgres", "--target-dir"]);
        cargo.arg(target).arg("--").arg(folder).arg(keys.to_string()).current_dir(&peers);
        cargo.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = cargo.spawn().map_err(|error| format!("cargo: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or("the peer has no output")?);
        let mut peer = Self { child, input, output: BufReader::new(output), seed: 0 };
        println!("PostgreSQL: {}", peer.line()?);
        Ok(peer)
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.is_empty() { Err("the peer ended".to_owned()) } else { Ok(line.trim().to_owned()) }
    }

    /// One turn of it.
    pub fn turn(&mut self, way: &str, callers: usize, hot: bool, time: Duration) -> Result<Turn, String> {
        self.seed += 1;
        let (whom, input) = (if hot { "hot" } else { "spread" }, self.input.as_mut().ok_or("the peer ended")?);
        writeln!(input, "{way} {callers} {whom} {} {}", time.as_millis(), self.seed)
            .map_err(|error| error.to_string())?;
        let line = self.line()?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["ran", count, p50, p99] = words[..] else { return Err(format!("the peer said {line:?}")) };
        let number = |word: &str| word.parse::<f64>().map_err(|error| format!("{word}: {error}"));
        let transfers_per_s = number(count)? / time.as_secs_f64();
        Ok(Turn { transfers_per_s, p50_us: number(p50)?, p99_us: number(p99)?, ..Turn::default() })
    }
}
