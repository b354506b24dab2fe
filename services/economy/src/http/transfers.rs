//! Moving things for other services: many transfers in one call, each of them idempotent and decided alone.
//!
//! What it is for: prizes of a live event, fees, trades that both sides agreed to. A service that has much to do sends what waits
//! together, so that a thousand transfers cost one request and one commit.

use std::fmt;

use arbiter_ledger::account::MAIN;
use arbiter_ledger::{Account, Answer, Applied, Command, Key, Name, Order, Step, Time};
use arbiter_web::{Json, Problem, ServiceOnly};
use axum::extract::State;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refused;
use crate::catalogue::Catalogue;
use crate::desk::{Counter, House};
use crate::digest::Digest;
use crate::error::SubmitError;
use crate::uuid;

/// Transfers of one call at most: a commit's worth.
pub const TRANSFERS_MAX: usize = 1_024;

/// Moves of one transfer at most: a trade of 32 things for 32 others.
pub const MOVES_MAX: usize = 64;

/// Bytes of a call: as many transfers of two or three moves as it may have.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// What is to be moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfers {
    /// 1 to 1,024 transfers, in the order in which they are tried.
    transfers: Vec<Transfer>,
}

/// Moves that are made all or not at all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Transfer {
    /// A UUID of version 7 that names the transfer: sent again it is answered the same and done once, for 30 days.
    #[serde(deserialize_with = "read::<Uuid, _>")]
    #[schema(value_type = String, format = "uuid")]
    key: Uuid,
    /// The player whom it is about, who also owns the key; 0 for the house.
    #[serde(deserialize_with = "read::<u64, _>")]
    #[schema(value_type = String)]
    player: u64,
    /// Short name of the reason, which transactions show.
    #[serde(deserialize_with = "read::<Name, _>")]
    #[schema(value_type = String)]
    reason: Name,
    /// 1 to 64 moves.
    moves: Vec<Move>,
}

/// One move of an asset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Name of the asset.
    #[serde(deserialize_with = "read::<Name, _>")]
    #[schema(value_type = String)]
    asset: Name,
    /// How much of its smallest unit, at least 1, as a text.
    #[serde(deserialize_with = "read::<u64, _>")]
    #[schema(value_type = String)]
    amount: u64,
    /// From whom: a player's number, 0 for the house, and a bucket behind a slash if it is not what one can spend: `0/issuer`.
    #[serde(deserialize_with = "read::<Party, _>")]
    #[schema(value_type = String)]
    from: Party,
    /// To whom.
    #[serde(deserialize_with = "read::<Party, _>")]
    #[schema(value_type = String)]
    to: Party,
}

/// What became of the transfers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Moved {
    /// Of each, in their order.
    results: Vec<Outcome>,
}

/// What became of one transfer: it has a transaction, or a problem.
#[derive(Debug, Serialize, ToSchema)]
struct Outcome {
    /// Number of the transaction, if it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Move things
///
/// For services. Each transfer is done whole or refused, whatever becomes of the others, and all that is answered is on disk. A key
/// that was used before gets the answer of that time.
#[utoipa::path(post, path = "/transfers", tag = "economy", request_body = Transfers,
    responses((status = 200, body = Moved), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 413, body = Problem),
        (status = 503, body = Problem, description = "nobody knows what was done: send it again under the same keys")))]
pub(super) async fn transfer(
    _: ServiceOnly,
    State(counter): State<Counter>,
    Json(asked): Json<Transfers>,
) -> Result<Json<Moved>, Problem> {
    let commands = commands(asked)?;
    let decide = move |house: &mut House, _: &Catalogue, now: Time| -> Vec<Result<Applied, SubmitError>> {
        let decided = commands.iter().map(|command| house.submit(command, now).map(|told| told.applied));
        decided.collect()
    };
    let decided = counter.decide(decide).await?;
    Ok(Json(Moved { results: decided.into_iter().map(outcome).collect() }))
}

fn commands(asked: Transfers) -> Result<Vec<Command>, Problem> {
    if !(1..=TRANSFERS_MAX).contains(&asked.transfers.len()) {
        return Err(Problem::bad_request(format!("transfers: send 1 to {TRANSFERS_MAX} of them")));
    }
    let command = |(number, transfer): (usize, Transfer)| {
        command(transfer).map_err(|why| Problem::bad_request(format!("transfers[{number}].{why}")))
    };
    asked.transfers.into_iter().enumerate().map(command).collect()
}

fn command(transfer: Transfer) -> Result<Command, String> {
    let Transfer { key: Uuid(uuid), player, reason, moves } = transfer;
    let key = Key::new(player, uuid).ok_or("key: it is no UUID of version 7")?;
    if !(1..=MOVES_MAX).contains(&moves.len()) {
        return Err(format!("moves: send 1 to {MOVES_MAX} of them"));
    }
    let mut digest = Digest::new("arbiter economy 1 transfer").part(reason.as_str());
    for Move { asset, amount, from, to } in &moves {
        digest = digest.part(asset.as_str()).fixed(amount.to_le_bytes());
        digest = [from, to]
            .into_iter()
            .fold(digest, |digest, party| digest.fixed(party.owner.to_le_bytes()).part(party.bucket.as_str()));
    }
    let steps = moves.into_iter().map(|Move { asset, amount, from, to }| Step::Transfer {
        from: from.account(asset.clone()),
        to: to.account(asset),
        amount,
    });
    let order = Order { subject: player, reason, claim: None, steps: steps.collect() };
    Ok(Command::Request { key, request: digest.number(), order })
}

fn outcome(decided: Result<Applied, SubmitError>) -> Outcome {
    let transaction = decided.map_err(Problem::from).and_then(|applied| match applied.answer() {
        Some(Answer::Ok(receipt)) => Ok(receipt.transfer.to_string()),
        Some(Answer::Err(refusal)) => Err(refused(refusal)),
        None => Err(Problem::unavailable("the transfer was not answered: send it again", 1)),
    });
    match transaction {
        Ok(transaction) => Outcome { transaction: Some(transaction), problem: None },
        Err(problem) => Outcome { transaction: None, problem: Some(problem) },
    }
}

/// An owner and one of the owner's buckets.
#[derive(Debug)]
struct Party {
    owner: u64,
    bucket: Name,
}

impl Party {
    fn account(self, asset: Name) -> Account {
        Account { owner: self.owner, asset, bucket: self.bucket }
    }
}

/// The number of a UUID.
#[derive(Debug)]
struct Uuid(u128);

/// What is written as a text of its own.
trait Text: Sized {
    /// What is expected.
    const WHAT: &str;

    fn of(text: &str) -> Option<Self>;
}

impl Text for Uuid {
    const WHAT: &str = "a UUID";

    fn of(text: &str) -> Option<Self> {
        uuid::parse(text).map(Self)
    }
}

impl Text for u64 {
    const WHAT: &str = "a whole number as a text";

    fn of(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Text for Name {
    const WHAT: &str = "a name of 1 to 40 letters, digits, `.`, `_`, `:` and `-`";

    fn of(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Text for Party {
    const WHAT: &str = "a player's number as a text, with a bucket behind a slash or without";

    fn of(text: &str) -> Option<Self> {
        let (owner, bucket) = text.split_once('/').unwrap_or((text, MAIN));
        Some(Self { owner: owner.parse().ok()?, bucket: bucket.parse().ok()? })
    }
}

fn read<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Read<T>(std::marker::PhantomData<T>);

    impl<T: Text> Visitor<'_> for Read<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::WHAT)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::of(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    from.deserialize_str(Read(std::marker::PhantomData))
}
