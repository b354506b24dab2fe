//! The processes: started, killed, started again on the same files and addresses.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_cli::keys::read_key;
use arbiter_cli::lobby::Lobby;
use arbiter_tests::{PATIENCE, Running, argument, printed, recordings, run};

/// Bots that play; each is a player with a wallet.
pub const BOTS: u16 = 8;

/// Between two looks whether the services rest: they let one address ask 200 times a second.
const LOOK: Duration = Duration::from_millis(100);

/// What matches are worth, and the one thing that is sold.
const CATALOGUE: &str = r#"(
    assets: [(name: "gold"), (name: "medkit", item: (stack: 1000000))],
    rewards: [
        (name: "played", when: Played, window: Match, ticks_played_min: 1, asset: "gold", amount: 10, since: "2026-01-01"),
        (name: "won", when: Won, window: Match, ticks_played_min: 1, asset: "gold", amount: 15, since: "2026-01-01"),
    ],
    offers: [(name: "medkit", price: (asset: "gold", amount: 1), gives: [(asset: "medkit", amount: 1)])],
)
"#;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Server,
    Services,
    Both,
}

/// Everything that runs, and where it keeps what.
pub struct Town {
    folder: PathBuf,
    seed: u64,
    http: u16,
    udp: u16,
    services: Option<Running>,
    server: Option<Running>,
    bots: Option<Running>,
}

impl Town {
    pub fn found(folder: &Path, seed: u64) -> Result<Self> {
        let assets = folder.join("assets/economy");
        std::fs::create_dir_all(&assets).context("cannot make the folder")?;
        std::fs::write(assets.join("catalogue.ron"), CATALOGUE)?;
        // Ports that are free now; whoever is started again must be found where it was.
        let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let udp = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut town = Self { folder: folder.to_owned(), seed, http, udp, services: None, server: None, bots: None };
        town.wake()?;
        Ok(town)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    fn path(&self, name: &str) -> String {
        argument(&self.folder.join(name)).to_owned()
    }

    /// Starts whatever does not run.
    pub fn wake(&mut self) -> Result<()> {
        if self.services.is_none() {
            self.start_services();
        }
        if self.server.is_none() {
            self.start_server();
            // Bots of a server that is gone give up by themselves, each in its time.
            self.bots = None;
        }
        if self.bots.is_none() {
            let (url, seed, count) = (self.url(), self.seed.to_string(), BOTS.to_string());
            let bots = ["bots", "--services", &url, "--seed", &seed, "--count", &count];
            self.bots = Some(Running::start(&bots));
        }
        Ok(())
    }

    fn start_services(&mut self) {
        let (bind, folder, assets) = (format!("127.0.0.1:{}", self.http), self.path("services"), self.path("assets"));
        let key = self.path("arbiter.key");
        let services = ["services", "--bind", &bind, "--folder", &folder, "--assets", &assets, "--key-file", &key];
        let services = Running::start(&[&services[..], &["--development-login"]].concat());
        services.wait_for_line("serving on ");
        self.services = Some(services);
    }

    fn start_server(&mut self) {
        let (bind, url, key) = (format!("127.0.0.1:{}", self.udp), self.url(), self.path("arbiter.key"));
        let (outbox, recordings) = (self.path("outbox"), self.path("recordings"));
        let server = Running::start(&[
            "server",
            "--bind",
            &bind,
            "--services",
            &url,
            "--key-file",
            &key,
            "--outbox-dir",
            &outbox,
            "--record-dir",
            &recordings,
            "--rooms",
            "2",
            "--players-max",
            "4",
            "--match-seconds",
            "2",
            "--verify",
            "false",
        ]);
        server.wait_for_line("listening on ");
        self.server = Some(server);
    }

    pub fn kill(&mut self, victim: Victim) {
        if victim != Victim::Services
            && let Some(mut server) = self.server.take()
        {
            server.kill();
        }
        if victim != Victim::Server
            && let Some(mut services) = self.services.take()
        {
            services.kill();
        }
    }

    /// Lets the last results come through: the bots leave, the server ends well, what a kill kept from the outbox is told again
    /// from the recordings, and the next server brings it to the services.
    pub fn settle(&mut self) -> Result<()> {
        self.bots = None;
        self.end_server()?;
        for recording in recordings(&self.folder.join("recordings")) {
            let (recording, outbox) = (argument(&recording).to_owned(), self.path("outbox"));
            let healed = run(&["replay", "events", &recording, "--outbox", &outbox, "--heal"]);
            let text = printed(&healed);
            // A match that was killed before it could be told of has nothing in the log that it could go on from.
            if !healed.status.success() && !text.contains("has no event of match") {
                bail!("{recording}: {text}");
            }
        }
        self.start_server();
        self.end_server()?;
        // Once more, so that what the last kill kept from being told is told.
        self.kill(Victim::Services);
        self.start_services();
        self.rest()
    }

    /// Waits until the services have nothing left to do: all events are consumed, and all that was booked is told.
    fn rest(&self) -> Result<()> {
        let (lobby, end) = (Lobby::new(&self.url()), Instant::now() + PATIENCE);
        let bearer = arbiter_cli::services::bearer(&read_key(&self.folder.join("arbiter.key"))?);
        loop {
            let economy = lobby.get("/economy", &bearer)?;
            let events = lobby.position(&bearer)?;
            if economy["told"] == economy["entries"] && economy["position"] == events {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!("the services do not come to rest: {economy}, {events} events");
            }
            std::thread::sleep(LOOK);
        }
    }

    fn end_server(&mut self) -> Result<()> {
        let mut server = self.server.take().context("the server runs")?;
        server.terminate();
        server.wait_for_line("stopped");
        if !server.wait() {
            bail!("the server did not end well");
        }
        Ok(())
    }

    /// What a player has of an asset, as the services say it once they know everything that was brought.
    pub fn balances(&self, player: u64) -> Result<(i64, i64)> {
        let lobby = Lobby::new(&self.url());
        let key = read_key(&self.folder.join("arbiter.key"))?;
        let bearer = arbiter_cli::services::bearer(&key);
        let after = lobby.position(&bearer)?;
        let gold = lobby.wallet_of(player, &bearer, after)?.get("gold").copied().unwrap_or(0);
        let things = lobby.inventory_of(player, &bearer, after)?.get("medkit").copied().unwrap_or(0);
        Ok((gold, things))
    }

    /// Every log proved, and everything compared with everything: a line for each thing that is wrong.
    pub fn audit(&self) -> Vec<String> {
        let outbox = self.path("outbox");
        let logs = [outbox.clone(), self.path("services/events"), self.path("services/economy")];
        let mut wrong = Vec::new();
        for log in &logs {
            let out = run(&["log", "verify", log]);
            if !out.status.success() {
                wrong.push(printed(&out));
            }
        }
        let (folder, assets) = (self.path("services"), self.path("assets"));
        let out = run(&["reconcile", "--folder", &folder, "--outbox", &outbox, "--assets", &assets, "--json"]);
        let text = String::from_utf8_lossy(&out.stdout);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let on_their_way = report["outboxes"][0]["waiting"].as_u64() != Some(0);
        let unfinished = report["behind"] != 0 || report["waiting"] != 0 || report["untold"] != 0;
        if !out.status.success() || unfinished || on_their_way {
            wrong.push(printed(&out));
        }
        println!("{text}");
        wrong
    }
}
