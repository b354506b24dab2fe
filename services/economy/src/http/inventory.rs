//! What a player has, and wearing it.

use std::collections::BTreeMap;

use arbiter_ledger::{Name, Refusal, State as Ledger, Why};
use arbiter_web::{Caller, Json, Path, Problem, Query};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{After, RequestKey, receipt};
use crate::catalogue::Catalogue;
use crate::desk::{Counter, House};
use crate::inventory::{EquipError, Inventory};

/// All of a player's things.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Things {
    /// The player.
    player: String,
    /// By name.
    items: Vec<Thing>,
    /// What is worn: item by slot.
    worn: BTreeMap<String, String>,
    /// Places that are taken.
    places: u64,
    /// Places that there are; what is earned is given even beyond.
    places_max: u32,
    /// Number of the ledger's next entry.
    entry: u64,
    /// Position of the log of events before which everything is in it.
    position: u64,
}

/// An item.
#[derive(Debug, Serialize, ToSchema)]
struct Thing {
    /// Its name.
    item: String,
    /// How many there are, worn and held ones too.
    quantity: String,
    /// How many are held for something that is not over.
    held: String,
    /// Places that they take.
    places: u64,
    /// How many are owed: those that come in next pay it off.
    owed: String,
    /// How many lie in one place.
    stack: u32,
    /// The slot that it is worn in; missing if it is not worn.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<String>,
}

/// See what a player has
///
/// As it is on disk at this moment; what matches are worth follows the log of events, see `after`.
#[utoipa::path(get, path = "/inventory/{playerId}", tag = "inventory",
    params(("playerId" = u64, Path, description = "the player, who asks, or a service does"), After),
    responses((status = 200, body = Things), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn inventory(
    caller: Caller,
    State(counter): State<Counter>,
    Path(player): Path<u64>,
    Query(after): Query<After>,
) -> Result<Json<Things>, Problem> {
    caller.may_see(player)?;
    after.wait(&counter).await?;
    let position = counter.consumed();
    Ok(Json(counter.read(move |_, ledger, catalogue| things(ledger, catalogue, player, position)).await?))
}

fn things(ledger: &Ledger, catalogue: &Catalogue, player: u64, position: u64) -> Things {
    let inventory = Inventory::of(ledger, catalogue, player);
    let items = inventory.items.iter().map(|(name, owned)| {
        let item = catalogue.items.get(name);
        Thing {
            item: name.to_string(),
            quantity: owned.quantity.to_string(),
            held: owned.held.to_string(),
            places: owned.places,
            owed: owned.owed.to_string(),
            stack: item.map_or(1, |item| item.stack),
            slot: item.and_then(|item| item.slot.as_ref()).map(Name::to_string),
        }
    });
    Things {
        player: player.to_string(),
        items: items.collect(),
        worn: inventory.worn.iter().map(|(slot, item)| (slot.to_string(), item.to_string())).collect(),
        places: inventory.places(),
        places_max: catalogue.places_max,
        entry: ledger.entries(),
        position,
    }
}

/// What is to be worn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wear {
    /// Name of the item; null to wear nothing.
    item: Option<String>,
}

/// Wear an item, or nothing
///
/// What was worn in the slot goes back into the inventory, in the same step or not at all. The header `Idempotency-Key` names the
/// change, as for purchases.
#[utoipa::path(put, path = "/inventory/{playerId}/worn/{slot}", tag = "inventory", request_body = Wear,
    params(("playerId" = u64, Path, description = "the player, who asks"), ("slot" = String, Path),
        ("Idempotency-Key" = String, Header, description = "a UUID of version 7")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem, description = "there is no such item or slot"),
        (status = 409, body = Problem, description = "the item is not there, or is worn elsewhere"),
        (status = 503, body = Problem)))]
pub(super) async fn wear(
    caller: Caller,
    key: RequestKey,
    State(counter): State<Counter>,
    Path((player, slot)): Path<(u64, String)>,
    Json(asked): Json<Wear>,
) -> Result<StatusCode, Problem> {
    let own = caller.player()?;
    caller.may_see(player)?;
    let key = key.of(own)?;
    let name = |text: String| text.parse().map_err(|_| Problem::not_found(format!("there is no {text:?}")));
    let (slot, item): (Name, Option<Name>) = (name(slot)?, asked.item.map(name).transpose()?);
    let decide =
        move |house: &mut House, catalogue: &Catalogue, now| house.equip(catalogue, key, &slot, item.as_ref(), now);
    let applied = counter.write(decide).await?.map_err(problem)?;
    // Taking off what is not worn has no steps, and is done as soon as it is asked.
    let nothing_to_do = matches!(applied.answer(), Some(Err(Refusal { why: Why::Aside, .. })));
    if !nothing_to_do {
        receipt(&applied)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn problem(error: EquipError) -> Problem {
    let detail = error.to_string();
    match error {
        EquipError::NoSuchItem(_) | EquipError::NoSuchSlot(_) => Problem::not_found(detail),
        EquipError::Slot { .. } => Problem::conflict("other-slot", detail),
        EquipError::Submit(error) => error.into(),
    }
}
