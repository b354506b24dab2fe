//! What a player has, as a game shows it: things in places, and what is worn. What is worn lies in a bucket of the slot's name, so
//! that wearing something is a transfer like any other and nothing is kept beside the ledger.

use std::collections::BTreeMap;

use arbiter_eventlog::EventStore;
use arbiter_ledger::account::{HELD, MAIN};
use arbiter_ledger::{Account, Command, Key, Name, Order, State, Step, Time};
use thiserror::Error;

use crate::catalogue::{Catalogue, Item};
use crate::digest::Digest;
use crate::economy::{Economy, Told};
use crate::error::SubmitError;

/// What stands before a slot's name in the name of its bucket.
pub(crate) const SLOT: &str = "slot.";

/// Bytes of a slot's name at most.
pub const SLOT_NAME_BYTES_MAX: usize = arbiter_ledger::name::NAME_BYTES_MAX - SLOT.len();

/// A player's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owned {
    /// How many there are, worn ones and held ones too.
    pub quantity: u64,
    /// How many are held for something that is not over.
    pub held: u64,
    /// Places that they take in the inventory; what is worn takes none.
    pub places: u64,
    /// How many are owed: those that come in next pay it off.
    pub owed: u64,
}

/// All of a player's things.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Items by name.
    pub items: BTreeMap<Name, Owned>,
    /// What is worn, by slot.
    pub worn: BTreeMap<Name, Name>,
}

/// Why something was not put on or off. Nothing happened, and nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EquipError {
    /// No item.
    #[error("there is no item {0}: read the catalogue again")]
    NoSuchItem(Name),
    /// Not for this slot.
    #[error("the item {item} is not worn in the slot {slot}, but in {expected}", expected = .fits.as_ref().map_or("none", Name::as_str))]
    Slot {
        /// Which item.
        item: Name,
        /// Where it was to be worn.
        slot: Name,
        /// Where it is worn.
        fits: Option<Name>,
    },
    /// No slot.
    #[error("nothing is worn in a slot {0}: read the catalogue again")]
    NoSuchSlot(Name),
    /// The economy.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Inventory {
    /// What a ledger says that a player has.
    pub fn of(ledger: &State, catalogue: &Catalogue, player: u64) -> Self {
        let mut inventory = Self::default();
        for (account, balance) in ledger.accounts_of(player) {
            let Some(item) = catalogue.items.get(&account.asset) else { continue };
            if account.is_debt() && balance.amount < 0 {
                inventory.items.entry(account.asset.clone()).or_default().owed = balance.amount.unsigned_abs();
            }
            let quantity = u64::try_from(balance.amount).unwrap_or(0);
            if quantity == 0 {
                continue;
            }
            let owned = inventory.items.entry(account.asset.clone()).or_default();
            owned.quantity += quantity;
            match account.bucket.as_str() {
                MAIN => owned.places += quantity.div_ceil(item.stack.into()),
                HELD => owned.held += quantity,
                bucket => {
                    if let Some(slot) = bucket.strip_prefix(SLOT).and_then(|slot| slot.parse().ok()) {
                        inventory.worn.insert(slot, account.asset.clone());
                    }
                }
            }
        }
        inventory
    }

    /// Places that are taken.
    pub fn places(&self) -> u64 {
        self.items.values().map(|owned| owned.places).sum()
    }

    /// Places that would be taken with more of some assets; currencies take none.
    pub(crate) fn places_with(&self, catalogue: &Catalogue, gives: &[crate::catalogue::Sum]) -> u64 {
        let more = gives.iter().filter_map(|sum| {
            let Item { stack, .. } = catalogue.items.get(&sum.asset)?;
            // The rest of a place that is begun is not counted on: what is held may come back to it.
            Some(sum.amount.div_ceil((*stack).into()))
        });
        self.places() + more.sum::<u64>()
    }
}

impl<S: EventStore> Economy<S> {
    /// Wears an item in a slot, in place of what is worn there, or nothing. The same key again gets the same answer.
    pub fn equip(
        &mut self,
        catalogue: &Catalogue,
        key: Key,
        slot: &Name,
        item: Option<&Name>,
        time: Time,
    ) -> Result<Told, EquipError> {
        check(catalogue, slot, item)?;
        let digest = Digest::new("arbiter economy 1 equip").part(slot.as_str());
        let request = digest.part(item.map_or("", Name::as_str)).number();
        let player = key.owner();
        let worn: Name = slot_bucket(slot);
        let in_slot = |asset: &Name| Account { owner: player, asset: asset.clone(), bucket: worn.clone() };
        let there = self.books.ledger.accounts_of(player).filter(|(account, _)| account.bucket == worn);
        let off = there.filter_map(|(account, balance)| {
            let amount = u64::try_from(balance.amount).ok().filter(|amount| *amount > 0)?;
            Some(Step::Transfer { from: account.clone(), to: Account::main(player, account.asset.clone()), amount })
        });
        let on =
            item.map(|item| Step::Transfer { from: Account::main(player, item.clone()), to: in_slot(item), amount: 1 });
        let steps = off.chain(on).collect();
        let order = Order { subject: player, reason: equip_reason(), claim: None, steps };
        Ok(self.submit(&Command::Request { key, request, order }, time)?)
    }
}

fn check(catalogue: &Catalogue, slot: &Name, item: Option<&Name>) -> Result<(), EquipError> {
    let Some(item) = item else {
        let known = catalogue.items.values().any(|item| item.slot.as_ref() == Some(slot));
        return if known { Ok(()) } else { Err(EquipError::NoSuchSlot(slot.clone())) };
    };
    let found = catalogue.items.get(item).ok_or_else(|| EquipError::NoSuchItem(item.clone()))?;
    if found.slot.as_ref() == Some(slot) {
        return Ok(());
    }
    Err(EquipError::Slot { item: item.clone(), slot: slot.clone(), fits: found.slot.clone() })
}

fn slot_bucket(slot: &Name) -> Name {
    // The catalogue has no slot whose name is too long for it.
    format!("{SLOT}{slot}").parse().unwrap_or_else(|_| slot.clone())
}

fn equip_reason() -> Name {
    "equip".parse().unwrap_or_else(|_| unreachable!("equip is a name"))
}
