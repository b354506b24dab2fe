//! Whom an event is about, and what of it is applied for whom.

use std::collections::BTreeSet;

use arbiter_contracts::Event;
use arbiter_contracts::v1::{
    AchievementProgressed, LootTaken, MatchEnded, MatchStarted, PlayerJoined, PlayerKilled, WalletChanged,
};

/// Bytes of a match's id.
pub const MATCH_BYTES: usize = 16;

/// Kills, as the number of `what` in the tallies.
pub const KILLS: i64 = 1;

/// Deaths, as the number of `what` in the tallies.
pub const DEATHS: i64 = 2;

/// Things picked up, as the number of `what` in the tallies.
pub const LOOT: i64 = 3;

/// What is applied or refused as a whole.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The match began.
    Started(&'a MatchStarted),
    /// The match ended, and what bots and guests did in it.
    Ended(&'a MatchEnded),
    /// What a player did in a match that ended.
    Result(&'a MatchEnded),
    /// A player came into a match.
    Joined(&'a PlayerJoined),
    /// A player died.
    Died(&'a PlayerKilled),
    /// A player killed another one.
    Killed(&'a PlayerKilled),
    /// A player picked something up.
    Looted(&'a LootTaken),
    /// A player came closer to an achievement.
    Progressed(&'a AchievementProgressed),
}

/// The parts of an event that are applied for one player, or for the match if the player is 0.
pub fn parts(event: &Event, player: u64) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut own = |whose: u64, part| {
        if whose == player {
            parts.push(part);
        }
    };
    match event {
        Event::MatchStarted(started) => own(0, Part::Started(started)),
        Event::MatchEnded(ended) => {
            own(0, Part::Ended(ended));
            if player != 0 && ended.results.iter().any(|result| result.player == player) {
                own(player, Part::Result(ended));
            }
        }
        // Bots and guests are nobody who could be looked up.
        _ if player == 0 => {}
        Event::PlayerJoined(joined) => own(joined.player, Part::Joined(joined)),
        Event::PlayerKilled(killed) => {
            own(killed.victim, Part::Died(killed));
            if killed.killer != killed.victim {
                own(killed.killer, Part::Killed(killed));
            }
        }
        Event::LootTaken(taken) => own(taken.player, Part::Looted(taken)),
        Event::AchievementProgressed(progressed) => own(progressed.player, Part::Progressed(progressed)),
        _ => {}
    }
    parts
}

/// For whom parts of an event are applied, the match (0) first, since the others may need it.
pub fn concerned(event: &Event) -> BTreeSet<u64> {
    let mut all = involved(event);
    all.insert(0);
    all.retain(|player| !parts(event, *player).is_empty());
    // What has no parts can only be wrong about its match.
    if all.is_empty() && malformed_match(event) {
        all.insert(0);
    }
    all
}

/// Whether an event says which match it is of, but not in the form of one.
pub fn malformed_match(event: &Event) -> bool {
    match_bytes(event).is_some_and(|id| id.len() != MATCH_BYTES)
}

/// The match of an event; `None` if it has none, or one of a wrong form.
pub fn match_of(event: &Event) -> Option<&[u8]> {
    match_bytes(event).filter(|id| id.len() == MATCH_BYTES)
}

fn match_bytes(event: &Event) -> Option<&[u8]> {
    match event {
        Event::MatchStarted(event) => Some(&event.r#match),
        Event::MatchEnded(event) => Some(&event.r#match),
        Event::RoundStarted(event) => Some(&event.r#match),
        Event::RoundEnded(event) => Some(&event.r#match),
        Event::PlayerJoined(event) => Some(&event.r#match),
        Event::PlayerLeft(event) => Some(&event.r#match),
        Event::PlayerKilled(event) => Some(&event.r#match),
        Event::ObjectiveCaptured(event) => Some(&event.r#match),
        Event::LootTaken(event) => Some(&event.r#match),
        Event::AchievementProgressed(event) => Some(&event.r#match),
        Event::AnomalyDetected(event) => Some(&event.r#match),
        Event::BodyQuarantined(event) => Some(&event.r#match),
        Event::RoomRecovered(event) => Some(&event.r#match),
        Event::Custom(event) => Some(&event.r#match),
        Event::AccountOpened(_)
        | Event::AccountFrozen(_)
        | Event::WalletChanged(_)
        | Event::InventoryChanged(_)
        | Event::PurchaseCompleted(_)
        | Event::PurchaseReversed(_)
        | Event::GrantIssued(_) => None,
    }
}

/// All players in whose history an event belongs; bots, guests and the house are nobody.
pub fn involved(event: &Event) -> BTreeSet<u64> {
    let owner = |account: &Option<arbiter_contracts::v1::Account>| account.as_ref().map_or(0, |account| account.owner);
    let mut players: BTreeSet<u64> = match event {
        Event::MatchEnded(ended) => ended.results.iter().map(|result| result.player).collect(),
        Event::PlayerJoined(event) => [event.player].into(),
        Event::PlayerLeft(event) => [event.player].into(),
        Event::PlayerKilled(event) => [event.victim, event.killer].into(),
        Event::LootTaken(event) => [event.player].into(),
        Event::AchievementProgressed(event) => [event.player].into(),
        Event::AnomalyDetected(event) => [event.player].into(),
        Event::AccountOpened(event) => [owner(&event.account)].into(),
        Event::AccountFrozen(event) => [owner(&event.account)].into(),
        Event::WalletChanged(WalletChanged { postings, .. }) => {
            postings.iter().map(|posting| owner(&posting.account)).collect()
        }
        Event::InventoryChanged(event) => [event.player].into(),
        Event::PurchaseCompleted(event) => [event.player].into(),
        Event::PurchaseReversed(event) => [event.player].into(),
        Event::GrantIssued(event) => [event.player].into(),
        Event::MatchStarted(_)
        | Event::RoundStarted(_)
        | Event::RoundEnded(_)
        | Event::ObjectiveCaptured(_)
        | Event::BodyQuarantined(_)
        | Event::RoomRecovered(_)
        | Event::Custom(_) => BTreeSet::new(),
    };
    players.remove(&0);
    players
}
