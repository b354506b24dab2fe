//! A map that is cloned in no time says what a map of the standard library says, and a clone stays as it was, whatever becomes of
//! the one that it was taken of.

use std::collections::BTreeMap;

use arbiter_ledger::Map;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Change {
    Insert(u16, u32),
    Remove(u16),
    Alter(u16, u32),
    /// Drops many from a key on, as what is forgotten.
    Forget(u16, u16),
    /// Adds many behind a key, as keys that come in their order.
    Follow(u16, u16),
    Clone,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        20 => (0..2_000_u16, any::<u32>()).prop_map(|(key, value)| Change::Insert(key, value)),
        10 => (0..2_000_u16).prop_map(Change::Remove),
        10 => (0..2_000_u16, any::<u32>()).prop_map(|(key, value)| Change::Alter(key, value)),
        3 => (0..2_000_u16, 0..300_u16).prop_map(|(from, many)| Change::Forget(from, many)),
        4 => (0..2_000_u16, 0..300_u16).prop_map(|(from, many)| Change::Follow(from, many)),
        1 => Just(Change::Clone),
    ]
}

fn same(map: &Map<u16, u32>, model: &BTreeMap<u16, u32>) {
    assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
    assert!(map.iter().eq(model.iter()));
    assert_eq!(map.first(), model.first_key_value());
}

fn make(map: &mut Map<u16, u32>, model: &mut BTreeMap<u16, u32>, change: &Change) {
    match *change {
        Change::Insert(key, value) => assert_eq!(map.insert(key, value), model.insert(key, value)),
        Change::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key)),
        Change::Alter(key, value) => {
            let (ours, theirs) = (map.get_mut(&key), model.get_mut(&key));
            assert_eq!(ours, theirs);
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                (*ours, *theirs) = (value, value);
            }
        }
        Change::Forget(from, many) => {
            (from..from + many).for_each(|key| assert_eq!(map.remove(&key), model.remove(&key)));
        }
        Change::Follow(from, many) => {
            (from..from + many).for_each(|key| assert_eq!(map.insert(key, 7), model.insert(key, 7)));
        }
        Change::Clone => {}
    }
}

proptest! {
    #[test]
    fn it_is_a_map_and_clones_stay_as_they_were(changes in proptest::collection::vec(change(), 0..120)) {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        let mut clones: Vec<(Map<u16, u32>, BTreeMap<u16, u32>)> = Vec::new();
        for change in &changes {
            make(&mut map, &mut model, change);
            if matches!(change, Change::Clone) {
                clones.push((map.clone(), model.clone()));
            }
        }
        same(&map, &model);
        for key in (0..2_400).step_by(37) {
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert!(map.iter_from(&key).eq(model.range(key..)));
        }
        // Clones are maps of their own.
        for (mut clone, mut model) in clones {
            same(&clone, &model);
            changes.iter().rev().for_each(|change| make(&mut clone, &mut model, change));
            same(&clone, &model);
        }
        same(&map, &model);
    }
}

#[test]
fn a_map_that_lost_everything_takes_everything_again() {
    let mut map: Map<u32, u32> = (0..100_000).map(|key| (key, key)).collect();
    let whole = map.clone();
    for key in (0..100_000).step_by(2).chain((1..100_000).step_by(2)) {
        assert_eq!(map.remove(&key), Some(key));
    }
    assert_eq!(map.remove(&5), None);
    assert_eq!((map.len(), map.first()), (0, None));
    (0..100_000).rev().for_each(|key| assert_eq!(map.insert(key, key), None));
    assert!(map == whole);
}
