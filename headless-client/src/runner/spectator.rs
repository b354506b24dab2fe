//! A client that watches, over a real socket: it sends nothing that anybody plays with, and shows its owner what it is told.

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{GoodbyeReason, KIND_INPUT, Role, Target, UserData};
use arbiter_schema::Registry;
use arbiter_transport::conditioner::Profile;
use arbiter_transport::{Body, ClientConnection, Key, PAYLOAD_BYTES_MAX, UDP_BYTES_MAX, mint_token, token};

use super::line::{Line, hear};
use super::{BotsError, Epoch, GOODBYE, WAIT_MIN};
use crate::client::{ClientCore, Counts, Stage};

/// What the token of a spectator says of its build.
const BUILD: &str = concat!("arbiter spectate ", env!("CARGO_PKG_VERSION"));

/// Who watches what.
pub struct SpectatorConfig {
    /// Where the server is.
    pub server: SocketAddr,
    /// The key that its token is made with.
    pub key: Key,
    /// The room to watch; `None` leaves it to the server.
    pub room: Option<u16>,
    /// Whom to watch at first.
    pub target: Target,
    /// Components of the server's simulation.
    pub registry: Arc<Registry>,
    /// The link, the same in both directions.
    pub link: Profile,
    /// How long to watch; `None` until the server says goodbye.
    pub duration: Option<Duration>,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpectatorReport {
    /// Matches that were shown.
    pub matches: u32,
    /// What was counted.
    pub counts: Counts,
    /// Bytes of datagrams received, without UDP and IP headers.
    pub bytes_down: u64,
    /// Why the server said goodbye, if it did.
    pub goodbye: Option<GoodbyeReason>,
    /// What went wrong, if something did.
    pub failure: Option<String>,
}

/// Watches until the server says goodbye, `stop` is set, the time is over or `look` has seen enough. `look` sees the client with
/// its local time in each of its turns, and says whether to go on; it must be quick. Blocks.
pub fn run_spectator(
    config: &SpectatorConfig,
    stop: &AtomicBool,
    mut look: impl FnMut(&mut ClientCore, Duration) -> bool,
) -> Result<SpectatorReport, BotsError> {
    // A clock before 1970 is no reason to fail here: the token will be refused readably.
    let offset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = Epoch { start: Instant::now(), offset };
    let user = UserData { room: config.room, build: BUILD.into(), role: Role::Spectator, ..UserData::default() };
    let token = mint_token(&config.key, &[config.server], &user.encode()?, token::LIFETIME, epoch.now())?;
    let connection = ClientConnection::new(&token[..], epoch.now())?;
    let line = Line::open(connection, config.server, Ipv4Addr::UNSPECIFIED, config.link, 0);
    let mut line = line.map_err(|error| BotsError::Socket { bot: 0, error })?;
    let mut client = ClientCore::spectator(&config.registry, config.target);
    let mut report = SpectatorReport::default();
    let (mut buffer, mut out) = ([0; UDP_BYTES_MAX], Vec::with_capacity(PAYLOAD_BYTES_MAX));
    let mut match_id = None;
    loop {
        let now = epoch.now();
        exchange(&mut line, &mut client, now, &mut buffer);
        client.idle(now);
        out.clear();
        if client.write_datagram(&mut out)
            && let Err(error) = line.send_body(now, Body { kind: KIND_INPUT, tag: 0, bytes: &out })
        {
            tracing::debug!(%error, "what has arrived could not be said");
        }
        let is_new = client.welcome().is_some_and(|welcome| Some(welcome.match_id) != match_id);
        if is_new {
            match_id = client.welcome().map(|welcome| welcome.match_id);
            report.matches += 1;
        }
        let is_over = config.duration.is_some_and(|most| epoch.start.elapsed() >= most);
        let goes_on = look(&mut client, now) && !is_over && !stop.load(Ordering::Relaxed);
        match client.stage() {
            Stage::Refused(refused) => report.failure = Some(refused.text.clone()),
            Stage::Over(reason) => report.goodbye = Some(*reason),
            _ if !goes_on => leave(&mut line, &mut client, &epoch, &mut buffer),
            _ => match line.ended {
                Some(reason) => {
                    let told = line.connection.farewell().map(|told| format!(": {told}")).unwrap_or_default();
                    report.failure = Some(format!("the connection ended: {reason}{told}"));
                }
                None => {
                    std::thread::sleep(WAIT_MIN);
                    continue;
                }
            },
        }
        (report.counts, report.bytes_down) = (client.counts(), line.bytes_down);
        return Ok(report);
    }
}

/// Receives, moves time on, and sends what is to be said.
fn exchange(line: &mut Line, client: &mut ClientCore, now: Duration, buffer: &mut [u8]) {
    line.exchange(now, buffer, &mut |event| {
        if let Err(error) = hear(client, event, now) {
            tracing::debug!(%error, "bytes of the server were dropped");
        }
    });
    if let Some(round_trip) = line.connection.path().round_trip {
        client.set_round_trip(round_trip);
    }
    // What they carry is what the client has seen come: the newest will do.
    client.set_loss(0.0);
    while let Some(message) = client.next_message() {
        if let Err(error) = line.connection.send_message(&message) {
            tracing::debug!(%error, "a message could not be sent");
        }
    }
}

/// Says goodbye and lets it leave.
fn leave(line: &mut Line, client: &mut ClientCore, epoch: &Epoch, buffer: &mut [u8]) {
    client.quit();
    let until = epoch.now() + GOODBYE;
    while epoch.now() < until && line.ended.is_none() {
        exchange(line, client, epoch.now(), buffer);
        std::thread::sleep(WAIT_MIN);
    }
    if line.ended.is_none() {
        line.disconnect(epoch.now());
        exchange(line, client, epoch.now(), buffer);
    }
}
