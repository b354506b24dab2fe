//! What holds for any commands in any order at any times: every asset sums to zero, a replay of the entries builds the same
//! ledger, whatever comes twice is done once, holds never leak, and no bytes make a decoder trip.

use std::collections::BTreeMap;

use arbiter_ledger::{
    Account, Applied, Claim, Command, Entry, Key, Name, Order, State, Step, Time, Unanswered, apply, wire,
};
use proptest::prelude::*;

const NOW: Time = Time(1_800_000_000_000);
const DAY_MS: u64 = 24 * 3600 * 1000;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn account() -> impl Strategy<Value = Account> {
    let asset = prop_oneof![4 => Just("gold"), 2 => Just("sword"), 1 => Just("unknown")];
    let bucket =
        prop_oneof![6 => Just("main"), 2 => Just("issuer"), 2 => Just("debt"), 1 => Just("held"), 1 => Just("vault")];
    // Issuers are the house's, which would seldom come up by chance; others stand in `rules.rs`.
    (0_u64..4, asset, bucket).prop_map(|(owner, asset, bucket)| {
        let owner = if bucket == "issuer" { 0 } else { owner };
        Account { owner, asset: name(asset), bucket: name(bucket) }
    })
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![40 => 1_u64..50, 1 => Just(0), 1 => Just(i64::MAX as u64), 1 => any::<u64>()]
}

/// Two accounts, mostly of one asset.
fn pair() -> impl Strategy<Value = (Account, Account)> {
    (account(), account(), any::<u8>()).prop_map(|(from, mut to, luck)| {
        if luck > 10 {
            to.asset = from.asset.clone();
        }
        if from == to && luck > 30 {
            to.owner = (to.owner + 1) % 4;
        }
        (from, to)
    })
}

fn step() -> impl Strategy<Value = Step> {
    let limit = proptest::option::of(amount());
    let gold = |owner| Account::main(owner, name("gold"));
    // Much of what is drawn freely is refused; these mostly are not.
    let likely = (1_u64..4, 0_u64..3, 1_u64..25, any::<bool>(), 1_u64..30).prop_map(
        move |(owner, other, amount, holds, days)| {
            let (from, to) = (gold(owner), gold((owner + 1 + other) % 4));
            let until = NOW.after(days * DAY_MS);
            if holds { Step::Hold { from, to, amount, until } } else { Step::Transfer { from, to, amount } }
        },
    );
    prop_oneof![
        14 => likely,
        8 => (pair(), amount()).prop_map(|((from, to), amount)| Step::Transfer { from, to, amount }),
        8 => (pair(), amount(), 0_u64..34).prop_map(|((from, to), amount, days)| {
            Step::Hold { from, to, amount, until: NOW.after(days * DAY_MS) }
        }),
        4 => (0_u64..6, proptest::option::of(0_u64..40)).prop_map(|(hold, amount)| Step::Post { hold, amount }),
        2 => (0_u64..6).prop_map(|hold| Step::Void { hold }),
        1 => (account(), limit).prop_map(|(account, limit)| Step::Limit { account, limit }),
        1 => (account(), any::<bool>()).prop_map(|(account, frozen)| Step::Freeze { account, frozen }),
        1 => Just(Step::Register { asset: name("late"), supply: Some(3) }),
        1 => proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Step::Note { bytes }),
    ]
}

fn order(claimed: bool) -> impl Strategy<Value = Order> {
    let claim = (0_u128..6, prop_oneof![Just(Time::NEVER), (0_u64..40).prop_map(|days| NOW.after(days * DAY_MS))])
        .prop_map(|(key, until)| Claim { key, until });
    let claim = proptest::option::weighted(if claimed { 0.95 } else { 0.15 }, claim);
    let steps = prop_oneof![
        1 => Just(Vec::new()),
        12 => proptest::collection::vec(step(), 1),
        6 => proptest::collection::vec(step(), 2..4),
    ];
    (claim, steps).prop_map(|(claim, steps)| Order { subject: 1, reason: name("test"), claim, steps })
}

fn command() -> impl Strategy<Value = Command> {
    let source = prop_oneof![Just("a"), Just("b")].prop_map(name);
    let other = prop_oneof![Just("a"), Just("b")].prop_map(name);
    prop_oneof![
        6 => (source, 0_u64..60, proptest::collection::vec(order(false), 0..3))
            .prop_map(|(source, position, orders)| Command::Consume { source, position, orders }),
        1 => (other, 0_u64..60, proptest::collection::vec(order(true), 0..3))
            .prop_map(|(source, position, orders)| Command::Amend { source, position, subject: 1, orders }),
        8 => (0_u64..3, prop_oneof![9 => Just(0), 1 => 0_u64..30], 0_u128..30, order(false)).prop_map(|(owner, days, other, order)| {
            Command::Request { key: Key::of(owner, NOW.after(days * DAY_MS), other), request: u128::from(days), order }
        }),
        1 => Just(Command::Elapse),
    ]
}

/// Commands with the hours that pass before each.
fn script() -> impl Strategy<Value = Vec<(u64, Command)>> {
    let hours = prop_oneof![20 => 0_u64..3, 1 => 0_u64..24 * 9];
    proptest::collection::vec((hours, command()), 1..100)
}

/// A ledger in which there is something to move.
fn furnished() -> (State, Vec<Vec<u8>>) {
    let register = |asset: &str, supply| Step::Register { asset: name(asset), supply };
    let mut steps = vec![register("gold", None), register("sword", Some(1))];
    let issue = |owner| Step::Transfer {
        from: Account::issuer(name("gold")),
        to: Account::main(owner, name("gold")),
        amount: 100,
    };
    steps.extend((1..4).map(issue));
    let sword = Account::main(1, name("sword"));
    steps.push(Step::Transfer { from: Account::issuer(name("sword")), to: sword, amount: 1 });
    let order = Order { subject: 0, reason: name("start"), claim: None, steps };
    let mut state = State::default();
    let command = Command::Consume { source: name("start"), position: 0, orders: vec![order] };
    match apply(&mut state, &command, NOW) {
        Ok(Applied::New { bytes, entry }) if entry.orders[0].result.is_ok() => (state, vec![bytes]),
        other => panic!("{other:?}"),
    }
}

fn replayed(entries: &[Vec<u8>]) -> State {
    let mut state = State::default();
    for bytes in entries {
        let entry = Entry::from_bytes(bytes).expect("an entry reads as written");
        assert_eq!(&entry.to_bytes(), bytes, "and has one string of bytes");
        state.redo(&entry).expect("it follows");
    }
    state
}

/// Plays a script; each command is sent once more at once and must change nothing the second time.
fn play(script: &[(u64, Command)]) -> (State, Vec<Vec<u8>>) {
    let (mut state, mut entries) = furnished();
    let mut now = NOW;
    for (hours, command) in script {
        now = now.after(hours * 3600 * 1000);
        let first = apply(&mut state, command, now);
        state.audit().expect("a sound ledger");
        sums_are_zero(&state);
        if let Ok(Applied::New { bytes, entry }) = &first {
            entries.push(bytes.clone());
            again(&mut state, command, now, entry);
        }
    }
    (state, entries)
}

fn again(state: &mut State, command: &Command, now: Time, entry: &Entry) {
    let before = state.clone();
    match (command, apply(state, command, now)) {
        (Command::Request { .. }, second) => {
            assert_eq!(second, Ok(Applied::Known(entry.answer().expect("a request"))));
        }
        (Command::Consume { .. }, second) => assert_eq!(second, Ok(Applied::Nothing)),
        // Amending is written down each time, but claims do not happen again; time may still have more to bring back.
        (Command::Amend { .. } | Command::Elapse, second) => {
            assert!(second.is_ok());
            *state = before.clone();
        }
    }
    assert_eq!(*state, before);
}

/// Counted here once more, apart from the ledger's own audit.
fn sums_are_zero(state: &State) {
    let (mut sums, mut held) = (BTreeMap::<Name, i128>::new(), BTreeMap::<(u64, Name), i128>::new());
    for (account, balance) in state.accounts() {
        *sums.entry(account.asset.clone()).or_default() += i128::from(balance.amount);
        let may = account.bucket.as_str() == "issuer" || account.bucket.as_str() == "debt";
        assert!(balance.amount >= 0 || may, "{account} has {}", balance.amount);
        if account.bucket.as_str() == "held" && balance.amount > 0 {
            *held.entry((account.owner, account.asset.clone())).or_default() += i128::from(balance.amount);
        }
    }
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
    for (_, hold) in state.holds() {
        *held.entry((hold.from.owner, hold.from.asset.clone())).or_default() -= i128::from(hold.amount);
    }
    assert!(held.values().all(|left| *left == 0), "holds leak: {held:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_script_keeps_every_sum_at_zero_and_replays_to_the_same_hash(script in script()) {
        let (state, entries) = play(&script);
        let replayed = replayed(&entries);
        prop_assert_eq!(replayed.hash(), state.hash());
        prop_assert_eq!(replayed, state);
    }

    #[test]
    fn any_redelivery_of_any_part_changes_nothing(script in script(), picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let (mut state, _) = play(&script);
        let before = state.clone();
        let now = state.time();
        for pick in picks {
            let (_, command) = &script[pick.index(script.len())];
            let done = match command {
                Command::Consume { source, position, .. } => *position < before.cursor(source),
                Command::Request { key, .. } => before.answer(*key).is_some(),
                _ => false,
            };
            if done {
                let second = apply(&mut state, command, now);
                prop_assert!(matches!(second, Ok(Applied::Nothing | Applied::Known(_)) | Err(Unanswered::Conflict(_))));
            }
        }
        prop_assert_eq!(state, before);
    }

    #[test]
    fn holds_all_come_back_in_the_end(script in script()) {
        let (mut state, _) = play(&script);
        let end = state.time().after(60 * DAY_MS);
        while apply(&mut state, &Command::Elapse, end) != Ok(Applied::Nothing) {}
        prop_assert_eq!(state.holds().count(), 0);
        prop_assert!(state.accounts().all(|(account, balance)| balance.returning == 0 && (!account.is_held() || balance.amount == 0)));
        sums_are_zero(&state);
    }

    #[test]
    fn a_checkpoint_anywhere_goes_on_alike(script in script(), cut in any::<prop::sample::Index>()) {
        let (state, entries) = play(&script);
        let cut = cut.index(entries.len());
        let mut from = State::restore(&replayed(&entries[..cut]).checkpoint()).expect("a checkpoint");
        for bytes in &entries[cut..] {
            from.redo(&Entry::from_bytes(bytes).expect("an entry")).expect("it follows");
        }
        prop_assert_eq!(from.hash(), state.hash());
        prop_assert_eq!(from, state);
    }

    #[test]
    fn no_order_of_entries_but_the_right_one_is_taken(script in script(), swap in any::<prop::sample::Index>()) {
        let (_, entries) = play(&script);
        let at = swap.index(entries.len());
        let mut state = replayed(&entries[..at]);
        for (other, bytes) in entries.iter().enumerate().filter(|(other, _)| *other != at) {
            let before = state.clone();
            let entry = Entry::from_bytes(bytes).expect("an entry");
            prop_assert!(state.redo(&entry).is_err(), "entry {} stood where {} belongs", other, at);
            prop_assert_eq!(&state, &before);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_trip(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Entry::from_bytes(&bytes);
        let _ = State::restore(&bytes);
    }

    #[test]
    fn a_flipped_bit_never_reads_as_a_ledger_that_is_not_sound(script in script(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (state, entries) = play(&script);
        let mut bytes = state.checkpoint();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(other) = State::restore(&bytes) {
            other.audit().map_err(|broken| TestCaseError::fail(broken.to_string()))?;
            prop_assert_ne!(other.hash(), state.hash());
        }
        let mut entry = entries[at.index(entries.len())].clone();
        let place = at.index(entry.len());
        entry[place] ^= 1 << bit;
        if let Ok(read) = Entry::from_bytes(&entry) {
            prop_assert_eq!(wire::to_bytes(&read), entry);
        }
    }
}
