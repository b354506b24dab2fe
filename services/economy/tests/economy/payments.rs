//! What notifications of a payment provider do to the books, whatever comes late, twice or out of order.

use arbiter_economy::Inventory;
use arbiter_economy::catalogue::{Catalogue, Price};
use arbiter_economy::payments::{
    ASIDE_MAX, CheckoutError, Happened, Notification, NotifyError, PENDING_MAX, PENDING_MS, Payment, PaymentState,
    Reason,
};
use arbiter_economy::store::RegisterError;
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_ledger::{Account, Applied, Command, Key, Name, Order, Step, Time};
use proptest::prelude::*;

use super::store::shipped;
use super::{House, NOW, house, name, open};

/// The catalogue of the house and a unique crown, of which one player may buy one.
pub(super) fn catalogue() -> Catalogue {
    let mut catalogue = shipped();
    let mut crown = catalogue.products[&name("gems.100")].clone();
    crown.gives[0] = arbiter_economy::catalogue::Sum { asset: name("crown.founders"), amount: 1 };
    catalogue.products.insert(name("crown"), crown);
    catalogue
}

/// An economy with the catalogue's assets, and its disk.
pub(super) fn opened() -> (House, SimulatedDisk) {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    let registered: Result<_, RegisterError> = economy.register(&catalogue(), NOW);
    registered.expect("it fits");
    economy.commit().expect("a disk that works");
    (economy, disk)
}

pub(super) fn provider() -> Name {
    name("local")
}

/// Begins a payment; its number.
pub(super) fn begin(economy: &mut House, player: u64, number: u128, product: &str) -> u128 {
    let key = Key::of(player, NOW, number);
    economy.checkout(&catalogue(), &provider(), key, &name(product), NOW).expect("it may be begun");
    economy.commit().expect("a disk that works");
    key.uuid()
}

pub(super) fn price(economy: &House, payment: u128) -> (Name, Price) {
    let terms = &of(economy, payment).terms;
    (terms.product.clone(), terms.price.clone())
}

pub(super) fn of(economy: &House, payment: u128) -> Payment {
    economy.payments().expect("settled").get(payment).expect("it was begun").clone()
}

/// The notification of what happened to a payment, as it was begun.
pub(super) fn says(economy: &House, payment: u128, what: &str) -> Notification {
    let (product, price) = price(economy, payment);
    let happened = match what {
        "paid" => Happened::Paid { product, price },
        "refunded" => Happened::Refunded { price },
        "charged back" => Happened::ChargedBack { price },
        _ => Happened::Failed,
    };
    Notification { id: format!("{payment:x}-{what}"), time: NOW, payment, happened }
}

pub(super) fn tell(economy: &mut House, notification: &Notification, freeze: bool) -> Applied {
    let told = economy.notify(&catalogue(), &provider(), notification, freeze, NOW).expect("it is taken");
    economy.commit().expect("a disk that works");
    economy.ledger().expect("settled").audit().expect("every asset sums to zero");
    told.applied
}

pub(super) fn hear(economy: &mut House, payment: u128, what: &str) {
    let notification = says(economy, payment, what);
    tell(economy, &notification, false);
}

fn balance(economy: &House, account: Account) -> i64 {
    economy.ledger().expect("settled").balance(&account).amount
}

/// What a player can spend and owes.
fn gems(economy: &House, player: u64) -> (i64, i64) {
    let gem = || name("gem");
    (balance(economy, Account::main(player, gem())), balance(economy, Account::debt(player, gem())))
}

fn revenue(economy: &House) -> i64 {
    balance(economy, Account::main(0, name("real.EUR"))) + balance(economy, Account::debt(0, name("real.EUR")))
}

fn asides(economy: &House) -> Vec<Reason> {
    economy.payments().expect("settled").asides().map(|(_, aside)| aside.reason).collect()
}

/// Moves something as the house does.
fn moves(economy: &mut House, number: u128, from: Account, to: Account, amount: u64) {
    house(economy, number, vec![Step::Transfer { from, to, amount }]);
}

#[test]
fn a_payment_is_written_down_before_anybody_pays() {
    let (mut economy, disk) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    drop(economy);
    let begun = of(&open(&disk), payment);
    assert_eq!((begun.player, begun.state(NOW)), (1, PaymentState::Pending));
    assert_eq!(begun.state(NOW.after(PENDING_MS)), PaymentState::Expired);
}

#[test]
fn the_same_key_begins_one_payment_whatever_became_of_the_product() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let mut gone = catalogue();
    gone.products.clear();
    let again = economy.checkout(&gone, &provider(), Key::of(1, NOW, 5), &name("gems.100"), NOW).expect("known");
    assert!(matches!(again.applied, Applied::Known(Ok(_))));
    assert_eq!(economy.payments().expect("settled").len(), 1);
    let other = economy.checkout(&gone, &provider(), Key::of(2, NOW, 5), &name("gems.100"), NOW);
    assert!(matches!(other, Err(CheckoutError::Submit(_))), "a number names one payment: {other:?}");
    assert_eq!(of(&economy, payment).player, 1);
}

#[test]
fn what_is_not_for_sale_is_not_begun() {
    let (mut economy, _) = opened();
    let mut catalogue = catalogue();
    let ask = |economy: &mut House, catalogue: &Catalogue, product: &str| {
        economy.checkout(catalogue, &provider(), Key::of(1, NOW, 9), &name(product), NOW).map(drop)
    };
    assert_eq!(ask(&mut economy, &catalogue, "moon"), Err(CheckoutError::NoSuchProduct(name("moon"))));
    let gems = catalogue.products.get_mut(&name("gems.100")).expect("there");
    gems.until = NOW;
    let over = Err(CheckoutError::NotNow(name("gems.100"), Time(0), NOW));
    assert_eq!(ask(&mut economy, &catalogue, "gems.100"), over);
    catalogue.places_max = 1;
    let full = CheckoutError::NoPlace { needed: 2, max: 1 };
    assert_eq!(ask(&mut economy, &catalogue, "starter"), Err(full));
    let crown = || name("crown.founders");
    moves(&mut economy, 7, Account::issuer(crown()), Account::main(2, crown()), 100);
    assert_eq!(ask(&mut economy, &catalogue, "crown"), Err(CheckoutError::SoldOut(crown())));
}

#[test]
fn payments_that_wait_have_a_limit() {
    let (mut economy, _) = opened();
    for number in 0..PENDING_MAX as u128 {
        begin(&mut economy, 1, number, "gems.100");
    }
    let ask = |economy: &mut House, number: u128, time: Time| {
        let key = Key::of(1, time, number);
        economy.checkout(&catalogue(), &provider(), key, &name("gems.100"), time).map(drop)
    };
    assert_eq!(ask(&mut economy, 99, NOW), Err(CheckoutError::TooManyPending));
    assert_eq!(ask(&mut economy, 99, NOW.after(PENDING_MS)), Ok(()));
}

#[test]
fn a_payment_books_revenue_and_delivers_once() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let paid = says(&economy, payment, "paid");
    assert!(matches!(tell(&mut economy, &paid, false), Applied::New { .. }));
    assert_eq!(tell(&mut economy, &paid, false), Applied::Nothing);
    let other = Notification { id: "another".to_owned(), ..paid };
    assert_eq!(tell(&mut economy, &other, false), Applied::Nothing);
    assert_eq!((gems(&economy, 1), revenue(&economy)), ((100, 0), 199));
}

#[test]
fn a_refund_takes_back_what_is_there_and_the_rest_is_owed_and_paid_first() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    hear(&mut economy, payment, "paid");
    moves(&mut economy, 7, Account::main(1, name("gem")), Account::main(2, name("gem")), 70);
    hear(&mut economy, payment, "refunded");
    assert_eq!((gems(&economy, 1), revenue(&economy)), ((0, -70), 0));
    moves(&mut economy, 8, Account::issuer(name("gem")), Account::main(1, name("gem")), 90);
    assert_eq!(gems(&economy, 1), (20, 0));
}

#[test]
fn what_is_worn_is_taken_back_too() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "crown");
    hear(&mut economy, payment, "paid");
    let item = name("crown.founders");
    economy.equip(&catalogue(), Key::of(1, NOW, 6), &name("head"), Some(&item), NOW).expect("it is worn");
    economy.commit().expect("a disk that works");
    hear(&mut economy, payment, "charged back");
    assert!(Inventory::of(economy.ledger().expect("settled"), &catalogue(), 1).items.is_empty());
    assert_eq!(balance(&economy, Account::issuer(item)), 0);
}

#[test]
fn what_has_a_supply_and_is_gone_is_not_owed_but_told() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "crown");
    hear(&mut economy, payment, "paid");
    let crown = || name("crown.founders");
    moves(&mut economy, 7, Account::main(1, crown()), Account::main(2, crown()), 1);
    hear(&mut economy, payment, "refunded");
    assert_eq!(balance(&economy, Account::main(2, crown())), 1);
    assert_eq!((of(&economy, payment).kept.len(), asides(&economy), revenue(&economy)), (1, vec![Reason::Kept], 0));
}

#[test]
fn a_reversal_that_comes_before_its_payment_makes_it_deliver_nothing() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    hear(&mut economy, payment, "refunded");
    hear(&mut economy, payment, "paid");
    assert_eq!((gems(&economy, 1), revenue(&economy)), ((0, 0), 0));
    assert_eq!(of(&economy, payment).state(NOW), PaymentState::Refunded);
}

#[test]
fn what_failed_and_was_paid_after_all_is_delivered() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    hear(&mut economy, payment, "failed");
    assert_eq!(of(&economy, payment).state(NOW), PaymentState::Failed);
    hear(&mut economy, payment, "paid");
    hear(&mut economy, payment, "failed");
    assert_eq!((gems(&economy, 1), of(&economy, payment).state(NOW)), ((100, 0), PaymentState::Paid));
}

#[test]
fn what_does_not_fit_is_put_aside_for_people_and_moves_nothing() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let right = says(&economy, payment, "paid");
    let (product, price) = price(&economy, payment);
    let cent = Price { amount: 1, ..price.clone() };
    let dollars = Price { currency: name("USD"), ..price.clone() };
    let wrong = [
        (Reason::OtherTerms, payment, Happened::Paid { product: product.clone(), price: cent.clone() }),
        (Reason::OtherTerms, payment, Happened::Paid { product: product.clone(), price: dollars }),
        (Reason::OtherTerms, payment, Happened::Paid { product: name("starter"), price: price.clone() }),
        (Reason::OtherAmount, payment, Happened::Refunded { price: cent }),
        (Reason::Unknown, payment + 1, Happened::Refunded { price }),
    ];
    for (number, (reason, payment, happened)) in wrong.into_iter().enumerate() {
        let notification = Notification { id: format!("wrong {number}"), payment, happened, ..right.clone() };
        tell(&mut economy, &notification, false);
        assert_eq!(tell(&mut economy, &notification, false), Applied::Nothing, "it is put aside once");
        let found =
            economy.payments().expect("settled").asides().find(|(_, aside)| aside.notification == notification.id);
        assert_eq!(found.map(|(_, aside)| aside.reason), Some(reason));
    }
    let other = economy.notify(&catalogue(), &name("other"), &right, false, NOW);
    assert!(other.is_ok());
    economy.commit().expect("a disk that works");
    assert_eq!((asides(&economy).len(), revenue(&economy), gems(&economy, 1)), (6, 0, (0, 0)));
    hear(&mut economy, payment, "paid");
    assert_eq!(gems(&economy, 1), (100, 0), "the right one is still taken");
}

#[test]
fn a_snapshot_keeps_payments_and_what_waits() {
    let (mut economy, disk) = opened();
    let payments = [begin(&mut economy, 1, 5, "gems.100"), begin(&mut economy, 2, 6, "starter")];
    hear(&mut economy, payments[0], "paid");
    let unknown = Notification { payment: payments[0] + 1, ..says(&economy, payments[0], "paid") };
    tell(&mut economy, &Notification { id: "unknown".to_owned(), ..unknown }, false);
    assert!(economy.keep_snapshot(&disk).expect("a disk that works"));
    let (before, entries) = (economy.payments().expect("settled").clone(), economy.acknowledged());
    drop(economy);
    let (economy, recovered) = arbiter_economy::Economy::open_in(&disk, super::options()).expect("it opens");
    assert_eq!((recovered.from_snapshot, recovered.replayed), (entries, 0));
    assert_eq!(economy.payments().expect("settled"), &before);
    assert_eq!((before.len(), before.of(2).count(), asides(&economy).len()), (2, 1, 1));
}

#[test]
fn what_people_have_seen_to_is_off_their_list_for_good() {
    let (mut economy, disk) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let unknown = Notification { payment: payment + 1, ..says(&economy, payment, "paid") };
    tell(&mut economy, &unknown, false);
    let number = economy.payments().expect("settled").asides().next().expect("it waits").0;
    economy.close_aside(number, NOW).expect("it waits");
    economy.commit().expect("a disk that works");
    assert_eq!(economy.close_aside(number, NOW), Err(NotifyError::NoSuchAside(number)));
    assert_eq!(tell(&mut economy, &unknown, false), Applied::Nothing);
    drop(economy);
    assert_eq!(asides(&open(&disk)), []);
}

#[test]
fn what_the_ledger_refuses_to_give_is_booked_and_given_later() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let gem = Account::main(1, name("gem"));
    house(&mut economy, 7, vec![Step::Limit { account: gem.clone(), limit: Some(10) }]);
    hear(&mut economy, payment, "paid");
    assert_eq!((revenue(&economy), gems(&economy, 1), asides(&economy)), (199, (0, 0), vec![Reason::Refused]));
    assert!(matches!(economy.deliver(payment, NOW), Err(NotifyError::Refused(_))));
    house(&mut economy, 8, vec![Step::Limit { account: gem, limit: None }]);
    economy.deliver(payment, NOW).expect("it can be given now");
    economy.commit().expect("a disk that works");
    assert_eq!((gems(&economy, 1), asides(&economy)), ((100, 0), Vec::new()));
    assert_eq!(economy.deliver(payment, NOW), Err(NotifyError::NothingToDeliver(payment)));
}

#[test]
fn a_supply_that_was_sold_while_somebody_paid_is_told() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "crown");
    let crown = || name("crown.founders");
    moves(&mut economy, 7, Account::issuer(crown()), Account::main(2, crown()), 100);
    hear(&mut economy, payment, "paid");
    assert_eq!((asides(&economy), revenue(&economy)), (vec![Reason::Refused], 199));
    hear(&mut economy, payment, "refunded");
    assert_eq!((asides(&economy), revenue(&economy)), (Vec::new(), 0));
}

#[test]
fn who_pays_for_more_than_one_may_have_gets_one() {
    let (mut economy, _) = opened();
    let payments = [begin(&mut economy, 1, 5, "starter"), begin(&mut economy, 1, 6, "starter")];
    for payment in payments {
        hear(&mut economy, payment, "paid");
    }
    assert_eq!((gems(&economy, 1), asides(&economy)), ((300, 0), vec![Reason::EachMax]));
    let more = economy.checkout(&catalogue(), &provider(), Key::of(1, NOW, 7), &name("starter"), NOW);
    assert_eq!(more.map(drop), Err(CheckoutError::HadAlready(1)));
}

#[test]
fn a_chargeback_freezes_what_can_be_spent_if_the_house_wants_it() {
    let (mut economy, _) = opened();
    let (first, second) = (begin(&mut economy, 1, 5, "gems.100"), begin(&mut economy, 1, 6, "gems.100"));
    hear(&mut economy, first, "paid");
    let notification = says(&economy, first, "charged back");
    tell(&mut economy, &notification, true);
    for asset in ["gem", "gold"] {
        let account = Account::main(1, name(asset));
        assert!(economy.ledger().expect("settled").balance(&account).frozen, "{account}");
    }
    hear(&mut economy, second, "paid");
    assert_eq!(gems(&economy, 1), (100, 0), "what was paid for is given all the same");
    hear(&mut economy, second, "refunded");
    assert_eq!(gems(&economy, 1), (0, 0), "and taken back");
    assert!(economy.ledger().expect("settled").balance(&Account::main(1, name("gem"))).frozen);
}

#[test]
fn things_that_are_owed_are_shown_and_those_that_come_in_pay_it_off() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "starter");
    hear(&mut economy, payment, "paid");
    let medkits = |player| Account::main(player, name("medkit"));
    moves(&mut economy, 7, medkits(1), medkits(2), 4);
    hear(&mut economy, payment, "charged back");
    let owned = |economy: &House| {
        let inventory = Inventory::of(economy.ledger().expect("settled"), &catalogue(), 1);
        let medkits = inventory.items.get(&name("medkit")).copied().unwrap_or_default();
        (medkits.quantity, medkits.owed)
    };
    assert_eq!(owned(&economy), (0, 4));
    moves(&mut economy, 8, medkits(2), medkits(1), 3);
    assert_eq!(owned(&economy), (0, 1));
}

#[test]
fn what_waits_for_people_has_a_limit_and_then_the_provider_has_to_say_it_again() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let unknown = Notification { payment: payment + 1, ..says(&economy, payment, "paid") };
    let catalogue = catalogue();
    for number in 0..ASIDE_MAX {
        let notification = Notification { id: number.to_string(), ..unknown.clone() };
        economy.notify(&catalogue, &provider(), &notification, false, NOW).expect("it is taken");
    }
    let one_more = economy.notify(&catalogue, &provider(), &unknown, false, NOW);
    assert_eq!(one_more, Err(NotifyError::AsideFull));
}

#[test]
fn money_that_goes_back_twice_is_told() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    for what in ["paid", "refunded", "charged back"] {
        hear(&mut economy, payment, what);
    }
    assert_eq!((revenue(&economy), asides(&economy)), (0, vec![Reason::Twice]));
    assert_eq!(of(&economy, payment).state(NOW), PaymentState::ChargedBack);
}

#[test]
fn revenue_that_was_spent_can_still_go_back() {
    let (mut economy, _) = opened();
    let (first, second) = (begin(&mut economy, 1, 5, "gems.100"), begin(&mut economy, 1, 6, "gems.100"));
    hear(&mut economy, first, "paid");
    let euros = || name("real.EUR");
    moves(
        &mut economy,
        7,
        Account::main(0, euros()),
        Account { bucket: name("paid-out"), ..Account::main(0, euros()) },
        199,
    );
    hear(&mut economy, first, "refunded");
    assert_eq!(balance(&economy, Account::debt(0, euros())), -199);
    hear(&mut economy, second, "paid");
    assert_eq!(balance(&economy, Account::debt(0, euros())), 0);
}

#[test]
fn a_payment_of_which_nothing_is_heard_is_forgotten_and_one_that_was_paid_is_not() {
    let (mut economy, _) = opened();
    let (paid, silent) = (begin(&mut economy, 1, 5, "gems.100"), begin(&mut economy, 1, 6, "gems.100"));
    hear(&mut economy, paid, "paid");
    let late = says(&economy, silent, "paid");
    let later = NOW.after(31 * super::DAY_MS);
    for number in [8, 9] {
        let order = Order { subject: 0, reason: name("test"), claim: None, steps: Vec::new() };
        let command = Command::Request { key: Key::of(0, later, number), request: number, order };
        economy.submit(&command, later).expect("taken");
    }
    economy.commit().expect("a disk that works");
    let payments = economy.payments().expect("settled");
    assert!(payments.get(paid).is_some() && payments.get(silent).is_none());
    economy.notify(&catalogue(), &provider(), &late, false, later).expect("it is taken");
    economy.commit().expect("a disk that works");
    assert_eq!(asides(&economy), [Reason::Unknown]);
}

/// What was heard of one payment.
#[derive(Debug, Clone)]
struct Story {
    player: u64,
    product: &'static str,
    heard: Vec<&'static str>,
}

fn story() -> impl Strategy<Value = Story> {
    let product = prop_oneof![Just("gems.100"), Just("crown")];
    let heard = prop_oneof![
        1 => Just(vec![]),
        1 => Just(vec!["failed"]),
        3 => Just(vec!["paid"]),
        1 => Just(vec!["failed", "paid"]),
        3 => Just(vec!["paid", "refunded"]),
        3 => Just(vec!["paid", "charged back"]),
        1 => Just(vec!["paid", "refunded", "charged back"]),
    ];
    (1_u64..4, product, heard).prop_map(|(player, product, heard)| Story { player, product, heard })
}

/// Plays deliveries of notifications, opening the economy again where it says so; balances, payments and what is frozen.
fn play(
    stories: &[Story],
    debts: &[u64],
    deliveries: &[(usize, &str)],
    reopen: &[usize],
    freeze: bool,
) -> impl PartialEq + std::fmt::Debug {
    let (mut economy, disk) = opened();
    for (player, debt) in (1..).zip(debts) {
        let owed = Account::debt(player, name("gem"));
        moves(&mut economy, 100 + u128::from(player), owed, Account::issuer(name("gem")), *debt);
    }
    let begun: Vec<u128> = stories
        .iter()
        .zip(1_u128..)
        .map(|(story, number)| begin(&mut economy, story.player, number, story.product))
        .collect();
    for (turn, (story, what)) in deliveries.iter().enumerate() {
        if reopen.contains(&turn) {
            drop(economy);
            economy = open(&disk);
        }
        let notification = says(&economy, begun[*story], what);
        tell(&mut economy, &notification, freeze);
    }
    let ledger = economy.ledger().expect("settled");
    let accounts: Vec<_> = ledger.accounts().map(|(account, balance)| (account.clone(), *balance)).collect();
    let seen = |payment: &u128| (of(&economy, *payment).state(NOW), of(&economy, *payment).given());
    (accounts, begun.iter().map(seen).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_ends_in_the_books_of_the_orderly_one(
        stories in proptest::collection::vec(story(), 1..6),
        debts in proptest::collection::vec(1_u64..300, 0..3),
        shuffle in any::<u64>(),
        repeats in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        reopen in proptest::collection::vec(0_usize..20, 0..3),
        freeze in any::<bool>(),
    ) {
        let orderly: Vec<(usize, &str)> = stories
            .iter()
            .enumerate()
            .flat_map(|(number, story)| story.heard.iter().map(move |what| (number, *what)))
            .collect();
        let mut wild = orderly.clone();
        if !orderly.is_empty() {
            wild.extend(repeats.iter().map(|index| *index.get(&orderly)));
        }
        // A shuffle that the case's own number decides.
        let mut state = shuffle | 1;
        for at in (1..wild.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            wild.swap(at, (state >> 33) as usize % (at + 1));
        }
        prop_assert_eq!(play(&stories, &debts, &wild, &reopen, freeze), play(&stories, &debts, &orderly, &[], freeze));
    }
}
