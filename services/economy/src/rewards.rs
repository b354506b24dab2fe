//! What a match's result is worth. From an event and the rewards come the ledger's orders, always the same ones: times and
//! windows are those of the event, not of the day on which it is read.

use std::time::Duration;

use arbiter_contracts::v1::{MatchEnded, PlayerResult};
use arbiter_contracts::{Attributes, Envelope, Event};
use arbiter_ledger::{Account, Claim, Name, Order, Step, Time};
use thiserror::Error;

use crate::digest::Digest;

/// Milliseconds of a day of UTC, which has no leap seconds here.
pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;

/// How long after its window an event may still be read: 30 days, then it is put aside, since what was claimed in the window
/// is forgotten.
pub const LATE_MS_MAX: u64 = 30 * DAY_MS;

/// Rewards at most: a match of a thousand players and eight rewards still fits one entry of the ledger.
pub const REWARDS_MAX: usize = 8;

/// For what a reward is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum When {
    /// To all who played.
    Played,
    /// To those whose side won.
    Won,
}

/// How often it is given to one player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Window {
    /// For each match.
    Match,
    /// For the first match that ends on a day of UTC.
    Day,
}

/// One reward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reward {
    /// Its name, up to 34 bytes; a reward with another name is given beside it.
    pub name: Name,
    /// For what.
    pub when: When,
    /// How often.
    pub window: Window,
    /// Ticks that a player must have played.
    pub ticks_played_min: u32,
    /// What is given.
    pub asset: Name,
    /// How much, in the asset's smallest unit, at least 1.
    pub amount: u64,
    /// For matches that end at this time or later: a new reward is not given for the past.
    pub since: Time,
}

/// All rewards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewards(Vec<Reward>);

/// Why rewards are not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadRewards {
    /// Too many.
    #[error("there are {0} rewards, and at most {REWARDS_MAX} are given for one match")]
    TooMany(usize),
    /// Two of one name.
    #[error("two rewards are called {0}: each needs its own name, by which it is known whether it was given")]
    Twice(Name),
    /// Nothing, or too much.
    #[error("the reward {0} gives {1}; it must give from 1 to 9,223,372,036,854,775,807")]
    Amount(Name, u64),
    /// Too long.
    #[error("the name of the reward {0} has more than {max} bytes", max = NAME_BYTES_MAX)]
    Name(Name),
}

/// Bytes of a reward's name: it stands behind `grant:` in the reason of its booking.
const NAME_BYTES_MAX: usize = arbiter_ledger::name::NAME_BYTES_MAX - REASON.len();
pub(crate) const REASON: &str = "grant:";

impl Rewards {
    /// A list of rewards that makes sense.
    pub fn new(list: Vec<Reward>) -> Result<Self, BadRewards> {
        if list.len() > REWARDS_MAX {
            return Err(BadRewards::TooMany(list.len()));
        }
        for (number, reward) in list.iter().enumerate() {
            let Reward { name, amount, .. } = reward;
            if list[..number].iter().any(|other| other.name == *name) {
                return Err(BadRewards::Twice(name.clone()));
            }
            if name.as_str().len() > NAME_BYTES_MAX {
                return Err(BadRewards::Name(name.clone()));
            }
            if *amount == 0 || i64::try_from(*amount).is_err() {
                return Err(BadRewards::Amount(name.clone(), *amount));
            }
        }
        Ok(Self(list))
    }

    /// What an event is worth: one order for each player and reward, in the order of the results and of the rewards.
    pub fn orders(&self, event: &Envelope) -> Vec<Order> {
        let Event::MatchEnded(ended) = &event.event else { return Vec::new() };
        let time = milliseconds(event.attributes.time);
        let mut orders = Vec::new();
        for result in players(ended) {
            let earned = self.0.iter().filter(|reward| reward.is_earned(result) && reward.since <= time);
            orders.extend(earned.map(|reward| reward.order(event, time, result.player)));
        }
        orders
    }
}

/// Those who can be granted anything, each once: whoever changed sides is listed twice, and the first line counts.
fn players(ended: &MatchEnded) -> impl Iterator<Item = &PlayerResult> {
    let first = |number: usize, result: &PlayerResult| {
        ended.results[..number].iter().all(|before| before.player != result.player)
    };
    let numbered = ended.results.iter().enumerate();
    numbered.filter(move |(number, result)| result.player != 0 && first(*number, result)).map(|(_, result)| result)
}

fn milliseconds(time: Duration) -> Time {
    Time(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Reward {
    fn is_earned(&self, result: &PlayerResult) -> bool {
        let side = match self.when {
            When::Played => true,
            When::Won => result.won,
        };
        side && result.ticks_played >= self.ticks_played_min
    }

    fn order(&self, event: &Envelope, time: Time, player: u64) -> Order {
        let reason = format!("{REASON}{}", self.name);
        let step = Step::Transfer {
            from: Account::issuer(self.asset.clone()),
            to: Account::main(player, self.asset.clone()),
            amount: self.amount,
        };
        Order {
            subject: player,
            // `Rewards::new` has checked its length.
            reason: reason.parse().unwrap_or_else(|_| self.name.clone()),
            claim: Some(self.claim(event, time, player)),
            steps: vec![step],
        }
    }

    /// What names the grant: event, window, player and reward. In a window the event does not count.
    fn claim(&self, event: &Envelope, time: Time, player: u64) -> Claim {
        let digest = Digest::new("arbiter economy 1 grant");
        let (digest, until) = match self.window {
            Window::Match => {
                let Attributes { source, id, .. } = &event.attributes;
                (digest.part(source).part(id), Time::NEVER)
            }
            Window::Day => {
                let day = time.0 / DAY_MS;
                let end = Time(day.saturating_add(1).saturating_mul(DAY_MS));
                (digest.part("day").part(day.to_le_bytes()), end.after(LATE_MS_MAX))
            }
        };
        Claim { key: digest.part(player.to_le_bytes()).part(self.name.as_str()).number(), until }
    }
}
