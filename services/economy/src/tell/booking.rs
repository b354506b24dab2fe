//! What is told of an entry: booking by booking, first the accounts that are new, then what moved, what became of players' things and
//! which accounts were frozen, at last what it was for.

use std::collections::BTreeMap;

use arbiter_contracts::envelope::EVENT_BYTES_MAX;
use arbiter_contracts::{Event, v1};
use arbiter_ledger::account::HOUSE;
use arbiter_ledger::command::POSTINGS_MAX;
use arbiter_ledger::name::NAME_BYTES_MAX;
use arbiter_ledger::{Account, Booking, Cause, Effect, Entry, Name, Time};
use arbiter_views::FoldError;

use super::day;
use super::tables::{Became, Begun, Known, Owned, Tables};
use crate::catalogue;
use crate::desk::EVENTS;
use crate::notes::Note;
use crate::payments::{Noted, Reversal};
use crate::rewards::{self, DAY_MS, LATE_MS_MAX};
use crate::store::purchase_request;
use crate::things::Kind;

/// Bytes of a posting in an event at most: tag and length of it and of its account, an owner, two names and two amounts with
/// their tags, of which a number of 64 bits takes 10 bytes.
const POSTING_BYTES_MAX: usize = 2 + 2 + 11 + 2 * (2 + NAME_BYTES_MAX) + 2 * 11;

/// Bytes of all that stands around the postings at most, with room: names, attributes, the transfer and the reason.
const AROUND_BYTES_MAX: usize = 2 << 10;

// A booking is told whole.
const _: () = assert!(POSTINGS_MAX * POSTING_BYTES_MAX + AROUND_BYTES_MAX <= EVENT_BYTES_MAX);

/// An event and whom it is about.
type About = (String, Event);

/// All that is told of an entry. The tables are as the entry left them then.
pub(super) fn tell(tables: Tables<'_>, entry: &Entry) -> Result<Vec<About>, FoldError> {
    let mut told = Vec::new();
    if let Some(released) = &entry.released {
        Of { tables, entry, booking: released, subject: None }.tell(&mut told)?;
    }
    for outcome in &entry.orders {
        if let Ok(booking) = &outcome.result {
            Of { tables, entry, booking, subject: Some(outcome.subject) }.tell(&mut told)?;
        }
    }
    Ok(told)
}

/// One booking.
struct Of<'a> {
    tables: Tables<'a>,
    entry: &'a Entry,
    booking: &'a Booking,
    /// Whom its order was about; `None` for holds that came back by themselves.
    subject: Option<u64>,
}

/// Things of players that a booking touches, as they were before it.
type Things = BTreeMap<(u64, Name), Owned>;

/// Accounts that a booking freezes or frees, with whether they were frozen before it and are behind it.
type Frozen<'a> = BTreeMap<&'a Account, (bool, bool)>;

impl Of<'_> {
    fn tell(&self, told: &mut Vec<About>) -> Result<(), FoldError> {
        let things = self.things()?;
        let (postings, frozen) = self.accounts(told)?;
        let moved =
            postings.first().and_then(|posting| posting.account.as_ref()).map_or(HOUSE, |account| account.owner);
        if !postings.is_empty() {
            let (transfer, reason) = (self.booking.transfer, self.booking.reason.to_string());
            let event = v1::WalletChanged { transfer, postings, reason };
            told.push((accounts(self.subject.unwrap_or(moved)), event.into()));
        }
        for ((player, asset), before) in things {
            self.thing(player, &asset, &before, told)?;
        }
        for (account, (before, frozen)) in frozen {
            if before != frozen {
                let reason = self.booking.reason.to_string();
                let event = v1::AccountFrozen { account: Some(wire(account)), frozen, reason };
                told.push((accounts(account.owner), event.into()));
            }
        }
        told.extend(self.purchase());
        told.extend(self.grant());
        self.notes(told)
    }

    /// What players have of the things that the booking touches, before it does.
    fn things(&self) -> Result<Things, FoldError> {
        let mut things = Things::new();
        for (account, ..) in self.moved() {
            let key = (account.owner, account.asset.clone());
            if !things.contains_key(&key) && self.tables.is_a_players_thing(account)? {
                let owned = self.tables.owned(account.owner, &account.asset)?;
                things.insert(key, owned);
            }
        }
        Ok(things)
    }

    /// Writes down what the booking did to accounts; tells of those that are new.
    fn accounts(&self, told: &mut Vec<About>) -> Result<(Vec<v1::Posting>, Frozen<'_>), FoldError> {
        let (mut postings, mut frozen) = (Vec::new(), Frozen::new());
        for effect in &self.booking.effects {
            let account = match effect {
                Effect::Moved { account, .. } | Effect::Frozen { account, .. } | Effect::Limited { account, .. } => {
                    account
                }
                _ => continue,
            };
            let known = self.tables.account(account)?;
            if known.is_none() {
                let event = v1::AccountOpened { account: Some(wire(account)) };
                told.push((accounts(account.owner), event.into()));
            }
            let before = known.unwrap_or_default();
            let after = match effect {
                Effect::Moved { amount, balance, .. } => {
                    let (amount, balance) = (*amount, *balance);
                    postings.push(v1::Posting { account: Some(wire(account)), amount, balance });
                    Known { balance, ..before }
                }
                Effect::Frozen { frozen: is, .. } => {
                    frozen.entry(account).or_insert((before.frozen, *is)).1 = *is;
                    Known { frozen: *is, ..before }
                }
                _ => before,
            };
            self.tables.put_account(account, after)?;
        }
        Ok((postings, frozen))
    }

    /// What became of a player's thing, if anything did.
    fn thing(&self, player: u64, asset: &Name, before: &Owned, told: &mut Vec<About>) -> Result<(), FoldError> {
        let after = self.tables.owned(player, asset)?;
        if after != *before {
            let added = i128::from(after.quantity) - i128::from(before.quantity);
            let amount = i64::try_from(added).unwrap_or(if added < 0 { i64::MIN } else { i64::MAX });
            let (item, quantity, equipped) = (asset.to_string(), after.quantity, after.worn);
            let event = v1::InventoryChanged { player, item, amount, quantity, equipped };
            told.push((players(player), event.into()));
        }
        Ok(())
    }

    /// A purchase with the game's money: a request for the offer, whose first movement pays the price to the house.
    fn purchase(&self) -> Option<About> {
        let offer = self.booking.reason.as_str().strip_prefix(catalogue::REASON)?;
        let (Cause::Requested { request, .. }, Some(player)) = (&self.entry.cause, self.subject) else { return None };
        let (from, paid) = self.moved().next().filter(|_| *request == purchase_request(offer))?;
        let event = v1::PurchaseCompleted {
            purchase: u128::from(self.booking.transfer).to_be_bytes().to_vec(),
            player,
            offer: offer.to_owned(),
            asset: from.asset.to_string(),
            price: paid.unsigned_abs(),
        };
        Some((players(player), event.into()))
    }

    /// A reward for an event: what its player got first.
    fn grant(&self) -> Option<About> {
        let reward = self.booking.reason.as_str().strip_prefix(rewards::REASON)?;
        let (source, position) = match &self.entry.cause {
            Cause::Consumed { source, position } | Cause::Amended { source, position, .. } => (source, position),
            Cause::Requested { .. } | Cause::Elapsed => return None,
        };
        let player = self.subject.filter(|_| source.as_str() == EVENTS)?;
        let got = |(account, amount): &(&Account, i64)| account.is_main() && account.owner == player && *amount > 0;
        let (account, amount) = self.moved().find(got)?;
        let event = v1::GrantIssued {
            player,
            reward: reward.to_owned(),
            cause: format!("{EVENTS}/{position}"),
            window: self.window(),
            amount: amount.unsigned_abs(),
            asset: account.asset.to_string(),
        };
        Some((players(player), event.into()))
    }

    /// The day that a grant's claim is for; empty for one that is for its event.
    fn window(&self) -> String {
        let claimed = self.booking.effects.iter().find_map(|effect| match effect {
            Effect::Claimed { until, .. } => Some(*until),
            _ => None,
        });
        let of_a_day = claimed.filter(|until| *until != Time::NEVER);
        of_a_day.map_or_else(String::new, |Time(until)| day::text(until.saturating_sub(LATE_MS_MAX + DAY_MS) / DAY_MS))
    }

    /// What services wrote down of the booking.
    fn notes(&self, told: &mut Vec<About>) -> Result<(), FoldError> {
        for effect in &self.booking.effects {
            let Effect::Noted { bytes } = effect else { continue };
            match Note::read(bytes).map_err(|broken| FoldError::Stopped(broken.to_string()))? {
                Some(Note::Kinds(kinds)) => {
                    for Kind { asset, item } in kinds {
                        self.tables.put_item(&asset, item.is_some())?;
                    }
                }
                Some(Note::Payment(noted)) => told.extend(self.payment(&noted)?),
                None => {}
            }
        }
        Ok(())
    }

    fn payment(&self, noted: &Noted) -> Result<Option<About>, FoldError> {
        match noted {
            Noted::Begun { payment, player, terms } => {
                self.tables.begin_payment(*payment, *player, terms, self.entry.time.0)?;
            }
            Noted::Paid { payment, delivered: true } | Noted::Delivered { payment } => {
                let begun = self.tables.payment(*payment)?;
                self.tables.put_payment(*payment, Became::Delivered)?;
                return Ok(begun.map(|begun| completed(*payment, begun)));
            }
            Noted::Paid { payment, delivered: false } => self.tables.put_payment(*payment, Became::Nothing)?,
            Noted::Reversed { payment, reversal, .. } => {
                let Some(begun) = self.tables.payment(*payment)?.filter(|begun| begun.delivered) else {
                    self.tables.put_payment(*payment, Became::Nothing)?;
                    return Ok(None);
                };
                self.tables.put_payment(*payment, Became::TakenBack)?;
                return Ok(Some(self.reversed(*payment, *reversal, begun.player)));
            }
            Noted::Failed { .. } | Noted::Aside { .. } | Noted::Closed { .. } => {}
        }
        Ok(None)
    }

    fn reversed(&self, payment: u128, reversal: Reversal, player: u64) -> About {
        let mut debts = BTreeMap::<&Name, i128>::new();
        for (account, amount) in self.moved().filter(|(account, _)| account.is_debt() && account.owner == player) {
            *debts.entry(&account.asset).or_default() -= i128::from(amount);
        }
        let debts = debts.into_iter().filter_map(|(asset, amount)| {
            let amount = u64::try_from(amount).ok().filter(|amount| *amount > 0)?;
            Some(v1::Amount { asset: asset.to_string(), amount })
        });
        let event = v1::PurchaseReversed {
            purchase: payment.to_be_bytes().to_vec(),
            player,
            chargeback: reversal == Reversal::ChargedBack,
            owed: 0,
            debts: debts.collect(),
        };
        (players(player), event.into())
    }

    /// What moved, in its order.
    fn moved(&self) -> impl Iterator<Item = (&Account, i64)> {
        self.booking.effects.iter().filter_map(|effect| match effect {
            Effect::Moved { account, amount, .. } => Some((account, *amount)),
            _ => None,
        })
    }
}

fn completed(payment: u128, begun: Begun) -> About {
    let Begun { player, product: offer, currency: asset, price, .. } = begun;
    let purchase = payment.to_be_bytes().to_vec();
    (players(player), v1::PurchaseCompleted { purchase, player, offer, asset, price }.into())
}

fn wire(account: &Account) -> v1::Account {
    let Account { owner, asset, bucket } = account;
    v1::Account { owner: *owner, asset: asset.to_string(), bucket: bucket.to_string() }
}

fn accounts(owner: u64) -> String {
    format!("accounts/{owner}")
}

fn players(player: u64) -> String {
    format!("players/{player}")
}
