//! What is kept: balances, open holds, how far each source was consumed, answers, claims. All of it in maps that have an order,
//! so that equal states have equal bytes.
//!
//! Every change is an [`Effect`] and goes through one function here, whether it was just decided or is read from a log.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::account::HOUSE;
use crate::entry::{Answer, Booking, Cause, ENTRY_BYTES_MAX, Effect, Entry, FORMAT};
use crate::key::Key;
use crate::map::Map;
use crate::refusal::Broken;
use crate::wire::{self, Bytes, Parts, Wire};
use crate::{Account, Balance, Name, Time};

/// Bytes of a part of a checkpoint that is not written.
const PART_BYTES: usize = 64 << 10;

/// What is known of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// How much of it may be out in the world: 1 for a unique item, `None` for any amount.
    pub supply: Option<u64>,
}

/// An amount that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Where it comes back to.
    pub from: Account,
    /// Where it goes when it is posted.
    pub to: Account,
    /// How much.
    pub amount: u64,
    /// When it comes back by itself.
    pub until: Time,
}

/// What is kept of a client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub request: u128,
    pub answer: Answer,
}

/// The whole ledger. A clone shares what is in it ([`Map`]), so that it costs nothing to keep one of this moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    pub(crate) entries: u64,
    pub(crate) history: [u8; 32],
    pub(crate) time: Time,
    pub(crate) transfers: u64,
    pub(crate) holds_opened: u64,
    pub(crate) assets: Map<Name, Asset>,
    pub(crate) accounts: Map<Account, Balance>,
    pub(crate) holds: Map<u64, Hold>,
    pub(crate) cursors: Map<Name, u64>,
    pub(crate) answers: Map<Key, Kept>,
    pub(crate) claims: Map<u128, Time>,
    /// Both follow from the maps above, and are not written.
    pub(crate) holds_due: Map<(Time, u64), ()>,
    claims_due: Map<(Time, u128), ()>,
}

/// How to take back one change.
#[derive(Debug)]
pub(crate) enum Undo {
    Asset(Name),
    Account(Account, Balance),
    Opened(u64),
    Closed(u64, Hold),
    Claim(u128, Option<Time>),
}

impl State {
    /// Number of the next entry: how many were applied.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// BLAKE3 through all entries: it names the history.
    pub fn history(&self) -> [u8; 32] {
        self.history
    }

    /// Whether these are the bytes of the last entry: whether this ledger is of that log's history.
    pub fn follows(&self, last: &[u8]) -> bool {
        self.entries > 0 && *blake3::hash(last).as_bytes() == self.history
    }

    /// Time of the last entry. A command with an earlier one counts as of this one.
    pub fn time(&self) -> Time {
        self.time
    }

    /// What is known of an asset.
    pub fn asset(&self, asset: &Name) -> Option<Asset> {
        self.assets.get(asset).copied()
    }

    /// What an account holds; nothing if it is not kept.
    pub fn balance(&self, account: &Account) -> Balance {
        self.accounts.get(account).copied().unwrap_or_default()
    }

    /// All accounts of an owner, by asset and bucket.
    pub fn accounts_of(&self, owner: u64) -> impl Iterator<Item = (&Account, &Balance)> {
        self.accounts_from(owner).take_while(move |(account, _)| account.owner == owner)
    }

    fn accounts_from(&self, owner: u64) -> impl Iterator<Item = (&Account, &Balance)> {
        // Less than every name, so that it stands before an owner's first account.
        let least = Name::least();
        let from = Account { owner, asset: least.clone(), bucket: least };
        self.accounts.iter_from(&from)
    }

    /// All accounts that are kept, by owner, asset and bucket.
    pub fn accounts(&self) -> impl Iterator<Item = (&Account, &Balance)> {
        self.accounts.iter()
    }

    /// An open hold.
    pub fn hold(&self, number: u64) -> Option<&Hold> {
        self.holds.get(&number)
    }

    /// All open holds by number.
    pub fn holds(&self) -> impl Iterator<Item = (u64, &Hold)> {
        self.holds.iter().map(|(number, hold)| (*number, hold))
    }

    /// When the next hold comes back by itself.
    pub fn next_due(&self) -> Option<Time> {
        self.holds_due.first().map(|((until, _), ())| *until)
    }

    /// The first position of a source that was not consumed.
    pub fn cursor(&self, source: &Name) -> u64 {
        self.cursors.get(source).copied().unwrap_or(0)
    }

    /// The answer that a key was given, with the digest of its request.
    pub fn answer(&self, key: Key) -> Option<(u128, Answer)> {
        self.answers.get(&key).map(|kept| (kept.request, kept.answer))
    }

    /// How many answers are kept: about 120 B of memory each.
    pub fn answers_kept(&self) -> usize {
        self.answers.len()
    }

    /// Until when something cannot be claimed again.
    pub fn claimed(&self, claim: u128) -> Option<Time> {
        self.claims.get(&claim).copied()
    }

    /// Does what an entry says, without deciding anything.
    ///
    /// # Errors
    /// The entry cannot follow what was before; the state is as it was.
    pub fn redo(&mut self, entry: &Entry) -> Result<(), Broken> {
        self.fits(entry)?;
        let mut undo = Vec::new();
        let done = self.redo_bookings(entry, &mut undo);
        if let Err(broken) = done {
            self.take_back(&mut undo, 0);
            return Err(broken);
        }
        self.finish(entry, &wire::to_bytes(entry));
        Ok(())
    }

    fn fits(&self, entry: &Entry) -> Result<(), Broken> {
        let Entry { number, before, time, cause, .. } = entry;
        if *number != self.entries {
            return Err(Broken::Number { found: *number, expected: self.entries });
        }
        if *before != self.history {
            return Err(Broken::History(*number));
        }
        let follows = match cause {
            Cause::Consumed { source, position } => *position >= self.cursor(source) && *position < u64::MAX,
            Cause::Amended { source, position, .. } => *position < self.cursor(source),
            Cause::Requested { key, .. } => self.answer(*key).is_none() && entry.orders.len() == 1,
            Cause::Elapsed => entry.orders.is_empty(),
        };
        if follows && *time >= self.time { Ok(()) } else { Err(Broken::Sequence(*number)) }
    }

    fn redo_bookings(&mut self, entry: &Entry, undo: &mut Vec<Undo>) -> Result<(), Broken> {
        for (transfer, booking) in (self.transfers..).zip(entry.bookings()) {
            if booking.transfer != transfer {
                return Err(Broken::Sequence(entry.number));
            }
            if !booking.is_balanced() {
                return Err(Broken::Unbalanced);
            }
            for effect in &booking.effects {
                self.perform(effect, undo)?;
            }
        }
        Ok(())
    }

    /// One change; how to take it back is added to `undo`.
    pub(crate) fn perform(&mut self, effect: &Effect, undo: &mut Vec<Undo>) -> Result<(), Broken> {
        match effect {
            Effect::Registered { asset, supply } => {
                if self.assets.contains_key(asset) {
                    return Err(Broken::Balance(Account::issuer(asset.clone())));
                }
                self.assets.insert(asset.clone(), Asset { supply: *supply });
                undo.push(Undo::Asset(asset.clone()));
            }
            Effect::Moved { account, amount, balance } => {
                let before = self.balance(account);
                let after = Balance { amount: before.amount.checked_add(*amount).unwrap_or(i64::MIN), ..before };
                let right = after.amount == *balance && (after.amount >= 0 || account.may_be_negative());
                if !right || !self.assets.contains_key(&account.asset) {
                    return Err(Broken::Balance(account.clone()));
                }
                self.set(account, before, after, undo);
            }
            Effect::Held { number, hold } => {
                let before = self.balance(&hold.from);
                let returning = before.returning.checked_add(hold.amount).ok_or(Broken::Hold(*number))?;
                if *number != self.holds_opened {
                    return Err(Broken::Hold(*number));
                }
                self.set(&hold.from, before, Balance { returning, ..before }, undo);
                self.holds_opened += 1;
                self.open(*number, hold.clone());
                undo.push(Undo::Opened(*number));
            }
            Effect::Closed { number, posted } => {
                let hold = self.holds.get(number).filter(|hold| hold.amount >= *posted).cloned();
                let hold = hold.ok_or(Broken::Hold(*number))?;
                let before = self.balance(&hold.from);
                let returning = before.returning.checked_sub(hold.amount).ok_or(Broken::Hold(*number))?;
                self.set(&hold.from, before, Balance { returning, ..before }, undo);
                self.holds.remove(number);
                self.holds_due.remove(&(hold.until, *number));
                undo.push(Undo::Closed(*number, hold));
            }
            Effect::Limited { account, limit } => {
                let before = self.balance(account);
                self.set(account, before, Balance { limit: *limit, ..before }, undo);
            }
            Effect::Frozen { account, frozen } => {
                let before = self.balance(account);
                self.set(account, before, Balance { frozen: *frozen, ..before }, undo);
            }
            Effect::Claimed { key, until } => {
                undo.push(Undo::Claim(*key, self.claims.get(key).copied()));
                self.claim(*key, Some(*until));
            }
            // History has it.
            Effect::Noted { .. } => (),
        }
        Ok(())
    }

    fn set(&mut self, account: &Account, before: Balance, after: Balance, undo: &mut Vec<Undo>) {
        undo.push(Undo::Account(account.clone(), before));
        self.put(account, after);
    }

    fn put(&mut self, account: &Account, balance: Balance) {
        // Traded items would leave an empty account with everybody who ever had them.
        if balance == Balance::default() {
            self.accounts.remove(account);
        } else if let Some(kept) = self.accounts.get_mut(account) {
            *kept = balance;
        } else {
            self.accounts.insert(account.clone(), balance);
        }
    }

    fn open(&mut self, number: u64, hold: Hold) {
        self.holds_due.insert((hold.until, number), ());
        self.holds.insert(number, hold);
    }

    fn claim(&mut self, key: u128, until: Option<Time>) {
        let before = match until {
            Some(until) => self.claims.insert(key, until),
            None => self.claims.remove(&key),
        };
        if let Some(before) = before {
            self.claims_due.remove(&(before, key));
        }
        // What never ends need not be looked for.
        if let Some(until) = until.filter(|until| *until != Time::NEVER) {
            self.claims_due.insert((until, key), ());
        }
    }

    /// Takes changes back, the last first, until `left` are left.
    pub(crate) fn take_back(&mut self, undo: &mut Vec<Undo>, left: usize) {
        for change in undo.drain(left..).rev() {
            match change {
                Undo::Asset(asset) => drop(self.assets.remove(&asset)),
                Undo::Account(account, before) => self.put(&account, before),
                Undo::Opened(number) => {
                    if let Some(hold) = self.holds.remove(&number) {
                        self.holds_due.remove(&(hold.until, number));
                    }
                    self.holds_opened = number;
                }
                Undo::Closed(number, hold) => self.open(number, hold),
                Undo::Claim(key, before) => self.claim(key, before),
            }
        }
    }

    /// What is behind the changes of an entry: counters, the cursor or the answer, and what time makes forgotten.
    pub(crate) fn finish(&mut self, entry: &Entry, bytes: &[u8]) {
        self.entries += 1;
        self.history = *blake3::hash(bytes).as_bytes();
        self.transfers += entry.bookings().count() as u64;
        self.time = entry.time;
        while let Some(key) = self.answers.first().map(|(key, _)| *key).filter(|key| key.forgotten_at() <= entry.time) {
            self.answers.remove(&key);
        }
        let first = |due: &Map<(Time, u128), ()>| due.first().map(|(first, ())| *first);
        while let Some((_, key)) = first(&self.claims_due).filter(|(until, _)| *until <= entry.time) {
            self.claim(key, None);
        }
        match (&entry.cause, entry.answer()) {
            (Cause::Consumed { source, position }, _) => drop(self.cursors.insert(source.clone(), position + 1)),
            (Cause::Requested { key, request }, Some(answer)) => {
                self.answers.insert(*key, Kept { request: *request, answer });
            }
            _ => (),
        }
    }

    /// Proves what always holds.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn audit(&self) -> Result<(), Broken> {
        let mut sums: BTreeMap<&Name, i128> = BTreeMap::new();
        let mut held: BTreeMap<Account, i128> = BTreeMap::new();
        let mut returning: BTreeMap<&Account, u128> = BTreeMap::new();
        for (number, hold) in &self.holds {
            *held.entry(hold.from.held()).or_default() += i128::from(hold.amount);
            *returning.entry(&hold.from).or_default() += u128::from(hold.amount);
            if *number >= self.holds_opened || hold.amount == 0 || !self.accounts.contains_key(&hold.from) {
                return Err(Broken::Hold(*number));
            }
        }
        for (account, balance) in &self.accounts {
            let Some(asset) = self.assets.get(&account.asset) else { return Err(Broken::Balance(account.clone())) };
            *sums.entry(&account.asset).or_default() += i128::from(balance.amount);
            let amount = i128::from(balance.amount);
            let comes_back = returning.get(account).copied().unwrap_or(0);
            let right = (amount >= 0 || account.may_be_negative())
                && (!account.is_held() || amount == held.remove(account).unwrap_or(0))
                && comes_back == u128::from(balance.returning)
                && amount + i128::from(balance.returning) <= i128::from(i64::MAX)
                && (!account.is_issuer() || asset.supply.is_none_or(|supply| -amount <= i128::from(supply)))
                && (!account.is_issuer() || account.owner == HOUSE);
            if !right {
                return Err(Broken::Balance(account.clone()));
            }
        }
        match (held.into_keys().next(), sums.values().all(|sum| *sum == 0)) {
            (Some(account), _) => Err(Broken::Balance(account)),
            (None, false) => Err(Broken::Unbalanced),
            (None, true) => Ok(()),
        }
    }

    /// BLAKE3 of all that is kept: equal for equal ledgers.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        self.checkpoint_to(|part| {
            hasher.update(part);
        });
        *hasher.finalize().as_bytes()
    }

    /// All that is kept, as bytes.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.checkpoint_to(|part| bytes.extend_from_slice(part));
        bytes
    }

    fn checkpoint_to(&self, mut sink: impl FnMut(&[u8])) {
        let mut sink = |part: &[u8]| -> Result<(), Infallible> {
            sink(part);
            Ok(())
        };
        let mut parts = Parts::new(PART_BYTES, &mut sink);
        let Ok(()) = self.put_parts(&mut parts).and_then(|()| parts.end());
    }

    /// The bytes of [`Self::checkpoint`], in parts.
    ///
    /// # Errors
    /// Those of whoever takes the parts.
    pub fn put_parts<E>(&self, parts: &mut Parts<'_, E>) -> Result<(), E> {
        parts.put(&FORMAT)?;
        parts.put(&self.entries)?;
        parts.put(&self.history)?;
        parts.put(&self.time)?;
        parts.put(&self.transfers)?;
        parts.put(&self.holds_opened)?;
        parts.put_map(&self.assets)?;
        parts.put_map(&self.accounts)?;
        parts.put_map(&self.holds)?;
        parts.put_map(&self.cursors)?;
        parts.put_map(&self.answers)?;
        parts.put_map(&self.claims)
    }

    /// A ledger as [`Self::checkpoint`] gave it, audited.
    pub fn restore(bytes: &[u8]) -> Result<Self, Broken> {
        let mut from = Bytes::new(bytes);
        if u8::take(&mut from)? != FORMAT {
            return Err(Broken::Bytes(0));
        }
        let state = Self::take(&mut from)?;
        from.end()?;
        state.audit()?;
        Ok(state)
    }
}

impl Booking {
    /// Whether what moves sums to zero for each asset.
    pub fn is_balanced(&self) -> bool {
        let mut sums: BTreeMap<&Name, i128> = BTreeMap::new();
        for effect in &self.effects {
            if let Effect::Moved { account, amount, .. } = effect {
                *sums.entry(&account.asset).or_default() += i128::from(*amount);
            }
        }
        sums.values().all(|sum| *sum == 0)
    }
}

impl Entry {
    /// The bytes that go to a log.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Reads an entry from a log.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Broken> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(Broken::Bytes(ENTRY_BYTES_MAX));
        }
        wire::from_bytes(bytes)
    }
}

impl State {
    /// What [`Self::put_parts`] gave, behind the format.
    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let mut state = Self {
            entries: Wire::take(from)?,
            history: Wire::take(from)?,
            time: Wire::take(from)?,
            transfers: Wire::take(from)?,
            holds_opened: Wire::take(from)?,
            assets: Wire::take(from)?,
            accounts: Wire::take(from)?,
            holds: Wire::take(from)?,
            cursors: Wire::take(from)?,
            answers: Wire::take(from)?,
            claims: Wire::take(from)?,
            ..Self::default()
        };
        state.holds_due = state.holds.iter().map(|(number, hold)| ((hold.until, *number), ())).collect();
        let due = state.claims.iter().filter(|(_, until)| **until != Time::NEVER);
        state.claims_due = due.map(|(key, until)| ((*until, *key), ())).collect();
        Ok(state)
    }
}
