//! The catalogue of the house, and buying from it.

use arbiter_economy::catalogue::Catalogue;
use arbiter_economy::store::{PurchaseError, RegisterError};
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_ledger::{Account, Answer, Applied, Key, Name, Order, Step, Time, Unanswered, Why};

use super::{House, NOW, gold, house, name, open};

const CATALOGUE: &str = include_str!("../../../../assets/economy/catalogue.ron");

pub(super) fn shipped() -> Catalogue {
    Catalogue::parse("assets/economy/catalogue.ron", CATALOGUE).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// A shop whose player 1 has this much gold and as many gems.
pub(super) fn shop(riches: u64) -> House {
    let mut economy = open(&SimulatedDisk::default());
    economy.register(&shipped(), NOW).expect("it fits").expect("gems are new");
    economy.commit().expect("a disk that works");
    let give = |asset: &str| Step::Transfer {
        from: Account::issuer(name(asset)),
        to: Account::main(1, name(asset)),
        amount: riches,
    };
    house(&mut economy, 1, vec![give("gold"), give("gem")]);
    economy
}

pub(super) fn buy(economy: &mut House, catalogue: &Catalogue, number: u128, offer: &str) -> Answer {
    let told = economy.purchase(catalogue, Key::of(1, NOW, number), &name(offer), NOW).expect("it is taken");
    economy.commit().expect("a disk that works");
    match told.applied {
        Applied::New { entry, .. } => entry.answer().expect("a request"),
        Applied::Known(answer) => answer,
        Applied::Nothing => panic!("a request without an answer"),
    }
}

fn amount(economy: &House, owner: u64, asset: &str) -> i64 {
    economy.ledger().expect("settled").balance(&Account::main(owner, name(asset))).amount
}

#[test]
fn the_catalogue_of_the_house_makes_sense_and_is_known_once() {
    let mut economy = shop(1);
    assert_eq!(economy.register(&shipped(), NOW), Ok(None));
}

#[test]
fn a_purchase_pays_and_delivers_at_once_and_once() {
    let mut economy = shop(250);
    let first = buy(&mut economy, &shipped(), 5, "gem-pouch");
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(buy(&mut economy, &shipped(), 5, "gem-pouch"), first);
    assert_eq!((amount(&economy, 1, "gold"), amount(&economy, 1, "gem"), amount(&economy, 0, "gold")), (150, 260, 100));
}

#[test]
fn who_has_too_little_gets_nothing() {
    let mut economy = shop(99);
    let refusal = buy(&mut economy, &shipped(), 5, "gem-pouch").expect_err("it costs 100");
    assert_eq!((refusal.why, amount(&economy, 1, "gold"), amount(&economy, 1, "gem")), (Why::NotEnough, 99, 99));
}

#[test]
fn an_offer_for_one_each_is_sold_once_to_each() {
    let mut economy = shop(250);
    assert!(buy(&mut economy, &shipped(), 5, "crimson").is_ok());
    assert_eq!(buy(&mut economy, &shipped(), 6, "crimson").expect_err("once").why, Why::Claimed);
    assert_eq!((amount(&economy, 1, "skin.crimson"), amount(&economy, 1, "gem")), (1, 225));
}

#[test]
fn an_offer_for_three_each_is_sold_three_times() {
    let mut economy = shop(500);
    let mut catalogue = shipped();
    catalogue.offers.get_mut(&name("crimson")).expect("there").each_max = Some(3);
    let bought: Vec<bool> =
        (0..5).map(|number| buy(&mut economy, &catalogue, 10 + number, "crimson").is_ok()).collect();
    assert_eq!(bought, [true, true, true, false, false]);
}

#[test]
fn the_answer_stays_when_the_price_changes_or_the_offer_goes() {
    let mut economy = shop(250);
    let mut catalogue = shipped();
    let first = buy(&mut economy, &catalogue, 5, "gem-pouch");
    catalogue.offers.get_mut(&name("gem-pouch")).expect("there").price.amount = 1;
    assert_eq!(buy(&mut economy, &catalogue, 5, "gem-pouch"), first);
    catalogue.offers.clear();
    assert_eq!(buy(&mut economy, &catalogue, 5, "gem-pouch"), first);
    assert_eq!(amount(&economy, 1, "gold"), 150);
}

#[test]
fn one_key_for_two_offers_is_a_conflict() {
    let mut economy = shop(250);
    buy(&mut economy, &shipped(), 5, "gem-pouch").expect("bought");
    let key = Key::of(1, NOW, 5);
    let conflict = economy.purchase(&shipped(), key, &name("crimson"), NOW);
    assert_eq!(conflict, Err(PurchaseError::Submit(Unanswered::Conflict(key).into())));
}

#[test]
fn what_is_not_for_sale_is_not_sold_and_leaves_nothing_behind() {
    let mut economy = shop(250);
    let before = economy.acknowledged();
    let ask = |economy: &mut House, offer: &str, time: Time| {
        economy.purchase(&shipped(), Key::of(1, NOW, 9), &name(offer), time).map(drop)
    };
    assert_eq!(ask(&mut economy, "moon", NOW), Err(PurchaseError::NoSuchOffer(name("moon"))));
    let founders = shipped().offers[&name("founders")].clone();
    for time in [Time(founders.from.0 - 1), founders.until] {
        let refused = Err(PurchaseError::NotNow(name("founders"), founders.from, founders.until));
        assert_eq!(ask(&mut economy, "founders", time), refused);
    }
    economy.commit().expect("a disk that works");
    assert_eq!(economy.acknowledged(), before);
}

#[test]
fn a_supply_is_sold_out() {
    let mut economy = shop(1_000);
    let mut catalogue = shipped();
    let founders = catalogue.offers.get_mut(&name("founders")).expect("there");
    (founders.from, founders.until, founders.each_max) = (Time(0), Time::NEVER, None);
    let all = Step::Transfer {
        from: Account::issuer(name("crown.founders")),
        to: Account::main(2, name("crown.founders")),
        amount: 99,
    };
    house(&mut economy, 2, vec![all]);
    assert!(buy(&mut economy, &catalogue, 5, "founders").is_ok());
    assert_eq!(buy(&mut economy, &catalogue, 6, "founders").expect_err("the last is sold").why, Why::Supply);
    assert_eq!(amount(&economy, 1, "gold"), 1_500, "what else it gives is not given either");
}

#[test]
fn a_catalogue_that_changes_a_supply_is_refused() {
    let mut economy = shop(1);
    let mut catalogue = shipped();
    catalogue.assets.get_mut(&name("gem")).expect("there").supply = Some(5);
    let differs = RegisterError::Differs { name: name("gem"), known: None, listed: Some(5) };
    assert_eq!(economy.register(&catalogue, NOW), Err(differs));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("(name: \"gem\"),", "(name: \"gem stone\"),", 9, "gem stone"),
        ("(name: \"gem\"),", "(name: \"gold\"),", 9, "two assets gold"),
        ("supply: 100", "supply: 0", 13, "from 1 to"),
        ("when: Won", "when: Lost", 17, "Lost"),
        ("amount: 15, since", "amount: 15, sinse", 17, "sinse"),
        ("amount: 25", "amount: -25", 25, "25"),
        (
            "price: (asset: \"gem\", amount: 25)",
            "price: (asset: \"gems\", amount: 25)",
            25,
            "offers[3].price.asset: gems",
        ),
        ("each_max: 1),\n", "each_max: 17),\n", 23, "offers[1].each_max"),
        ("gives: [(asset: \"gem\", amount: 10)]", "gives: []", 24, "offers[2].gives"),
        ("places: 200", "places: 0", 5, "from 1 to"),
        ("stack: 5", "stack: 0", 12, "from 1 to"),
        ("slot: \"head\"", "slot: \"the head\"", 13, "the head"),
        ("until: \"2027-01-01\"", "until: \"2026-11-31\"", 28, "2026-11-31"),
        ("until: \"2027-01-01\"", "until: \"2026-12-01\"", 26, "ends before it begins"),
        ("currency: \"EUR\"", "currency: \"EUT\"", 32, "ISO 4217"),
        ("amount: 499", "amount: 0", 33, "from 1 to"),
        ("(asset: \"gem\", amount: 300)", "(asset: \"gems\", amount: 300)", 34, "products[1].gives[0].asset: gems"),
        ("name: \"starter\"", "name: \"gems.100\"", 33, "two products gems.100"),
        ("name: \"starter\"", "name: \"starter.and.quite.a.lot.of.more\"", 33, "at most 29 bytes"),
        ("amount: 10)], each_max: 1", "amount: 10)], each_max: 99", 33, "products[1].each_max"),
        ("(name: \"gem\"),", "(name: \"real.EUR\"),", 9, "money of the real world"),
    ];
    for (right, wrong, line, what) in cases {
        assert!(CATALOGUE.contains(right), "{right}");
        let text = CATALOGUE.replacen(right, wrong, 1);
        let bad = Catalogue::parse("catalogue.ron", &text).expect_err(wrong);
        assert!(bad.line == line && bad.what.contains(what), "{wrong} is told as: {bad}");
        assert!(bad.to_string().starts_with(&format!("catalogue.ron:{line}: ")));
    }
}

#[test]
fn a_bought_thing_can_be_given_to_somebody_else() {
    let mut economy = shop(250);
    buy(&mut economy, &shipped(), 5, "crimson").expect("bought");
    let skin: Name = name("skin.crimson");
    let steps = vec![
        Step::Transfer { from: Account::main(1, skin.clone()), to: Account::main(2, skin.clone()), amount: 1 },
        Step::Transfer { from: gold(1), to: gold(2), amount: 1 },
    ];
    let order = Order { subject: 1, reason: name("gift"), claim: None, steps };
    let command = arbiter_ledger::Command::Request { key: Key::of(1, NOW, 6), request: 6, order };
    economy.submit(&command, NOW).expect("taken");
    economy.commit().expect("a disk that works");
    assert_eq!((amount(&economy, 1, "skin.crimson"), amount(&economy, 2, "skin.crimson")), (0, 1));
}
