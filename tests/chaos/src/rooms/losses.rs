//! A machine that is lost: its server killed, its disk gone, while bots play. The match goes on elsewhere, from what was shipped to a
//! folder or over HTTP; where nothing was shipped it is lost, and the services keep what they were told of the matches before.
//!
//! The other server is started at once: how long an orchestrator takes to find out is not in the figures.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use arbiter_cli::host::Play;
use arbiter_cli::keys::read_key;
use arbiter_contracts::{Envelope, Event};
use arbiter_headless_client::runner::{Content, Door};
use arbiter_protocol::UserData;
use arbiter_recording::Mark;
use arbiter_tests::depot::Depot;
use arbiter_tests::{PATIENCE, Running, argument, envelopes, printed, recordings, run};
use arbiter_transport::{mint_token, token};

use crate::Random;
use crate::crowd::{Crowd, frozen};
use crate::saboteur::now;
use crate::tally::{Scene, Tally};

/// Before the loss, and as much more at random: some checkpoints, and one match of those that are shorter.
const PLAYED: Duration = Duration::from_secs(16);
const PLAYED_MORE: Duration = Duration::from_secs(4);

/// A match outlasts its server.
const MATCH_SECONDS: &str = "45";

/// Where nothing is shipped, one is over before the loss.
const SHORT_MATCH_SECONDS: &str = "8";

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Where copies go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipped {
    Folder,
    Http,
    Nowhere,
}

impl Shipped {
    pub fn name(self) -> &'static str {
        match self {
            Self::Folder => "shipped to a folder",
            Self::Http => "shipped over HTTP",
            Self::Nowhere => "not shipped",
        }
    }
}

/// What losses came to.
#[derive(Debug, Default)]
pub struct Losses {
    pub tally: Tally,
    /// Ticks that players had seen and that are played again, of each loss.
    pub lost_ticks: Vec<u64>,
    /// Results of players that the services had before the loss.
    pub results_before: u64,
    /// Those of them that they have no more.
    pub results_lost: u64,
    /// Matches of which nobody will ever know the end.
    pub matches_lost: u64,
    /// What the log has and the recording does not tell again, or otherwise.
    pub contradictions: Vec<String>,
}

impl Losses {
    /// Prints it.
    pub fn tell(&self, scene: &Scene, shipped: Shipped) {
        println!(
            "{}: {} matches went on, {} were lost; of {} results that the services had {} were lost",
            shipped.name(),
            self.tally.resumed,
            self.matches_lost,
            self.results_before,
            self.results_lost,
        );
        let name = match shipped {
            Shipped::Folder => "rooms.loss.folder",
            Shipped::Http => "rooms.loss.http",
            Shipped::Nowhere => "rooms.loss.unshipped",
        };
        println!("figure {name}.matches_lost {} count", self.matches_lost);
        println!("figure {name}.results_lost {} count", self.results_lost);
        if shipped != Shipped::Nowhere {
            self.tally.tell("losses", scene);
            self.tally.figures(name);
            let ticks = self.lost_ticks.iter();
            println!("figure {name}.lost_ticks.max {} ticks", ticks.clone().max().unwrap_or(&0));
            println!(
                "figure {name}.lost_ticks.mean {} ticks",
                ticks.sum::<u64>() / self.lost_ticks.len().max(1) as u64
            );
        }
    }
}

/// A machine: what runs there, and its disk.
struct Machine {
    server: Running,
    disk: PathBuf,
    address: SocketAddr,
}

/// Loses a machine so many times, each in a folder of its own.
pub fn play(
    folder: &Path,
    play: &Play,
    scene: &Scene,
    shipped: Shipped,
    count: u32,
    random: &mut Random,
) -> Result<Losses> {
    let mut losses = Losses::default();
    for number in 0..count {
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).context("cannot make the folder")?;
        Loss { folder, play, scene, shipped }.happen(&mut losses, random)?;
    }
    Ok(losses)
}

struct Loss<'a> {
    folder: PathBuf,
    play: &'a Play,
    scene: &'a Scene,
    shipped: Shipped,
}

impl Loss<'_> {
    fn happen(&self, losses: &mut Losses, random: &mut Random) -> Result<()> {
        let depot = Depot::open(&self.path("depot"), None);
        let (services, url) = self.services();
        let ships = match self.shipped {
            Shipped::Folder => Some(argument(&self.path("copies")).to_owned()),
            Shipped::Http => Some(depot.url("machine-a")),
            Shipped::Nowhere => None,
        };
        let ships: Vec<&str> = ships.iter().flat_map(|to| ["--ship-recordings", to]).collect();
        let mut first = self.machine("a", &url, &ships, &self.path("a/recordings"))?;
        let goes_to = Arc::new(Mutex::new(first.address));
        let crowd = self.crowd(&goes_to)?;
        std::thread::sleep(PLAYED + PLAYED_MORE.mul_f64(random.part()));
        let at = now();
        first.server.kill();
        // Nobody reads this disk any more; what was on it is counted at the end.
        let lost = self.path("lost");
        std::fs::rename(&first.disk, &lost)?;
        let before = self.results()?;
        let records = match self.shipped {
            Shipped::Folder => self.path("copies"),
            Shipped::Http => self.fetch(&depot)?,
            Shipped::Nowhere => self.path("b/recordings"),
        };
        let second = self.machine("b", &url, &[], &records)?;
        *goes_to.lock().unwrap_or_else(PoisonError::into_inner) = second.address;
        losses.tally.restarts_ms.push((now() - at).as_millis() as u64);
        let report = self.end(second, crowd, services)?;
        losses.tally.comebacks += report.comebacks;
        losses.tally.lost_bots.extend(report.failed.iter().cloned());
        self.count(losses, &lost, &records, before)?;
        if self.shipped != Shipped::Nowhere {
            losses.tally.resumed += 1;
            losses.tally.frozen_ms.extend(frozen(&report.freezes, &[at], self.scene));
            losses.tally.frozen_ms.sort_unstable();
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// On a machine that is not lost.
    fn services(&self) -> (Running, String) {
        let (data, key) = (self.path("services"), self.path("arbiter.key"));
        let all = ["services", "--bind", "127.0.0.1:0", "--folder", argument(&data), "--key-file", argument(&key)];
        let services = Running::start(&[&all[..], &["--development-login"]].concat());
        let line = services.wait_for_line("serving on ");
        (services, line.split_whitespace().nth(2).unwrap_or_default().trim_end_matches(',').to_owned())
    }

    fn machine(&self, name: &str, services: &str, more: &[&str], records: &Path) -> Result<Machine> {
        let (disk, key) = (self.path(name), self.path("arbiter.key"));
        let outbox = disk.join("outbox");
        std::fs::create_dir_all(&disk)?;
        let (address, bots) = (UdpSocket::bind("127.0.0.1:0")?.local_addr()?, self.scene.bots.to_string());
        let bind = address.to_string();
        let seconds = if self.shipped == Shipped::Nowhere { SHORT_MATCH_SECONDS } else { MATCH_SECONDS };
        let server = ["server", "--bind", &bind, "--map", self.scene.map, "--players-max", &bots, "--verify", "false"];
        let files =
            ["--key-file", argument(&key), "--record-dir", argument(records), "--outbox-dir", argument(&outbox)];
        let matches = ["--match-seconds", seconds, "--services", services];
        let server = Running::start(&[&server[..], &files, &matches, more].concat());
        server.wait_for_line("listening on ");
        Ok(Machine { server, disk, address })
    }

    /// Bots whose tokens lead to where their match is now, as `POST /join` would.
    fn crowd(&self, goes_to: &Arc<Mutex<SocketAddr>>) -> Result<Crowd> {
        let (key, goes_to) = (read_key(&self.path("arbiter.key"))?, Arc::clone(goes_to));
        let tickets = move |bot: u16| {
            let server = *goes_to.lock().unwrap_or_else(PoisonError::into_inner);
            let user = UserData { player: u64::from(bot) + 1, ..UserData::default() };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let user = user.encode().map_err(|error| error.to_string())?;
            let minted = mint_token(&key, &[server], &user, token::LIFETIME, now);
            minted.map(|token| token.to_vec()).map_err(|error| error.to_string())
        };
        let content = Content::new(self.play.rules.clone(), self.play.map.clone())?;
        Ok(Crowd::start(Door::Tickets(Arc::new(tickets)), content, self.scene))
    }

    /// What `arbiter recordings fetch` brings.
    fn fetch(&self, depot: &Depot) -> Result<PathBuf> {
        let to = self.path("fetched");
        let fetched = run(&["recordings", "fetch", &depot.url("machine-a"), argument(&to)]);
        if !fetched.status.success() {
            bail!("{}", printed(&fetched));
        }
        Ok(to)
    }

    /// Waits until the match is over and its results are with the services.
    fn end(
        &self,
        second: Machine,
        crowd: Crowd,
        services: Running,
    ) -> Result<arbiter_headless_client::runner::BotsReport> {
        let Machine { mut server, .. } = second;
        let (before, until) = (self.ends()?.len(), Instant::now() + PATIENCE + PATIENCE);
        while self.ends()?.len() <= before {
            if Instant::now() >= until {
                bail!("no match ended behind the loss of a machine");
            }
            std::thread::sleep(LOOK);
        }
        let report = crowd.finish()?;
        server.terminate();
        server.wait_for_line("stopped");
        if !server.wait() {
            bail!("the other server did not end well");
        }
        drop(services);
        Ok(report)
    }

    /// The ends of matches that the services were told of: the match, and results of players.
    fn ends(&self) -> Result<Vec<(String, u64)>> {
        ends_in(&self.path("services/events"))
    }

    fn results(&self) -> Result<u64> {
        Ok(self.ends()?.iter().map(|(_, results)| results).sum())
    }

    fn count(&self, losses: &mut Losses, lost: &Path, records: &Path, before: u64) -> Result<()> {
        let (ends, after) = (self.ends()?, self.results()?);
        losses.results_before += before;
        losses.results_lost += before.saturating_sub(after);
        for path in recordings(&lost.join("recordings")) {
            let reader = arbiter_recording::Reader::open(&path)?;
            let (name, is_over) = (format!("{:032x}", reader.header().match_id), reader.info().end.is_some());
            if !ends.iter().any(|(ended, _)| *ended == name) {
                losses.matches_lost += 1;
            }
            if self.shipped != Shipped::Nowhere && !is_over {
                losses.lost_ticks.push(u64::from(played(&path)?.saturating_sub(resumed(records)?)));
            }
        }
        for recording in recordings(records) {
            let recording = argument(&recording);
            let log = self.path("services/events");
            for command in
                [&["replay", "verify", recording][..], &["replay", "events", recording, "--outbox", argument(&log)]]
            {
                let out = run(command);
                let text = printed(&out);
                // What only the lost outbox had is missing in the log, which is no contradiction; what is told otherwise is.
                if !out.status.success() && !text.contains(" 0 otherwise,") {
                    losses.contradictions.push(text);
                }
            }
        }
        Ok(())
    }
}

/// The last tick that players were shown, as the lost disk says.
fn played(recording: &Path) -> Result<u32> {
    let beside = std::fs::read_to_string(recording.with_extension("resume")).context("beside the lost recording")?;
    beside.lines().next().and_then(|head| head.trim().parse().ok()).context("the lost disk says what was played")
}

/// The tick behind which the match went on.
fn resumed(records: &Path) -> Result<u32> {
    for path in recordings(records) {
        let marks = arbiter_recording::Reader::open(&path)?.info().marks;
        if let Some(tick) =
            marks.iter().find_map(|mark| if let Mark::Resumed { tick } = mark { Some(*tick) } else { None })
        {
            return Ok(tick);
        }
    }
    bail!("no match was taken up")
}

fn ends_in(log: &Path) -> Result<Vec<(String, u64)>> {
    let end = |envelope: Envelope| {
        let Event::MatchEnded(ended) = envelope.event else { return None };
        let name = envelope.attributes.source.rsplit('/').next().unwrap_or_default().to_owned();
        Some((name, ended.results.len() as u64))
    };
    Ok(envelopes(log)?.into_iter().filter_map(end).collect())
}
