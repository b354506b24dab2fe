//! The rules one by one. What holds for any commands in any order stands in `properties.rs`.

use arbiter_ledger::key::{AHEAD_MS_MAX, KEPT_MS};
use arbiter_ledger::{
    Account, Answer, Applied, Claim, Command, Key, Name, Order, Refusal, State, Step, Time, Unanswered, Why, apply,
};

const NOW: Time = Time(1_800_000_000_000);
const DAY_MS: u64 = 24 * 3600 * 1000;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn main_of(owner: u64, asset: &str) -> Account {
    Account::main(owner, name(asset))
}

fn issuer(asset: &str) -> Account {
    Account::issuer(name(asset))
}

fn order(steps: Vec<Step>) -> Order {
    Order { subject: 1, reason: name("test"), claim: None, steps }
}

fn transfer(from: Account, to: Account, amount: u64) -> Step {
    Step::Transfer { from, to, amount }
}

/// A ledger with a few assets, and the number that makes the next key.
struct Bench {
    state: State,
    now: Time,
    next: u128,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { state: State::default(), now: NOW, next: 0 };
        let register = |asset: &str, supply| Step::Register { asset: name(asset), supply };
        bench.done(vec![register("gold", None), register("gem", None), register("sword", Some(1))]);
        bench
    }

    /// With 100 gold for player 1.
    fn rich() -> Self {
        let mut bench = Self::new();
        bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 100)]);
        bench
    }

    fn answer(&mut self, order: Order) -> Answer {
        self.next += 1;
        let key = Key::of(1, self.now, self.next);
        let before = self.state.clone();
        let applied = apply(&mut self.state, &Command::Request { key, request: 0, order }, self.now);
        self.state.audit().expect("a sound ledger");
        let Ok(Applied::New { entry, bytes }) = applied else { panic!("{applied:?}") };
        let mut again = before;
        again.redo(&arbiter_ledger::Entry::from_bytes(&bytes).expect("an entry")).expect("it follows");
        assert_eq!(again, self.state);
        entry.answer().expect("a client asked")
    }

    fn try_steps(&mut self, steps: Vec<Step>) -> Answer {
        self.answer(order(steps))
    }

    fn done(&mut self, steps: Vec<Step>) -> arbiter_ledger::Receipt {
        self.try_steps(steps).expect("it is allowed")
    }

    fn refused(&mut self, steps: Vec<Step>) -> Why {
        self.try_steps(steps).expect_err("it is not allowed").why
    }

    fn amount(&self, account: &Account) -> i64 {
        self.state.balance(account).amount
    }

    fn hold(&mut self, amount: u64, lasts_ms: u64) -> u64 {
        let (from, to) = (main_of(1, "gold"), main_of(2, "gold"));
        let until = self.now.after(lasts_ms);
        self.done(vec![Step::Hold { from, to, amount, until }]).first_hold
    }
}

#[test]
fn what_is_issued_is_what_the_issuer_lacks() {
    let bench = Bench::rich();
    assert_eq!((bench.amount(&main_of(1, "gold")), bench.amount(&issuer("gold"))), (100, -100));
}

#[test]
fn an_order_is_done_wholly_or_not_at_all() {
    let mut bench = Bench::rich();
    let pay = transfer(main_of(1, "gold"), main_of(2, "gold"), 60);
    let refusal = bench.try_steps(vec![pay.clone(), pay]).expect_err("there are only 100");
    assert_eq!(refusal, Refusal { step: 1, why: Why::NotEnough });
    assert_eq!(bench.amount(&main_of(1, "gold")), 100);
}

#[test]
fn a_player_cannot_be_below_zero_but_their_debt_can() {
    let mut bench = Bench::rich();
    assert_eq!(bench.refused(vec![transfer(main_of(2, "gold"), main_of(1, "gold"), 1)]), Why::NotEnough);
    bench.done(vec![transfer(Account::debt(2, name("gold")), main_of(1, "gold"), 7)]);
    assert_eq!(bench.amount(&Account::debt(2, name("gold"))), -7);
}

#[test]
fn what_comes_in_pays_what_is_owed_first() {
    let mut bench = Bench::rich();
    let debt = Account::debt(2, name("gold"));
    bench.done(vec![transfer(debt.clone(), issuer("gold"), 30)]);
    bench.done(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 20)]);
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (0, -10));
    bench.done(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 25)]);
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (15, 0));
}

#[test]
fn what_is_lent_can_be_spent() {
    let mut bench = Bench::rich();
    let debt = Account::debt(2, name("gold"));
    bench.done(vec![transfer(debt.clone(), main_of(2, "gold"), 30)]);
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (30, -30));
    bench.done(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 10)]);
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (30, -20), "only what came in pays");
}

#[test]
fn what_a_hold_brings_back_pays_what_is_owed() {
    let mut bench = Bench::rich();
    let hold = bench.hold(40, 1_000);
    bench.done(vec![transfer(Account::debt(1, name("gold")), issuer("gold"), 30)]);
    bench.done(vec![Step::Void { hold }]);
    assert_eq!((bench.amount(&main_of(1, "gold")), bench.amount(&Account::debt(1, name("gold")))), (70, 0));
}

#[test]
fn a_frozen_debt_is_not_paid() {
    let mut bench = Bench::rich();
    let debt = Account::debt(2, name("gold"));
    bench.done(vec![transfer(debt.clone(), issuer("gold"), 30), Step::Freeze { account: debt.clone(), frozen: true }]);
    bench.done(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 20)]);
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (20, -30));
}

#[test]
fn a_note_is_in_the_entry_and_nowhere_else() {
    let mut bench = Bench::new();
    let before = bench.state.checkpoint().len();
    bench.done(vec![Step::Note { bytes: b"why".to_vec() }]);
    let kept = bench.state.checkpoint();
    assert!(kept.len() > before && !kept.windows(3).any(|bytes| bytes == b"why"));
    for bytes in [Vec::new(), vec![0; arbiter_ledger::command::NOTE_BYTES_MAX + 1]] {
        assert_eq!(bench.refused(vec![Step::Note { bytes }]), Why::NoteSize);
    }
}

#[test]
fn there_is_one_of_a_unique_item() {
    let mut bench = Bench::new();
    bench.done(vec![transfer(issuer("sword"), main_of(1, "sword"), 1)]);
    assert_eq!(bench.refused(vec![transfer(issuer("sword"), main_of(2, "sword"), 1)]), Why::Supply);
    assert_eq!(
        bench.refused(vec![transfer(Account::debt(2, name("sword")), main_of(2, "sword"), 1)]),
        Why::Bucket,
        "a debt would make a second one"
    );
    bench.done(vec![transfer(main_of(1, "sword"), main_of(2, "sword"), 1)]);
    assert_eq!((bench.amount(&main_of(1, "sword")), bench.amount(&main_of(2, "sword"))), (0, 1));
    assert_eq!(bench.state.accounts_of(1).count(), 0, "an empty account is not kept");
}

#[test]
fn an_asset_never_changes_its_supply() {
    let mut bench = Bench::new();
    bench.done(vec![Step::Register { asset: name("sword"), supply: Some(1) }]);
    assert_eq!(bench.refused(vec![Step::Register { asset: name("sword"), supply: None }]), Why::AssetExists);
}

#[test]
fn strange_movements_are_refused() {
    let mut bench = Bench::rich();
    let gold = || main_of(1, "gold");
    let cases = [
        (transfer(gold(), main_of(2, "gold"), 0), Why::Amount),
        (transfer(gold(), main_of(2, "gold"), u64::MAX), Why::Amount),
        (transfer(gold(), main_of(2, "gem"), 1), Why::AssetsDiffer),
        (transfer(gold(), gold(), 1), Why::SameAccount),
        (transfer(main_of(1, "silver"), main_of(2, "silver"), 1), Why::UnknownAsset),
        (transfer(gold(), gold().held(), 1), Why::Bucket),
        (transfer(gold(), Account { owner: 2, ..issuer("gold") }, 1), Why::Bucket),
    ];
    for (step, why) in cases {
        assert_eq!(bench.refused(vec![step.clone()]), why, "{step:?}");
    }
}

#[test]
fn sums_do_not_overflow() {
    let mut bench = Bench::new();
    let most = i64::MAX as u64;
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), most)]);
    assert_eq!(bench.refused(vec![transfer(issuer("gold"), main_of(1, "gold"), 1)]), Why::Limit);
    bench.done(vec![transfer(issuer("gold"), main_of(2, "gold"), 1)]);
    assert_eq!(bench.refused(vec![transfer(issuer("gold"), main_of(2, "gold"), 1)]), Why::Limit);
}

#[test]
fn a_limit_keeps_a_wallet_small_and_a_debt_too() {
    let mut bench = Bench::rich();
    let (wallet, debt) = (main_of(2, "gold"), Account::debt(1, name("gold")));
    let limit = |account: &Account| Step::Limit { account: account.clone(), limit: Some(10) };
    bench.done(vec![limit(&wallet), limit(&debt)]);
    let pay = |amount| transfer(main_of(1, "gold"), main_of(2, "gold"), amount);
    assert_eq!(bench.refused(vec![pay(11)]), Why::Limit);
    bench.done(vec![pay(10)]);
    assert_eq!(bench.refused(vec![transfer(debt.clone(), main_of(3, "gold"), 11)]), Why::Limit);
    bench.done(vec![transfer(debt, main_of(3, "gold"), 10)]);
}

#[test]
fn a_frozen_account_neither_gives_nor_takes_until_it_is_freed() {
    let mut bench = Bench::rich();
    let freeze = |frozen| Step::Freeze { account: main_of(1, "gold"), frozen };
    bench.done(vec![freeze(true)]);
    assert_eq!(bench.refused(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 1)]), Why::Frozen);
    assert_eq!(bench.refused(vec![transfer(issuer("gold"), main_of(1, "gold"), 1)]), Why::Frozen);
    bench.done(vec![freeze(false), transfer(main_of(1, "gold"), main_of(2, "gold"), 1)]);
}

#[test]
fn a_posted_hold_pays_a_part_and_brings_back_the_rest() {
    let mut bench = Bench::rich();
    let hold = bench.hold(80, DAY_MS);
    assert_eq!((bench.amount(&main_of(1, "gold")), bench.amount(&main_of(1, "gold").held())), (20, 80));
    assert_eq!(bench.refused(vec![Step::Post { hold, amount: Some(81) }]), Why::MoreThanHeld);
    bench.done(vec![Step::Post { hold, amount: Some(50) }]);
    assert_eq!((bench.amount(&main_of(1, "gold")), bench.amount(&main_of(2, "gold"))), (50, 50));
    assert_eq!(bench.refused(vec![Step::Post { hold, amount: None }]), Why::UnknownHold);
}

#[test]
fn a_void_hold_brings_everything_back() {
    let mut bench = Bench::rich();
    let hold = bench.hold(80, DAY_MS);
    bench.done(vec![Step::Void { hold }]);
    assert_eq!((bench.amount(&main_of(1, "gold")), bench.state.holds().count()), (100, 0));
}

#[test]
fn a_hold_whose_time_has_come_comes_back_to_a_frozen_account_and_beyond_its_limit() {
    let mut bench = Bench::rich();
    let hold = bench.hold(80, 1_000);
    bench.done(vec![
        Step::Freeze { account: main_of(1, "gold"), frozen: true },
        Step::Limit { account: main_of(1, "gold"), limit: Some(1) },
    ]);
    bench.now = bench.now.after(1_000);
    assert_eq!(bench.state.next_due(), Some(bench.now));
    assert!(matches!(apply(&mut bench.state, &Command::Elapse, bench.now), Ok(Applied::New { .. })));
    assert_eq!(apply(&mut bench.state, &Command::Elapse, bench.now), Ok(Applied::Nothing));
    assert_eq!((bench.amount(&main_of(1, "gold")), bench.state.hold(hold)), (100, None));
}

#[test]
fn a_hold_takes_room_in_its_wallet_so_that_it_can_come_back() {
    let mut bench = Bench::new();
    let most = i64::MAX as u64;
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), most)]);
    let hold = bench.hold(most, DAY_MS);
    assert_eq!(bench.refused(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 1)]), Why::NotEnough);
    bench.done(vec![Step::Void { hold }]);
    bench.done(vec![transfer(main_of(1, "gold"), issuer("gold"), most)]);
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 5)]);
    bench.hold(5, DAY_MS);
    assert_eq!(bench.refused(vec![transfer(issuer("gold"), main_of(1, "gold"), most - 4)]), Why::Limit);
}

#[test]
fn holds_last_from_now_to_thirty_days() {
    let mut bench = Bench::rich();
    let now = bench.now;
    for until in [Time(0), now, now.after(30 * DAY_MS + 1)] {
        let (from, to) = (main_of(1, "gold"), main_of(2, "gold"));
        assert_eq!(bench.refused(vec![Step::Hold { from, to, amount: 1, until }]), Why::HoldTime);
    }
}

#[test]
fn an_order_can_hold_and_pay_together() {
    let mut bench = Bench::rich();
    let (from, to, until) = (main_of(1, "gold"), main_of(2, "gold"), bench.now.after(5));
    let hold = Step::Hold { from: from.clone(), to: to.clone(), amount: 10, until };
    let receipt = bench.done(vec![hold.clone(), transfer(from, to, 1), hold]);
    assert_eq!((receipt.first_hold, receipt.holds), (0, 2));
    let refused = bench.refused(vec![Step::Void { hold: 0 }, Step::Void { hold: 7 }]);
    assert_eq!((refused, bench.state.holds().count()), (Why::UnknownHold, 2));
}

#[test]
fn the_same_request_gets_the_same_answer_and_another_one_a_conflict() {
    let mut bench = Bench::rich();
    let key = Key::of(1, NOW, 99);
    let pay = order(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 60)]);
    let ask = |state: &mut State, request| {
        apply(state, &Command::Request { key, request, order: pay.clone() }, NOW.after(DAY_MS))
    };
    let Ok(Applied::New { entry, .. }) = ask(&mut bench.state, 5) else { panic!("the first time") };
    let answer = entry.answer().expect("a request");
    assert_eq!(ask(&mut bench.state, 5), Ok(Applied::Known(answer)));
    assert_eq!(ask(&mut bench.state, 6), Err(Unanswered::Conflict(key)));
    assert_eq!(bench.amount(&main_of(2, "gold")), 60);
}

#[test]
fn a_refusal_is_an_answer_that_stays() {
    let mut bench = Bench::new();
    let key = Key::of(1, NOW, 99);
    let pay = order(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 60)]);
    let command = Command::Request { key, request: 5, order: pay };
    let Ok(Applied::New { entry, .. }) = apply(&mut bench.state, &command, NOW) else { panic!("the first time") };
    let refusal = entry.answer().expect("a request");
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 100)]);
    assert_eq!(apply(&mut bench.state, &command, NOW), Ok(Applied::Known(refusal)));
}

#[test]
fn a_key_is_known_for_thirty_days_and_refused_after() {
    let mut bench = Bench::rich();
    let key = Key::of(1, NOW, 99);
    let command = Command::Request { key, request: 5, order: order(vec![]) };
    apply(&mut bench.state, &command, NOW).expect("the first time");
    let last = NOW.after(KEPT_MS - 1);
    assert!(matches!(apply(&mut bench.state, &command, last), Ok(Applied::Known(Err(_)))));
    assert_eq!(apply(&mut bench.state, &command, NOW.after(KEPT_MS)), Err(Unanswered::TooOld(key)));
    bench.now = NOW.after(KEPT_MS);
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 1)]);
    assert_eq!(bench.state.answer(key), None, "what is refused need not be kept");
}

#[test]
fn a_key_from_the_future_is_refused() {
    let mut bench = Bench::new();
    let key = Key::of(1, NOW.after(AHEAD_MS_MAX + 1), 0);
    let command = Command::Request { key, request: 0, order: order(vec![]) };
    assert_eq!(apply(&mut bench.state, &command, NOW), Err(Unanswered::Ahead(key)));
}

#[test]
fn two_owners_may_use_the_same_uuid() {
    let mut bench = Bench::rich();
    for owner in [1, 2] {
        let order = order(vec![transfer(issuer("gold"), main_of(owner, "gold"), 1)]);
        let command = Command::Request { key: Key::of(owner, NOW, 99), request: u128::from(owner), order };
        assert!(matches!(apply(&mut bench.state, &command, NOW), Ok(Applied::New { .. })));
    }
}

fn consume(state: &mut State, position: u64, orders: Vec<Order>) -> Applied {
    apply(state, &Command::Consume { source: name("matches"), position, orders }, NOW).expect("it is taken")
}

#[test]
fn a_position_is_consumed_once_for_ever() {
    let mut bench = Bench::new();
    let grant = || vec![order(vec![transfer(issuer("gold"), main_of(1, "gold"), 5)])];
    assert!(matches!(consume(&mut bench.state, 3, grant()), Applied::New { .. }));
    for position in [0, 3] {
        assert_eq!(consume(&mut bench.state, position, grant()), Applied::Nothing);
    }
    assert!(matches!(consume(&mut bench.state, 4, vec![]), Applied::New { .. }));
    assert_eq!((bench.state.cursor(&name("matches")), bench.amount(&main_of(1, "gold"))), (5, 5));
}

#[test]
fn one_refused_order_of_a_position_does_not_hold_up_the_others() {
    let mut bench = Bench::new();
    let grant = |player| order(vec![transfer(issuer("gold"), main_of(player, "gold"), 5)]);
    bench.done(vec![Step::Freeze { account: main_of(1, "gold"), frozen: true }]);
    let Applied::New { entry, .. } = consume(&mut bench.state, 0, vec![grant(1), grant(2)]) else { panic!("new") };
    let open: Vec<bool> = entry.orders.iter().map(|outcome| outcome.is_open()).collect();
    assert_eq!((open, bench.amount(&main_of(2, "gold"))), (vec![true, false], 5));
}

#[test]
fn what_is_claimed_happens_once_whatever_brings_it() {
    let mut bench = Bench::new();
    let grant = |until| Order {
        claim: Some(Claim { key: 77, until }),
        ..order(vec![transfer(issuer("gold"), main_of(1, "gold"), 5)])
    };
    consume(&mut bench.state, 0, vec![grant(NOW.after(DAY_MS)), grant(NOW.after(DAY_MS))]);
    assert_eq!(bench.answer(grant(Time::NEVER)).expect_err("again").why, Why::Claimed);
    assert_eq!(bench.amount(&main_of(1, "gold")), 5);
    bench.now = bench.now.after(DAY_MS);
    bench.answer(grant(Time::NEVER)).expect("the window is over");
    bench.now = bench.now.after(1_000 * DAY_MS);
    assert_eq!(bench.answer(grant(Time::NEVER)).expect_err("for ever").why, Why::Claimed);
}

#[test]
fn a_refused_order_does_not_use_up_its_claim() {
    let mut bench = Bench::new();
    let pay = Order {
        claim: Some(Claim { key: 77, until: Time::NEVER }),
        ..order(vec![transfer(main_of(1, "gold"), main_of(2, "gold"), 5)])
    };
    assert_eq!(bench.answer(pay.clone()).expect_err("nothing there").why, Why::NotEnough);
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 5)]);
    bench.answer(pay).expect("now there is");
}

#[test]
fn only_what_was_consumed_can_be_amended_and_only_with_claims() {
    let mut bench = Bench::new();
    let grant = |claim| Order { claim, ..order(vec![transfer(issuer("gold"), main_of(1, "gold"), 5)]) };
    let claim = Some(Claim { key: 1, until: Time::NEVER });
    let amend = |state: &mut State, position, claim| {
        let command = Command::Amend { source: name("matches"), position, subject: 1, orders: vec![grant(claim)] };
        apply(state, &command, NOW)
    };
    consume(&mut bench.state, 0, vec![]);
    assert_eq!(amend(&mut bench.state, 1, claim), Err(Unanswered::Amendment));
    assert_eq!(amend(&mut bench.state, 0, None), Err(Unanswered::Amendment));
    for _ in 0..2 {
        assert!(matches!(amend(&mut bench.state, 0, claim), Ok(Applied::New { .. })));
    }
    assert_eq!(bench.amount(&main_of(1, "gold")), 5);
}

#[test]
fn time_never_goes_back() {
    let mut bench = Bench::rich();
    let hold = bench.hold(10, 1_000);
    bench.now = bench.now.after(1_000);
    bench.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 1)]);
    bench.now = NOW;
    assert_eq!(bench.refused(vec![Step::Void { hold }]), Why::UnknownHold);
    assert_eq!(bench.state.time(), NOW.after(1_000));
}

#[test]
fn too_much_at_once_is_refused_and_changes_nothing() {
    let mut bench = Bench::rich();
    let pay = transfer(main_of(1, "gold"), main_of(2, "gold"), 1);
    let before = bench.state.clone();
    let mut ask = |steps| {
        let command = Command::Request { key: Key::of(1, NOW, 1 << 80), request: 0, order: order(steps) };
        apply(&mut bench.state, &command, NOW)
    };
    assert_eq!(ask(vec![pay; 8_193]), Err(Unanswered::TooManySteps(8_193)));
    let note = Step::Note { bytes: vec![1; 8_192] };
    assert!(matches!(ask(vec![note; 128]), Err(Unanswered::TooLarge(_))));
    assert_eq!(bench.state, before);
}

#[test]
fn an_order_moves_no_more_than_one_event_can_tell() {
    let mut bench = Bench::rich();
    let debt = Account::debt(2, name("gold"));
    bench.done(vec![transfer(debt.clone(), issuer("gold"), 50)]);
    // Two postings each, and two that pay what is owed.
    let give = |times| vec![transfer(issuer("gold"), main_of(2, "gold"), 1); times];
    assert_eq!(bench.refused(give(1_024)), Why::TooManyPostings);
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (0, -50), "nothing was done");
    bench.done(give(1_023));
    assert_eq!((bench.amount(&main_of(2, "gold")), bench.amount(&debt)), (973, 0));
}

#[test]
fn an_entry_of_another_history_is_refused() {
    let mut one = Bench::rich();
    let mut other = Bench::new();
    other.done(vec![transfer(issuer("gold"), main_of(1, "gold"), 101)]);
    let command = Command::Consume { source: name("matches"), position: 0, orders: vec![] };
    let Ok(Applied::New { entry, .. }) = apply(&mut one.state, &command, NOW) else { panic!("new") };
    let before = other.state.clone();
    assert_eq!(other.state.redo(&entry), Err(arbiter_ledger::Broken::History(2)));
    assert_eq!(other.state, before);
}

#[test]
fn a_checkpoint_that_makes_money_is_refused() {
    let mut bench = Bench::rich();
    bench.done(vec![transfer(issuer("gold"), main_of(2, "gold"), 0x1234_5678)]);
    let mut bytes = bench.state.checkpoint();
    assert_eq!(State::restore(&bytes).as_ref(), Ok(&bench.state));
    let amount = 0x1234_5678_i64.to_le_bytes();
    let at = bytes.windows(8).position(|window| window == amount).expect("the balance is in it");
    bytes[at] += 1;
    assert_eq!(State::restore(&bytes), Err(arbiter_ledger::Broken::Unbalanced));
}
