//! The server's configuration: defaults, then a file, then the environment, then flags; the later one wins.
//!
//! One struct, [`Layer`], is what each of the three may say, so that a setting is added in one place. [`Settings`] is what
//! they come to.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arbiter_contracts::servers::BUILD_BYTES_MAX;
use arbiter_server::{DepotAddress, KILL_CAM_MAX, SPECTATOR_DELAY_MAX, SPECTATORS_MAX, ShipTo};
use arbiter_sim::simulation::{PLAYERS_MAX, TICK_RATES};
use arbiter_transport::netcode::token::ADDRESSES_MAX;
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rooms that one process may host: the pool's threads step each of them every tick, and a hundred idle rooms already fill
/// a small machine.
pub const ROOMS_MAX: u16 = 256;

/// Socket threads of one process: far more than any machine has use for.
pub const SOCKET_THREADS_MAX: u16 = 64;

/// How sockets are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sockets {
    /// The best that the system has: on Linux, a call for many datagrams and sleep until something comes.
    Auto,
    /// What every system has: a call for each datagram, and short sleeps.
    Portable,
}

/// The form of what players are sent of each tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotForm {
    /// Made once for all who hold the same: for rooms of many players.
    Shared,
    /// Made for each player: fewer bytes, more work. For rooms of few.
    Small,
}

/// What to do with running matches when the server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// Play them to their end, joined by nobody else.
    Finish,
    /// Stop them at once; their recordings are closed and verify up to the last tick.
    Abandon,
}

/// Whether the server talks to Agones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Fleet {
    /// No.
    Off,
    /// If Agones says that it is there: it sets AGONES_SDK_HTTP_PORT.
    Auto,
    /// Yes; without its sidecar the server does not start.
    On,
}

/// Whether the server sheds load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shed {
    /// As much as it must for no tick to be late.
    Auto,
    /// No: ticks are late when there is too much to do.
    Off,
}

impl From<Shed> for arbiter_server::shed::Shed {
    fn from(shed: Shed) -> Self {
        match shed {
            Shed::Auto => Self::Auto,
            Shed::Off => Self::Off,
        }
    }
}

/// What one source of configuration says. What it leaves out stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// IP address and UDP port that players send to; port 0 takes any. 0.0.0.0 lets other machines in [default: 127.0.0.1:7777]
    #[arg(long, env = "ARBITER_BIND", value_name = "ADDR")]
    pub bind: Option<SocketAddr>,
    /// Where players reach the server, in the order to try, if that is not the address that it listens on: up to 32, separated by
    /// commas. Connect tokens name one of them. Left out, Agones is asked if the server listens on 0.0.0.0
    #[arg(long, env = "ARBITER_PUBLIC_ADDRESSES", value_name = "ADDR", value_delimiter = ',')]
    pub public_addresses: Option<Vec<SocketAddr>>,
    /// What this build is called where operators and players are told, as the tag of an image: up to 32 bytes [default: the
    /// program's version]
    #[arg(long, env = "ARBITER_BUILD", value_name = "NAME")]
    pub build: Option<String>,
    /// IP address and TCP port that health and metrics are served on over HTTP: /healthz, /readyz, /metrics, and for whoever has the key
    /// file /drain and /reserve; port 0 takes any. Left out, they are not served
    #[arg(long, env = "ARBITER_OPERATE", value_name = "ADDR")]
    pub operate: Option<SocketAddr>,
    /// Matches at a time, each a room of its own, 1 to 256 [default: 1]
    #[arg(long, env = "ARBITER_ROOMS", value_name = "N")]
    pub rooms: Option<u16>,
    /// Threads that step rooms, never more than rooms; 0 takes one per core [default: 0]
    #[arg(long, env = "ARBITER_THREADS", value_name = "N")]
    pub threads: Option<u16>,
    /// Threads that serve players' connections, each with a socket of its own on the same address, 0 to 64; 0 takes one for each four
    /// cores, at least one. More than one needs Linux [default: 0]
    #[arg(long, env = "ARBITER_SOCKET_THREADS", value_name = "N")]
    pub socket_threads: Option<u16>,
    /// How sockets are used: auto is the best that the system has, portable what every system has [default: auto]
    #[arg(long, env = "ARBITER_SOCKETS", value_name = "HOW")]
    pub sockets: Option<Sockets>,
    /// KiB that the system should keep for each socket in each direction while its thread is busy, 64 to 1,048,576 [default: 4096]
    #[arg(long, env = "ARBITER_SOCKET_BUFFER", value_name = "KIB")]
    pub socket_buffer: Option<u32>,
    /// Kilobits of snapshots a second that a client is sent at most, whatever its link carries, 32 to 100,000 [default: 220]
    #[arg(long, env = "ARBITER_SNAPSHOT_KBIT_MAX", value_name = "KBIT")]
    pub snapshot_kbit_max: Option<u32>,
    /// Form of what players are sent of each tick: `small` takes fewer bytes and more work for each player [default: shared]
    #[arg(long, env = "ARBITER_SNAPSHOT_FORM", value_name = "FORM")]
    pub snapshot_form: Option<SnapshotForm>,
    /// Spectators that a room lets in, 0 to 256; 0 lets nobody watch [default: 0]
    #[arg(long, env = "ARBITER_SPECTATORS_MAX", value_name = "N")]
    pub spectators_max: Option<u16>,
    /// Milliseconds that what spectators are shown is old, 0 to 120,000. Each player and second of it takes some 3 KB of memory
    /// [default: 10000]
    #[arg(long, env = "ARBITER_SPECTATOR_DELAY_MS", value_name = "MS")]
    pub spectator_delay_ms: Option<u32>,
    /// Milliseconds of what the killer saw that whoever was killed is shown, 0 to 15,000; 0 shows nothing [default: 0]
    #[arg(long, env = "ARBITER_KILL_CAM_MS", value_name = "MS")]
    pub kill_cam_ms: Option<u32>,
    /// Name of the mode in the rules; built in are team_deathmatch, control_point and free_for_all [default: team_deathmatch]
    #[arg(long, env = "ARBITER_MODE", value_name = "NAME")]
    pub mode: Option<String>,
    /// Name of the map; built in are arena, for 10 players, and field, for 1,000 [default: arena]
    #[arg(long, env = "ARBITER_MAP", value_name = "NAME")]
    pub map: Option<String>,
    /// Ticks a second, 10 to 128 [default: 60]
    #[arg(long, env = "ARBITER_TICK_RATE", value_name = "HZ")]
    pub tick_rate: Option<u16>,
    /// Players in a match at most, 1 to 1,000 [default: 10]
    #[arg(long, env = "ARBITER_PLAYERS_MAX", value_name = "N")]
    pub players_max: Option<u16>,
    /// Teams, up to 16; 0 leaves it to the mode [default: 0]
    #[arg(long, env = "ARBITER_TEAMS", value_name = "N")]
    pub teams: Option<u8>,
    /// Seconds that a match takes at most, 1 to 86,400; left out, the mode's rounds decide
    #[arg(long, env = "ARBITER_MATCH_SECONDS", value_name = "S")]
    pub match_seconds: Option<u32>,
    /// Seed of the first match; each further one counts up. Left out, it is drawn
    #[arg(long, env = "ARBITER_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// File of the key that connect tokens are sealed with: 64 hexadecimal digits. Made if it is missing
    /// [default: arbiter.key]
    #[arg(long, env = "ARBITER_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Folder that recordings go to; made if it is missing [default: recordings]
    #[arg(long, env = "ARBITER_RECORD_DIR", value_name = "DIR")]
    pub record_dir: Option<PathBuf>,
    /// Where running recordings are copied to, block by block, so that a match can go on elsewhere if this machine is lost. A folder on
    /// a disk of another machine, made if it is missing: a server that is started with it as its folder of recordings goes on. Or the
    /// address of whatever takes files by HTTP PUT, as https://STORE/recordings/server-7, one for each server: arbiter recordings
    /// fetch brings them back. Left out, none are
    #[arg(long, env = "ARBITER_SHIP_RECORDINGS", value_name = "DIR|URL")]
    pub ship_recordings: Option<String>,
    /// File with headers that let this server in where it ships recordings to, one a line, as Authorization: Bearer TOKEN; read again
    /// when it has changed. Left out, none are sent
    #[arg(long, env = "ARBITER_SHIP_HEADERS", value_name = "FILE")]
    pub ship_headers: Option<PathBuf>,
    /// File with certificates (PEM) of those who vouch for that place. Left out, those that browsers trust
    #[arg(long, env = "ARBITER_SHIP_CA", value_name = "FILE")]
    pub ship_ca: Option<PathBuf>,
    /// Folder of the log of domain events (docs/events.md); made if it is missing. Left out, none are kept, or in the folder outbox if
    /// services are to be told
    #[arg(long, env = "ARBITER_OUTBOX_DIR", value_name = "DIR")]
    pub outbox_dir: Option<PathBuf>,
    /// MiB of these events that are kept once the services have them, if their log has no backup (arbiter log backup). If it has one, all
    /// that the last one does not reach is kept, and nothing else; what the services do not have is kept anyway [default: 1024]
    #[arg(long, env = "ARBITER_OUTBOX_KEEP", value_name = "MIB")]
    pub outbox_keep: Option<u32>,
    /// Address of the services (arbiter services), as http://127.0.0.1:7780, which are brought these events. They must have the same
    /// key file. Left out, nobody is told
    #[arg(long, env = "ARBITER_SERVICES", value_name = "URL")]
    pub services: Option<String>,
    /// Folder with rules/ and maps/ over the built-in ones
    #[arg(long, env = "ARBITER_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Whether the server is kept in step with Agones by its sidecar: auto is if Agones has started it, which sets AGONES_SDK_HTTP_PORT;
    /// with on the server does not start unless the sidecar answers within 30 s [default: auto]
    #[arg(long, env = "ARBITER_AGONES", value_name = "HOW")]
    pub agones: Option<Fleet>,
    /// What happens to running matches on SIGTERM and Ctrl-C; a second one stops at once [default: finish]
    #[arg(long, env = "ARBITER_ON_STOP", value_name = "HOW")]
    pub on_stop: Option<OnStop>,
    /// Seconds that running matches may take once the server drains, up to 86,400; then they are abandoned. 0 is as long as they take.
    /// Kubernetes must let the pod live for 40 more (terminationGracePeriodSeconds) [default: 20]
    #[arg(long, env = "ARBITER_DRAIN_GRACE", value_name = "S")]
    pub drain_grace: Option<u32>,
    /// Whether load is shed while ticks take more than 85 % of their time, so that none is late: spectators first, then far detail, then
    /// every second and third snapshot; docs/operations.md has the steps [default: auto]
    #[arg(long, env = "ARBITER_SHED", value_name = "HOW")]
    pub shed: Option<Shed>,
    /// Whether finished recordings are re-simulated in the background and compared [default: true]
    #[arg(long, env = "ARBITER_VERIFY", value_name = "BOOL")]
    pub verify: Option<bool>,
    /// Stop after this many matches of all rooms together; 0 goes on [default: 0]
    #[arg(long, env = "ARBITER_MATCHES", value_name = "N")]
    pub matches: Option<u32>,
}

/// What a server runs with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// See [`Layer::bind`].
    pub bind: SocketAddr,
    /// See [`Layer::public_addresses`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_addresses: Vec<SocketAddr>,
    /// See [`Layer::build`].
    pub build: String,
    /// See [`Layer::operate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operate: Option<SocketAddr>,
    /// See [`Layer::rooms`].
    pub rooms: u16,
    /// See [`Layer::threads`].
    pub threads: u16,
    /// See [`Layer::socket_threads`].
    pub socket_threads: u16,
    /// See [`Layer::sockets`].
    pub sockets: Sockets,
    /// See [`Layer::socket_buffer`].
    pub socket_buffer: u32,
    /// See [`Layer::snapshot_kbit_max`].
    pub snapshot_kbit_max: u32,
    /// See [`Layer::snapshot_form`].
    pub snapshot_form: SnapshotForm,
    /// See [`Layer::spectators_max`].
    pub spectators_max: u16,
    /// See [`Layer::spectator_delay_ms`].
    pub spectator_delay_ms: u32,
    /// See [`Layer::kill_cam_ms`].
    pub kill_cam_ms: u32,
    /// See [`Layer::mode`].
    pub mode: String,
    /// See [`Layer::map`].
    pub map: String,
    /// See [`Layer::tick_rate`].
    pub tick_rate: u16,
    /// See [`Layer::players_max`].
    pub players_max: u16,
    /// See [`Layer::teams`].
    pub teams: u8,
    /// See [`Layer::match_seconds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_seconds: Option<u32>,
    /// See [`Layer::seed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// See [`Layer::key_file`].
    pub key_file: PathBuf,
    /// See [`Layer::record_dir`].
    pub record_dir: PathBuf,
    /// See [`Layer::ship_recordings`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_recordings: Option<String>,
    /// See [`Layer::ship_headers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_headers: Option<PathBuf>,
    /// See [`Layer::ship_ca`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_ca: Option<PathBuf>,
    /// See [`Layer::outbox_dir`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox_dir: Option<PathBuf>,
    /// See [`Layer::outbox_keep`].
    pub outbox_keep: u32,
    /// See [`Layer::services`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<String>,
    /// See [`Layer::assets`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assets: Option<PathBuf>,
    /// See [`Layer::agones`].
    pub agones: Fleet,
    /// See [`Layer::on_stop`].
    pub on_stop: OnStop,
    /// See [`Layer::drain_grace`].
    pub drain_grace: u32,
    /// See [`Layer::shed`].
    pub shed: Shed,
    /// See [`Layer::verify`].
    pub verify: bool,
    /// See [`Layer::matches`].
    pub matches: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // This machine only: whoever wants the world to come in must say so.
            bind: SocketAddr::from(([127, 0, 0, 1], 7777)),
            public_addresses: Vec::new(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            operate: None,
            rooms: 1,
            threads: 0,
            socket_threads: 0,
            sockets: Sockets::Auto,
            socket_buffer: (arbiter_server::SOCKET_BUFFER >> 10) as u32,
            snapshot_kbit_max: arbiter_server::SNAPSHOT_KBIT_MAX,
            snapshot_form: SnapshotForm::Shared,
            spectators_max: 0,
            spectator_delay_ms: arbiter_server::SPECTATOR_DELAY.as_millis() as u32,
            kill_cam_ms: 0,
            mode: "team_deathmatch".to_owned(),
            map: "arena".to_owned(),
            tick_rate: 60,
            players_max: 10,
            teams: 0,
            match_seconds: None,
            seed: None,
            key_file: PathBuf::from("arbiter.key"),
            record_dir: PathBuf::from("recordings"),
            ship_recordings: None,
            ship_headers: None,
            ship_ca: None,
            outbox_dir: None,
            outbox_keep: (arbiter_server::OUTBOX_KEEP >> 20) as u32,
            services: None,
            assets: None,
            agones: Fleet::Auto,
            on_stop: OnStop::Finish,
            drain_grace: arbiter_server::DRAIN_GRACE.as_secs() as u32,
            shed: Shed::Auto,
            verify: true,
            matches: 0,
        }
    }
}

/// One thing that is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wrong {
    field: &'static str,
    expected: String,
    found: String,
}

impl Layer {
    /// What is out of range. Names of modes and maps are checked when the match is made.
    fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let mut range = |field, value: Option<u64>, min: u64, max: u64| {
            if let Some(value) = value.filter(|value| !(min..=max).contains(value)) {
                wrong.push(Wrong {
                    field,
                    expected: format!("a number from {min} to {max}"),
                    found: value.to_string(),
                });
            }
        };
        range("tick_rate", self.tick_rate.map(u64::from), u64::from(*TICK_RATES.start()), u64::from(*TICK_RATES.end()));
        range("players_max", self.players_max.map(u64::from), 1, u64::from(PLAYERS_MAX));
        range("rooms", self.rooms.map(u64::from), 1, u64::from(ROOMS_MAX));
        range("socket_threads", self.socket_threads.map(u64::from), 0, u64::from(SOCKET_THREADS_MAX));
        range("socket_buffer", self.socket_buffer.map(u64::from), 64, 1 << 20);
        range("snapshot_kbit_max", self.snapshot_kbit_max.map(u64::from), 32, 100_000);
        range("spectators_max", self.spectators_max.map(u64::from), 0, u64::from(SPECTATORS_MAX));
        let delay_max_ms = SPECTATOR_DELAY_MAX.as_millis() as u64;
        range("spectator_delay_ms", self.spectator_delay_ms.map(u64::from), 0, delay_max_ms);
        range("kill_cam_ms", self.kill_cam_ms.map(u64::from), 0, KILL_CAM_MAX.as_millis() as u64);
        range("drain_grace", self.drain_grace.map(u64::from), 0, 86_400);
        range("teams", self.teams.map(u64::from), 0, 16);
        // TOML's numbers are signed, so that a larger one could not be printed.
        range("seed", self.seed, 0, i64::MAX as u64);
        range("match_seconds", self.match_seconds.map(u64::from), 1, 86_400);
        let addresses = self.public_addresses.as_deref().unwrap_or_default();
        if addresses.len() > ADDRESSES_MAX || addresses.iter().any(|at| at.ip().is_unspecified() || at.port() == 0) {
            let found: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            wrong.push(Wrong {
                field: "public_addresses",
                expected: format!("up to {ADDRESSES_MAX} addresses with ports that players can reach"),
                found: found.join(","),
            });
        }
        let build = self.build.as_deref().unwrap_or_default();
        if build.len() > BUILD_BYTES_MAX || build.chars().any(char::is_control) {
            wrong.push(Wrong {
                field: "build",
                expected: format!("up to {BUILD_BYTES_MAX} bytes without control characters"),
                found: format!("{build:?}"),
            });
        }
        if let Some(url) = self.services.as_ref().filter(|url| !url.starts_with("http://")) {
            wrong.push(Wrong {
                field: "services",
                expected: "an address such as http://127.0.0.1:7780".to_owned(),
                found: url.clone(),
            });
        }
        let is_other = |to: &&String| to.contains("://") && !is_http(to);
        if let Some(url) = self.ship_recordings.as_ref().filter(is_other) {
            wrong.push(Wrong {
                field: "ship_recordings",
                expected: "a folder, or an address that begins with http:// or https://".to_owned(),
                found: url.clone(),
            });
        }
        wrong
    }

    /// Reads a file. `name` is how messages call it.
    fn parse(text: &str, name: &str) -> Result<Self> {
        let layer: Self = match toml::from_str(text) {
            Ok(layer) => layer,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                // The message of the parser speaks of the value; the line says whose it is.
                let field = text.lines().nth(line - 1).and_then(|line| line.split_once('=')).map(|it| it.0.trim());
                let field = field.map(ToOwned::to_owned);
                let known = field.as_deref().and_then(help_of);
                let known = known.map(|help| format!("; expected: {help}")).unwrap_or_default();
                let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
                bail!("{name}:{line}: {field}{}{known}", error.message().trim());
            }
        };
        let wrong: Vec<String> = layer
            .wrong()
            .into_iter()
            .map(|Wrong { field, expected, found }| {
                let line = line_of_field(text, field).unwrap_or(1);
                format!("{name}:{line}: {field}: expected {expected}, found {found}")
            })
            .collect();
        if !wrong.is_empty() {
            bail!("{}", wrong.join("\n"));
        }
        Ok(layer)
    }
}

/// What the help of a setting says, which has its unit, range and default.
fn help_of(field: &str) -> Option<String> {
    let command = Layer::augment_args(clap::Command::new("server"));
    let argument = command.get_arguments().find(|argument| argument.get_id() == field)?;
    argument.get_help().map(ToString::to_string)
}

/// Where a setting was made, for messages about names that only the rules and maps know.
pub fn origin(file: Option<&Path>, said: bool, field: &str) -> String {
    let text = file.and_then(|path| std::fs::read_to_string(path).ok());
    let line = text.as_deref().and_then(|text| line_of_field(text, field));
    match (said, file, line) {
        (false, Some(path), Some(line)) => format!("{}:{line}: {field}", path.display()),
        _ => format!("--{} (or ARBITER_{})", field.replace('_', "-"), field.to_uppercase()),
    }
}

/// The line, from 1, on which a field is set.
fn line_of_field(text: &str, field: &str) -> Option<usize> {
    let sets = |line: &str| line.split_once('=').is_some_and(|(key, _)| key.trim().trim_matches('"') == field);
    text.lines().position(sets).map(|line| line + 1)
}

/// The line, from 1, of a byte of a text.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

impl Settings {
    /// Where running recordings are copied to.
    pub fn ship_to(&self) -> Option<ShipTo> {
        let to = self.ship_recordings.as_ref()?;
        Some(if is_http(to) {
            let (headers, authorities) = (self.ship_headers.clone(), self.ship_ca.clone());
            ShipTo::Depot(DepotAddress { url: to.clone(), headers, authorities })
        } else {
            ShipTo::Folder(PathBuf::from(to))
        })
    }

    /// Defaults, then `file`, then what environment and flags say.
    pub fn load(file: Option<&Path>, over: Layer) -> Result<Self> {
        let mut settings = Self::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}; check --config", path.display()))?;
            settings.apply(Layer::parse(&text, &path.display().to_string())?);
        }
        let wrong: Vec<String> = over
            .wrong()
            .into_iter()
            .map(|Wrong { field, expected, found }| {
                let (flag, variable) = (field.replace('_', "-"), field.to_uppercase());
                format!("--{flag} (or ARBITER_{variable}): expected {expected}, found {found}")
            })
            .collect();
        if !wrong.is_empty() {
            bail!("{}", wrong.join("\n"));
        }
        settings.apply(over);
        Ok(settings)
    }

    fn apply(&mut self, layer: Layer) {
        // Naming every field makes the compiler ask for each new one.
        let Layer {
            bind,
            public_addresses,
            build,
            operate,
            rooms,
            threads,
            socket_threads,
            sockets,
            socket_buffer,
            snapshot_kbit_max,
            snapshot_form,
            spectators_max,
            spectator_delay_ms,
            kill_cam_ms,
            mode,
            map,
            tick_rate,
            players_max,
            teams,
            match_seconds,
            seed,
            key_file,
            record_dir,
            ship_recordings,
            ship_headers,
            ship_ca,
            outbox_dir,
            outbox_keep,
            services,
            assets,
            agones,
            on_stop,
            drain_grace,
            shed,
            verify,
            matches,
        } = layer;
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(from) = from {
                *to = from;
            }
        }
        fn set_some<T>(to: &mut Option<T>, from: Option<T>) {
            if from.is_some() {
                *to = from;
            }
        }
        set(&mut self.bind, bind);
        set(&mut self.public_addresses, public_addresses);
        set(&mut self.build, build);
        set_some(&mut self.operate, operate);
        set(&mut self.rooms, rooms);
        set(&mut self.threads, threads);
        set(&mut self.socket_threads, socket_threads);
        set(&mut self.sockets, sockets);
        set(&mut self.socket_buffer, socket_buffer);
        set(&mut self.snapshot_kbit_max, snapshot_kbit_max);
        set(&mut self.snapshot_form, snapshot_form);
        set(&mut self.spectators_max, spectators_max);
        set(&mut self.spectator_delay_ms, spectator_delay_ms);
        set(&mut self.kill_cam_ms, kill_cam_ms);
        set(&mut self.mode, mode);
        set(&mut self.map, map);
        set(&mut self.tick_rate, tick_rate);
        set(&mut self.players_max, players_max);
        set(&mut self.teams, teams);
        set_some(&mut self.match_seconds, match_seconds);
        set_some(&mut self.seed, seed);
        set(&mut self.key_file, key_file);
        set(&mut self.record_dir, record_dir);
        set_some(&mut self.ship_recordings, ship_recordings);
        set_some(&mut self.ship_headers, ship_headers);
        set_some(&mut self.ship_ca, ship_ca);
        set_some(&mut self.outbox_dir, outbox_dir);
        set(&mut self.outbox_keep, outbox_keep);
        set_some(&mut self.services, services);
        if self.services.is_some() {
            self.outbox_dir.get_or_insert_with(|| PathBuf::from("outbox"));
        }
        set_some(&mut self.assets, assets);
        set(&mut self.agones, agones);
        set(&mut self.on_stop, on_stop);
        set(&mut self.drain_grace, drain_grace);
        set(&mut self.shed, shed);
        set(&mut self.verify, verify);
        set(&mut self.matches, matches);
    }
}

impl fmt::Display for Settings {
    /// As a file that gives the same settings again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = toml::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests;
