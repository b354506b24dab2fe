//! Events as a server tells them.

use std::time::Duration;

use arbiter_contracts::v1::{
    Account, AccountFrozen, AccountOpened, AchievementProgressed, AnomalyDetected, CauseKind, GrantIssued,
    InventoryChanged, LootTaken, MatchEnded, MatchStarted, Outcome, PlayerJoined, PlayerKilled, PlayerResult, Posting,
    PurchaseCompleted, PurchaseReversed, WalletChanged,
};
use arbiter_contracts::{Attributes, Envelope, Event};

/// When tests began.
pub const BEGAN_MS: u64 = 1_795_262_400_000;

pub fn match_bytes(number: u8) -> Vec<u8> {
    vec![number; 16]
}

/// The match as paths have it.
pub fn match_text(number: u8) -> String {
    format!("{number:02x}").repeat(16)
}

/// An event in its envelope; each is a second behind the one before.
pub fn envelope(number: u64, event: Event) -> Envelope {
    let attributes = Attributes {
        id: format!("{:032x}-{number}-0", 0xA1),
        source: "/matches/test".to_owned(),
        subject: "matches/test".to_owned(),
        time: Duration::from_millis(BEGAN_MS + 1_000 * number),
        sequence: number,
        traceparent: String::new(),
    };
    Envelope { attributes, event }
}

pub fn started(number: u8) -> Event {
    let (map, mode) = ("arena".to_owned(), "control_point".to_owned());
    MatchStarted { r#match: match_bytes(number), map, mode, tick_rate: 60, rules_hash: vec![9; 32] }.into()
}

pub fn joined(number: u8, player: u64) -> Event {
    PlayerJoined { r#match: match_bytes(number), player, slot: player as u32, team: 1, hero: 2 }.into()
}

pub fn result(player: u64, won: bool, score: i64) -> PlayerResult {
    let (kills, deaths, assists, ticks_played) = (4, 2, 1, 3_600);
    PlayerResult { player, slot: player as u32, team: 1, won, score, kills, deaths, assists, ticks_played }
}

pub fn ended(number: u8, results: impl IntoIterator<Item = PlayerResult>) -> Event {
    MatchEnded {
        r#match: match_bytes(number),
        outcome: Outcome::Won.into(),
        winner: 1,
        ticks: 7_200,
        results: results.into_iter().collect(),
        recording_hash: vec![8; 16],
    }
    .into()
}

/// The end of a match that was given up.
pub fn abandoned(number: u8, results: impl IntoIterator<Item = PlayerResult>) -> Event {
    let Event::MatchEnded(ended) = ended(number, results) else { unreachable!("an end") };
    MatchEnded { outcome: Outcome::Abandoned.into(), winner: 0, ticks: 0, recording_hash: Vec::new(), ..ended }.into()
}

/// A whole match of some players, of whom the first wins with a score of 10.
pub fn whole(number: u8, players: &[u64]) -> Vec<Event> {
    let mut events = vec![started(number)];
    events.extend(players.iter().map(|player| joined(number, *player)));
    let results = players.iter().enumerate().map(|(place, player)| result(*player, place == 0, 10));
    events.push(ended(number, results));
    events
}

pub fn killed(number: u8, killer: u64, victim: u64, headshot: bool) -> Event {
    PlayerKilled {
        r#match: match_bytes(number),
        victim,
        victim_slot: victim as u32,
        killer,
        killer_slot: Some(killer as u32),
        assist_slot: None,
        cause: CauseKind::Weapon.into(),
        cause_number: 3,
        headshot,
    }
    .into()
}

pub fn looted(number: u8, player: u64, pickup: u32) -> Event {
    LootTaken { r#match: match_bytes(number), player, slot: player as u32, pickup }.into()
}

/// Progress of an achievement without a name, which no build can apply.
pub fn nameless(number: u8, player: u64) -> Event {
    AchievementProgressed { r#match: match_bytes(number), player, ..AchievementProgressed::default() }.into()
}

pub fn progressed(number: u8, player: u64, added: u32) -> Event {
    AchievementProgressed { r#match: match_bytes(number), player, achievement: "streak-10".to_owned(), added }.into()
}

pub fn suspected(number: u8, player: u64) -> Event {
    AnomalyDetected { r#match: match_bytes(number), player, kind: "aim".to_owned(), amount: 12 }.into()
}

/// One of each event that the economy tells: of player 7, and of the house and player 8 in what moved.
pub fn of_the_economy() -> Vec<Event> {
    let account = |owner| Some(Account { owner, asset: "gold".to_owned(), bucket: "main".to_owned() });
    let posting = |owner, amount| Posting { account: account(owner), amount, balance: amount };
    let (purchase, name) = (vec![1; 16], || "gold".to_owned());
    vec![
        AccountOpened { account: account(7) }.into(),
        WalletChanged { transfer: 1, postings: vec![posting(0, -9), posting(7, 4), posting(8, 5)], reason: name() }
            .into(),
        InventoryChanged { player: 7, item: name(), amount: 1, quantity: 1, equipped: String::new() }.into(),
        AccountFrozen { account: account(7), frozen: true, reason: name() }.into(),
        PurchaseCompleted { purchase: purchase.clone(), player: 7, offer: name(), asset: name(), price: 4 }.into(),
        PurchaseReversed { purchase, player: 7, chargeback: true, owed: 0, debts: Vec::new() }.into(),
        GrantIssued { player: 7, reward: name(), cause: name(), window: String::new(), amount: 4, asset: name() }
            .into(),
    ]
}
