//! What designers say of money: `assets/economy/catalogue.ron`. It names the assets, the rewards, the offers and the products, is
//! checked as a whole, and whatever is wrong with it is named with file, line and what belongs there.

mod product;

use std::collections::BTreeMap;

use arbiter_ledger::{Asset, Name, Time};
use serde::Deserialize;
use thiserror::Error;

use crate::inventory::SLOT_NAME_BYTES_MAX;
use crate::rewards::{BadRewards, DAY_MS, Reward, Rewards, When, Window};

pub(crate) use product::REAL;
pub use product::{PRODUCT_NAME_BYTES_MAX, Price, Product, is_currency};

/// Assets, offers, and products, at most: a store that people look through has hundreds.
pub const LISTED_MAX: usize = 4_096;

/// Things that one offer or product gives at most.
pub const GIVES_MAX: usize = 64;

/// How many of an offer one player may be limited to: each is a claim that is kept for ever.
pub const EACH_MAX: u32 = 16;

/// Things in one place, and places of an inventory, at most.
pub const COUNT_MAX: u32 = 1_000_000;

/// Places of an inventory unless the catalogue says otherwise.
pub const PLACES: u32 = 200;

/// Bytes of an offer's name at most: it stands behind `purchase:` in the reason of its booking.
pub const OFFER_NAME_BYTES_MAX: usize = arbiter_ledger::name::NAME_BYTES_MAX - REASON.len();

pub(crate) const REASON: &str = "purchase:";

/// What is wrong with a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {what}")]
pub struct BadCatalogue {
    /// Which file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what belongs there.
    pub what: String,
}

/// An amount of an asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum {
    /// Which asset.
    pub asset: Name,
    /// How much, in its smallest unit, at least 1.
    pub amount: u64,
}

/// Something that is for sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it costs.
    pub price: Sum,
    /// What one gets.
    pub gives: Vec<Sum>,
    /// How many of it one player may ever buy; `None` for any number.
    pub each_max: Option<u32>,
    /// From when it is for sale.
    pub from: Time,
    /// Until when it is for sale.
    pub until: Time,
}

/// An asset that is a thing and not money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// How many of it lie in one place of an inventory, from 1.
    pub stack: u32,
    /// The slot that it is worn in, if it is worn.
    pub slot: Option<Name>,
}

/// A catalogue that makes sense.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// All assets by name; those that begin with `real.` are money of the real world, which no player has.
    pub assets: BTreeMap<Name, Asset>,
    /// Those of them that are things, by name.
    pub items: BTreeMap<Name, Item>,
    /// Places of a player's inventory. Nothing is sold that would need more; what is earned is given all the same.
    pub places_max: u32,
    /// What match results are worth.
    pub rewards: Rewards,
    /// What is for sale, by name.
    pub offers: BTreeMap<Name, Offer>,
    /// What is for sale for money of the real world, by name.
    pub products: BTreeMap<Name, Product>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    places: Option<Count>,
    assets: Vec<FileAsset>,
    rewards: Vec<FileReward>,
    offers: Vec<FileOffer>,
    #[serde(default)]
    products: Vec<product::FileProduct>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAsset {
    name: Text,
    supply: Option<Amount>,
    item: Option<FileItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileItem {
    stack: Option<Count>,
    slot: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileReward {
    name: Text,
    when: When,
    window: Window,
    ticks_played_min: u32,
    asset: Text,
    amount: Amount,
    since: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSum {
    asset: Text,
    amount: Amount,
}

impl From<FileSum> for Sum {
    fn from(FileSum { asset: Text(asset), amount: Amount(amount) }: FileSum) -> Self {
        Self { asset, amount }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOffer {
    name: Text,
    price: FileSum,
    gives: Vec<FileSum>,
    each_max: Option<u32>,
    from: Option<Date>,
    until: Option<Date>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Text(Name);

impl TryFrom<String> for Text {
    type Error = arbiter_ledger::name::NoName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Text)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "u64")]
struct Amount(u64);

impl TryFrom<u64> for Amount {
    type Error = String;

    fn try_from(amount: u64) -> Result<Self, String> {
        let fits = amount > 0 && i64::try_from(amount).is_ok();
        let wrong = || format!("{amount} is no amount: it must be from 1 to 9223372036854775807");
        fits.then_some(Self(amount)).ok_or_else(wrong)
    }
}

/// How many lie in a place, and how many places there are.
#[derive(Deserialize)]
#[serde(try_from = "u64")]
struct Count(u32);

impl TryFrom<u64> for Count {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        let fits = u32::try_from(count).ok().filter(|count| (1..=COUNT_MAX).contains(count));
        fits.map(Self).ok_or_else(|| format!("{count} does not fit: it must be from 1 to {COUNT_MAX}"))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Date(Time);

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        midnight(&text)
            .map(Date)
            .ok_or_else(|| format!("{text:?} is no day: write it as \"2026-12-24\", from 1970 to 9999"))
    }
}

/// The beginning of a day of UTC, written as in ISO 8601.
fn midnight(text: &str) -> Option<Time> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let whole = |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    if !whole(year, 4) || !whole(month, 2) || !whole(day, 2) {
        return None;
    }
    let (year, month, day): (u64, usize, u64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let months = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if year < 1970 || !(1..=12).contains(&month) || !(1..=months[month - 1]).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + months[..month - 1].iter().sum::<u64>() + day - 1;
    Some(Time(days * DAY_MS))
}

impl Catalogue {
    /// Reads a catalogue and checks it; `file` is what its errors call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, BadCatalogue> {
        let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let parsed: File = options.from_str(text).map_err(|error| {
            let (line, column) = (error.span.start.line.max(1), error.span.start.col.max(1));
            let there = text.lines().nth(line - 1).unwrap_or_default().chars().skip(column - 1);
            let there: String = there.take(SHOWN_CHARS).collect();
            BadCatalogue { file: file.to_owned(), line, what: format!("{}, at `{}`", error.code, there.trim()) }
        })?;
        let check = Check { file, text };
        let (mut assets, items) = check.assets(parsed.assets)?;
        let places_max = parsed.places.map_or(PLACES, |Count(places)| places);
        let rewards = check.rewards(parsed.rewards, &assets)?;
        let offers = check.offers(parsed.offers, &assets)?;
        let products = check.products(parsed.products, &mut assets)?;
        Ok(Self { assets, items, places_max, rewards, offers, products })
    }
}

/// Characters of a line that are shown of what cannot be read.
const SHOWN_CHARS: usize = 40;

type AssetsAndItems = (BTreeMap<Name, Asset>, BTreeMap<Name, Item>);

/// The lists of a catalogue.
const LISTS: [&str; 4] = ["assets", "rewards", "offers", "products"];

/// What a parser cannot see, with the lines where it stands.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
}

impl Check<'_> {
    /// Wrong about a name: at the last line of the list that has it, since of two that are alike the second is too many.
    /// `what` begins with the list.
    fn wrong(&self, name: &Name, what: String) -> BadCatalogue {
        let list = what.split(['[', ':']).next().unwrap_or_default();
        let is_list = |line: &str| LISTS.iter().any(|list| line.trim_start().starts_with(&format!("{list}:")));
        let lines: Vec<&str> = self.text.lines().collect();
        let first = lines.iter().position(|line| line.trim_start().starts_with(&format!("{list}:"))).unwrap_or(0);
        let behind = lines.iter().skip(first + 1).position(|line| is_list(line));
        let end = behind.map_or(lines.len(), |behind| first + 1 + behind);
        let last = |pattern: String| (first..end).rev().find(|line| lines[*line].contains(&pattern));
        let found = last(format!("name: \"{name}\"")).or_else(|| last(format!("\"{name}\"")));
        BadCatalogue { file: self.file.to_owned(), line: found.unwrap_or(first) + 1, what }
    }

    fn assets(&self, listed: Vec<FileAsset>) -> Result<AssetsAndItems, BadCatalogue> {
        let (mut assets, mut items) = (BTreeMap::new(), BTreeMap::new());
        for (number, FileAsset { name: Text(name), supply, item }) in listed.into_iter().enumerate() {
            let supply = supply.map(|Amount(supply)| supply);
            if assets.insert(name.clone(), Asset { supply }).is_some() {
                return Err(self.wrong(&name, format!("assets[{number}].name: there are two assets {name}")));
            }
            if name.as_str().starts_with(REAL) {
                let what =
                    format!("{REAL} stands before money of the real world, which products make known themselves");
                return Err(self.wrong(&name, format!("assets[{number}].name: {what}")));
            }
            if assets.len() > LISTED_MAX {
                return Err(self.wrong(&name, format!("assets: there are more than {LISTED_MAX}")));
            }
            let Some(FileItem { stack, slot }) = item else { continue };
            let slot = slot.map(|Text(slot)| slot);
            if slot.as_ref().is_some_and(|slot| slot.as_str().len() > SLOT_NAME_BYTES_MAX) {
                let what = format!("a slot's name has at most {SLOT_NAME_BYTES_MAX} bytes");
                return Err(self.wrong(&name, format!("assets[{number}].item.slot: {what}")));
            }
            items.insert(name, Item { stack: stack.map_or(1, |Count(stack)| stack), slot });
        }
        Ok((assets, items))
    }

    fn known(&self, field: &str, asset: &Name, assets: &BTreeMap<Name, Asset>) -> Result<(), BadCatalogue> {
        if assets.contains_key(asset) {
            return Ok(());
        }
        let some: Vec<&str> = assets.keys().take(8).map(Name::as_str).collect();
        let what = format!("{field}: {asset} is none of the assets ({} and so on)", some.join(", "));
        Err(self.wrong(asset, what))
    }

    fn rewards(&self, listed: Vec<FileReward>, assets: &BTreeMap<Name, Asset>) -> Result<Rewards, BadCatalogue> {
        let mut rewards = Vec::new();
        for (number, reward) in listed.into_iter().enumerate() {
            let FileReward { name: Text(name), when, window, ticks_played_min, .. } = reward;
            let (Text(asset), Amount(amount), Date(since)) = (reward.asset, reward.amount, reward.since);
            self.known(&format!("rewards[{number}].asset"), &asset, assets)?;
            rewards.push(Reward { name, when, window, ticks_played_min, asset, amount, since });
        }
        let last = rewards.last().map(|reward| reward.name.clone());
        Rewards::new(rewards).map_err(|bad| {
            let about = match &bad {
                BadRewards::Twice(name) | BadRewards::Amount(name, _) | BadRewards::Name(name) => Some(name.clone()),
                BadRewards::TooMany(_) => last,
            };
            let what = format!("rewards: {bad}");
            match about {
                Some(name) => self.wrong(&name, what),
                None => BadCatalogue { file: self.file.to_owned(), line: 1, what },
            }
        })
    }

    fn offers(
        &self,
        listed: Vec<FileOffer>,
        assets: &BTreeMap<Name, Asset>,
    ) -> Result<BTreeMap<Name, Offer>, BadCatalogue> {
        let mut offers = BTreeMap::new();
        for (number, offer) in listed.into_iter().enumerate() {
            let field = format!("offers[{number}]");
            let (name, offer) = self.offer(&field, offer, assets)?;
            if offers.insert(name.clone(), offer).is_some() {
                return Err(self.wrong(&name, format!("{field}.name: there are two offers {name}")));
            }
            if offers.len() > LISTED_MAX {
                return Err(self.wrong(&name, format!("offers: there are more than {LISTED_MAX}")));
            }
        }
        Ok(offers)
    }

    fn offer(
        &self,
        field: &str,
        offer: FileOffer,
        assets: &BTreeMap<Name, Asset>,
    ) -> Result<(Name, Offer), BadCatalogue> {
        let FileOffer { name: Text(name), price, gives, each_max, from, until } = offer;
        let (price, gives): (Sum, Vec<Sum>) = (price.into(), gives.into_iter().map(Sum::from).collect());
        let from = from.map_or(Time(0), |Date(from)| from);
        let until = until.map_or(Time::NEVER, |Date(until)| until);
        self.known(&format!("{field}.price.asset"), &price.asset, assets)?;
        if name.as_str().len() > OFFER_NAME_BYTES_MAX {
            let what = format!("{field}.name: an offer's name has at most {OFFER_NAME_BYTES_MAX} bytes");
            return Err(self.wrong(&name, what));
        }
        self.terms(field, &name, &gives, each_max, (from, until), assets)?;
        Ok((name, Offer { price, gives, each_max, from, until }))
    }

    /// What offers and products have in common.
    fn terms(
        &self,
        field: &str,
        name: &Name,
        gives: &[Sum],
        each_max: Option<u32>,
        (from, until): (Time, Time),
        assets: &BTreeMap<Name, Asset>,
    ) -> Result<(), BadCatalogue> {
        for (number, given) in gives.iter().enumerate() {
            self.known(&format!("{field}.gives[{number}].asset"), &given.asset, assets)?;
        }
        let wrong = if gives.is_empty() || gives.len() > GIVES_MAX {
            Some(format!("{field}.gives: it gives 1 to {GIVES_MAX} things, and this one {}", gives.len()))
        } else if each_max.is_some_and(|most| !(1..=EACH_MAX).contains(&most)) {
            Some(format!("{field}.each_max: it must be from 1 to {EACH_MAX}, or left out for any number"))
        } else if from >= until {
            Some(format!("{field}.until: the sale ends before it begins"))
        } else {
            None
        };
        wrong.map_or(Ok(()), |what| Err(self.wrong(name, what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let days = |text| midnight(text).map(|time| time.0 / DAY_MS);
        assert_eq!(days("1970-01-01"), Some(0));
        assert_eq!(days("2000-02-29"), Some(11_016));
        assert_eq!(days("2026-11-21"), Some(20_778));
        for wrong in
            ["2026-02-29", "2100-02-29", "2026-13-01", "2026-00-01", "2026-1-1", "1969-12-31", "2026-01-00", ""]
        {
            assert_eq!(days(wrong), None, "{wrong}");
        }
    }
}
