//! A server and bots in this process: the one place of this crate that starts either.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use arbiter_headless_client::runner::{BotsConfig, BotsReport, Content, Door, run_bots};
use arbiter_replay::{ReplayError, VerifyReport};
use arbiter_server::agones::{Agones, sidecar};
use arbiter_server::drain::Reason;
use arbiter_server::services::Services;
use arbiter_server::stats::UnwrittenRecording;
use arbiter_server::{Observer, OnStop, Server, ServerConfig, ServerHandle, SocketKind};
use arbiter_sim::rules::{MatchSettings, Rules};
use arbiter_sim::{BuildError, Map, Simulation};
use arbiter_transport::conditioner::Profile;
use arbiter_transport::{Counters, Key};

use crate::assets::Assets;
use crate::config::{self, Settings};
use crate::demo::watch::Watch;
use crate::plugins::Plugins;
use crate::stop::Stop;

/// Bandwidth is told as the mean over this long.
const METER: Duration = Duration::from_secs(1);
/// What Agones sets for the process that it starts: the port of its sidecar.
const AGONES_PORT: &str = "AGONES_SDK_HTTP_PORT";
/// Agones' own clients wait so long for the sidecar, which may start after the server.
const AGONES_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked whether all recordings are verified.
const LOOK: Duration = Duration::from_millis(20);

/// What plays: rules, a map, and where further maps come from.
#[derive(Clone)]
pub struct Play {
    /// Where rules and map came from.
    pub assets: Assets,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The map.
    pub map: Arc<Map>,
    /// A studio's own plugins.
    pub plugins: Plugins,
}

impl Play {
    /// Reads the rules and a map.
    pub fn load(assets: Assets, map: &str, plugins: Plugins) -> Result<Self> {
        let (rules, map) = (Arc::new(assets.rules()?), Arc::new(assets.map(map)?));
        Ok(Self { assets, rules, map, plugins })
    }
}

/// A running server.
pub struct Host {
    server: ServerHandle,
    verified: Arc<Mutex<Vec<Recorded>>>,
    verifies: bool,
    meter: Mutex<Meter>,
}

/// A finished recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Where it is.
    pub path: PathBuf,
    /// What its verification found.
    pub verification: Verification,
}

/// What the re-simulation of a finished recording found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Every tick has the hash that was recorded.
    Same,
    /// Ticks have other hashes than recorded.
    Divergent {
        /// The first of them.
        first: u32,
        /// How many.
        ticks: u32,
    },
    /// The file is not what was written; the ticks that can be read are as recorded.
    Damaged(String),
    /// It cannot be replayed at all: why, and what to do.
    Impossible(String),
    /// It was not asked for, or not done in time.
    NotDone,
}

impl Verification {
    fn of(report: Result<VerifyReport, ReplayError>) -> Self {
        match report {
            Ok(report) => match (report.divergence.as_ref(), report.damages.first()) {
                (Some(divergence), _) => Self::Divergent { first: divergence.tick, ticks: report.divergent },
                (None, Some(damage)) if !report.is_good() => Self::Damaged(damage.to_string()),
                _ => Self::Same,
            },
            Err(error) => Self::Impossible(error.to_string()),
        }
    }

    /// Whether something is wrong with the recording.
    pub fn is_bad(&self) -> bool {
        !matches!(self, Self::Same | Self::NotDone)
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("verified"),
            Self::Divergent { first, ticks } => {
                write!(
                    f,
                    "DIVERGENT: {ticks} ticks differ, the first is {first}; `arbiter replay verify` on it says how"
                )
            }
            Self::Damaged(damage) => {
                write!(f, "damaged: {damage}; check the disk, `arbiter replay verify` on it says what is left")
            }
            Self::Impossible(why) => write!(f, "cannot be replayed: {why}"),
            Self::NotDone => f.write_str("not verified; `arbiter replay verify` on it does it"),
        }
    }
}

/// What a server leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// Finished recordings, oldest first.
    pub recordings: Vec<Recorded>,
    /// Recordings that could not be written, or not to their end.
    pub unwritten: Vec<UnwrittenRecording>,
    /// Rooms that panicked.
    pub rooms_failed: u32,
    /// Rooms that did not advance any more.
    pub rooms_stuck: u32,
    /// What became of each datagram that came.
    pub packets: Counters,
}

impl Closed {
    /// Everything that went wrong, a line each; empty if nothing did.
    pub fn failures(&self) -> Vec<String> {
        let bad = self.recordings.iter().filter(|recorded| recorded.verification.is_bad());
        let mut failures: Vec<String> =
            bad.map(|recorded| format!("{}: {}", recorded.path.display(), recorded.verification)).collect();
        failures.extend(self.unwritten.iter().map(|unwritten| format!("not recorded: {unwritten}")));
        if self.rooms_failed > 0 {
            failures.push(format!("{} of the rooms panicked; their matches are lost", self.rooms_failed));
        }
        if self.rooms_stuck > 0 {
            failures
                .push(format!("{} of the rooms did not advance any more; their matches are lost", self.rooms_stuck));
        }
        failures
    }
}

/// How a server does, for people.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostStats {
    /// Middle tick, µs of the thread.
    pub tick_p50_us: f32,
    /// One tick in a hundred takes longer, µs.
    pub tick_p99_us: f32,
    /// The last ticks, µs, oldest first.
    pub tick_recent_us: VecDeque<u64>,
    /// Ticks that began late.
    pub overruns: u64,
    /// To each client now, kbit/s with IP and UDP headers.
    pub down_kbit_s: f32,
    /// From each client now, kbit/s with IP and UDP headers.
    pub up_kbit_s: f32,
    /// The same since the beginning.
    pub down_mean_kbit_s: f32,
    /// The same since the beginning.
    pub up_mean_kbit_s: f32,
    /// Size of the running recording, or of the last one between matches.
    pub recorded_bytes: u64,
}

impl HostStats {
    /// These figures, taken when a match ended, with what is still to come: its recording grows by its last block.
    pub fn of_the_match(self, now: &Self) -> Self {
        Self {
            // From the end on nothing is sent: what the match needed on average says more.
            down_kbit_s: self.down_mean_kbit_s,
            up_kbit_s: self.up_mean_kbit_s,
            recorded_bytes: self.recorded_bytes.max(now.recorded_bytes),
            ..self
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists and numbers stay what they are, whatever panicked while it held them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Starts a server. `watch` looks at its first room.
    pub fn start(settings: &Settings, play: &Play, key: Key, watch: Option<Arc<Watch>>) -> Result<Self> {
        let verified = Arc::new(Mutex::new(Vec::new()));
        let mut config = ServerConfig::new(
            key,
            Arc::clone(&play.rules),
            Arc::clone(&play.map),
            MatchSettings {
                mode: settings.mode.clone(),
                tick_rate: settings.tick_rate,
                teams: settings.teams,
                players_max: settings.players_max,
                match_seconds: settings.match_seconds,
                friendly_fire: None,
            },
        );
        config.bind = settings.bind;
        config.public_addresses.clone_from(&settings.public_addresses);
        config.build.clone_from(&settings.build);
        config.operate = settings.operate;
        config.rooms = settings.rooms;
        config.threads = settings.threads;
        config.socket_threads = settings.socket_threads;
        config.sockets = settings.sockets.into();
        config.snapshot_kbit_max = settings.snapshot_kbit_max;
        config.snapshot_form = settings.snapshot_form.into();
        config.spectators_max = settings.spectators_max;
        config.spectator_delay = Duration::from_millis(settings.spectator_delay_ms.into());
        config.kill_cam = Duration::from_millis(settings.kill_cam_ms.into());
        config.socket_buffer = settings.socket_buffer as usize * 1024;
        config.seed = settings.seed;
        config.record_dir = Some(settings.record_dir.clone());
        config.ship_recordings = settings.ship_to();
        config.outbox_dir.clone_from(&settings.outbox_dir);
        config.outbox_keep = u64::from(settings.outbox_keep) << 20;
        config.services = settings
            .services
            .as_ref()
            .map(|url| Services { url: url.clone(), bearer: crate::services::bearer(&config.key) });
        config.agones = agones(settings.agones)?;
        config.operate_bearer = Some(crate::services::bearer(&config.key));
        config.drain_grace = Duration::from_secs(settings.drain_grace.into());
        config.shed = settings.shed.into();
        config.matches = settings.matches;
        config.plugins = Arc::clone(&play.plugins);
        config.observer = watch.map(|watch| {
            let observer: Observer = Arc::new(move |room, simulation| {
                if room == 0 {
                    watch.ticked(simulation);
                }
            });
            observer
        });
        if settings.verify {
            let (play, verified) = (play.clone(), Arc::clone(&verified));
            config.on_recorded = Some(Arc::new(move |path| {
                let verification = verify(path, &play);
                if verification.is_bad() {
                    tracing::error!("{}: {verification}", path.display());
                }
                lock(&verified).push(Recorded { path: path.to_owned(), verification });
            }));
        }
        let server = Server::start(config)?;
        Ok(Self { server, verified, verifies: settings.verify, meter: Mutex::new(Meter::new()) })
    }

    /// Starts a server of one room that records nothing, for reports; `observer` sees each of its ticks.
    pub fn observed(settings: MatchSettings, play: &Play, key: Key, observer: Observer) -> Result<Self> {
        let mut config = ServerConfig::new(key, Arc::clone(&play.rules), Arc::clone(&play.map), settings);
        config.plugins = Arc::clone(&play.plugins);
        config.observer = Some(observer);
        // The ticks of a second one would be taken for those of the first.
        config.matches = 1;
        let verified = Arc::new(Mutex::new(Vec::new()));
        let server = Server::start(config)?;
        Ok(Self { server, verified, verifies: false, meter: Mutex::new(Meter::new()) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.local_address()
    }

    /// Where health and metrics are served.
    pub fn operate_address(&self) -> Option<SocketAddr> {
        self.server.operate_address()
    }

    /// What clients have to agree to.
    pub fn protocol_hash(&self) -> u64 {
        self.server.protocol_hash()
    }

    /// Whether all its matches are over.
    pub fn finished(&self) -> bool {
        !self.server.is_running()
    }

    /// How it does: its first room, and the network of all.
    pub fn stats(&self) -> HostStats {
        let all = self.server.stats();
        let room = self.server.room_stats(0).unwrap_or_default();
        let recording = room.recording.as_ref().or(all.recordings.back());
        let recorded_bytes = recording.and_then(|path| std::fs::metadata(path).ok());
        let mut meter = lock(&self.meter);
        meter.note(Instant::now(), all.clients, all.bytes_in, all.bytes_out);
        HostStats {
            tick_p50_us: room.tick_p50_us,
            tick_p99_us: room.tick_p99_us,
            tick_recent_us: room.tick_recent_us,
            overruns: room.overruns,
            down_kbit_s: meter.now[1],
            up_kbit_s: meter.now[0],
            down_mean_kbit_s: meter.mean(1),
            up_mean_kbit_s: meter.mean(0),
            recorded_bytes: recorded_bytes.map_or(0, |file| file.len()),
        }
    }

    /// A line for people: how it does.
    pub fn progress(&self) -> String {
        let (all, stats) = (self.server.stats(), self.stats());
        let room = self.server.room_stats(0).unwrap_or_default();
        format!(
            "{} clients, {} matches ended; room 0: match {}, tick {}, {} players, p50 {:.0} us, p99 {:.0} us, {} overruns; {:.0} kbit/s down, {:.0} up per client; {} malformed, {} dropped",
            all.clients,
            all.matches_ended,
            room.matches,
            room.tick,
            room.players,
            stats.tick_p50_us,
            stats.tick_p99_us,
            stats.overruns,
            stats.down_kbit_s,
            stats.up_kbit_s,
            all.malformed,
            all.drops.total(),
        )
    }

    /// Lets running matches come to their end, or to the end of the time of grace; no others begin.
    pub fn drain(&self) {
        self.server.drain();
    }

    /// Why no match begins any more, if none does.
    pub fn draining(&self) -> Option<Reason> {
        self.server.draining()
    }

    /// Ends what still runs, closes recordings, and waits until they are verified: up to `limit`, or until `hurry` is told
    /// once more.
    pub fn close(self, limit: Duration, hurry: &Stop) -> Closed {
        let told = hurry.times();
        self.server.stop(OnStop::Abandon);
        let stats = self.server.join();
        let until = Instant::now() + limit;
        let of = |path: &PathBuf| lock(&self.verified).iter().find(|it| it.path == *path).cloned();
        let waits = || Instant::now() < until && hurry.times() == told;
        while self.verifies && waits() && stats.recordings.iter().any(|path| of(path).is_none()) {
            std::thread::sleep(LOOK);
        }
        let not_done = |path| Recorded { path, verification: Verification::NotDone };
        let recorded = |path| of(&path).unwrap_or_else(|| not_done(path));
        Closed {
            recordings: stats.recordings.into_iter().map(recorded).collect(),
            unwritten: stats.unwritten.into(),
            rooms_failed: stats.rooms_failed,
            rooms_stuck: stats.rooms_stuck,
            packets: stats.packets,
        }
    }
}

/// Maps and simulations for replays.
pub struct Replaying {
    assets: Assets,
    plugins: Plugins,
}

impl Replaying {
    /// With maps from a folder, if one is given, over the built-in ones.
    pub fn new(folder: Option<PathBuf>, plugins: Plugins) -> Result<Self> {
        Ok(Self { assets: Assets::from_folder(folder)?, plugins })
    }
}

impl arbiter_replay::Assets for Replaying {
    fn map(&self, name: &str) -> Result<Arc<Map>, String> {
        self.assets.map(name).map(Arc::new).map_err(|error| format!("{error:#}"))
    }

    fn simulate(
        &self,
        rules: Arc<Rules>,
        map: Arc<Map>,
        seed: u64,
        settings: MatchSettings,
    ) -> Result<Simulation, BuildError> {
        Simulation::with_plugins(rules, map, seed, settings, &*self.plugins)
    }
}

/// Where Agones' sidecar is, if the server is to talk to it.
fn agones(fleet: config::Fleet) -> Result<Option<Agones>> {
    let said = std::env::var(AGONES_PORT).ok();
    let port = said.as_deref().map(|port| {
        port.parse::<u16>().map_err(|_| anyhow!("{AGONES_PORT}: expected a port, found {port:?}; or use --agones off"))
    });
    Ok(match (fleet, port.transpose()?) {
        (config::Fleet::Off, _) | (config::Fleet::Auto, None) => None,
        (config::Fleet::Auto, Some(port)) => Some(Agones { port, answers_within: None }),
        (config::Fleet::On, port) => {
            Some(Agones { port: port.unwrap_or(sidecar::PORT), answers_within: Some(AGONES_WITHIN) })
        }
    })
}

fn verify(path: &Path, play: &Play) -> Verification {
    let replaying = Replaying { assets: play.assets.clone(), plugins: Arc::clone(&play.plugins) };
    Verification::of(arbiter_replay::verify(path, &replaying, Default::default(), &|_| ()))
}

/// Bytes as kbit/s per client.
struct Meter {
    since: Instant,
    clients: usize,
    /// In and out, at the beginning of the running interval.
    bytes: [u64; 2],
    now: [f32; 2],
    /// Bytes and seconds of clients, over all intervals in which there were any.
    total: [u64; 2],
    client_seconds: f64,
}

impl Meter {
    fn new() -> Self {
        Self { since: Instant::now(), clients: 0, bytes: [0; 2], now: [0.0; 2], total: [0; 2], client_seconds: 0.0 }
    }

    fn note(&mut self, at: Instant, clients: usize, bytes_in: u64, bytes_out: u64) {
        let passed = at.duration_since(self.since);
        if passed < METER {
            return;
        }
        let bytes = [bytes_in, bytes_out];
        let client_seconds = passed.as_secs_f64() * clients as f64;
        // Only intervals in which nobody came or went: handshakes are not what a match costs.
        if clients > 0 && clients == self.clients {
            for (way, bytes) in bytes.iter().enumerate() {
                let moved = bytes.saturating_sub(self.bytes[way]);
                self.total[way] += moved;
                self.now[way] = (moved as f64 * 8e-3 / client_seconds) as f32;
            }
            self.client_seconds += client_seconds;
        }
        (self.since, self.clients, self.bytes) = (at, clients, bytes);
    }

    fn mean(&self, way: usize) -> f32 {
        if self.client_seconds > 0.0 { (self.total[way] as f64 * 8e-3 / self.client_seconds) as f32 } else { 0.0 }
    }
}

/// Bots that play over real sockets, on threads of their own.
pub struct Bots {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<BotsReport>>>,
}

impl Bots {
    /// Starts them, each on a link of its own.
    pub fn start(count: u16, door: Door, seed: u64, link: Profile, play: &Play) -> Result<Self> {
        let content = Content::with_plugins(Arc::clone(&play.rules), Arc::clone(&play.map), Arc::clone(&play.plugins))?;
        let config = BotsConfig { seed, link, ..BotsConfig::new(door, count, content) };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("bots".to_owned()).spawn(move || Ok(run_bots(&config, &told)?))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Lets them say goodbye and waits for it.
    pub fn stop(mut self) -> Result<BotsReport> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| anyhow!("the bots were stopped twice"))?;
        thread.join().map_err(|_| anyhow!("the bots panicked"))?
    }

    /// Whether they have ended by themselves.
    pub fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Bots {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl From<config::SnapshotForm> for arbiter_snapshot::Form {
    fn from(form: config::SnapshotForm) -> Self {
        match form {
            config::SnapshotForm::Shared => Self::Shared,
            config::SnapshotForm::Small => Self::Small,
        }
    }
}

impl From<config::Sockets> for SocketKind {
    fn from(sockets: config::Sockets) -> Self {
        match sockets {
            config::Sockets::Auto => Self::Auto,
            config::Sockets::Portable => Self::Portable,
        }
    }
}

impl From<config::OnStop> for OnStop {
    fn from(on_stop: config::OnStop) -> Self {
        match on_stop {
            config::OnStop::Finish => Self::Finish,
            config::OnStop::Abandon => Self::Abandon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> VerifyReport {
        VerifyReport {
            path: "a.arbrec".into(),
            ticks: 10,
            divergent: 0,
            divergence: None,
            damages: Vec::new(),
            skipped: 0,
            end: None,
            cpu: Duration::ZERO,
        }
    }

    #[test]
    fn only_other_hashes_are_called_divergent() {
        use arbiter_recording::{Damage, Fault};
        use arbiter_replay::Divergence;

        assert_eq!(Verification::of(Ok(report())).to_string(), "verified");
        let divergence = Divergence { tick: 7, recorded: 1, found: 2, compared_at: None, differences: Vec::new() };
        let differs = VerifyReport { divergent: 3, divergence: Some(divergence), ..report() };
        assert!(Verification::of(Ok(differs)).to_string().starts_with("DIVERGENT: 3 ticks differ, the first is 7"));
        let damage = Damage { block: 2, offset: 90, length: 5, ticks: 3..5, fault: Fault::Payload };
        let damaged = Verification::of(Ok(VerifyReport { damages: vec![damage], ..report() }));
        assert!(damaged.is_bad() && damaged.to_string().starts_with("damaged: block 2 at offset 90"), "{damaged}");
        let why = "the map found under this name is another version".to_owned();
        let error = ReplayError::Map { path: "a.arbrec".into(), name: "moon".into(), why };
        let impossible = Verification::of(Err(error));
        let text = impossible.to_string();
        assert!(impossible.is_bad() && text.starts_with("cannot be replayed: a.arbrec was played on"), "{text}");
        assert!(text.contains("put that version of the map into") && !text.contains("DIVERGENT"), "{text}");
    }

    #[test]
    fn a_recording_that_a_killed_server_left_torn_is_not_bad() {
        use arbiter_recording::{Damage, Fault};

        let torn = Damage { block: 2, offset: 90, length: 5, ticks: 3..5, fault: Fault::Torn };
        assert_eq!(Verification::of(Ok(VerifyReport { damages: vec![torn], ..report() })), Verification::Same);
    }

    #[test]
    fn bandwidth_is_told_per_client_without_the_second_in_which_they_came() {
        let mut meter = Meter::new();
        let at = |seconds| meter.since + Duration::from_secs(seconds);
        let (one, two, three) = (at(1), at(2), at(3));
        meter.note(one, 10, 900_000, 900_000);
        meter.note(two, 10, 900_000 + 12_500, 900_000 + 125_000);
        meter.note(three, 10, 900_000 + 25_000, 900_000 + 250_000);
        assert_eq!(meter.now, [10.0, 100.0]);
        assert_eq!((meter.mean(0), meter.mean(1)), (10.0, 100.0));
    }
}
