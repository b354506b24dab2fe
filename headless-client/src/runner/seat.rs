//! A bot with its connection: from its first token to its goodbye, and back when the connection is lost.

use core::net::Ipv4Addr;
use core::time::Duration;

use arbiter_protocol::{Goodbye, GoodbyeReason, KIND_INPUT, Notice, Outcome, ServerMessage, UserData};
use arbiter_sim::Loadout;
use arbiter_transport::conditioner::Profile;
use arbiter_transport::{Body, ClientConnection, ClientEvent, DisconnectReason, TokenError, mint_token, token};

use super::feel::FeelLog;
use super::line::{Line, hear, heed_path};
use super::{BUILD, BotsConfig, BotsError, Door, PREDICTING_BOTS_MAX, hero_of, seed_of};
use crate::bots::Bot;
use crate::bots::brain::Surroundings;
use crate::client::Stage;
use crate::comeback::{Comeback, Step, WINDOW};

/// What makes connections of the same player.
struct Ticket {
    player: u64,
    door: Door,
    link: Profile,
    seed: u64,
    /// Where the bot sends from.
    source: Ipv4Addr,
}

impl Ticket {
    fn connect(&self, number: u16, now: Duration) -> Result<Line, BotsError> {
        let connection = match &self.door {
            Door::Key { server, key } => {
                let user_data =
                    UserData { player: self.player, build: BUILD.into(), ..UserData::default() }.encode()?;
                ClientConnection::new(&mint_token(key, &[*server], &user_data, token::LIFETIME, now)?[..], now)?
            }
            Door::Tickets(tickets) => {
                let token = tickets(number).map_err(|why| BotsError::Ticket { bot: number, why })?;
                ClientConnection::new(&token, now)?
            }
        };
        let server = connection.server_address();
        let line = Line::open(connection, server, self.source, self.link, self.seed);
        line.map_err(|error| BotsError::Socket { bot: number, error })
    }
}

/// A second connection, beside one that has fallen silent.
struct Attempt {
    line: Line,
    /// It has asked for the player's place, and may have it: there is no way back.
    asked: bool,
    /// What the server said on it.
    messages: Vec<Vec<u8>>,
}

/// See the module.
pub(super) struct Seat {
    pub number: u16,
    pub bot: Bot,
    ticket: Ticket,
    pub line: Line,
    attempt: Option<Attempt>,
    comeback: Comeback,
    /// How often it came back.
    pub comebacks: u32,
    pub played: bool,
    pub failure: Option<String>,
    pub done: bool,
    pub deaths: u32,
    pub outcome: Option<Outcome>,
    pub feel: Option<FeelLog>,
    /// Of connections that it came back from.
    earlier_bytes: (u64, u64),
}

impl Seat {
    pub fn new(config: &BotsConfig, number: u16, now: Duration) -> Result<Self, BotsError> {
        // A random player: two runs of bots on one server must not take each other's places.
        let player = u64::from_le_bytes(token::random().map_err(TokenError::from)?);
        let content = &config.content;
        let hero = hero_of(number, config.seed, content.rules.heroes.len());
        let seed = seed_of(number, config.seed);
        let source = if config.apart { own_address(number) } else { Ipv4Addr::UNSPECIFIED };
        let ticket = Ticket { player, door: config.door.clone(), link: config.link, seed, source };
        let line = ticket.connect(number, now)?;
        let mut bot = Bot::new(&content.registry, content.rules.clone(), Loadout { hero, team: 0 }, seed);
        if let Some(cheat) = config.cheat.filter(|_| number < config.cheaters) {
            bot.cheat(cheat);
        }
        if config.count <= PREDICTING_BOTS_MAX {
            bot.own.predict(content.rules.clone(), content.map.clone(), content.plugins.clone());
        }
        Ok(Self {
            number,
            bot,
            ticket,
            line,
            attempt: None,
            comeback: Comeback::default(),
            comebacks: 0,
            played: false,
            failure: None,
            done: false,
            deaths: 0,
            outcome: None,
            feel: config.feel.then(FeelLog::default),
            earlier_bytes: (0, 0),
        })
    }

    /// Bytes of datagrams, down and up, without UDP and IP headers.
    pub fn bytes(&self) -> (u64, u64) {
        (self.earlier_bytes.0 + self.line.bytes_down, self.earlier_bytes.1 + self.line.bytes_up)
    }

    /// Why it is not in the match any more, if it was and that is known.
    pub fn end(&self) -> Option<String> {
        match self.bot.client.stage() {
            Stage::Over(reason) if self.played => Some(reason.to_string()),
            _ => None,
        }
    }

    /// Receives, moves time on, thinks and sends.
    pub fn turn(&mut self, around: &Surroundings, now: Duration, buffer: &mut [u8], out: &mut Vec<u8>) {
        self.exchange(now, buffer);
        self.come_back(now, buffer);
        self.hear(around);
        while let Some(message) = self.bot.client.next_message() {
            if let Err(error) = self.line.connection.send_message(&message) {
                tracing::debug!(bot = self.number, %error, "a message could not be sent");
            }
        }
        out.clear();
        if self.bot.think(around, now, out) {
            for _ in 0..self.bot.copies() {
                if let Err(error) = self.line.send_body(now, Body { kind: KIND_INPUT, tag: 0, bytes: out }) {
                    tracing::debug!(bot = self.number, %error, "an input could not be sent");
                }
            }
        }
        if let Some(feel) = &mut self.feel {
            feel.note(&mut self.bot, now);
        }
    }

    pub fn exchange(&mut self, now: Duration, buffer: &mut [u8]) {
        let Self { number, bot, line, attempt, .. } = self;
        let (client, is_leaving) = (&mut bot.client, attempt.is_some());
        line.exchange(now, buffer, &mut |event| {
            if let ClientEvent::Message(bytes) = event
                && is_leaving
                && says_taken_over(bytes)
            {
                // This very player has come back.
                return;
            }
            if let Err(error) = hear(client, event, now) {
                tracing::debug!(bot = *number, %error, "bytes of the server were dropped");
            }
        });
        heed_path(client, &line.connection);
    }

    /// Ends all its connections.
    pub fn disconnect(&mut self, now: Duration) {
        self.line.disconnect(now);
        if let Some(mut attempt) = self.attempt.take() {
            attempt.line.disconnect(now);
        }
    }

    /// Looks for another way to a server that has fallen silent.
    fn come_back(&mut self, now: Duration, buffer: &mut [u8]) {
        if *self.bot.client.stage() != Stage::Playing
            || self.line.ended.is_some_and(|why| why != DisconnectReason::TimedOut)
        {
            self.attempt = self.attempt.take().filter(|attempt| attempt.asked);
        } else {
            match self.comeback.step(now, self.line.connection.silence(now), self.attempt.is_some()) {
                Step::Stay => {
                    if let Some(mut attempt) = self.attempt.take_if(|attempt| !attempt.asked) {
                        attempt.line.disconnect(now);
                    }
                }
                Step::Wait => {}
                Step::Connect => match self.ticket.connect(self.number, now) {
                    Ok(line) => self.attempt = Some(Attempt { line, asked: false, messages: Vec::new() }),
                    Err(error) => tracing::debug!(bot = self.number, %error, "no other way to the server"),
                },
                Step::GiveUp => {
                    self.failure = Some(format!("nothing was heard of the server for {} s", WINDOW.as_secs()));
                    self.done = true;
                }
            }
        }
        self.try_attempt(now, buffer);
    }

    fn try_attempt(&mut self, now: Duration, buffer: &mut [u8]) {
        let Some(attempt) = &mut self.attempt else { return };
        let Attempt { line, asked, messages } = attempt;
        line.exchange(now, buffer, &mut |event| {
            if let ClientEvent::Message(bytes) = event {
                messages.push(bytes.to_vec());
            }
        });
        if line.connection.is_connected() && !*asked {
            // A fresh connection has room for a message.
            *asked = line.connection.send_message(&self.bot.client.join()).is_ok();
        }
        let answer = messages.first().map(|bytes| ServerMessage::decode(bytes));
        let ended = line.ended.is_some();
        match answer {
            Some(Ok(ServerMessage::Welcome(_))) => self.go_over(now),
            Some(Ok(ServerMessage::Refused(refused))) => {
                self.failure = Some(format!("could not come back: {}", refused.text));
                self.done = true;
            }
            _ if ended => self.attempt = None,
            _ => {}
        }
    }

    /// The attempt has the place: it is the connection from now on.
    fn go_over(&mut self, now: Duration) {
        let Some(Attempt { line, messages, .. }) = self.attempt.take() else { return };
        let old = core::mem::replace(&mut self.line, line);
        self.earlier_bytes.0 += old.bytes_down;
        self.earlier_bytes.1 += old.bytes_up;
        self.comebacks += 1;
        for message in messages {
            if let Err(error) = self.bot.client.receive_message(&message) {
                tracing::debug!(bot = self.number, %error, "bytes of the server were dropped");
            }
        }
        tracing::debug!(bot = self.number, ?now, "came back");
    }

    fn hear(&mut self, around: &Surroundings) {
        if let Some(reason) = self.line.ended
            && self.attempt.is_none()
            && (reason != DisconnectReason::TimedOut || *self.bot.client.stage() != Stage::Playing)
        {
            let orderly = matches!(self.bot.client.stage(), Stage::Over(_) | Stage::Refused(_));
            if !orderly {
                let told = self.line.connection.farewell().map(|told| format!(": {told}")).unwrap_or_default();
                self.failure = Some(format!("the connection ended: {reason}{told}"));
            }
            self.done = true;
        }
        self.note_stage(around);
        while let Some(message) = self.bot.client.next_notice() {
            match message.notice {
                Notice::Killed { .. } => self.deaths += 1,
                Notice::MatchEnded { outcome } => self.outcome = Some(outcome),
                _ => {}
            }
        }
    }

    fn note_stage(&mut self, around: &Surroundings) {
        match self.bot.client.stage() {
            Stage::Playing => {
                let other = self.bot.client.welcome().filter(|welcome| welcome.map_hash != around.map.hash);
                if let Some(welcome) = other {
                    self.failure = Some(format!(
                        "the server plays map {:?}, which is not the bots' {:?}; start both with the same map and assets",
                        welcome.map, around.map.name
                    ));
                    self.bot.client.quit();
                }
                self.played = true;
            }
            Stage::Refused(refused) => {
                self.failure = Some(refused.text.clone());
                self.done = true;
            }
            Stage::Over(reason) => {
                tracing::debug!(bot = self.number, %reason, "the server said goodbye");
                self.done = true;
            }
            Stage::Connecting | Stage::Joining => {}
        }
    }
}

/// One of this machine for each bot.
fn own_address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1)
}

fn says_taken_over(message: &[u8]) -> bool {
    let goodbye = ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::TakenOver });
    ServerMessage::decode(message) == Ok(goodbye)
}
