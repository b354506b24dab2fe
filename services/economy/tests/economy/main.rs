//! The economy over a real log: grants once, answers only after the log, recovery to the same books, one writer.
//!
//! What power losses at every write do to it stands in `tests/crash`.

mod grants;
mod inventory;
mod payments;
mod power;
mod reconcile;
mod recovery;
mod snapshots;
mod statement;
mod store;
mod told;
mod writer;

use std::time::Duration;

use arbiter_contracts::v1::{MatchEnded, Outcome, PlayerResult};
use arbiter_contracts::{Attributes, Envelope, event_id::log_id};
use arbiter_economy::{Economy, Reward, Rewards, When, Window};
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::{EventStore, Log, Options, Record};
use arbiter_ledger::{Account, Applied, Command, Key, Name, Order, Step, Time};

const NOW: Time = Time(1_800_000_000_000);
const DAY_MS: u64 = 24 * 3600 * 1000;

type House = Economy<Log<SimulatedDisk>>;

fn options() -> Options {
    Options { segment_bytes: 64 << 10, batch_bytes: 8 << 10, ids_max: 10_000, masters: None }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn gold(player: u64) -> Account {
    Account::main(player, name("gold"))
}

fn reward(text: &str, when: When, window: Window, amount: u64) -> Reward {
    let (name, asset) = (name(text), name("gold"));
    Reward { name, when, window, ticks_played_min: 60, asset, amount, since: Time(0) }
}

/// 10 for playing, 50 for winning, 100 for the first match of a day.
fn rewards() -> Rewards {
    let list = vec![
        reward("played", When::Played, Window::Match, 10),
        reward("won", When::Won, Window::Match, 50),
        reward("first", When::Played, Window::Day, 100),
    ];
    Rewards::new(list).expect("they make sense")
}

/// A match in which the first of the players won.
fn ended(number: u64, time: Time, players: &[u64]) -> Envelope {
    let result = |(slot, player): (usize, &u64)| PlayerResult {
        player: *player,
        slot: slot as u32,
        won: slot == 0,
        ticks_played: 1_000,
        ..PlayerResult::default()
    };
    let results = players.iter().enumerate().map(result).collect();
    let event = MatchEnded { outcome: Outcome::Won.into(), results, ..MatchEnded::default() };
    let attributes = Attributes {
        id: format!("{number:032x}-600-0"),
        source: "/rooms/test".to_owned(),
        time: Duration::from_millis(time.0),
        sequence: number,
        ..Attributes::default()
    };
    Envelope { attributes, event: event.into() }
}

fn record(position: u64, event: &Envelope) -> Record {
    let id = log_id(&event.attributes.source, &event.attributes.id);
    Record { position, id, data: event.encode().expect("an event") }
}

fn open(disk: &SimulatedDisk) -> House {
    let (mut economy, _) = Economy::open_in(disk, options()).expect("an economy");
    if economy.acknowledged() == 0 {
        house(&mut economy, 0, vec![Step::Register { asset: name("gold"), supply: None }]);
    }
    economy
}

/// Steps by the house, which must be allowed.
fn house<S: EventStore>(economy: &mut Economy<S>, number: u128, steps: Vec<Step>) {
    let order = Order { subject: 0, reason: name("test"), claim: None, steps };
    let command = Command::Request { key: Key::of(0, NOW, number), request: number, order };
    let told = economy.submit(&command, NOW).expect("it is taken");
    let Applied::New { entry, .. } = told.applied else { panic!("{told:?}") };
    assert!(entry.orders[0].result.is_ok(), "{entry:?}");
    economy.commit().expect("a disk that works");
}

fn balance(economy: &House, player: u64) -> i64 {
    economy.ledger().expect("nothing waits").balance(&gold(player)).amount
}
