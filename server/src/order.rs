//! Matches that are wanted by name: whoever allocates a server says which match it is to play and with what settings, and the first
//! room that has nobody plays it.
//!
//! One process has one map, one tick rate and one number of places; an order that wants others is refused, in words.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arbiter_contracts::orders::{MATCH_SECONDS, TEAMS};
use arbiter_contracts::servers::hex128;
use arbiter_sim::MatchSettings;
use serde_json::Value;
use thiserror::Error;

use crate::{ServerConfig, room};

pub use arbiter_contracts::orders::SETTINGS_BYTES_MAX;

/// Orders that wait for a room: as many as a process may have rooms.
pub const WAITING_MAX: usize = 256;

/// So long a match that was ordered waits for its players before its room may be given to another.
pub const PLAYERS_WITHIN: Duration = Duration::from_secs(60);

/// Orders that are remembered, so that one that is told again is not played again.
const KNOWN_MAX: usize = 1_024;

/// A match that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its name.
    pub match_id: u128,
    /// Its settings.
    pub settings: MatchSettings,
    /// Its seed, if it matters.
    pub seed: Option<u64>,
}

/// Why an order is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// The name of the match is none.
    #[error("the match must have 32 hexadecimal digits, the letters small, not all of them 0; found {0:?}")]
    Name(String),
    /// The settings are no JSON object, or too long.
    #[error("the settings must be a JSON object of up to {SETTINGS_BYTES_MAX} bytes: {0}")]
    Settings(String),
    /// A setting is out of range or unknown.
    #[error("{field}: expected {expected}, found {found}")]
    Field {
        /// Which.
        field: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// No match can be built of these settings.
    #[error("no match can be built of these settings: {0}")]
    Build(String),
    /// The services do not know it.
    #[error(
        "the services do not know this match: order it with POST /matches first, or give its settings in the annotation \
         arbiter.dev/settings"
    )]
    Unknown,
    /// The services do not say how it is to be played.
    #[error("its settings cannot be fetched: {0}")]
    Services(String),
    /// As many orders wait as may.
    #[error("{WAITING_MAX} orders wait for a room already; allocate another server")]
    Full,
    /// The server has more to do than time.
    #[error("the server sheds load and takes no match; allocate another one")]
    Overloaded,
    /// The server stops.
    #[error("the server begins no match any more; allocate another one")]
    Stopping,
}

impl Order {
    /// Reads what an allocation says; settings that it leaves out are the server's own.
    pub fn read(match_id: &str, settings: Option<&str>, config: &ServerConfig) -> Result<Self, OrderError> {
        let match_id = Self::name(match_id)?;
        let mut order = Self { match_id, settings: config.settings.clone(), seed: None };
        let Some(text) = settings else { return Ok(order) };
        if text.len() > SETTINGS_BYTES_MAX {
            return Err(OrderError::Settings(format!("found {} bytes", text.len())));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| OrderError::Settings(error.to_string()))?;
        let fields = value.as_object().ok_or_else(|| OrderError::Settings("found something else".to_owned()))?;
        for (field, value) in fields {
            order.set(field, value, config)?;
        }
        Ok(order)
    }

    /// Reads the name of a match.
    pub(crate) fn name(text: &str) -> Result<u128, OrderError> {
        let name = hex128::parse(text).filter(|id| *id != 0);
        name.ok_or_else(|| OrderError::Name(text.chars().take(64).collect()))
    }

    fn set(&mut self, field: &str, value: &Value, config: &ServerConfig) -> Result<(), OrderError> {
        let wrong = |expected: String| OrderError::Field {
            field: field.chars().take(64).collect(),
            expected,
            found: value.to_string().chars().take(64).collect(),
        };
        let number = |range: RangeInclusive<u64>| {
            let found = value.as_u64().filter(|found| range.contains(found));
            found.ok_or_else(|| wrong(format!("a number from {} to {}", range.start(), range.end())))
        };
        let only = |own: u16| own.into()..=own.into();
        // What all rooms of a process share may be named, to be sure that it is the right process.
        let same =
            |own: String| if *value == own { Ok(()) } else { Err(wrong(format!("{own}, as this server has it"))) };
        match field {
            "mode" => {
                let known = config.rules.modes.iter().map(|mode| mode.name.as_str());
                let found = known.clone().find(|name| value == name);
                let found = found.ok_or_else(|| wrong(format!("one of {}", known.collect::<Vec<_>>().join(", "))))?;
                self.settings.mode = found.to_owned();
            }
            "teams" => self.settings.teams = number(TEAMS)? as u8,
            "match_seconds" => self.settings.match_seconds = Some(number(MATCH_SECONDS)? as u32),
            "friendly_fire" => {
                self.settings.friendly_fire = Some(value.as_bool().ok_or_else(|| wrong("true or false".to_owned()))?);
            }
            // A text: many writers of JSON know only 53 bits.
            "seed" => {
                let seed = value.as_str().and_then(|digits| digits.parse().ok());
                self.seed = Some(seed.ok_or_else(|| wrong("a text of up to 20 digits".to_owned()))?);
            }
            "map" => same(config.map.name.clone())?,
            "tick_rate" => drop(number(only(config.settings.tick_rate))?),
            "players_max" => drop(number(only(config.settings.players_max))?),
            _ => {
                let known = "mode, teams, match_seconds, friendly_fire, seed, map, tick_rate or players_max";
                return Err(wrong(format!("one of {known}")));
            }
        }
        Ok(())
    }
}

impl Order {
    /// Builds the match once, so that a room that takes the order can.
    pub(crate) fn try_out(self, config: &ServerConfig) -> Result<Self, OrderError> {
        match room::build_with(config, self.seed.unwrap_or_default(), self.settings.clone()) {
            Ok(_) => Ok(self),
            Err(error) => Err(OrderError::Build(error.to_string())),
        }
    }
}

/// Orders that wait, and names of those that do not any more.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    book: Mutex<Book>,
    /// How many wait: rooms look at it every tick.
    waiting: AtomicUsize,
    /// How many will, once it is known how they are to be played.
    announced: AtomicUsize,
}

#[derive(Debug, Default)]
struct Book {
    waiting: VecDeque<Order>,
    known: VecDeque<u128>,
}

impl Orders {
    fn book(&self) -> MutexGuard<'_, Book> {
        // A list stays a list, whatever panicked while it held it.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a match that must not be played; whether it was new.
    pub fn know(&self, match_id: u128) -> bool {
        let mut book = self.book();
        if book.known.contains(&match_id) {
            return false;
        }
        if book.known.len() >= KNOWN_MAX {
            book.known.pop_front();
        }
        book.known.push_back(match_id);
        true
    }

    /// Takes an order; whether it is a new one.
    pub fn place(&self, order: Order) -> Result<bool, OrderError> {
        if self.book().waiting.len() >= WAITING_MAX {
            return Err(OrderError::Full);
        }
        let new = self.know(order.match_id);
        if new {
            self.book().waiting.push_back(order);
            self.waiting.fetch_add(1, Ordering::Release);
        }
        Ok(new)
    }

    /// Whether a match waits, was taken, or must not be played.
    pub fn knows(&self, match_id: u128) -> bool {
        self.book().known.contains(&match_id)
    }

    /// The next one, for a room that has nobody.
    pub fn take(&self) -> Option<Order> {
        let order = self.book().waiting.pop_front()?;
        self.waiting.fetch_sub(1, Ordering::Release);
        Some(order)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Says how many will wait, once it is known how they are to be played.
    pub fn announce(&self, orders: usize) {
        self.announced.store(orders, Ordering::Release);
    }

    /// How many rooms are spoken for: those of orders that wait or will.
    pub fn wanted(&self) -> usize {
        self.waiting() + self.announced.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arbiter_sim::Rules;
    use arbiter_sim::map::{Map, Volume};
    use arbiter_transport::Key;
    use glam::Vec3;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn config() -> ServerConfig {
        let map = Map::empty("moon", Volume { centre: Vec3::ZERO, half: Vec3::ONE });
        let rules = Arc::new(Rules::shipped());
        ServerConfig::new(Key::generate().expect("randomness"), rules, Arc::new(map), MatchSettings::default())
    }

    #[test]
    fn what_an_order_says_is_played_and_what_it_leaves_out_is_the_servers() {
        let text =
            r#"{"mode":"free_for_all","match_seconds":60,"seed":"18446744073709551615","map":"moon","tick_rate":60}"#;
        let order = Order::read(ID, Some(text), &config()).expect("an order");
        assert_eq!(order.match_id, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!((order.settings.mode.as_str(), order.settings.match_seconds), ("free_for_all", Some(60)));
        assert_eq!((order.seed, order.settings.players_max), (Some(u64::MAX), 10));
    }

    #[test]
    fn what_this_server_cannot_play_is_refused_with_what_it_could() {
        let config = config();
        for (text, told) in [
            (r#"{"map":"mars"}"#, "map: expected moon, as this server has it"),
            (r#"{"mode":"chess"}"#, "mode: expected one of "),
            (r#"{"tick_rate":128}"#, "tick_rate: expected a number from 60 to 60"),
            (r#"{"gravity":0}"#, "gravity: expected one of mode"),
            ("[]", "a JSON object"),
        ] {
            let error = Order::read(ID, Some(text), &config).expect_err("refused").to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        for name in ["", "0123", "00000000000000000000000000000000", "0123456789ABCDEF0123456789ABCDEF"] {
            assert!(matches!(Order::read(name, None, &config), Err(OrderError::Name(_))), "{name}");
        }
    }

    #[test]
    fn an_order_that_is_told_twice_is_played_once() {
        let orders = Orders::default();
        let order = Order::read(ID, None, &config()).expect("an order");
        assert_eq!(orders.place(order.clone()), Ok(true));
        assert_eq!(orders.place(order.clone()), Ok(false));
        assert_eq!((orders.take(), orders.take()), (Some(order.clone()), None));
        assert_eq!(orders.place(order), Ok(false));
    }
}
