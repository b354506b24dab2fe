//! The tables of what has to be known of earlier entries to tell of one: accounts, things, payments, the number of the next event.

use arbiter_ledger::account::HOUSE;
use arbiter_ledger::{Account, Name};
use arbiter_views::rusqlite::{OptionalExtension as _, Result, Transaction, params};

use crate::inventory::SLOT;
use crate::payments::{KEPT_MS, Terms};

/// What an account was left with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub balance: i64,
    pub frozen: bool,
}

/// What a player has of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Owned {
    pub quantity: u64,
    /// Slot that it is worn in; empty for none.
    pub worn: String,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Became {
    Delivered = 1,
    TakenBack = 2,
    /// Paid or taken back, and nothing was delivered.
    Nothing = 3,
}

/// A payment as it was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    pub player: u64,
    pub product: String,
    pub currency: String,
    pub price: u64,
    pub delivered: bool,
}

/// The tables inside of a transaction.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a>(pub &'a Transaction<'a>);

impl Tables<'_> {
    /// What is known of an account; `None` if nothing was ever there.
    pub fn account(self, account: &Account) -> Result<Option<Known>> {
        let known = "SELECT balance, frozen FROM accounts WHERE owner = ? AND asset = ? AND bucket = ?";
        let mut known = self.0.prepare_cached(known)?;
        let Account { owner, asset, bucket } = account;
        let values = params![owner.cast_signed(), asset.as_str(), bucket.as_str()];
        known.query_row(values, |row| Ok(Known { balance: row.get(0)?, frozen: row.get(1)? })).optional()
    }

    /// Writes down what is in an account.
    pub fn put_account(self, account: &Account, known: Known) -> Result<()> {
        let mut put = self.0.prepare_cached("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)")?;
        let Account { owner, asset, bucket } = account;
        put.execute(params![owner.cast_signed(), asset.as_str(), bucket.as_str(), known.balance, known.frozen])?;
        Ok(())
    }

    /// Whether an owner's asset is a thing of a player.
    pub fn is_a_players_thing(self, account: &Account) -> Result<bool> {
        if account.owner == HOUSE {
            return Ok(false);
        }
        let mut known = self.0.prepare_cached("SELECT EXISTS (SELECT 1 FROM items WHERE asset = ?)")?;
        known.query_row([account.asset.as_str()], |row| row.get(0))
    }

    /// Writes down whether an asset is a thing.
    pub fn put_item(self, asset: &Name, is_item: bool) -> Result<()> {
        let statement = match is_item {
            true => "INSERT OR IGNORE INTO items VALUES (?)",
            false => "DELETE FROM items WHERE asset = ?",
        };
        self.0.prepare_cached(statement)?.execute([asset.as_str()]).map(drop)
    }

    /// What a player has of a thing, over all buckets that are above zero, as inventories show it.
    pub fn owned(self, player: u64, asset: &Name) -> Result<Owned> {
        let all = "SELECT bucket, balance FROM accounts WHERE owner = ? AND asset = ? AND balance > 0 ORDER BY bucket";
        let mut all = self.0.prepare_cached(all)?;
        let mut rows = all.query(params![player.cast_signed(), asset.as_str()])?;
        let mut owned = Owned::default();
        while let Some(row) = rows.next()? {
            let (bucket, balance): (String, i64) = (row.get(0)?, row.get(1)?);
            owned.quantity = owned.quantity.saturating_add(balance.unsigned_abs());
            if let Some(slot) = bucket.strip_prefix(SLOT).filter(|_| owned.worn.is_empty()) {
                slot.clone_into(&mut owned.worn);
            }
        }
        Ok(owned)
    }

    /// Writes down a payment that was begun, and forgets those of which the economy has forgotten that they were.
    pub fn begin_payment(self, payment: u128, player: u64, terms: &Terms, time_ms: u64) -> Result<()> {
        let mut forget = self.0.prepare_cached("DELETE FROM payments WHERE became = 0 AND begun <= ?")?;
        forget.execute([time_ms.saturating_sub(KEPT_MS).cast_signed()])?;
        let mut begin = self.0.prepare_cached("INSERT OR REPLACE INTO payments VALUES (?, ?, ?, ?, ?, ?, 0)")?;
        begin.execute(params![
            payment.to_be_bytes(),
            player.cast_signed(),
            terms.product.as_str(),
            terms.price.currency.as_str(),
            terms.price.amount.cast_signed(),
            time_ms.cast_signed(),
        ])?;
        Ok(())
    }

    /// A payment by its number.
    pub fn payment(self, payment: u128) -> Result<Option<Begun>> {
        let known = "SELECT player, product, currency, price, became FROM payments WHERE payment = ?";
        let mut known = self.0.prepare_cached(known)?;
        let begun = known.query_row([payment.to_be_bytes()], |row| {
            Ok(Begun {
                player: row.get::<_, i64>(0)?.cast_unsigned(),
                product: row.get(1)?,
                currency: row.get(2)?,
                price: row.get::<_, i64>(3)?.cast_unsigned(),
                delivered: row.get::<_, i64>(4)? == Became::Delivered as i64,
            })
        });
        begun.optional()
    }

    /// Writes down what became of a payment.
    pub fn put_payment(self, payment: u128, became: Became) -> Result<()> {
        let mut put = self.0.prepare_cached("UPDATE payments SET became = ? WHERE payment = ?")?;
        put.execute(params![became as i64, payment.to_be_bytes()]).map(drop)
    }

    /// Numbers for so many events; the first of them.
    pub fn take_sequence(self, events: usize) -> Result<u64> {
        let mut take = self.0.prepare_cached("UPDATE next SET sequence = sequence + ? RETURNING sequence")?;
        let behind: i64 = take.query_row([events as i64], |row| row.get(0))?;
        Ok(behind.cast_unsigned() - events as u64)
    }
}
