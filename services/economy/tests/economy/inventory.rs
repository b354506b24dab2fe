//! Things in their places, and what is worn.

use arbiter_economy::inventory::EquipError;
use arbiter_economy::store::PurchaseError;
use arbiter_economy::{Catalogue, Inventory};
use arbiter_ledger::{Answer, Applied, Key, Name, Why};

use super::store::{buy, shipped, shop};
use super::{House, NOW, name};

fn wear(economy: &mut House, catalogue: &Catalogue, number: u128, slot: &str, item: Option<&str>) -> Answer {
    let item: Option<Name> = item.map(name);
    let key = Key::of(1, NOW, number);
    let told = economy.equip(catalogue, key, &name(slot), item.as_ref(), NOW).expect("it is taken");
    economy.commit().expect("a disk that works");
    match told.applied {
        Applied::New { entry, .. } => entry.answer().expect("a request"),
        Applied::Known(answer) => answer,
        Applied::Nothing => panic!("a request without an answer"),
    }
}

fn of(economy: &House, catalogue: &Catalogue) -> Inventory {
    Inventory::of(economy.ledger().expect("settled"), catalogue, 1)
}

#[test]
fn things_lie_in_places_and_money_does_not() {
    let (mut economy, catalogue) = (shop(250), shipped());
    for number in 5..8 {
        buy(&mut economy, &catalogue, number, "medkits").expect("bought");
    }
    let inventory = of(&economy, &catalogue);
    let medkits = inventory.items[&name("medkit")];
    assert_eq!((medkits.quantity, medkits.places, inventory.items.len()), (9, 2, 1));
}

#[test]
fn what_is_put_on_takes_the_place_of_what_was_worn() {
    let (mut economy, catalogue) = (shop(250), shipped());
    buy(&mut economy, &catalogue, 5, "azure").expect("bought");
    buy(&mut economy, &catalogue, 6, "crimson").expect("bought");
    wear(&mut economy, &catalogue, 7, "body", Some("skin.azure")).expect("put on");
    wear(&mut economy, &catalogue, 8, "body", Some("skin.crimson")).expect("put on");
    let inventory = of(&economy, &catalogue);
    assert_eq!(inventory.worn.get(&name("body")), Some(&name("skin.crimson")));
    assert_eq!((inventory.items[&name("skin.azure")].places, inventory.items[&name("skin.crimson")].places), (1, 0));
    wear(&mut economy, &catalogue, 9, "body", None).expect("put off");
    assert!(of(&economy, &catalogue).worn.is_empty());
}

#[test]
fn putting_on_what_is_worn_changes_nothing_and_the_same_key_gets_the_same_answer() {
    let (mut economy, catalogue) = (shop(250), shipped());
    buy(&mut economy, &catalogue, 5, "azure").expect("bought");
    let first = wear(&mut economy, &catalogue, 7, "body", Some("skin.azure"));
    assert_eq!(wear(&mut economy, &catalogue, 7, "body", Some("skin.azure")), first);
    wear(&mut economy, &catalogue, 8, "body", Some("skin.azure")).expect("still on");
    let inventory = of(&economy, &catalogue);
    assert_eq!((inventory.worn.len(), inventory.items[&name("skin.azure")].quantity), (1, 1));
}

#[test]
fn what_is_not_there_cannot_be_worn_and_nothing_is_taken_off_for_it() {
    let (mut economy, catalogue) = (shop(250), shipped());
    buy(&mut economy, &catalogue, 5, "azure").expect("bought");
    wear(&mut economy, &catalogue, 6, "body", Some("skin.azure")).expect("put on");
    let refusal = wear(&mut economy, &catalogue, 7, "body", Some("skin.crimson")).expect_err("not there");
    assert_eq!(refusal.why, Why::NotEnough);
    assert_eq!(of(&economy, &catalogue).worn[&name("body")], name("skin.azure"));
}

#[test]
fn things_are_worn_where_they_belong() {
    let (mut economy, catalogue) = (shop(250), shipped());
    let key = Key::of(1, NOW, 5);
    let mut ask = |slot: &str, item: Option<&str>| {
        let item: Option<Name> = item.map(name);
        economy.equip(&catalogue, key, &name(slot), item.as_ref(), NOW).map(drop)
    };
    let wrong = EquipError::Slot { item: name("skin.azure"), slot: name("head"), fits: Some(name("body")) };
    assert_eq!(ask("head", Some("skin.azure")), Err(wrong));
    assert_eq!(ask("body", Some("gold")), Err(EquipError::NoSuchItem(name("gold"))));
    assert_eq!(ask("tail", None), Err(EquipError::NoSuchSlot(name("tail"))));
}

#[test]
fn nothing_is_sold_that_has_no_place_and_a_full_inventory_may_still_buy_money() {
    let (mut economy, catalogue) = (shop(250), Catalogue { places_max: 1, ..shipped() });
    buy(&mut economy, &catalogue, 5, "medkits").expect("bought");
    let refused = economy.purchase(&catalogue, Key::of(1, NOW, 6), &name("azure"), NOW);
    assert_eq!(refused, Err(PurchaseError::NoPlace { needed: 2, max: 1 }));
    buy(&mut economy, &catalogue, 7, "gem-pouch").expect("bought");
}
