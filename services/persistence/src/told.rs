//! Events as JSON, for the history. The names are those of `docs/events.md`; players and amounts are texts, since their
//! numbers may be larger than what a JavaScript number holds, and so are the numbers of purchases and matches, in
//! hexadecimal digits.

use arbiter_contracts::v1::{Account, Amount, CauseKind, LeaveReason, Outcome, Posting};
use arbiter_contracts::{Event, v1};
use serde_json::{Value, json};

/// The payload of an event.
pub fn told(event: &Event) -> Value {
    match event {
        Event::MatchStarted(e) => json!({ "match": hex(&e.r#match), "map": e.map, "mode": e.mode,
            "tick_rate": e.tick_rate, "rules_hash": hex(&e.rules_hash) }),
        Event::MatchEnded(e) => json!({ "match": hex(&e.r#match), "outcome": outcome(e.outcome), "winner": e.winner,
            "ticks": e.ticks, "results": e.results.iter().map(result).collect::<Vec<_>>(),
            "recording_hash": hex(&e.recording_hash) }),
        Event::RoundStarted(e) => json!({ "match": hex(&e.r#match), "round": e.round }),
        Event::RoundEnded(e) => json!({ "match": hex(&e.r#match), "round": e.round, "outcome": outcome(e.outcome),
            "winner": e.winner }),
        Event::PlayerJoined(e) => json!({ "match": hex(&e.r#match), "player": number(e.player), "slot": e.slot,
            "team": e.team, "hero": e.hero }),
        Event::PlayerLeft(e) => json!({ "match": hex(&e.r#match), "player": number(e.player), "slot": e.slot,
            "reason": leave_reason(e.reason) }),
        Event::PlayerKilled(e) => json!({ "match": hex(&e.r#match), "victim": number(e.victim),
            "victim_slot": e.victim_slot, "killer": number(e.killer), "killer_slot": e.killer_slot,
            "assist_slot": e.assist_slot, "cause": cause(e.cause), "cause_number": e.cause_number,
            "headshot": e.headshot }),
        Event::ObjectiveCaptured(e) => json!({ "match": hex(&e.r#match), "objective": e.objective, "team": e.team }),
        Event::LootTaken(e) => json!({ "match": hex(&e.r#match), "player": number(e.player), "slot": e.slot,
            "pickup": e.pickup }),
        Event::AchievementProgressed(e) => json!({ "match": hex(&e.r#match), "player": number(e.player),
            "achievement": e.achievement, "added": e.added }),
        Event::AnomalyDetected(e) => json!({ "match": hex(&e.r#match), "player": number(e.player), "kind": e.kind,
            "amount": e.amount }),
        Event::BodyQuarantined(e) => json!({ "match": hex(&e.r#match), "entity": e.entity }),
        Event::RoomRecovered(e) => json!({ "match": hex(&e.r#match), "resumed_at_tick": e.resumed_at_tick,
            "ticks_replayed": e.ticks_replayed }),
        Event::Custom(e) => json!({ "match": hex(&e.r#match), "kind": e.kind, "a": e.a, "b": e.b }),
        Event::AccountOpened(e) => json!({ "account": account(&e.account) }),
        Event::AccountFrozen(e) => json!({ "account": account(&e.account), "frozen": e.frozen, "reason": e.reason }),
        Event::WalletChanged(e) => json!({ "transfer": number(e.transfer),
            "postings": e.postings.iter().map(posting).collect::<Vec<_>>(), "reason": e.reason }),
        Event::InventoryChanged(e) => json!({ "player": number(e.player), "item": e.item,
            "amount": e.amount.to_string(), "quantity": number(e.quantity), "equipped": e.equipped }),
        Event::PurchaseCompleted(e) => json!({ "purchase": hex(&e.purchase), "player": number(e.player),
            "offer": e.offer, "asset": e.asset, "price": number(e.price) }),
        Event::PurchaseReversed(e) => json!({ "purchase": hex(&e.purchase), "player": number(e.player),
            "chargeback": e.chargeback, "owed": e.debts.iter().map(amount).collect::<Vec<_>>() }),
        Event::GrantIssued(e) => json!({ "player": number(e.player), "reward": e.reward, "cause": e.cause,
            "window": e.window, "amount": number(e.amount), "asset": e.asset }),
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number that may be larger than 2^53.
pub fn number(number: u64) -> String {
    number.to_string()
}

/// `won`, `draw`, `abandoned`; `unknown` for what this build has no word for.
pub fn outcome(number: i32) -> &'static str {
    match Outcome::try_from(number) {
        Ok(Outcome::Won) => "won",
        Ok(Outcome::Draw) => "draw",
        Ok(Outcome::Abandoned) => "abandoned",
        Ok(Outcome::Unspecified) | Err(_) => "unknown",
    }
}

/// `weapon`, `ability`, `effect`, `prop`, `world`; `unknown` for what this build has no word for.
pub fn cause(number: i32) -> &'static str {
    match CauseKind::try_from(number) {
        Ok(CauseKind::Weapon) => "weapon",
        Ok(CauseKind::Ability) => "ability",
        Ok(CauseKind::Effect) => "effect",
        Ok(CauseKind::Prop) => "prop",
        Ok(CauseKind::World) => "world",
        Ok(CauseKind::Unspecified) | Err(_) => "unknown",
    }
}

fn leave_reason(number: i32) -> &'static str {
    match LeaveReason::try_from(number) {
        Ok(LeaveReason::Left) => "left",
        Ok(LeaveReason::Timeout) => "timeout",
        Ok(LeaveReason::Kicked) => "kicked",
        Ok(LeaveReason::MatchEnded) => "match_ended",
        Ok(LeaveReason::Unspecified) | Err(_) => "unknown",
    }
}

fn result(r: &v1::PlayerResult) -> Value {
    json!({ "player": number(r.player), "slot": r.slot, "team": r.team, "won": r.won, "score": r.score,
        "kills": r.kills, "deaths": r.deaths, "assists": r.assists, "ticks_played": r.ticks_played })
}

fn account(account: &Option<Account>) -> Value {
    account.as_ref().map_or(
        Value::Null,
        |account| json!({ "owner": number(account.owner), "asset": account.asset, "bucket": account.bucket }),
    )
}

fn posting(posting: &Posting) -> Value {
    let Posting { account: of, amount, balance } = posting;
    json!({ "account": account(of), "amount": amount.to_string(), "balance": balance.to_string() })
}

fn amount(amount: &Amount) -> Value {
    json!({ "asset": amount.asset, "amount": number(amount.amount) })
}
