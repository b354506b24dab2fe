//! One server from its start to its end, each step said as it is seen to have happened.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arbiter_agones_double::Allocation;
use arbiter_fleet::game_server::{GameServer, Setup};
use arbiter_tests::{PATIENCE, Running, binary};

/// Rooms, and places of each.
const ROOMS: u16 = 3;
const PLACES: u16 = 4;

/// Bots: all rooms but one are full, so that one has nobody who could be in the way of an order.
const BOTS: u16 = 8;

/// The sidecar is away for so long.
const AWAY: Duration = Duration::from_secs(2);

pub struct Round<'a> {
    pub folder: &'a Path,
    pub url: &'a str,
    pub number: u32,
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
        town.process.wait_for_line("stopped");
        ensure!(town.process.wait(), "the server did not end well");
        town.wait("gone, and Agones knows", |cluster| cluster.state == "Shutdown")?;
        bots.interrupt();
        // Those who were told goodbye have ended already, those who could not join again are told to.
        bots.wait();
        Ok(())
    }

    fn found(&self) -> Result<GameServer> {
        GameServer::start(&Setup {
            program: binary(),
            build: env!("CARGO_PKG_VERSION"),
            key: &self.folder.join("arbiter.key"),
            folder: self.folder,
            url: self.url,
            rooms: ROOMS,
            places: PLACES,
            match_seconds: if self.is_short() { 60 } else { 6 },
            grace_seconds: if self.is_short() { 1 } else { 60 },
        })
    }

    /// Orders a match by an allocation: its settings are with the services, or stand beside its id.
    fn order(&self, town: &GameServer, name: &str) -> Result<()> {
        const SETTINGS: &str = r#"{"mode":"free_for_all"}"#;
        let mut annotations = vec![("arbiter.dev/match", name)];
        if self.is_short() {
            annotations.push(("arbiter.dev/settings", SETTINGS));
        } else {
            let order = format!(r#"{{"match":"{name}","settings":{SETTINGS}}}"#);
            let request = ureq::post(format!("{}/matches", self.url))
                .header("Authorization", format!("Bearer {}", town.bearer))
                .header("Content-Type", "application/json");
            request.send(&order[..]).context("POST /matches")?;
        }
        let allocation = Allocation {
            min_available: vec![("rooms".to_owned(), 1)],
            annotations: annotations.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            ..Allocation::default()
        };
        ensure!(town.double.allocate(&allocation), "the server was not chosen by minAvailable");
        town.wait("allocated, and hosts the match that was ordered", |cluster| {
            cluster.lists["matches"].values.iter().any(|hosted| hosted == name)
        })
    }

    /// Allocations choose a server that has what they want, and no other.
    fn select(&self, town: &GameServer) -> Result<()> {
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
    fn lose_the_sidecar(&self, town: &mut GameServer, players: i64) -> Result<()> {
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

    fn drain(&self, town: &mut GameServer) -> Result<()> {
        if self.number / 2 % 2 == 1 {
            town.post("/drain")?;
        } else {
            town.process.terminate();
        }
        town.wait("draining: nothing is available any more", |cluster| {
            cluster.state == "Shutdown" || cluster.counters.values().all(|counter| counter.count == counter.capacity)
        })
    }
}
