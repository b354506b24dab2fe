//! One server from its start to its end, each step said as it is seen to have happened.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use arbiter_agones_double::{Allocation, Cluster, Double, Manners};
use arbiter_cli::keys::read_key;
use arbiter_tests::{PATIENCE, Running, arbiter, argument};

/// Rooms, and places of each.
const ROOMS: u16 = 3;
const PLACES: u16 = 4;

/// Bots: all rooms but one are full, so that one has nobody who could be in the way of an order.
const BOTS: u16 = 8;

/// Agones writes once a second; what is shown here needs no more than that it is later.
const DELAY: Duration = Duration::from_millis(300);

/// The sidecar is away for so long.
const AWAY: Duration = Duration::from_secs(2);

pub struct Round<'a> {
    pub folder: &'a Path,
    pub url: &'a str,
    pub number: u32,
}

/// What runs in a round.
struct Town {
    double: Double,
    server: Running,
    operate: String,
    bearer: String,
}

impl Town {
    fn wait(&self, what: &str, done: impl Fn(&Cluster) -> bool) -> Result<()> {
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

    fn post(&self, path: &str) -> Result<()> {
        let request =
            ureq::post(format!("{}{path}", self.operate)).header("Authorization", format!("Bearer {}", self.bearer));
        request.send_empty().with_context(|| format!("POST {path}"))?;
        Ok(())
    }
}

impl Round<'_> {
    /// Whether the time of grace is shorter than a match.
    fn is_short(&self) -> bool {
        self.number % 2 == 1
    }

    pub fn play(&self) -> Result<()> {
        let mut town = self.found()?;
        town.wait("ready, since its rooms can be joined", |cluster| cluster.state == "Ready")?;
        town.post("/reserve?seconds=2")?;
        town.wait("reserved, since a party was announced", |cluster| cluster.state == "Reserved")?;
        town.wait("ready again, since it did not come", |cluster| cluster.state == "Ready")?;
        let name = format!("{:032x}", u128::from(self.number) + 1);
        self.order(&town, &name)?;

        let bots = ["bots", "--services", self.url, "--count", &BOTS.to_string(), "--seed", &self.number.to_string()];
        let mut bots = Running::start(&bots);
        let full = i64::from(BOTS);
        town.wait("all bots are in, and told", |cluster| {
            let ids = cluster.lists["players"].values.len();
            cluster.state == "Allocated" && cluster.counters["players"].count == full && ids == usize::from(BOTS)
        })?;
        self.select(&town)?;
        self.lose_the_sidecar(&mut town, full)?;

        self.drain(&mut town)?;
        town.server.wait_for_line("stopped");
        ensure!(town.server.wait(), "the server did not end well");
        town.wait("gone, and Agones knows", |cluster| cluster.state == "Shutdown")?;
        bots.interrupt();
        // Those who were told goodbye have ended already, those who could not join again are told to.
        bots.wait();
        Ok(())
    }

    fn found(&self) -> Result<Town> {
        let double = Double::start(Manners { delay: DELAY, ..Manners::default() })?;
        double.probe();
        // As in a fleet: it listens everywhere, and Agones says where players reach it.
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        double.change(|cluster| cluster.port = port);
        let bind = format!("0.0.0.0:{port}");
        let path = |name: &str| argument(&self.folder.join(name)).to_owned();
        let (key, recordings, outbox) = (path("arbiter.key"), path("recordings"), path("outbox"));
        let grace = if self.is_short() { "1" } else { "60" };
        let match_seconds = if self.is_short() { "60" } else { "6" };
        let (rooms, places) = (ROOMS.to_string(), PLACES.to_string());
        let mut command = arbiter(
            &[
                &["server", "--bind", &bind, "--operate", "127.0.0.1:0", "--agones", "on", "--services", self.url][..],
                &["--key-file", &key, "--record-dir", &recordings, "--outbox-dir", &outbox],
                &["--rooms", &rooms, "--players-max", &places, "--match-seconds", match_seconds],
                &["--drain-grace", grace, "--verify", "false"],
            ]
            .concat(),
        );
        command.env("AGONES_SDK_HTTP_PORT", double.port().to_string());
        let server = Running::of(command);
        server.wait_for_line("listening on ");
        let line = server.wait_for_line("health and metrics on ");
        let operate = line.split_whitespace().last().unwrap_or_default().trim_end_matches("/metrics").to_owned();
        let bearer = arbiter_cli::services::bearer(&read_key(&self.folder.join("arbiter.key"))?);
        Ok(Town { double, server, operate, bearer })
    }

    /// Orders a match by an allocation.
    fn order(&self, town: &Town, name: &str) -> Result<()> {
        let annotations = [("arbiter.dev/match", name), ("arbiter.dev/settings", r#"{"mode":"free_for_all"}"#)];
        let allocation = Allocation {
            min_available: vec![("rooms".to_owned(), 1)],
            annotations: annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Allocation::default()
        };
        ensure!(town.double.allocate(&allocation), "the server was not chosen by minAvailable");
        town.wait("allocated, and hosts the match that was ordered", |cluster| {
            cluster.lists["matches"].values.iter().any(|hosted| hosted == name)
        })
    }

    /// Allocations choose a server that has what they want, and no other.
    fn select(&self, town: &Town) -> Result<()> {
        let wants = |players: i64| Allocation {
            state: "Allocated".to_owned(),
            min_available: vec![("players".to_owned(), players)],
            ..Allocation::default()
        };
        let free = i64::from(ROOMS * PLACES - BOTS);
        ensure!(!town.double.allocate(&wants(free + 1)), "a server was chosen that has too little");
        ensure!(town.double.allocate(&wants(free)), "a server was not chosen that has enough");
        println!("  chosen by minAvailable {free} of players, and not by {}", free + 1);
        Ok(())
    }

    /// Starts the sidecar again under load, with a cluster that has forgotten what it was told.
    fn lose_the_sidecar(&self, town: &mut Town, players: i64) -> Result<()> {
        let (pings, watches) = (town.double.count("health"), town.double.count("watch"));
        town.double.stop();
        town.double.change(|cluster| cluster.counters.values_mut().for_each(|counter| counter.count = 0));
        std::thread::sleep(AWAY);
        town.double.start_again()?;
        town.wait("told everything again, since the sidecar was started again", |cluster| {
            cluster.counters["players"].count == players && cluster.state == "Allocated"
        })?;
        let until = Instant::now() + PATIENCE;
        while town.double.count("health") <= pings || town.double.count("watch") <= watches {
            ensure!(Instant::now() < until, "the sidecar is not pinged or watched any more");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn drain(&self, town: &mut Town) -> Result<()> {
        if self.number / 2 % 2 == 1 {
            town.post("/drain")?;
        } else {
            town.server.terminate();
        }
        town.wait("draining: nothing is available any more", |cluster| {
            cluster.state == "Shutdown" || cluster.counters.values().all(|counter| counter.count == counter.capacity)
        })
    }
}
