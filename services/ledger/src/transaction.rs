//! The rules, one step at a time, on a state that can be put back. What a rule allows becomes an [`Effect`], and only effects
//! change the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::HOUSE;
use crate::command::{Claim, HOLD_MS_MAX, HOLDS_MAX, NOTE_BYTES_MAX, Order, POSTINGS_MAX, Step};
use crate::entry::{Booking, Effect};
use crate::name::{Name, RELEASE, fixed};
use crate::refusal::{Refusal, Why};
use crate::state::{Asset, Hold, State, Undo};
use crate::{Account, Time};

/// Changes that may still be taken back.
pub(crate) struct Transaction<'a> {
    pub state: &'a mut State,
    pub now: Time,
    undo: Vec<Undo>,
    /// Of the booking that is being made.
    effects: Vec<Effect>,
    /// Bookings made.
    bookings: u64,
}

impl<'a> Transaction<'a> {
    pub fn begin(state: &'a mut State, now: Time) -> Self {
        Self { state, now, undo: Vec::new(), effects: Vec::new(), bookings: 0 }
    }

    /// Takes everything back.
    pub fn abandon(mut self) {
        self.state.take_back(&mut self.undo, 0);
    }

    /// All of an order, or nothing.
    pub fn order(&mut self, order: &Order) -> Result<Booking, Refusal> {
        let before = self.undo.len();
        match self.steps(order).and_then(|()| self.settle_order(order)) {
            Ok(()) => Ok(self.book(order.reason.clone())),
            Err(refusal) => {
                self.state.take_back(&mut self.undo, before);
                self.effects.clear();
                Err(refusal)
            }
        }
    }

    /// Brings back the holds whose time has come, the earliest first, at most `most` of them.
    pub fn release(&mut self, most: usize) -> Option<Booking> {
        let due = self.state.holds_due.iter().map(|(due, ())| *due).take_while(|(until, _)| *until <= self.now);
        let due: Vec<u64> = due.take(most).map(|(_, number)| number).collect();
        if due.is_empty() {
            return None;
        }
        for number in due {
            let hold = self.state.hold(number).cloned();
            let hold = hold.unwrap_or_else(|| unreachable!("hold {number} is due and not open"));
            self.close(number, &hold, 0);
        }
        self.settle();
        Some(self.book(fixed(RELEASE)))
    }

    fn book(&mut self, reason: Name) -> Booking {
        let transfer = self.state.transfers + self.bookings;
        self.bookings += 1;
        let booking = Booking { transfer, reason, effects: std::mem::take(&mut self.effects) };
        // A ledger that is wrong must stop, not go on.
        assert!(booking.is_balanced(), "a booking does not sum to zero: {booking:?}");
        booking
    }

    /// Pays what is owed, and refuses an order that moves more than one booking may.
    fn settle_order(&mut self, order: &Order) -> Result<(), Refusal> {
        self.settle();
        let postings = self.effects.iter().filter(|effect| matches!(effect, Effect::Moved { .. })).count();
        let last = order.steps.len().saturating_sub(1) as u32;
        if postings > POSTINGS_MAX { Err(Refusal { step: last, why: Why::TooManyPostings }) } else { Ok(()) }
    }

    /// Pays what is owed out of what came in: whatever an owner got to spend goes to their debt in that asset first, be the account
    /// frozen or not. An order that touches the debt itself has said what becomes of it.
    fn settle(&mut self) {
        let (mut came, mut said) = (BTreeMap::<Account, i128>::new(), BTreeSet::new());
        for effect in &self.effects {
            let Effect::Moved { account, amount, .. } = effect else { continue };
            if account.is_debt() {
                said.insert(account.clone());
            } else if account.is_main() {
                *came.entry(account.clone()).or_default() += i128::from(*amount);
            }
        }
        for (main, came) in came.into_iter().filter(|(_, came)| *came > 0) {
            let debt = Account::debt(main.owner, main.asset.clone());
            let owed = self.state.balance(&debt);
            // Hardly anybody owes anything.
            if owed.amount >= 0 {
                continue;
            }
            let there = self.state.balance(&main).amount;
            let owes = i64::try_from(owed.amount.unsigned_abs()).unwrap_or(i64::MAX);
            let paid = i64::try_from(came).unwrap_or(i64::MAX).min(there).min(owes);
            if !owed.frozen && paid > 0 && !said.contains(&debt) {
                self.moved(&main, -paid);
                self.moved(&debt, paid);
            }
        }
    }

    fn steps(&mut self, order: &Order) -> Result<(), Refusal> {
        let at = |step: usize| move |why| Refusal { step: step as u32, why };
        self.claim(order.claim).map_err(at(0))?;
        if order.steps.is_empty() {
            return Err(at(0)(Why::Aside));
        }
        order.steps.iter().enumerate().try_for_each(|(number, step)| self.step(step).map_err(at(number)))
    }

    fn claim(&mut self, claim: Option<Claim>) -> Result<(), Why> {
        let Some(Claim { key, until }) = claim else { return Ok(()) };
        if self.state.claimed(key).is_some_and(|until| until > self.now) {
            return Err(Why::Claimed);
        }
        if until <= self.now {
            return Err(Why::ClaimOver);
        }
        self.perform(Effect::Claimed { key, until });
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Why> {
        match step {
            Step::Register { asset, supply } => self.register(asset, *supply),
            Step::Transfer { from, to, amount } => self.transfer(from, to, *amount),
            Step::Hold { from, to, amount, until } => {
                self.hold(Hold { from: from.clone(), to: to.clone(), amount: *amount, until: *until })
            }
            Step::Post { hold, amount } => self.post(*hold, *amount),
            Step::Void { hold } => {
                let open = self.open_hold(*hold)?;
                self.close(*hold, &open, 0);
                Ok(())
            }
            Step::Limit { account, limit } => {
                self.legal(account)?;
                self.perform(Effect::Limited { account: account.clone(), limit: *limit });
                Ok(())
            }
            Step::Freeze { account, frozen } => {
                self.legal(account)?;
                self.perform(Effect::Frozen { account: account.clone(), frozen: *frozen });
                Ok(())
            }
            Step::Note { bytes } => {
                if bytes.is_empty() || bytes.len() > NOTE_BYTES_MAX {
                    return Err(Why::NoteSize);
                }
                self.perform(Effect::Noted { bytes: bytes.clone() });
                Ok(())
            }
        }
    }

    fn register(&mut self, asset: &Name, supply: Option<u64>) -> Result<(), Why> {
        match self.state.asset(asset) {
            Some(known) if known.supply == supply => Ok(()),
            Some(_) => Err(Why::AssetExists),
            None => {
                self.perform(Effect::Registered { asset: asset.clone(), supply });
                Ok(())
            }
        }
    }

    fn transfer(&mut self, from: &Account, to: &Account, amount: u64) -> Result<(), Why> {
        let moved = self.between(from, to, amount)?;
        // They are two accounts: what is taken from one changes nothing of the other.
        let (there, here) = (self.may_take(from, moved)?, self.may_put(to, moved)?);
        self.moved_from(from, there, -moved);
        self.moved_from(to, here, moved);
        Ok(())
    }

    fn hold(&mut self, hold: Hold) -> Result<(), Why> {
        let moved = self.between(&hold.from, &hold.to, hold.amount)?;
        if hold.from.may_be_negative() {
            return Err(Why::Bucket);
        }
        if hold.until <= self.now || hold.until > self.now.after(HOLD_MS_MAX) {
            return Err(Why::HoldTime);
        }
        if self.state.holds.len() >= HOLDS_MAX {
            return Err(Why::TooManyHolds);
        }
        self.may_take(&hold.from, moved)?;
        let held = hold.from.held();
        self.state.balance(&held).amount.checked_add(moved).ok_or(Why::Limit)?;
        self.moved(&hold.from, -moved);
        self.moved(&held, moved);
        self.perform(Effect::Held { number: self.state.holds_opened, hold });
        Ok(())
    }

    fn open_hold(&self, number: u64) -> Result<Hold, Why> {
        let hold = self.state.hold(number).ok_or(Why::UnknownHold)?;
        if hold.until <= self.now { Err(Why::HoldOver) } else { Ok(hold.clone()) }
    }

    fn post(&mut self, number: u64, amount: Option<u64>) -> Result<(), Why> {
        let hold = self.open_hold(number)?;
        let amount = amount.unwrap_or(hold.amount);
        if amount == 0 || amount > hold.amount {
            return Err(Why::MoreThanHeld);
        }
        if self.state.balance(&hold.from).frozen {
            return Err(Why::Frozen);
        }
        let moved = i64::try_from(amount).map_err(|_| Why::Amount)?;
        self.may_put(&hold.to, moved)?;
        self.close(number, &hold, amount);
        Ok(())
    }

    /// Closes a hold; `posted` of it goes where it was meant to go, the rest comes back, to a frozen account too.
    fn close(&mut self, number: u64, hold: &Hold, posted: u64) {
        self.perform(Effect::Closed { number, posted });
        // A hold's amount was moved once already, so that it fits.
        let whole = hold.amount as i64;
        let posted = posted as i64;
        self.moved(&hold.from.held(), -whole);
        for (account, amount) in [(&hold.to, posted), (&hold.from, whole - posted)] {
            if amount > 0 {
                self.moved(account, amount);
            }
        }
    }

    /// The amount, if it may go between two accounts at all.
    fn between(&self, from: &Account, to: &Account, amount: u64) -> Result<i64, Why> {
        let moved = i64::try_from(amount).ok().filter(|moved| *moved > 0).ok_or(Why::Amount)?;
        if from.asset != to.asset {
            return Err(Why::AssetsDiffer);
        }
        if from == to {
            return Err(Why::SameAccount);
        }
        self.legal(from)?;
        self.legal(to)?;
        Ok(moved)
    }

    fn legal(&self, account: &Account) -> Result<Asset, Why> {
        let asset = self.state.asset(&account.asset).ok_or(Why::UnknownAsset)?;
        let strange_issuer = account.is_issuer() && account.owner != HOUSE;
        // Who owed a unique item would make a second one.
        let owed = account.is_debt() && asset.supply.is_some();
        if account.is_held() || strange_issuer || owed { Err(Why::Bucket) } else { Ok(asset) }
    }

    /// Whether so much may be taken from an account, which has what is returned.
    fn may_take(&self, account: &Account, moved: i64) -> Result<i64, Why> {
        let balance = self.state.balance(account);
        if balance.frozen {
            return Err(Why::Frozen);
        }
        let after = balance.amount.checked_sub(moved).ok_or(Why::Limit)?;
        if after >= 0 {
            return Ok(balance.amount);
        }
        if !account.may_be_negative() {
            return Err(Why::NotEnough);
        }
        let supply = self.state.asset(&account.asset).and_then(|asset| asset.supply);
        if account.is_issuer() && supply.is_some_and(|supply| after.unsigned_abs() > supply) {
            return Err(Why::Supply);
        }
        let beyond = balance.limit.is_some_and(|limit| after.unsigned_abs() > limit);
        if beyond { Err(Why::Limit) } else { Ok(balance.amount) }
    }

    /// Whether so much may be put into an account, which has what is returned.
    fn may_put(&self, account: &Account, moved: i64) -> Result<i64, Why> {
        let balance = self.state.balance(account);
        if balance.frozen {
            return Err(Why::Frozen);
        }
        let after = balance.amount.checked_add(moved).ok_or(Why::Limit)?;
        let with_returning = i64::try_from(balance.returning).ok().and_then(|returning| after.checked_add(returning));
        let most = with_returning.ok_or(Why::Limit)?;
        let beyond = most > 0 && balance.limit.is_some_and(|limit| most.unsigned_abs() > limit);
        if beyond { Err(Why::Limit) } else { Ok(balance.amount) }
    }

    fn moved(&mut self, account: &Account, amount: i64) {
        self.moved_from(account, self.state.balance(account).amount, amount);
    }

    /// The same for an account of which it is known what is there.
    fn moved_from(&mut self, account: &Account, before: i64, amount: i64) {
        // Whoever calls has checked it; what does not fit is refused by the state.
        let balance = before.saturating_add(amount);
        self.perform(Effect::Moved { account: account.clone(), amount, balance });
    }

    fn perform(&mut self, effect: Effect) {
        if let Err(broken) = self.state.perform(&effect, &mut self.undo) {
            // The rules above allowed what cannot be: a ledger that is wrong must stop, not go on.
            panic!("{broken} after {effect:?}");
        }
        self.effects.push(effect);
    }
}
