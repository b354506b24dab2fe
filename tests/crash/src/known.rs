//! What the outside knows, and what must be so for it. Nothing here asks the ledger how it came to a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use arbiter_contracts::v1::{MatchEnded, Outcome, PlayerResult};
use arbiter_contracts::{Attributes, Envelope};
use arbiter_economy::Catalogue;
use arbiter_ledger::{Account, Answer, Command, Entry, Key, Name, Order, State, Step, Time};

use crate::{Kind, Violation};

/// When scripts begin: midnight, so that days are easily counted.
pub const START: Time = Time(20_833 * DAY_MS);
/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 3600 * 1000;
/// Gold that a gem costs.
pub const PRICE: u64 = 7;
/// Name of the offer of a gem.
pub const OFFER: &str = "one-gem";
/// Gold for playing, for winning, and for the first match of a day.
const WORTH: (u64, u64, u64) = (10, 20, 100);
/// Players of scripts, from 1.
pub const PLAYERS: u64 = 4;

/// A name that stands in the code.
pub fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A player's or the house's gold.
pub fn gold(owner: u64) -> Account {
    Account::main(owner, name("gold"))
}

/// Where posted holds go.
pub fn rent() -> Account {
    Account { bucket: name("rent"), ..gold(0) }
}

/// What is earned and sold in scripts, read once.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(read_catalogue);
    &CATALOGUE
}

fn read_catalogue() -> Catalogue {
    let text = format!(
        r#"(
            assets: [(name: "gold"), (name: "gem")],
            rewards: [
                (name: "played", when: Played, window: Match, ticks_played_min: 1, asset: "gold", amount: {},
                 since: "2020-01-01"),
                (name: "won", when: Won, window: Match, ticks_played_min: 1, asset: "gold", amount: {}, since: "2020-01-01"),
                (name: "first", when: Played, window: Day, ticks_played_min: 1, asset: "gold", amount: {},
                 since: "2020-01-01"),
            ],
            offers: [(name: "{OFFER}", price: (asset: "gold", amount: {PRICE}), gives: [(asset: "gem", amount: 1)])],
        )"#,
        WORTH.0, WORTH.1, WORTH.2
    );
    Catalogue::parse("the catalogue of scripts", &text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// A match that ended.
#[derive(Debug, Clone)]
pub struct Played {
    /// Who played; the first won.
    pub players: Vec<u64>,
    /// When it ended.
    pub time: Time,
    /// Whether it was called final: the server tells it no more.
    pub is_final: bool,
}

impl Played {
    /// Its event.
    pub fn event(&self, number: usize) -> Envelope {
        let result = |(slot, player): (usize, &u64)| PlayerResult {
            player: *player,
            slot: slot as u32,
            won: slot == 0,
            ticks_played: 900,
            ..PlayerResult::default()
        };
        let results = self.players.iter().enumerate().map(result).collect();
        let event = MatchEnded { outcome: Outcome::Won.into(), results, ..MatchEnded::default() };
        let attributes = Attributes {
            id: format!("{number:032x}-900-0"),
            source: "/rooms/crash".to_owned(),
            time: Duration::from_millis(self.time.0),
            sequence: number as u64,
            ..Attributes::default()
        };
        Envelope { attributes, event: event.into() }
    }
}

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The assets to be known.
    Setup,
    /// A gem.
    Buy,
    /// Gold to be put aside.
    Hold,
    /// This much of a hold to be paid.
    Post(u64),
    /// A hold to come back.
    Void,
}

/// A client's request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks.
    pub player: u64,
    /// For what.
    pub want: Want,
    /// Under which name.
    pub key: Key,
    /// How.
    pub steps: Vec<Step>,
    /// What it was told.
    pub told: Option<Answer>,
}

impl Asked {
    /// As the economy gets it.
    pub fn command(&self) -> Command {
        let order = Order { subject: self.player, reason: name("crash"), claim: None, steps: self.steps.clone() };
        Command::Request { key: self.key, request: u128::from(self.player), order }
    }
}

/// All that the outside knows.
#[derive(Debug, Default)]
pub struct Known {
    /// All matches, told or not, in the order in which they ended.
    pub matches: Vec<Played>,
    /// All requests.
    pub asked: Vec<Asked>,
    /// The ledger's hash after so many entries, when they were acknowledged.
    pub hashes: BTreeMap<u64, [u8; 32]>,
    /// Entries of the last snapshot that was kept.
    pub kept: u64,
}

impl Known {
    /// A client is told an answer; it may have been told one before.
    pub fn tell(&mut self, request: usize, answer: Answer) -> Result<(), Violation> {
        let asked = &mut self.asked[request];
        match asked.told.replace(answer) {
            Some(before) if before != answer => {
                Err(Kind::Lost.because(format!("request {request} was told {before:?}, and now {answer:?}")))
            }
            _ => Ok(()),
        }
    }

    /// What must be so whenever a ledger is opened.
    pub fn check_opened(&self, ledger: &State) -> Result<(), Violation> {
        ledger.audit().map_err(|broken| Kind::Unbalanced.because(broken.to_string()))?;
        if let Some((entries, _)) = self.hashes.last_key_value().filter(|(entries, _)| **entries > ledger.entries()) {
            let found = ledger.entries();
            return Err(Kind::Lost.because(format!("{entries} entries were acknowledged, {found} are there")));
        }
        for (number, asked) in self.asked.iter().enumerate() {
            let kept = ledger.answer(asked.key).map(|(_, answer)| answer);
            if asked.told.is_some() && kept != asked.told {
                let told = asked.told;
                return Err(Kind::Lost.because(format!("request {number} was told {told:?}, and {kept:?} is kept")));
            }
        }
        let (paid, gems) = (ledger.balance(&gold(0)).amount, -ledger.balance(&Account::issuer(name("gem"))).amount);
        if paid != gems * PRICE as i64 {
            return Err(Kind::Unbalanced.because(format!("{paid} gold were paid for {gems} gems")));
        }
        Ok(())
    }

    /// What must be so in the end, when all was told, consumed and answered, and all holds are over.
    pub fn check_end(&self, ledger: &State) -> Result<(), Violation> {
        self.check_sums(ledger)?;
        if let Some(number) = self.asked.iter().position(|asked| asked.told.is_none()) {
            return Err(Kind::Broken.because(format!("request {number} has no answer in the end")));
        }
        if ledger.holds().count() > 0 {
            return Err(Kind::Unbalanced.because("holds are open that should be over"));
        }
        let earned = self.earned();
        let issued = -ledger.balance(&Account::issuer(name("gold"))).amount;
        let short = issued < earned.values().sum::<u64>() as i64;
        for player in 1..=PLAYERS {
            let spent = self.done(player).map(|want| match want {
                Want::Buy => PRICE,
                Want::Post(amount) => amount,
                Want::Setup | Want::Hold | Want::Void => 0,
            });
            let gems = self.done(player).filter(|want| *want == Want::Buy).count() as i64;
            let expected = earned.get(&player).copied().unwrap_or(0) as i64 - spent.sum::<u64>() as i64;
            let found = ledger.balance(&gold(player)).amount;
            let found_gems = ledger.balance(&Account::main(player, name("gem"))).amount;
            if (found, found_gems) != (expected, gems) {
                let kind = if short || found_gems < gems { Kind::Lost } else { Kind::Doubled };
                return Err(kind.because(format!(
                    "player {player} has {found} gold and {found_gems} gems where {expected} and {gems} belong"
                )));
            }
        }
        Ok(())
    }

    fn check_sums(&self, ledger: &State) -> Result<(), Violation> {
        let mut sums = BTreeMap::new();
        for (account, balance) in ledger.accounts() {
            *sums.entry(account.asset.clone()).or_insert(0_i128) += i128::from(balance.amount);
        }
        match sums.iter().find(|(_, sum)| **sum != 0) {
            Some((asset, sum)) => Err(Kind::Unbalanced.because(format!("{asset} sums to {sum}"))),
            None => Ok(()),
        }
    }

    /// What a player asked for and was told is done.
    fn done(&self, player: u64) -> impl Iterator<Item = Want> {
        let of_player = self.asked.iter().filter(move |asked| asked.player == player);
        of_player.filter(|asked| matches!(asked.told, Some(Ok(_)))).map(|asked| asked.want)
    }

    /// Gold of each player by the matches alone.
    fn earned(&self) -> BTreeMap<u64, u64> {
        let (mut earned, mut days) = (BTreeMap::new(), BTreeSet::new());
        for played in &self.matches {
            for (slot, player) in played.players.iter().enumerate() {
                let first = days.insert((*player, played.time.0 / DAY_MS));
                let won = if slot == 0 { WORTH.1 } else { 0 };
                *earned.entry(*player).or_default() += WORTH.0 + won + if first { WORTH.2 } else { 0 };
            }
        }
        earned
    }

    /// Replays entries from nothing, and compares the hash wherever one was taken of the live ledger.
    pub fn check_replay(&self, entries: &[Vec<u8>], live: &State) -> Result<(), Violation> {
        let mut state = State::default();
        for bytes in entries {
            let entry = Entry::from_bytes(bytes).map_err(|broken| Kind::Broken.because(broken.to_string()))?;
            state.redo(&entry).map_err(|broken| Kind::Broken.because(broken.to_string()))?;
            let number = state.entries();
            if self.hashes.get(&number).is_some_and(|hash| *hash != state.hash()) {
                return Err(
                    Kind::Hash.because(format!("the replay differs from the live ledger after {number} entries"))
                );
            }
        }
        if state.hash() == live.hash() {
            Ok(())
        } else {
            Err(Kind::Hash.because("the replay differs from the live ledger in the end"))
        }
    }
}
