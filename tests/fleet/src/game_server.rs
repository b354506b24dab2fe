//! A real game server as a fleet runs it: with a sidecar of its own, an address that Agones chose, and folders that outlive it.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_agones_double::{Cluster, Double, Manners};
use arbiter_cli::keys::read_key;
use arbiter_tests::{PATIENCE, Running, arbiter_at, argument};

use crate::results::Kept;

/// Agones writes once a second; what is shown here needs no more than that it is later.
const DELAY: Duration = Duration::from_millis(300);

/// What a game server is started with.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Which build of the program.
    pub program: &'a Path,
    /// What that build is called; a build that does not know of names ignores it.
    pub build: &'a str,
    /// The key that it shares with the services.
    pub key: &'a Path,
    /// Where its recordings and its events are kept.
    pub folder: &'a Path,
    /// Address of the services.
    pub url: &'a str,
    /// Rooms.
    pub rooms: u16,
    /// Places of each.
    pub places: u16,
    /// How long a match takes at most.
    pub match_seconds: u32,
    /// How long matches may take once it drains.
    pub grace_seconds: u32,
}

/// A game server that runs, and its sidecar.
pub struct GameServer {
    /// Its sidecar, and what Kubernetes holds of it.
    pub double: Double,
    /// Its process.
    pub process: Running,
    /// What it leaves behind.
    pub kept: Kept,
    /// What stands behind `Bearer ` in requests of services and operators.
    pub bearer: String,
    operate: String,
}

impl GameServer {
    /// Starts one, and waits until it listens.
    pub fn start(setup: &Setup<'_>) -> Result<Self> {
        let double = Double::start(Manners { delay: DELAY, ..Manners::default() })?;
        double.probe();
        // As in a fleet: it listens everywhere, and Agones says where players reach it.
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        double.change(|cluster| cluster.port = port);
        let bind = format!("0.0.0.0:{port}");
        let kept = Kept {
            program: setup.program.to_owned(),
            recordings: setup.folder.join("recordings"),
            outbox: setup.folder.join("outbox"),
        };
        let (rooms, places) = (setup.rooms.to_string(), setup.places.to_string());
        let (match_seconds, grace) = (setup.match_seconds.to_string(), setup.grace_seconds.to_string());
        let mut command = arbiter_at(
            setup.program,
            &[
                &["server", "--bind", &bind, "--operate", "127.0.0.1:0", "--agones", "on", "--services", setup.url][..],
                &["--key-file", argument(setup.key)],
                &["--record-dir", argument(&kept.recordings), "--outbox-dir", argument(&kept.outbox)],
                &["--rooms", &rooms, "--players-max", &places, "--match-seconds", &match_seconds],
                &["--drain-grace", &grace, "--verify", "false"],
            ]
            .concat(),
        );
        command.env("AGONES_SDK_HTTP_PORT", double.port().to_string()).env("ARBITER_BUILD", setup.build);
        let process = Running::of(command);
        process.wait_for_line("listening on ");
        let line = process.wait_for_line("health and metrics on ");
        let operate = line.split_whitespace().last().unwrap_or_default().trim_end_matches("/metrics").to_owned();
        let bearer = arbiter_cli::services::bearer(&read_key(setup.key)?);
        Ok(Self { double, process, kept, operate, bearer })
    }

    /// Waits until Kubernetes holds something of it; says so when it does, and what it held when it never does.
    pub fn wait(&self, what: &str, done: impl Fn(&Cluster) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.double.look(&done) {
            if Instant::now() >= until {
                bail!("never: {what}; the cluster has {:?}", self.double.look(|cluster| format!("{cluster:?}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("  {what}");
        Ok(())
    }

    /// Asks it for something as an operator.
    pub fn post(&self, path: &str) -> Result<()> {
        let request =
            ureq::post(format!("{}{path}", self.operate)).header("Authorization", format!("Bearer {}", self.bearer));
        request.send_empty().with_context(|| format!("POST {path}"))?;
        Ok(())
    }
}
