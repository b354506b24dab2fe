//! Results and the ledger against each other: nothing to say when all is well, and each planted difference named.

use arbiter_contracts::{Envelope, Event};
use arbiter_economy::reconcile::{Report, What, reconcile};
use arbiter_economy::tell::Publisher;
use arbiter_economy::{Economy, Rewards};
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::{Log, Record};
use arbiter_ledger::{Account, Claim, Command, Name, Order, Step, Time};

use super::{House, NOW, ended, house, name, open, options, record, rewards};

struct World {
    events: Log<SimulatedDisk>,
    economy: House,
}

fn world() -> World {
    let (events, _) = Log::open(SimulatedDisk::default(), options()).expect("a log");
    World { events, economy: open(&SimulatedDisk::default()) }
}

fn source() -> Name {
    name("events")
}

impl World {
    fn tell(&mut self, event: &Envelope) -> Record {
        let position = self.events.next_position();
        let record = record(position, event);
        self.events.append(record.id, &record.data).expect("taken");
        self.events.commit().expect("a disk that works");
        record
    }

    fn play(&mut self, number: u64, players: &[u64]) -> Record {
        let record = self.tell(&ended(number, NOW, players));
        self.economy.consume(&source(), &record, &rewards(), NOW).expect("taken");
        self.economy.commit().expect("a disk that works");
        record
    }

    /// An entry that claims to have consumed a position.
    fn forge(&mut self, position: u64, orders: Vec<Order>) {
        let command = Command::Consume { source: source(), position, orders };
        self.economy.submit(&command, NOW).expect("taken");
        self.economy.commit().expect("a disk that works");
    }

    /// Tells the world what the economy did; `change` sees each event before it is brought.
    fn publish(&mut self, mut change: impl FnMut(&mut Vec<Envelope>)) {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut publisher, _) = Publisher::open(&folder.path().join("told"), self.economy.store()).expect("a view");
        let told = publisher.tell(self.economy.store(), |facts| {
            let mut events = facts.iter().map(|fact| Envelope::decode(&fact.bytes).expect("an event")).collect();
            change(&mut events);
            for (number, event) in events.iter().enumerate() {
                self.events.append(1_000 + number as u128, &event.encode().expect("an event")).expect("taken");
            }
            self.events.commit().expect("a disk that works");
            Ok(events.len())
        });
        assert_ne!(told.expect("told").entries, 0);
    }

    fn report(self) -> Report {
        self.report_with(&rewards())
    }

    fn report_with(self, rewards: &Rewards) -> Report {
        reconcile(&self.events, &self.economy.into_store(), rewards, None, |_, _| ()).expect("both are whole")
    }
}

fn grant(player: u64, reason: &str, amount: u64, claim: u128) -> Order {
    let step = Step::Transfer { from: Account::issuer(name("gold")), to: Account::main(player, name("gold")), amount };
    let claim = Some(Claim { key: claim, until: Time::NEVER });
    Order { subject: player, reason: name(reason), claim, steps: vec![step] }
}

fn only(report: &Report) -> (Option<u64>, Option<u64>, What) {
    let [difference] = &report.differences[..] else { panic!("one difference: {report:?}") };
    (difference.event, difference.player, difference.what.clone())
}

#[test]
fn what_was_earned_and_given_has_no_difference() {
    let mut world = world();
    for number in 0..20 {
        world.play(number, &[1, 2, number + 3]);
    }
    let hash = world.economy.ledger().expect("settled").hash();
    let report = world.report();
    assert_eq!((report.count, report.results, report.behind, report.hash), (0, 20, 0, hash));
    assert_eq!(report.grants, 20 * 4 + 22, "four a match, and the first of the day for each of 22 players");
}

#[test]
fn what_is_not_consumed_yet_is_counted_and_no_difference() {
    let mut world = world();
    world.play(0, &[1]);
    world.tell(&ended(1, NOW, &[1]));
    let report = world.report();
    assert_eq!((report.count, report.behind), (0, 1));
}

#[test]
fn a_grant_that_waits_is_counted_and_once_given_it_is_not() {
    let mut world = world();
    let freeze = |frozen| vec![Step::Freeze { account: super::gold(1), frozen }];
    house(&mut world.economy, 1, freeze(true));
    let first = world.play(0, &[1, 2]);
    let second = world.play(1, &[1, 2]);
    house(&mut world.economy, 2, freeze(false));
    world.economy.amend(&source(), &first, 1, &rewards(), NOW).expect("the first that waits");
    world.economy.commit().expect("a disk that works");
    let (events, disk) = (world.events, world.economy.into_store());
    let report = reconcile(&events, &disk, &rewards(), None, |_, _| ()).expect("whole");
    assert_eq!((report.count, report.waiting), (0, 1), "{report:?}");
    let (mut economy, _) = Economy::open(disk, None).expect("the same");
    economy.amend(&source(), &second, 1, &rewards(), NOW).expect("what follows it");
    economy.commit().expect("a disk that works");
    let report = World { events, economy }.report();
    assert_eq!((report.count, report.waiting), (0, 0), "{report:?}");
}

#[test]
fn a_result_that_was_stepped_over_is_named() {
    let mut world = world();
    world.tell(&ended(0, NOW, &[7]));
    world.play(1, &[8]);
    let report = world.report();
    assert_eq!(report.count, 3, "played, won and the first of the day");
    assert!(report.differences.iter().all(|it| it.event == Some(0) && it.player == Some(7)), "{report:?}");
}

#[test]
fn a_grant_that_nobody_earned_is_named() {
    let mut world = world();
    let record = world.tell(&ended(0, NOW, &[]));
    world.forge(record.position, vec![grant(9, "grant:gift", 5, 1)]);
    let report = world.report();
    assert_eq!(only(&report), (Some(0), Some(9), What::NotEarned(name("grant:gift"))));
}

#[test]
fn another_amount_than_was_earned_is_named() {
    let mut world = world();
    let event = ended(0, NOW, &[1]);
    let record = world.tell(&event);
    let mut orders = rewards().orders(&event);
    let Step::Transfer { amount, .. } = &mut orders[1].steps[0] else { panic!("a transfer") };
    *amount += 1;
    world.forge(record.position, orders);
    assert_eq!(only(&world.report()), (Some(0), Some(1), What::OtherAmount(name("grant:won"))));
}

#[test]
fn an_entry_of_an_event_that_is_not_there_is_named() {
    let mut world = world();
    world.play(0, &[1]);
    world.forge(5, vec![grant(9, "grant:gift", 5, 1)]);
    let report = world.report();
    assert_eq!(only(&report), (Some(5), None, What::NoEvent));
}

#[test]
fn a_reward_that_was_added_for_the_past_is_named() {
    let mut world = world();
    world.play(0, &[1]);
    let mut list = vec![super::reward("late", super::When::Played, super::Window::Match, 1)];
    list.splice(
        0..0,
        [
            super::reward("played", super::When::Played, super::Window::Match, 10),
            super::reward("won", super::When::Won, super::Window::Match, 50),
            super::reward("first", super::When::Played, super::Window::Day, 100),
        ],
    );
    let report = world.report_with(&Rewards::new(list).expect("they make sense"));
    assert_eq!(only(&report), (Some(0), Some(1), What::NotGranted(name("grant:late"))));
}

/// A world in which some played, and what is wrong after it was told with a change.
fn told_with(change: impl FnMut(&mut Vec<Envelope>)) -> Report {
    let mut world = world();
    for number in 0..3 {
        world.play(number, &[1, 2]);
    }
    world.publish(change);
    world.report()
}

fn whats(report: &Report) -> Vec<What> {
    report.differences.iter().map(|difference| difference.what.clone()).collect()
}

/// Where the second booking stands among the events.
fn second(events: &[Envelope]) -> usize {
    let mut moved = events.iter().enumerate().filter(|(_, event)| matches!(event.event, Event::WalletChanged(_)));
    moved.nth(1).expect("there are some").0
}

#[test]
fn what_was_told_as_it_was_booked_has_no_difference() {
    let report = told_with(|_| ());
    // Two played, of whom one won, three times; and the first of the day.
    assert_eq!((report.told, report.untold, report.count), (3 * 3 + 2, 0, 0), "{report:?}");
}

#[test]
fn what_is_not_told_yet_is_counted_and_no_difference() {
    let report = told_with(|events| events.truncate(second(events) + 1));
    assert_eq!((report.told, report.untold, report.count), (2, 9, 0), "{report:?}");
}

#[test]
fn what_was_told_otherwise_is_named() {
    let report = told_with(|events| {
        let at = second(events);
        let Event::WalletChanged(changed) = &mut events[at].event else { unreachable!("the second booking") };
        changed.postings[0].balance += 1;
    });
    assert_eq!((whats(&report), report.told), (vec![What::ToldOtherwise], 10));
}

#[test]
fn what_was_left_out_is_named_with_the_gap() {
    let report = told_with(|events| drop(events.remove(second(events))));
    assert!(matches!(whats(&report)[..], [What::NotInSequence(_), What::NotTold]), "{report:?}");
    assert_eq!(report.told, 10);
}

#[test]
fn what_was_told_twice_is_named() {
    let report = told_with(|events| {
        let mut again = events[second(events)].clone();
        again.attributes.sequence = events.len() as u64;
        events.push(again);
    });
    assert_eq!((whats(&report), report.told), (vec![What::NotMoved], 11));
}
