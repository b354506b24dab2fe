//! `arbiter spectate`: watches a running match as anybody may whom its server lets watch, some seconds behind, on the terminal or
//! as a line every few seconds.

pub mod picture;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arbiter_headless_client::client::ClientCore;
use arbiter_headless_client::runner::Content;
use arbiter_headless_client::runner::spectator::{SpectatorConfig, SpectatorReport, run_spectator};
use arbiter_protocol::{Notice, Target};
use arbiter_sim::{Map, Rules};
use arbiter_transport::conditioner::Profile;
use clap::Args;
use std::io::IsTerminal as _;

use crate::arguments::server_address;
use crate::assets::Assets;
use crate::demo::model::{FEED_MAX, FeedLine, ViewModel, callsign};
use crate::demo::screen::Screen;
use crate::demo::tally::outcome_for_people;
use crate::demo::watch::{PICTURES_PER_SECOND, cause_for_people};
use crate::keys::read_key;
use crate::plugins::Plugins;
use crate::stop::Stop;
use picture::Picture;

/// Seconds between two lines where nothing can be drawn.
const LINE_S: u64 = 5;

/// Flags of `arbiter spectate`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct SpectateArgs {
    /// Where the server is: name or IP address, and UDP port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7777")]
    pub server: String,
    /// Development key of the server, as `arbiter server --key-file` makes it
    #[arg(long, value_name = "FILE", env = "ARBITER_KEY_FILE", default_value = "arbiter.key")]
    pub key_file: PathBuf,
    /// Room to watch, 0 to 65,534; left out, the server chooses
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=65_534))]
    pub room: Option<u16>,
    /// Slot of the player to watch: what that player was told is shown
    #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u16).range(0..=999), conflicts_with = "free")]
    pub player: Option<u16>,
    /// Watch everybody, which is what is done if nothing is said
    #[arg(long)]
    pub free: bool,
    /// Seconds to watch; left out, until the server says goodbye
    #[arg(long, value_name = "S")]
    pub duration: Option<u32>,
    /// Map that the server plays
    #[arg(long, value_name = "NAME", default_value = "arena")]
    pub map: String,
    /// Folder with rules/ and maps/ over the built-in ones; must be the server's
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Link to the server: perfect, broadband, wifi, 4g, transatlantic, lossy, satellite, dialup128
    #[arg(long, value_name = "NAME", default_value = "perfect")]
    pub link: Profile,
    /// Lines even where a picture could be drawn
    #[arg(long)]
    pub plain: bool,
}

/// Watches. Fails if nothing was shown, or if the connection ended without a goodbye.
pub fn run(args: &SpectateArgs, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    let server = server_address(&args.server)?;
    let assets = Assets::from_folder(args.assets.clone())?;
    let (rules, map) = (Arc::new(assets.rules()?), Arc::new(assets.map(&args.map)?));
    let content = Content::with_plugins(Arc::clone(&rules), Arc::clone(&map), plugins)?;
    let config = SpectatorConfig {
        server,
        key: read_key(&args.key_file)?,
        room: args.room,
        target: args.player.map_or(Target::Free, Target::Player),
        registry: content.registry,
        link: args.link,
        duration: args.duration.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let draws = !args.plain && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let screen = draws.then(Screen::take).transpose().context("the terminal cannot be drawn on; try --plain")?;
    let mut watcher = Watcher::new(&config, rules, map, screen);
    let report = run_spectator(&config, &AtomicBool::new(false), |client, _| {
        !stop.asked() && watcher.look(client).unwrap_or_else(|error| watcher.fail(error.to_string()))
    })?;
    // The terminal is given back before anything more is said.
    drop(watcher.screen.take());
    Ok(tell(&report, &watcher))
}

/// Shows what a client is told.
struct Watcher {
    screen: Option<Screen>,
    picture: Picture,
    model: ViewModel,
    rules: Arc<Rules>,
    began: Instant,
    drawn: Option<Instant>,
    match_id: Option<[u8; 16]>,
    /// Slots that somebody was seen in.
    slots: BTreeSet<u16>,
    deaths: u32,
    /// Snapshot bytes when the last picture was made.
    bytes: u64,
    failure: Option<String>,
}

impl Watcher {
    fn new(config: &SpectatorConfig, rules: Arc<Rules>, map: Arc<Map>, screen: Option<Screen>) -> Self {
        Self {
            screen,
            picture: Picture::new(&config.registry),
            model: ViewModel::new(map, String::new(), 60),
            rules,
            began: Instant::now(),
            drawn: None,
            match_id: None,
            slots: BTreeSet::new(),
            deaths: 0,
            bytes: 0,
            failure: None,
        }
    }

    fn fail(&mut self, why: String) -> bool {
        self.failure = Some(why);
        false
    }

    /// Whether to go on.
    fn look(&mut self, client: &mut ClientCore) -> Result<bool> {
        if !self.enter(client) {
            return Ok(false);
        }
        self.hear(client);
        let every = match self.screen {
            Some(_) => Duration::from_secs(1) / u32::from(PICTURES_PER_SECOND),
            None => Duration::from_secs(LINE_S),
        };
        let last = self.drawn.unwrap_or(self.began);
        if last.elapsed() < every {
            return Ok(true);
        }
        self.fill(client, last.elapsed());
        self.drawn = Some(Instant::now());
        let Some(screen) = &mut self.screen else {
            println!("{}", self.line());
            return Ok(true);
        };
        screen.draw(&self.model)?;
        match screen.pressed(Duration::ZERO)? {
            Some('q') => return Ok(false),
            Some('f') => client.watch(Target::Free),
            Some('n') => self.next_player(client),
            _ => {}
        }
        Ok(true)
    }

    /// Looks whether it is another match; false if it cannot be shown.
    fn enter(&mut self, client: &ClientCore) -> bool {
        let Some(welcome) = client.welcome().filter(|welcome| Some(welcome.match_id) != self.match_id) else {
            return true;
        };
        self.match_id = Some(welcome.match_id);
        let map = Arc::clone(&self.model.map);
        if welcome.map_hash != map.hash {
            return self.fail(format!(
                "the server plays map {:?}, which is not {:?} here; name it with --map, and its assets with --assets",
                welcome.map, map.name
            ));
        }
        let mode = self.rules.modes.iter().find(|mode| mode.name == welcome.mode);
        let title = mode.map_or_else(|| welcome.mode.clone(), |mode| mode.title.clone());
        self.model = ViewModel::new(map, title, welcome.tick_rate);
        true
    }

    fn hear(&mut self, client: &mut ClientCore) {
        let teams = client.welcome().is_some_and(|welcome| welcome.teams > 0);
        while let Some(message) = client.next_notice() {
            match message.notice {
                Notice::Killed { victim, killer, cause, headshot, .. } => {
                    let players = &self.model.players;
                    let team = |slot| players.iter().find(|it| it.slot == slot).map_or(0, |player| player.team);
                    let person = |slot| (callsign(slot), team(slot));
                    let (killer, victim) = (killer.map(person), person(victim));
                    let at_s = message.tick as f32 / f32::from(self.model.tick_rate.max(1));
                    let cause = cause_for_people(&self.rules, picture::cause(cause));
                    self.model.feed.push_front(FeedLine { at_s, killer, victim, cause, headshot });
                    self.model.feed.truncate(FEED_MAX);
                    self.deaths += 1;
                }
                Notice::MatchEnded { outcome } => {
                    self.model.result = Some(outcome_for_people(Some(picture::outcome(outcome)), teams));
                }
                _ => {}
            }
        }
    }

    fn fill(&mut self, client: &ClientCore, since: Duration) {
        let bytes = client.counts().snapshot_bytes;
        self.model.cost.down_kbit_s = (bytes - self.bytes) as f32 / since.as_secs_f32().max(1e-3) / 125.0;
        self.bytes = bytes;
        self.model.watched = Some(match client.watching() {
            Some(watching) => {
                let whom = match watching.target {
                    Target::Free => "everybody".to_owned(),
                    Target::Player(slot) => callsign(slot),
                };
                format!("watching {whom}, {:.1} s ago", f64::from(watching.delay_ms) / 1e3)
            }
            None => "waiting for a match that is as old as what this server shows".to_owned(),
        });
        if let Some(frame) = client.newest() {
            self.picture.fill(frame, &self.rules, &mut self.model);
        }
        self.slots.extend(self.model.players.iter().map(|player| player.slot));
    }

    fn next_player(&self, client: &mut ClientCore) {
        let now = client.watching().map(|watching| watching.target);
        let from = match now {
            Some(Target::Player(slot)) => slot + 1,
            _ => 0,
        };
        if let Some(slot) = self.slots.range(from..).chain(&self.slots).next() {
            client.watch(Target::Player(*slot));
        }
    }

    /// How it goes, for people.
    fn line(&self) -> String {
        let model = &self.model;
        let scores: Vec<String> = model.scores.iter().map(|score| score.points.to_string()).collect();
        let alive = model.players.iter().filter(|player| player.alive).count();
        format!(
            "{:>4.0} s  {}: {} players, {alive} alive, {} deaths{}{}  {:.0} kbit/s down",
            model.elapsed_s,
            model.watched.as_deref().unwrap_or_default(),
            model.players.len(),
            self.deaths,
            if scores.is_empty() { "" } else { ", score " },
            scores.join(" : "),
            model.cost.down_kbit_s,
        )
    }
}

fn tell(report: &SpectatorReport, watcher: &Watcher) -> ExitCode {
    let plural = if report.matches == 1 { "match" } else { "matches" };
    let counts = report.counts;
    println!(
        "{} {plural} shown, {} deaths, {} snapshots, {} kB down",
        report.matches,
        watcher.deaths,
        counts.snapshots,
        report.bytes_down / 1000
    );
    if let Some(reason) = report.goodbye {
        println!("the server said goodbye: {reason}");
    }
    let unshown = || (report.matches == 0).then(|| "nothing was shown; is a server running there?".to_owned());
    match watcher.failure.clone().or_else(|| report.failure.clone()).or_else(unshown) {
        Some(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
