//! Services and a fleet of game servers that are replaced one by one by those of another build, as an orchestrator does it: a new
//! server is Ready before an old one is told to end, and one that is told to end plays its matches to their end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use arbiter_cli::keys::read_key;
use arbiter_cli::lobby::Lobby;
use arbiter_fleet::game_server::{GameServer, Setup};
use arbiter_fleet::results::Kept;
use arbiter_tests::{PATIENCE, Running, arbiter_at, argument};
use serde_json::Value;

/// Rooms of a server, and places of each.
const ROOMS: u16 = 2;
const PLACES: u16 = 4;

/// Matches are short, so that many end while anything is replaced.
const MATCH_SECONDS: u32 = 8;

/// Longer than any match.
const GRACE_SECONDS: u32 = 60;

/// The house's own catalogue. Its rewards are for half a minute of play, which is longer than these matches.
const CATALOGUE: &str = include_str!("../../../assets/economy/catalogue.ron");
const REWARDED_AFTER: [&str; 2] = ["ticks_played_min: 1800", "ticks_played_min: 60"];

/// A program, and what it is called.
#[derive(Debug, Clone)]
pub struct Build {
    pub name: String,
    pub program: PathBuf,
}

/// What the services say of the servers of one build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    pub build: String,
    pub protocol: String,
    pub servers: usize,
    pub players: u64,
}

pub struct Town {
    folder: PathBuf,
    key: PathBuf,
    bind: String,
    services: Running,
    /// Oldest first.
    servers: Vec<GameServer>,
    started: usize,
    kept: Vec<Kept>,
}

impl Town {
    /// Starts services and servers of a build.
    pub fn found(folder: &Path, build: &Build, servers: usize) -> Result<Self> {
        // The same address over all restarts, as a Service has it.
        let bind = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let key = folder.join("arbiter.key");
        let [usual, sooner] = REWARDED_AFTER;
        ensure!(CATALOGUE.contains(usual), "assets/economy/catalogue.ron: expected {usual}; mend it in tests/rollout");
        let economy = assets(folder).join("economy");
        std::fs::create_dir_all(&economy)?;
        std::fs::write(economy.join("catalogue.ron"), CATALOGUE.replace(usual, sooner))?;
        let services = serve(folder, &key, &bind, build);
        let (folder, servers_now) = (folder.to_owned(), Vec::new());
        let mut town = Self { folder, key, bind, services, servers: servers_now, started: 0, kept: Vec::new() };
        for _ in 0..servers {
            town.start(build)?;
        }
        Ok(town)
    }

    /// Address of the services.
    pub fn url(&self) -> String {
        format!("http://{}", self.bind)
    }

    /// Where the services keep what they know.
    pub fn services_folder(&self) -> PathBuf {
        self.folder.join("services")
    }

    fn start(&mut self, build: &Build) -> Result<()> {
        let folder = self.folder.join(format!("server-{}", self.started));
        std::fs::create_dir_all(&folder)?;
        let server = GameServer::start(&Setup {
            program: &build.program,
            build: &build.name,
            key: &self.key,
            folder: &folder,
            url: &self.url(),
            rooms: ROOMS,
            places: PLACES,
            match_seconds: MATCH_SECONDS,
            grace_seconds: GRACE_SECONDS,
        })?;
        let ready = format!("server {} of build {} is ready", self.started, build.name);
        // Players who are quicker than the double make it Allocated at once.
        server.wait(&ready, |cluster| ["Ready", "Allocated"].contains(&cluster.state.as_str()))?;
        self.kept.push(server.kept.clone());
        self.servers.push(server);
        self.started += 1;
        Ok(())
    }

    /// Replaces the oldest server by one of a build.
    pub fn replace(&mut self, build: &Build) -> Result<()> {
        self.start(build)?;
        self.end_oldest()
    }

    fn end_oldest(&mut self) -> Result<()> {
        let mut server = self.servers.remove(0);
        server.process.terminate();
        server.process.wait_for_line("stopped");
        ensure!(server.process.wait(), "a server that drained did not end well; its error stands above");
        server.wait("a server has played its matches to their end and is gone", |cluster| cluster.state == "Shutdown")
    }

    /// Ends the services, and starts those of a build with what they left.
    pub fn replace_services(&mut self, build: &Build) -> Result<()> {
        let began = Instant::now();
        self.end_services()?;
        self.services = serve(&self.folder, &self.key, &self.bind, build);
        println!("  services of build {} serve, {:.1} s later", build.name, began.elapsed().as_secs_f64());
        Ok(())
    }

    fn end_services(&mut self) -> Result<()> {
        self.services.terminate();
        ensure!(self.services.wait(), "the services did not end well; their error stands above");
        Ok(())
    }

    /// What the services say of the servers, by build and protocol.
    pub fn hear(&self) -> Result<Vec<Heard>> {
        let bearer = arbiter_cli::services::bearer(&read_key(&self.key)?);
        let answer = Lobby::new(&self.url()).get("/servers", &bearer).context("GET /servers")?;
        let mut heard: Vec<Heard> = Vec::new();
        for server in answer["servers"].as_array().into_iter().flatten() {
            let text = |field: &str| server[field].as_str().unwrap_or_default().to_owned();
            let (build, protocol) = (text("build"), text("protocol_hash"));
            let rooms = server["rooms"].as_array().into_iter().flatten();
            let players: u64 = rooms.filter_map(|room| room["players"].as_u64()).sum();
            match heard.iter_mut().find(|known| known.build == build && known.protocol == protocol) {
                Some(known) => (known.servers, known.players) = (known.servers + 1, known.players + players),
                None => heard.push(Heard { build, protocol, servers: 1, players }),
            }
        }
        heard.sort_by(|a, b| (&a.build, &a.protocol).cmp(&(&b.build, &b.protocol)));
        Ok(heard)
    }

    /// Waits until nobody plays, ends everything, and says what servers left behind.
    pub fn end(mut self) -> Result<Vec<Kept>> {
        while !self.servers.is_empty() {
            self.end_oldest()?;
        }
        self.end_services()?;
        Ok(self.kept)
    }
}

/// What designers edit, of these services.
fn assets(folder: &Path) -> PathBuf {
    folder.join("assets")
}

fn serve(folder: &Path, key: &Path, bind: &str, build: &Build) -> Running {
    let (data, assets) = (folder.join("services"), assets(folder));
    let arguments = ["services", "--bind", bind, "--development-login", "--folder", argument(&data)];
    let files = ["--key-file", argument(key), "--assets", argument(&assets)];
    let command = arbiter_at(&build.program, &[&arguments[..], &files].concat());
    let services = Running::of(command);
    services.wait_for_line("serving on ");
    services
}

/// Compares outboxes, log and ledger with the program of a build, and fails on any difference; how many grants agree.
pub fn reconcile(build: &Build, folder: &Path, kept: &[Kept]) -> Result<u64> {
    let (services, assets) = (folder.join("services"), assets(folder));
    let outboxes: Vec<&str> = kept.iter().map(|kept| argument(&kept.outbox)).collect();
    let outboxes = outboxes.join(",");
    let arguments = ["reconcile", "--folder", argument(&services), "--outbox", &outboxes, "--json"];
    let arguments = [&arguments[..], &["--assets", argument(&assets)]].concat();
    let output = arbiter_at(&build.program, &arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("build {} finds differences between outboxes, log and ledger:\n{text}{errors}", build.name);
    }
    let report: Value = serde_json::from_str(&text).context("arbiter reconcile --json")?;
    report["grants"].as_u64().context("arbiter reconcile --json: expected a number of grants")
}

/// Waits for something that the crowd or the town must come to.
pub fn wait(what: &str, mut tell: impl FnMut(), mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + PATIENCE * 2;
    while !done()? {
        ensure!(Instant::now() < until, "never: {what}");
        tell();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    Ok(())
}
