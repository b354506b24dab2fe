//! The services of a demo: its bots log in and join through them, and at its end they say what the match was worth.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arbiter_headless_client::runner::Door;
use arbiter_transport::Key;
use arbiter_web::Limits;
use serde::Serialize;

use crate::arguments::DemoArguments;
use crate::keys::read_or_make_key;
use crate::lobby::{Earned, Lobby, Sessions};
use crate::services::{Services, ServicesSettings, bearer};

/// Bytes of a segment of a log: a demo tells some hundred events.
const SEGMENT_BYTES: u64 = 8 << 20;

/// Requests a second: a thousand bots come from one address and at once.
const REQUESTS_PER_S: NonZeroU32 = NonZeroU32::new(10_000).expect("more than 0");

/// Services that run beside the match.
pub(super) struct Town {
    services: Services,
    lobby: Lobby,
    bearer: String,
    sessions: Sessions,
    /// Position of the log of events at the beginning.
    since: u64,
    outbox: PathBuf,
}

/// What a player got for the match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purse {
    /// Name of the bot.
    pub name: String,
    /// Number of the player, as a text.
    pub player: String,
    /// Whether it was on the side that won.
    pub won: bool,
    /// What for.
    pub earned: Vec<Earned>,
}

impl Town {
    /// Starts the services beside the recordings, with the key that they and the game server share.
    pub fn found(arguments: &DemoArguments) -> Result<(Key, Self)> {
        let folder = arguments.record_dir.join("services");
        let begun = read_or_make_key(&folder.join("arbiter.key"))
            .and_then(|(key, _)| Ok((key.clone(), Self::start(&folder, arguments, &key)?)));
        begun.with_context(|| {
            let folder = folder.display();
            format!("the services cannot keep what they know in {folder}; choose another with --record-dir, or --no-services")
        })
    }

    /// Starts them on any free port.
    fn start(folder: &Path, arguments: &DemoArguments, key: &Key) -> Result<Self> {
        let settings = ServicesSettings {
            development_login: true,
            assets: arguments.assets.clone(),
            segment_bytes: SEGMENT_BYTES,
            limits: Limits { requests_per_s: REQUESTS_PER_S, burst: REQUESTS_PER_S, ..Limits::default() },
            ..ServicesSettings::in_folder(folder.to_owned())
        };
        let services = Services::start(&settings, key).context("the services did not start")?;
        let (lobby, bearer) = (Lobby::new(&services.url()), bearer(key));
        let since = lobby.position(&bearer)?;
        let outbox = folder.join("outbox");
        Ok(Self { services, lobby, bearer, sessions: Sessions::default(), since, outbox })
    }

    /// Where the game server keeps its events.
    pub fn outbox(&self) -> PathBuf {
        self.outbox.clone()
    }

    /// Address of the services.
    pub fn url(&self) -> String {
        self.services.url()
    }

    /// Where bots get in.
    pub fn door(&mut self) -> Door {
        let (tickets, sessions) = self.lobby.clone().tickets(name);
        self.sessions = sessions;
        Door::Tickets(tickets)
    }

    /// What the match was worth to each; the services know all of it when the server has ended.
    pub fn purses(&self) -> Result<Vec<Purse>> {
        let after = self.lobby.position(&self.bearer)?;
        let purse = |(bot, session)| {
            let earned = self.lobby.earned(&session, self.since, after)?;
            let won = earned.iter().any(|earned| earned.reward == "won");
            Ok(Purse { name: name(bot), player: session.player.to_string(), won, earned })
        };
        self.sessions.all().into_iter().map(purse).collect()
    }
}

fn name(bot: u16) -> String {
    format!("bot-{bot}")
}
