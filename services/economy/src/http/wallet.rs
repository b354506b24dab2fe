//! What a player can spend, and how that came to be.

use std::collections::BTreeMap;
use std::time::Duration;

use arbiter_ledger::account::{DEBT, HELD, MAIN};
use arbiter_ledger::{Name, State as Ledger};
use arbiter_views::Queries;
use arbiter_web::{Caller, Json, Path, Problem, Query};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::After;
use crate::catalogue::Catalogue;
use crate::desk::Counter;
use crate::transactions::{Movement, before};

/// A player's money.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Wallet {
    /// The player.
    player: String,
    /// By asset.
    balances: Vec<Balance>,
    /// Number of the ledger's next entry: it grows with every change of any wallet.
    entry: u64,
    /// Position of the log of events before which everything is in it.
    position: u64,
}

/// How much there is of one asset, in its smallest unit, as texts.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Balance {
    /// Name of the asset.
    asset: String,
    /// What can be spent.
    amount: String,
    /// What is held for something that is not over.
    held: String,
    /// What is owed.
    owed: String,
}

/// See what a player can spend
///
/// As it is on disk at this moment; what matches are worth follows the log of events, see `after`.
#[utoipa::path(get, path = "/wallet/{playerId}", tag = "wallet",
    params(("playerId" = u64, Path, description = "the player, who asks, or a service does"), After),
    responses((status = 200, body = Wallet), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn wallet(
    caller: Caller,
    State(counter): State<Counter>,
    Path(player): Path<u64>,
    Query(after): Query<After>,
) -> Result<Json<Wallet>, Problem> {
    caller.may_see(player)?;
    after.wait(&counter).await?;
    let position = counter.consumed();
    let look = move |_: &_, ledger: &Ledger, catalogue: &Catalogue| {
        let (balances, entry) = (balances(ledger, catalogue, player), ledger.entries());
        Wallet { player: player.to_string(), balances, entry, position }
    };
    Ok(Json(counter.read(look).await?))
}

fn balances(ledger: &Ledger, catalogue: &Catalogue, player: u64) -> Vec<Balance> {
    let mut by_asset: BTreeMap<&Name, [i64; 3]> = BTreeMap::new();
    for (account, balance) in ledger.accounts_of(player) {
        let bucket = [MAIN, HELD, DEBT].iter().position(|bucket| account.bucket.as_str() == *bucket);
        if let Some(bucket) = bucket.filter(|_| !catalogue.items.contains_key(&account.asset)) {
            by_asset.entry(&account.asset).or_default()[bucket] = balance.amount;
        }
    }
    let balance = |(asset, [amount, held, owed]): (&Name, [i64; 3])| Balance {
        asset: asset.to_string(),
        amount: amount.to_string(),
        held: held.to_string(),
        owed: owed.unsigned_abs().to_string(),
    };
    by_asset.into_iter().map(balance).collect()
}

/// What moved on a player's accounts, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Transactions {
    /// The player.
    player: String,
    /// The movements.
    movements: Vec<Shown>,
    /// What to send as `cursor` for those before; missing if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Number of the ledger's entry before which everything is in it.
    entry: u64,
}

/// One movement.
#[derive(Debug, Serialize, ToSchema)]
struct Shown {
    /// Number of the transaction: all that moved at once.
    transaction: String,
    /// When, in milliseconds since 1970.
    time: u64,
    /// Why: `grant:` and a reward, `purchase:` and an offer, `equip` and so on.
    reason: String,
    /// Name of the asset.
    asset: String,
    /// Which of the player's buckets.
    bucket: String,
    /// Added; negative for taken.
    amount: String,
    /// What was there then.
    balance: String,
    /// Position of the event that it is for, if one led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<u64>,
}

/// Which transactions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Where to go on: the `cursor` of the answer before.
    cursor: Option<String>,
    /// How many at most, 1 to 200.
    #[serde(default = "Page::usual")]
    #[param(minimum = 1, maximum = 200)]
    limit: u16,
    /// Number of an entry: the answer has all entries before it, as wallets and purchases say them.
    after: Option<u64>,
}

impl Page {
    fn usual() -> u16 {
        50
    }
}

/// Movements of one answer at most.
const PAGE_MAX: u16 = 200;

/// How long a request waits for an entry to be shown.
const AFTER_MAX: Duration = Duration::from_secs(1);

/// See what moved on a player's accounts
///
/// Eventual: some milliseconds behind the ledger; `after` waits for an entry. The newest come first, and what happens meanwhile does
/// not move the pages.
#[utoipa::path(get, path = "/wallet/{playerId}/transactions", tag = "wallet",
    params(("playerId" = u64, Path, description = "the player, who asks, or a service does"), Page),
    responses((status = 200, body = Transactions), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn transactions(
    caller: Caller,
    State(view): State<Queries>,
    Path(player): Path<u64>,
    Query(page): Query<Page>,
) -> Result<Json<Transactions>, Problem> {
    caller.may_see(player)?;
    if !(1..=PAGE_MAX).contains(&page.limit) {
        return Err(Problem::bad_request(format!("limit: {} is not from 1 to {PAGE_MAX}", page.limit)));
    }
    let from = page.cursor.as_deref().map(read_cursor).transpose()?;
    if let Some(after) = page.after {
        let reached = view.reached(after, AFTER_MAX).await;
        reached.map_err(|not_yet| Problem::unavailable(not_yet.to_string(), 1))?;
    }
    let limit = usize::from(page.limit);
    let asked = tokio::task::spawn_blocking(move || {
        view.read(|moment| Ok((before(moment.connection, player, from, limit + 1)?, moment.position)))
    });
    let asked = asked.await.map_err(|error| Problem::unavailable(error.to_string(), 1))?;
    let (mut found, entry) = asked.map_err(|error| Problem::unavailable(error.to_string(), 1))?;
    let more = found.len() > limit;
    found.truncate(limit);
    let cursor = found.last().filter(|_| more).map(|last| format!("{}-{}", last.at.0, last.at.1));
    let movements = found.into_iter().map(shown).collect();
    Ok(Json(Transactions { player: player.to_string(), movements, cursor, entry }))
}

fn read_cursor(text: &str) -> Result<(u64, u32), Problem> {
    let parts = text.split_once('-');
    let read = parts.and_then(|(entry, number)| Some((entry.parse().ok()?, number.parse().ok()?)));
    let known = read.filter(|(entry, _): &(u64, u32)| i64::try_from(*entry).is_ok());
    known.ok_or_else(|| Problem::bad_request("cursor: send the cursor of the answer before as it was"))
}

fn shown(movement: Movement) -> Shown {
    Shown {
        transaction: movement.transaction.to_string(),
        time: movement.time,
        reason: movement.reason,
        asset: movement.asset,
        bucket: movement.bucket,
        amount: movement.amount.to_string(),
        balance: movement.balance.to_string(),
        event: movement.event,
    }
}
