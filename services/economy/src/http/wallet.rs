//! What a player can spend.

use arbiter_ledger::account::{DEBT, HELD, MAIN};
use arbiter_ledger::{Name, State as Ledger};
use arbiter_web::{Caller, Json, Path, Problem, Query};
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::After;
use crate::catalogue::Catalogue;
use crate::desk::Counter;

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
