//! Every difference between a provider's statement and the books is found, by planting it.

use arbiter_economy::catalogue::Price;
use arbiter_economy::payments::reconcile::{BadStatement, Difference, Stated, StatedState, Statement, reconcile};
use arbiter_economy::payments::{Notification, Reason};
use arbiter_ledger::{Account, State, Step};

use super::payments::{begin, hear, opened, price, provider, says, tell};
use super::{House, house, name};

/// What a provider says that agrees with the books.
fn agreed(economy: &House, payment: u128, state: StatedState) -> Stated {
    let (product, price) = price(economy, payment);
    Stated { payment, product, price, state }
}

fn found(economy: &House, stated: Vec<Stated>) -> Vec<Difference> {
    let statement = Statement { provider: provider(), payments: stated };
    // What is said over the wire is the same.
    let json = serde_json::to_vec(&statement.to_json()).expect("texts");
    assert_eq!(Statement::from_json(&json), Ok(statement.clone()));
    reconcile(&statement, economy.payments().expect("settled"), economy.ledger().expect("settled"))
}

/// One payment with what was heard of it.
fn heard(what: &[&str]) -> (House, u128) {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    for what in what {
        hear(&mut economy, payment, what);
    }
    (economy, payment)
}

fn of_one(heard_here: &[&str], there: StatedState) -> Vec<Difference> {
    let (economy, payment) = heard(heard_here);
    let mut all = found(&economy, vec![agreed(&economy, payment, there)]);
    // The number is the same in all of these.
    all.sort_by_key(ToString::to_string);
    all
}

fn number() -> u128 {
    heard(&[]).1
}

#[test]
fn books_that_agree_have_no_difference() {
    for (here, there) in [
        (&[][..], StatedState::Open),
        (&[], StatedState::Failed),
        (&["failed"], StatedState::Failed),
        (&["paid"], StatedState::Paid),
        (&["paid", "refunded"], StatedState::Refunded),
        (&["charged back", "paid"], StatedState::ChargedBack),
    ] {
        assert_eq!(of_one(here, there), [], "{here:?} {there:?}");
    }
}

#[test]
fn what_is_paid_there_and_not_here_is_found() {
    assert_eq!(of_one(&[], StatedState::Paid), [Difference::PaidThere(number())]);
}

#[test]
fn what_is_paid_here_and_not_there_is_found() {
    assert_eq!(of_one(&["paid"], StatedState::Open), [Difference::PaidHere(number())]);
    assert_eq!(of_one(&["paid"], StatedState::Failed), [Difference::PaidHere(number())]);
}

#[test]
fn what_went_back_on_one_side_only_is_found() {
    assert_eq!(of_one(&["paid"], StatedState::Refunded), [Difference::ReversedThere(number())]);
    assert_eq!(of_one(&["paid"], StatedState::ChargedBack), [Difference::ReversedThere(number())]);
    assert_eq!(of_one(&["paid", "refunded"], StatedState::Paid), [Difference::ReversedHere(number())]);
    assert_eq!(of_one(&["refunded"], StatedState::Open), [Difference::ReversedHere(number())]);
}

#[test]
fn what_went_back_in_two_ways_is_found() {
    assert_eq!(of_one(&["paid", "refunded"], StatedState::ChargedBack), [Difference::ReversedOtherwise(number())]);
    assert_eq!(of_one(&["paid", "charged back"], StatedState::Refunded), [Difference::ReversedOtherwise(number())]);
}

#[test]
fn another_amount_currency_or_product_is_found() {
    let (economy, payment) = heard(&["paid"]);
    let right = agreed(&economy, payment, StatedState::Paid);
    let wrong = [
        Stated { price: Price { amount: 1, ..right.price.clone() }, ..right.clone() },
        Stated { price: Price { currency: name("USD"), ..right.price.clone() }, ..right.clone() },
        Stated { product: name("starter"), ..right },
    ];
    for stated in wrong {
        let there = format!("{} for {}", stated.price, stated.product);
        let differs = Difference::OtherTerms { payment, there, here: "199 EUR for gems.100".to_owned() };
        assert_eq!(found(&economy, vec![stated]), [differs]);
    }
}

#[test]
fn what_only_one_side_knows_is_found() {
    let (economy, payment) = heard(&["paid"]);
    assert_eq!(found(&economy, Vec::new()), [Difference::MissingThere(payment)]);
    let right = agreed(&economy, payment, StatedState::Paid);
    let other = Stated { payment: payment + 1, ..right.clone() };
    let unpaid = Stated { payment: payment + 2, state: StatedState::Open, ..right.clone() };
    assert_eq!(found(&economy, vec![right, other, unpaid]), [Difference::UnknownHere(payment + 1)]);
}

#[test]
fn what_is_listed_twice_or_under_another_provider_is_found() {
    let (economy, payment) = heard(&["paid"]);
    let right = agreed(&economy, payment, StatedState::Paid);
    assert_eq!(found(&economy, vec![right.clone(), right.clone()]), [Difference::ListedTwice(payment)]);
    let statement = Statement { provider: name("other"), payments: vec![right] };
    let all = reconcile(&statement, economy.payments().expect("settled"), economy.ledger().expect("settled"));
    assert_eq!(all, [Difference::OtherProvider { payment, provider: name("other"), begun: provider() }]);
}

#[test]
fn what_was_paid_and_not_delivered_is_found() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "gems.100");
    let gem = Account::main(1, name("gem"));
    house(&mut economy, 7, vec![Step::Limit { account: gem, limit: Some(1) }]);
    hear(&mut economy, payment, "paid");
    let stated = vec![agreed(&economy, payment, StatedState::Paid)];
    assert_eq!(found(&economy, stated), [Difference::NotDelivered(payment)]);
}

#[test]
fn what_a_player_kept_is_found() {
    let (mut economy, _) = opened();
    let payment = begin(&mut economy, 1, 5, "crown");
    hear(&mut economy, payment, "paid");
    let crown = |player| Account::main(player, name("crown.founders"));
    house(&mut economy, 7, vec![Step::Transfer { from: crown(1), to: crown(2), amount: 1 }]);
    hear(&mut economy, payment, "refunded");
    let stated = vec![agreed(&economy, payment, StatedState::Refunded)];
    assert_eq!(found(&economy, stated), [Difference::Kept { payment, kept: "1 crown.founders".to_owned() }]);
}

#[test]
fn money_that_no_payment_brought_is_found() {
    let (mut economy, payment) = heard(&["paid"]);
    let euros = || name("real.EUR");
    let step = Step::Transfer { from: Account::issuer(euros()), to: Account::main(0, euros()), amount: 1 };
    house(&mut economy, 7, vec![step]);
    let stated = vec![agreed(&economy, payment, StatedState::Paid)];
    assert_eq!(found(&economy, stated), [Difference::Revenue { asset: euros(), booked: 200, payments: 199 }]);
}

#[test]
fn a_ledger_that_is_not_of_these_payments_is_found() {
    let (economy, payment) = heard(&["paid"]);
    let statement = Statement { provider: provider(), payments: vec![agreed(&economy, payment, StatedState::Paid)] };
    let all = reconcile(&statement, economy.payments().expect("settled"), &State::default());
    let missing = Difference::Revenue { asset: name("real.EUR"), booked: 0, payments: 199 };
    assert_eq!(all, [Difference::Unclaimed(payment), missing]);
}

#[test]
fn what_waits_for_people_is_found() {
    let (mut economy, payment) = heard(&["paid"]);
    let unknown = Notification { payment: payment + 1, id: "other".to_owned(), ..says(&economy, payment, "paid") };
    tell(&mut economy, &unknown, false);
    let stated = vec![agreed(&economy, payment, StatedState::Paid)];
    let waiting = Difference::Waiting { payment: payment + 1, reason: Reason::Unknown };
    assert_eq!(found(&economy, stated), [waiting]);
}

#[test]
fn a_statement_that_makes_no_sense_is_named() {
    let text = |payment: &str, amount: &str| {
        format!(
            r#"{{"provider":"local","payments":[{{"payment":"{payment}","product":"a","currency":"EUR","amount":"{amount}","state":"paid"}}]}}"#
        )
    };
    let read = |text: String| Statement::from_json(text.as_bytes()).map(drop);
    let uuid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    assert_eq!(read(text(uuid, "1")), Ok(()));
    assert_eq!(read(text("7", "1")), Err(BadStatement::Value { number: 0, what: "payment" }));
    assert_eq!(read(text(uuid, "-1")), Err(BadStatement::Value { number: 0, what: "amount" }));
    assert!(matches!(read(String::new()), Err(BadStatement::Json(_))));
}
