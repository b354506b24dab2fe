//! Bots whose turns are called, not timed, and whose datagrams stay in memory, for a server that is called likewise: with the
//! same seed the same match is played, whatever else the machine does.

use core::net::SocketAddr;
use core::time::Duration;

use arbiter_protocol::{KIND_INPUT, UserData};
use arbiter_sim::Loadout;
use arbiter_transport::conditioner::{Conditioner, Profile};
use arbiter_transport::{Body, ClientConnection, ClientEvent, DisconnectReason, Key, mint_token, token};

use super::feel::FeelLog;
use super::line::{hear, heed_path};
use super::{BUILD, BotsError, BotsReport, Content, hero_of, seed_of};
use crate::bots::Bot;
use crate::bots::brain::Surroundings;
use crate::client::Stage;

/// Takes a datagram that reaches the server: from whom, and its bytes.
pub type Arrives<'a> = dyn FnMut(SocketAddr, &mut [u8]) + 'a;

struct Seat {
    bot: Bot,
    connection: ClientConnection,
    address: SocketAddr,
    inbound: Conditioner<()>,
    outbound: Conditioner<()>,
    feel: FeelLog,
    ended: Option<DisconnectReason>,
}

/// See the module.
pub struct BotsInMemory {
    server: SocketAddr,
    around: Surroundings,
    seats: Vec<Seat>,
    out: Vec<u8>,
}

/// Where a bot sends from.
fn address(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    ([10, 0, high, low], 40_000).into()
}

impl Seat {
    fn exchange(&mut self, now: Duration, server: SocketAddr) {
        let Self { bot, connection, inbound, outbound, ended, .. } = self;
        let out = &mut |_: SocketAddr, bytes: &[u8]| outbound.push(now, (), bytes);
        let tell = &mut |event: ClientEvent<'_>| {
            if let ClientEvent::Disconnected(reason) = event {
                *ended = Some(reason);
            }
            if let Err(error) = hear(&mut bot.client, event, now) {
                tracing::debug!(%error, "bytes of the server were dropped");
            }
        };
        inbound.pop(now, &mut |(), bytes| connection.receive(now, server, bytes, out, tell));
        connection.advance(now, out, tell);
        heed_path(&mut bot.client, connection);
        while let Some(message) = bot.client.next_message() {
            if let Err(error) = connection.send_message(&message) {
                tracing::debug!(%error, "a message could not be sent");
            }
        }
    }

    fn think(&mut self, now: Duration, around: &Surroundings, bytes: &mut Vec<u8>) {
        let Self { bot, connection, outbound, feel, .. } = self;
        bytes.clear();
        if bot.think(around, now, bytes) {
            let body = Body { kind: KIND_INPUT, tag: 0, bytes };
            if let Err(error) = connection.send_body(now, body, &mut |_, bytes| outbound.push(now, (), bytes)) {
                tracing::debug!(%error, "an input could not be sent");
            }
        }
        feel.note(bot, now);
    }
}

impl BotsInMemory {
    /// So many bots, all of them predicting, over links of this profile to a server with this key and address.
    pub fn new(
        content: &Content,
        (count, seed, link): (u16, u64, Profile),
        (server, key): (SocketAddr, &Key),
        now: Duration,
    ) -> Result<Self, BotsError> {
        let seat = |number: u16| {
            let user =
                UserData { player: 1 + u64::from(number), build: BUILD.into(), ..UserData::default() }.encode()?;
            let token = mint_token(key, &[server], &user, token::LIFETIME, now)?;
            let connection = ClientConnection::new(&token[..], now)?;
            let hero = hero_of(number, seed, content.rules.heroes.len());
            let own_seed = seed_of(number, seed);
            let mut bot = Bot::new(&content.registry, content.rules.clone(), Loadout { hero, team: 0 }, own_seed);
            bot.own.predict(content.rules.clone(), content.map.clone(), content.plugins.clone());
            let (inbound, outbound) = (Conditioner::new(link, own_seed ^ 1), Conditioner::new(link, own_seed ^ 2));
            let (address, feel) = (address(number), FeelLog::default());
            Ok(Seat { bot, connection, address, inbound, outbound, feel, ended: None })
        };
        let around = Surroundings::new(&content.rules, content.map.clone())?;
        let seats = (0..count).map(seat).collect::<Result<Vec<Seat>, BotsError>>()?;
        Ok(Self { server, around, seats, out: Vec::new() })
    }

    /// A turn of each: what has come by now is heard, inputs that are due are made, and `arrives` is given what reaches the server.
    pub fn turn(&mut self, now: Duration, arrives: &mut Arrives<'_>) {
        let Self { server, around, seats, out } = self;
        for seat in seats {
            seat.exchange(now, *server);
            seat.think(now, around, out);
            let address = seat.address;
            seat.outbound.pop(now, &mut |(), bytes| arrives(address, bytes));
        }
    }

    /// The server sends a datagram to one of them.
    pub fn send(&mut self, now: Duration, to: SocketAddr, bytes: &[u8]) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.address == to) {
            seat.inbound.push(now, (), bytes);
        }
    }

    /// Whether all of them are in a match.
    pub fn are_in(&self) -> bool {
        self.seats.iter().all(|seat| *seat.bot.client.stage() == Stage::Playing)
    }

    /// All bots in their order.
    pub fn bots(&self) -> impl Iterator<Item = &Bot> {
        self.seats.iter().map(|seat| &seat.bot)
    }

    /// How they did, and how it felt to each.
    pub fn into_report(self) -> BotsReport {
        let mut report = BotsReport::default();
        for Seat { bot, feel, ended, .. } in self.seats {
            report.played += u32::from(bot.client.welcome().is_some());
            report.counts.add(bot.client.counts());
            report.failed.extend(ended.map(|why| format!("a connection ended: {why}")));
            report.feel.push(feel);
        }
        report
    }
}
