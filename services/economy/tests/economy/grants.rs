//! Match results become money once.

use arbiter_contracts::DecodeError;
use arbiter_economy::rewards::{BadRewards, LATE_MS_MAX};
use arbiter_economy::{ConsumeError, Reward, Rewards, When, Window};
use arbiter_eventlog::Record;
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_ledger::{Account, Step, Time};

use super::{DAY_MS, House, NOW, balance, ended, gold, house, name, open, record, reward, rewards};

/// Consumes matches of these players, one after the other from a position on, and commits.
fn play(economy: &mut House, from: u64, matches: &[&[u64]]) {
    for (position, players) in (from..).zip(matches) {
        let event = ended(position, NOW, players);
        economy.consume(&name("matches"), &record(position, &event), &rewards(), NOW).expect("consumed");
    }
    economy.commit().expect("a disk that works");
}

fn freeze(economy: &mut House, number: u128, player: u64, frozen: bool) {
    house(economy, number, vec![Step::Freeze { account: gold(player), frozen }]);
}

fn amend(economy: &mut House, position: u64, player: u64, players: &[u64]) -> Result<(), ConsumeError> {
    let event = ended(position, NOW, players);
    economy.amend(&name("matches"), &record(position, &event), player, &rewards(), NOW)?;
    economy.commit().expect("a disk that works");
    Ok(())
}

#[test]
fn a_result_is_worth_what_the_rewards_say() {
    let mut economy = open(&SimulatedDisk::default());
    play(&mut economy, 0, &[&[1, 2], &[1, 2]]);
    assert_eq!((balance(&economy, 1), balance(&economy, 2)), (220, 120));
    let issuer = Account::issuer(name("gold"));
    assert_eq!(economy.ledger().expect("settled").balance(&issuer).amount, -340);
}

#[test]
fn a_result_that_is_read_again_gives_nothing_again() {
    let mut economy = open(&SimulatedDisk::default());
    for _ in 0..3 {
        play(&mut economy, 0, &[&[1, 2], &[2, 1]]);
    }
    assert_eq!(balance(&economy, 1), 170);
}

#[test]
fn a_result_that_comes_by_another_way_gives_nothing_again() {
    let mut economy = open(&SimulatedDisk::default());
    let event = ended(0, NOW, &[1, 2]);
    for (source, position) in [("matches", 0), ("matches", 9), ("backup", 3)] {
        economy.consume(&name(source), &record(position, &event), &rewards(), NOW).expect("consumed");
    }
    economy.commit().expect("a disk that works");
    assert_eq!(balance(&economy, 1), 160);
    assert_eq!(economy.waiting(&name("matches")).count(), 0, "what was claimed does not wait");
}

#[test]
fn guests_and_bots_get_nothing_and_a_player_who_is_listed_twice_gets_it_once() {
    let mut economy = open(&SimulatedDisk::default());
    play(&mut economy, 0, &[&[0, 5, 0, 5]]);
    assert_eq!((balance(&economy, 0), balance(&economy, 5)), (0, 110));
}

#[test]
fn the_first_match_of_a_day_is_that_of_the_events_own_day() {
    let mut economy = open(&SimulatedDisk::default());
    let only_first = Rewards::new(vec![reward("first", When::Played, Window::Day, 100)]).expect("sensible");
    // All read on one day, long after.
    let days = [0, 0, 1, 0, 2];
    for (position, day) in (0..).zip(days) {
        let event = ended(position, NOW.after(day * DAY_MS), &[1]);
        economy.consume(&name("matches"), &record(position, &event), &only_first, NOW.after(9 * DAY_MS)).expect("read");
    }
    economy.commit().expect("a disk that works");
    assert_eq!(balance(&economy, 1), 300);
}

#[test]
fn a_window_that_nobody_remembers_any_more_is_put_aside() {
    let mut economy = open(&SimulatedDisk::default());
    let event = ended(0, NOW, &[1]);
    let late = NOW.after(LATE_MS_MAX + DAY_MS);
    economy.consume(&name("matches"), &record(0, &event), &rewards(), late).expect("consumed");
    economy.commit().expect("a disk that works");
    assert_eq!(balance(&economy, 1), 60, "what is for each match is given");
    assert_eq!(economy.waiting(&name("matches")).count(), 1);
}

#[test]
fn a_new_reward_is_not_given_for_the_past() {
    let mut economy = open(&SimulatedDisk::default());
    let late = Reward { since: NOW.after(1), ..reward("late", When::Played, Window::Match, 5) };
    let rewards = Rewards::new(vec![late]).expect("sensible");
    for (position, time) in [(0, NOW), (1, NOW.after(1))] {
        let event = ended(position, time, &[1]);
        economy.consume(&name("matches"), &record(position, &event), &rewards, NOW).expect("consumed");
    }
    economy.commit().expect("a disk that works");
    assert_eq!(balance(&economy, 1), 5);
}

#[test]
fn who_cannot_be_paid_waits_and_holds_up_nobody_else() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    freeze(&mut economy, 1, 1, true);
    play(&mut economy, 0, &[&[1, 2], &[3, 2]]);
    freeze(&mut economy, 2, 1, false);
    play(&mut economy, 2, &[&[1, 2]]);
    assert_eq!((balance(&economy, 1), balance(&economy, 2)), (0, 130), "the later match waits behind the first");
    drop(economy);
    // Who waits is in the log, so that it is there after a restart too.
    let economy = open(&disk);
    let waiting: Vec<_> = economy.waiting(&name("matches")).collect();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].0, &waiting[0].1.positions), (1, &vec![0, 2]));
    assert!(waiting[0].1.reason.contains("frozen"), "{}", waiting[0].1.reason);
}

#[test]
fn what_waited_is_amended_in_order_and_once() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    freeze(&mut economy, 1, 1, true);
    play(&mut economy, 0, &[&[1, 2], &[3, 1]]);
    amend(&mut economy, 0, 1, &[1, 2]).expect("taken, and refused again");
    assert_eq!(economy.waiting(&name("matches")).count(), 1);
    freeze(&mut economy, 2, 1, false);
    let not_first = amend(&mut economy, 1, 1, &[3, 1]);
    assert!(matches!(not_first, Err(ConsumeError::NotFirst { first: Some(0), .. })), "{not_first:?}");
    amend(&mut economy, 0, 1, &[1, 2]).expect("amended");
    let mut economy = {
        drop(economy);
        open(&disk)
    };
    amend(&mut economy, 1, 1, &[3, 1]).expect("amended");
    assert_eq!(economy.waiting(&name("matches")).count(), 0);
    assert_eq!(balance(&economy, 1), 10 + 50 + 100 + 10);
    assert!(amend(&mut economy, 1, 1, &[3, 1]).is_err(), "nothing waits any more");
}

#[test]
fn what_is_worth_nothing_is_not_written_but_passed_from_time_to_time() {
    let mut economy = open(&SimulatedDisk::default());
    let before = economy.acknowledged();
    for position in 0..600 {
        let event = ended(position, NOW, &[]);
        economy.consume(&name("matches"), &record(position, &event), &rewards(), NOW).expect("consumed");
    }
    economy.commit().expect("a disk that works");
    assert_eq!((economy.acknowledged() - before, economy.cursor(&name("matches"))), (2, 514));
}

#[test]
fn bytes_that_are_no_event_stop_the_consumer() {
    let mut economy = open(&SimulatedDisk::default());
    let broken = Record { position: 0, id: 1, data: b"what".to_vec() };
    let stopped = economy.consume(&name("matches"), &broken, &rewards(), NOW);
    assert!(matches!(stopped, Err(ConsumeError::Event { error: DecodeError::Malformed(_), .. })), "{stopped:?}");
    assert_eq!(economy.cursor(&name("matches")), 0, "nothing was stepped over");
}

#[test]
fn rewards_that_make_no_sense_are_refused() {
    let one = |amount| reward("one", When::Won, Window::Match, amount);
    assert_eq!(Rewards::new(vec![one(1), one(2)]), Err(BadRewards::Twice(name("one"))));
    assert_eq!(Rewards::new(vec![one(0)]), Err(BadRewards::Amount(name("one"), 0)));
    assert_eq!(Rewards::new(vec![one(1); 9]), Err(BadRewards::TooMany(9)));
    let long = reward(&"x".repeat(35), When::Won, Window::Match, 1);
    assert_eq!(Rewards::new(vec![long.clone()]), Err(BadRewards::Name(long.name)));
    assert!(
        Rewards::new(vec![Reward { since: Time(5), ..reward(&"x".repeat(34), When::Won, Window::Day, 1) }]).is_ok()
    );
}
