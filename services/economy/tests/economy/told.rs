//! What the world is told of what the economy does: everything, once, and the same words whenever it is told again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use arbiter_contracts::{Envelope, Event, batch, v1};
use arbiter_economy::tell::{Fact, NotBrought, Publisher, SOURCE, Told};
use arbiter_economy::{Economy, Inventory};
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::{Folder, Options, Reader, Record};
use arbiter_intake::{Event as Brought, Intake};
use arbiter_ledger::command::POSTINGS_MAX;
use arbiter_ledger::{Account, Command, Key, Name, Order, Step};
use arbiter_views::SayError;

use super::payments::{begin, catalogue, hear, opened, says, tell as hear_and_freeze};
use super::store::{buy, shipped, shop};
use super::{House, NOW, ended, gold, house, name, open, record, rewards};

/// The log of events, and what is remembered of what was told.
struct World {
    folder: tempfile::TempDir,
    intake: Intake,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let intake = Intake::start(&folder.path().join("events"), Options::default()).expect("a log of events");
        Self { folder, intake }
    }

    fn view(&self) -> PathBuf {
        self.folder.path().join("told.sqlite")
    }

    fn publisher(&self, economy: &House) -> Publisher {
        Publisher::open(&self.view(), economy.store()).expect("a view").0
    }

    fn bring(&self, facts: Vec<Fact>) -> Result<usize, NotBrought> {
        assert!(batch::fitting(facts.iter().map(|fact| fact.bytes.len())) == facts.len(), "they fit one batch");
        let events = facts.into_iter().map(|Fact { id, bytes }| Brought { id, bytes }).collect();
        let stored = self.intake.bringer().bring(events);
        stored.map(|stored| stored.new).map_err(|refused| NotBrought(refused.to_string()))
    }

    /// Tells all that was not told.
    fn tell(&self, economy: &House) -> Told {
        let (mut publisher, mut all) = (self.publisher(economy), Told::default());
        loop {
            let told = publisher.tell(economy.store(), |facts| self.bring(facts)).expect("told");
            all =
                Told { entries: all.entries + told.entries, events: all.events + told.events, new: all.new + told.new };
            if told.entries == 0 {
                return all;
            }
        }
    }

    /// All that is in the log of events.
    fn log(&self) -> Vec<Record> {
        let reader = Reader::open(Folder::at(&self.folder.path().join("events")).expect("there"), None).expect("a log");
        let (mut records, mut next) = (Vec::new(), 0);
        while next < reader.end() {
            reader.read(next, 1 << 20, &mut records).expect("read");
            next = records.last().map_or(0, |record: &Record| record.position + 1);
        }
        records
    }

    fn events(&self) -> Vec<Envelope> {
        self.log().iter().map(|record| Envelope::decode(&record.data).expect("an event")).collect()
    }

    /// What an economy did since it was told of last, as lines.
    fn hears(&self, economy: &House) -> Vec<String> {
        let before = self.log().len();
        self.tell(economy);
        self.events()[before..].iter().map(line).collect()
    }
}

fn place(account: &Option<v1::Account>) -> String {
    let v1::Account { owner, asset, bucket } = account.as_ref().expect("an account");
    format!("{owner}/{asset}/{bucket}")
}

/// An event as a line: whom it is about, and what it says.
fn line(event: &Envelope) -> String {
    let said = match &event.event {
        Event::AccountOpened(opened) => format!("opened {}", place(&opened.account)),
        Event::AccountFrozen(v1::AccountFrozen { account, frozen, reason }) => {
            format!("{} {} for {reason}", if *frozen { "froze" } else { "freed" }, place(account))
        }
        Event::WalletChanged(v1::WalletChanged { postings, reason, .. }) => {
            let posting = |posting: &v1::Posting| {
                let v1::Posting { account, amount, balance } = posting;
                format!(", {} {amount:+} to {balance}", place(account))
            };
            format!("moved for {reason}{}", postings.iter().map(posting).collect::<String>())
        }
        Event::InventoryChanged(v1::InventoryChanged { item, amount, quantity, equipped, .. }) => {
            format!("has {quantity} {item} ({amount:+}) worn in {equipped:?}")
        }
        Event::PurchaseCompleted(v1::PurchaseCompleted { purchase, offer, asset, price, .. }) => {
            format!("bought {offer} for {price} {asset} as {:x}", number(purchase))
        }
        Event::PurchaseReversed(v1::PurchaseReversed { purchase, chargeback, debts, .. }) => {
            let owed: Vec<String> = debts.iter().map(|owed| format!("{} {}", owed.amount, owed.asset)).collect();
            format!("gave back {:x}, by force {chargeback}, owes {owed:?}", number(purchase))
        }
        Event::GrantIssued(v1::GrantIssued { reward, cause, window, amount, asset, .. }) => {
            format!("was granted {reward}, {amount} {asset} for {cause} in {window:?}")
        }
        other => panic!("the economy does not tell {other:?}"),
    };
    format!("{} {said}", event.attributes.subject)
}

fn number(bytes: &[u8]) -> u128 {
    u128::from_be_bytes(bytes.try_into().expect("16 bytes"))
}

fn wear(economy: &mut House, number: u128, slot: &str, item: Option<&str>) {
    let item: Option<Name> = item.map(name);
    economy.equip(&shipped(), Key::of(1, NOW, number), &name(slot), item.as_ref(), NOW).expect("it is worn");
    economy.commit().expect("a disk that works");
}

#[test]
fn a_purchase_is_told_with_what_moved_and_what_the_buyer_has() {
    let (mut economy, world) = (shop(250), World::new());
    world.tell(&economy);
    buy(&mut economy, &shipped(), 5, "medkits").expect("bought");
    let told = [
        "accounts/0 opened 0/gold/main",
        "accounts/0 opened 0/medkit/issuer",
        "accounts/1 opened 1/medkit/main",
        "accounts/1 moved for purchase:medkits, 1/gold/main -20 to 230, 0/gold/main +20 to 20, \
         0/medkit/issuer -3 to -3, 1/medkit/main +3 to 3",
        r#"players/1 has 3 medkit (+3) worn in """#,
        "players/1 bought medkits for 20 gold as 3",
    ];
    assert_eq!(world.hears(&economy), told);
    buy(&mut economy, &shipped(), 6, "medkits").expect("bought");
    let told = world.hears(&economy);
    assert!(!told.iter().any(|line| line.contains("opened")), "an account is opened once: {told:?}");
    assert!(told.contains(&r#"players/1 has 6 medkit (+3) worn in """#.to_owned()), "{told:?}");
}

#[test]
fn what_a_service_calls_a_purchase_moves_and_is_none_of_the_stores() {
    let (mut economy, world) = (shop(250), World::new());
    world.tell(&economy);
    let steps = vec![Step::Transfer { from: gold(1), to: gold(0), amount: 20 }];
    let order = Order { subject: 1, reason: name("purchase:medkits"), claim: None, steps };
    let command = Command::Request { key: Key::of(1, NOW, 9), request: 9, order };
    economy.submit(&command, NOW).expect("it is taken");
    economy.commit().expect("a disk that works");
    let told = world.hears(&economy);
    assert!(told.len() == 2 && told[1].starts_with("accounts/1 moved for purchase:medkits"), "{told:?}");
}

#[test]
fn a_grant_is_told_with_its_event_and_the_day_that_it_is_for() {
    let (mut economy, world) = (open(&SimulatedDisk::default()), World::new());
    let event = record(3, &ended(1, NOW, &[7]));
    economy.consume(&name("events"), &event, &rewards(), NOW).expect("consumed");
    economy.commit().expect("a disk that works");
    let told: Vec<String> = world.hears(&economy).into_iter().filter(|line| line.contains("granted")).collect();
    let expected = [
        r#"players/7 was granted played, 10 gold for events/3 in """#,
        r#"players/7 was granted won, 50 gold for events/3 in """#,
        r#"players/7 was granted first, 100 gold for events/3 in "2027-01-15""#,
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_grant_that_waited_is_told_when_it_is_given() {
    let (mut economy, world) = (open(&SimulatedDisk::default()), World::new());
    let freeze = |frozen| vec![Step::Freeze { account: gold(7), frozen }];
    house(&mut economy, 1, freeze(true));
    let event = record(3, &ended(1, NOW, &[7]));
    economy.consume(&name("events"), &event, &rewards(), NOW).expect("consumed");
    economy.commit().expect("a disk that works");
    assert!(!world.hears(&economy).iter().any(|line| line.contains("granted")));
    house(&mut economy, 2, freeze(false));
    economy.amend(&name("events"), &event, 7, &rewards(), NOW).expect("amended");
    economy.commit().expect("a disk that works");
    let told = world.hears(&economy);
    let granted = r#"players/7 was granted won, 50 gold for events/3 in """#;
    assert!(told.iter().any(|line| line == granted), "{told:?}");
}

#[test]
fn what_is_given_for_another_log_moves_and_is_no_grant_for_an_event() {
    let (mut economy, world) = (open(&SimulatedDisk::default()), World::new());
    let event = record(3, &ended(1, NOW, &[7]));
    economy.consume(&name("elsewhere"), &event, &rewards(), NOW).expect("consumed");
    economy.commit().expect("a disk that works");
    let told = world.hears(&economy);
    assert!(told.iter().any(|line| line.contains("moved for grant:won")), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("granted")), "{told:?}");
}

#[test]
fn a_payment_is_told_when_it_is_delivered_and_once_when_it_is_taken_back() {
    let ((mut economy, _), world) = (opened(), World::new());
    let payment = begin(&mut economy, 1, 5, "gems.100");
    assert_eq!(world.hears(&economy), Vec::<String>::new(), "nothing is bought yet");
    hear(&mut economy, payment, "paid");
    let told = world.hears(&economy);
    assert_eq!(told.last(), Some(&format!("players/1 bought gems.100 for 199 EUR as {payment:x}")));
    let spent = Step::Transfer { from: gem(1), to: gem(2), amount: 70 };
    house(&mut economy, 7, vec![spent]);
    world.tell(&economy);
    hear(&mut economy, payment, "charged back");
    let told = world.hears(&economy);
    let back = format!("players/1 gave back {payment:x}, by force true, owes [\"70 gem\"]");
    assert_eq!(told.last(), Some(&back));
    hear(&mut economy, payment, "refunded");
    assert_eq!(world.hears(&economy), Vec::<String>::new(), "it is taken back once");
}

fn gem(player: u64) -> Account {
    Account::main(player, name("gem"))
}

#[test]
fn what_was_never_delivered_is_neither_bought_nor_given_back() {
    let ((mut economy, _), world) = (opened(), World::new());
    let payment = begin(&mut economy, 1, 5, "gems.100");
    for what in ["failed", "refunded", "paid", "charged back"] {
        hear(&mut economy, payment, what);
    }
    assert_eq!(world.hears(&economy), Vec::<String>::new());
}

#[test]
fn what_is_put_on_is_told_with_what_it_takes_the_place_of() {
    let (mut economy, world) = (shop(250), World::new());
    buy(&mut economy, &shipped(), 5, "azure").expect("bought");
    buy(&mut economy, &shipped(), 6, "crimson").expect("bought");
    wear(&mut economy, 7, "body", Some("skin.azure"));
    world.tell(&economy);
    wear(&mut economy, 8, "body", Some("skin.crimson"));
    let told = world.hears(&economy);
    let things: Vec<&String> = told.iter().filter(|line| line.contains(" has ")).collect();
    let expected =
        [r#"players/1 has 1 skin.azure (+0) worn in """#, r#"players/1 has 1 skin.crimson (+0) worn in "body""#];
    assert_eq!(things, expected);
    wear(&mut economy, 9, "body", Some("skin.crimson"));
    let told = world.hears(&economy);
    assert!(told.iter().all(|line| line.contains("moved")), "nothing has changed: {told:?}");
}

#[test]
fn an_account_is_told_to_be_frozen_and_not_what_is_done_around_a_payment() {
    let ((mut economy, _), world) = (opened(), World::new());
    let payment = begin(&mut economy, 1, 5, "gems.100");
    hear(&mut economy, payment, "paid");
    world.tell(&economy);
    let charged_back = says(&economy, payment, "charged back");
    hear_and_freeze(&mut economy, &charged_back, true);
    let told = world.hears(&economy);
    let froze: Vec<&String> = told.iter().filter(|line| line.contains("froze")).collect();
    let expected = ["gem", "gold"].map(|asset| format!("accounts/1 froze 1/{asset}/main for chargeback:gems.100"));
    assert_eq!(froze, expected.iter().collect::<Vec<_>>());
    let payment = begin(&mut economy, 1, 6, "gems.100");
    hear(&mut economy, payment, "paid");
    let told = world.hears(&economy);
    assert!(told.len() > 1 && !told.iter().any(|line| line.contains("fr")), "it is frozen as before: {told:?}");
    economy.freeze_wallet(&catalogue(), 1, false, NOW).expect("freed");
    economy.commit().expect("a disk that works");
    let expected = ["gem", "gold"].map(|asset| format!("accounts/1 freed 1/{asset}/main for freeze"));
    assert_eq!(world.hears(&economy), expected);
}

#[test]
fn what_comes_back_by_itself_is_told_as_its_owners() {
    let (mut economy, world) = (shop(250), World::new());
    let [from, to] = [1, 2].map(gem);
    house(&mut economy, 9, vec![Step::Hold { from, to, amount: 30, until: NOW.after(10) }]);
    world.tell(&economy);
    economy.submit(&Command::Elapse, NOW.after(10)).expect("taken");
    economy.commit().expect("a disk that works");
    assert_eq!(world.hears(&economy), ["accounts/1 moved for release, 1/gem/held -30 to 0, 1/gem/main +30 to 250"]);
}

#[test]
fn what_lies_in_a_hold_is_still_its_owners_thing() {
    let (mut economy, world) = (shop(250), World::new());
    buy(&mut economy, &shipped(), 5, "azure").expect("bought");
    world.tell(&economy);
    let [from, to] = [1, 2].map(|player| Account::main(player, name("skin.azure")));
    house(&mut economy, 9, vec![Step::Hold { from, to, amount: 1, until: NOW.after(10) }]);
    let told = world.hears(&economy);
    assert!(!told.iter().any(|line| line.contains(" has ")), "{told:?}");
    house(&mut economy, 10, vec![Step::Post { hold: 0, amount: None }]);
    let told = world.hears(&economy);
    let things: Vec<&String> = told.iter().filter(|line| line.contains(" has ")).collect();
    let expected = [r#"players/1 has 0 skin.azure (-1) worn in """#, r#"players/2 has 1 skin.azure (+1) worn in """#];
    assert_eq!(things, expected);
}

#[test]
fn what_is_owed_is_told_as_inventories_show_it() {
    let (mut economy, world) = (shop(1), World::new());
    let (main, debt) = (Account::main(1, name("medkit")), Account::debt(1, name("medkit")));
    let issuer = Account::issuer(name("medkit"));
    let moves =
        |from: &Account, to: &Account, amount| vec![Step::Transfer { from: from.clone(), to: to.clone(), amount }];
    house(&mut economy, 9, moves(&issuer, &main, 5));
    // More goes to a debt than is owed: it is the player's all the same.
    house(&mut economy, 10, moves(&debt, &issuer, 2));
    house(&mut economy, 11, moves(&issuer, &debt, 3));
    let told = world.hears(&economy);
    let things: Vec<&String> = told.iter().filter(|line| line.contains(" has ")).collect();
    let expected = [r#"players/1 has 5 medkit (+5) worn in """#, r#"players/1 has 6 medkit (+1) worn in """#];
    assert_eq!(things, expected);
    let ledger = economy.ledger().expect("settled");
    assert_eq!(Inventory::of(ledger, &shipped(), 1).items[&name("medkit")].quantity, 6);
}

#[test]
fn an_entry_without_a_booking_is_told_of_nobody() {
    let (mut economy, world) = (open(&SimulatedDisk::default()), World::new());
    let worthless = record(300, &ended(1, NOW, &[]));
    let told = economy.consume(&name("events"), &worthless, &rewards(), NOW).expect("consumed");
    assert!(told.is_some(), "a position that is far behind is written down");
    economy.commit().expect("a disk that works");
    assert_eq!(world.tell(&economy), Told { entries: 2, events: 0, new: 0 });
}

/// An economy that did a bit of everything.
fn busy() -> House {
    let (mut economy, _) = opened();
    let give = |asset: &str| Step::Transfer {
        from: Account::issuer(name(asset)),
        to: Account::main(1, name(asset)),
        amount: 1_000,
    };
    house(&mut economy, 1, vec![give("gold"), give("gem")]);
    for (number, offer) in (10..).zip(["medkits", "azure", "gem-pouch", "crimson", "medkits"]) {
        buy(&mut economy, &shipped(), number, offer).expect("bought");
    }
    wear(&mut economy, 20, "body", Some("skin.azure"));
    for (number, what) in (30..).zip([&["paid"][..], &["paid", "charged back"], &["refunded", "paid"]]) {
        let payment = begin(&mut economy, 1, number, "gems.100");
        what.iter().for_each(|what| hear(&mut economy, payment, what));
    }
    for number in 0..20 {
        let event = record(number, &ended(number, NOW, &[1, 2, 3]));
        economy.consume(&name("events"), &event, &rewards(), NOW).expect("consumed");
    }
    economy.commit().expect("a disk that works");
    economy
}

#[test]
fn events_are_numbered_without_a_gap_and_named_by_entry_and_number() {
    let (economy, world) = (busy(), World::new());
    world.tell(&economy);
    let events = world.events();
    assert!(events.iter().map(|event| event.attributes.sequence).eq(0..events.len() as u64));
    assert!(events.iter().all(|event| event.attributes.source == SOURCE));
    let names: Vec<(u64, u64)> = events
        .iter()
        .map(|event| {
            let (entry, index) = event.attributes.id.split_once('-').expect("two numbers");
            (entry.parse().expect("an entry"), index.parse().expect("a number"))
        })
        .collect();
    assert!(names.is_sorted());
    for (entry, index) in &names {
        assert!(*index == 0 || names.contains(&(*entry, index - 1)), "{entry}-{index} has none before it");
    }
    let kinds: BTreeSet<&str> = events.iter().map(|event| event.event.type_name()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn who_dies_between_bringing_and_keeping_tells_again_and_nothing_twice() {
    let (economy, world) = (busy(), World::new());
    let quiet = World::new();
    quiet.tell(&economy);
    let mut publisher = world.publisher(&economy);
    let died = publisher.tell(economy.store(), |facts| {
        world.bring(facts)?;
        Err(NotBrought("died before anybody heard of it".to_owned()))
    });
    assert!(matches!(died, Err(SayError::NotHeard(_))), "{died:?}");
    assert_eq!(publisher.entries(), 0, "nothing of it was kept");
    drop(publisher);
    let told = world.tell(&economy);
    assert!(told.events > told.new, "some were known: {told:?}");
    assert_eq!(world.log(), quiet.log(), "as if nothing had happened");
}

#[test]
fn a_view_that_is_lost_is_built_again_and_tells_the_same_bytes() {
    let (economy, world) = (busy(), World::new());
    let first = world.tell(&economy);
    assert!(first.new == first.events && first.events > 100, "{first:?}");
    let before = world.log();
    std::fs::remove_file(world.view()).expect("it was there");
    assert_eq!(world.tell(&economy), Told { new: 0, ..first });
    assert_eq!(world.log(), before);
}

#[test]
fn another_fact_under_a_known_name_is_not_stepped_over() {
    let (economy, world) = (busy(), World::new());
    let mut own = Vec::new();
    let mut publisher = world.publisher(&economy);
    let kept = publisher.tell(economy.store(), |facts| {
        own.extend(facts);
        Err(NotBrought("only looked at".to_owned()))
    });
    assert!(kept.is_err());
    let mut wrong = own[3].clone();
    wrong.bytes.push(0);
    world.bring(vec![wrong]).expect("it is the first of its name");
    let refused = publisher.tell(economy.store(), |facts| world.bring(facts)).expect_err("a conflict");
    assert!(refused.to_string().contains("position 0 of the log has under the same source and id"), "{refused}");
    assert_eq!(publisher.entries(), 0);
}

/// An economy whose log takes large entries.
fn roomy() -> House {
    let options = Options { segment_bytes: 8 << 20, batch_bytes: 2 << 20, ..Options::default() };
    let mut economy = Economy::open_in(&SimulatedDisk::default(), options).expect("an economy").0;
    economy.register(&catalogue(), NOW).expect("it fits");
    economy
}

#[test]
fn the_largest_booking_is_told_in_one_event() {
    let (mut economy, world) = (roomy(), World::new());
    let long = |letter: &str| name(&letter.repeat(40));
    let place = |bucket: &str| Account { owner: u64::MAX, asset: long("x"), bucket: long(bucket) };
    let amount = i64::MAX as u64;
    let mut steps = vec![Step::Register { asset: long("x"), supply: None }];
    steps.push(Step::Transfer { from: Account::issuer(long("x")), to: place("a"), amount });
    let there_and_back = [("a", "b"), ("b", "a")].into_iter().cycle();
    let moves = there_and_back.map(|(from, to)| Step::Transfer { from: place(from), to: place(to), amount });
    steps.extend(moves.take(POSTINGS_MAX / 2 - 1));
    let order = Order { subject: u64::MAX, reason: long("r"), claim: None, steps };
    let command = Command::Request { key: Key::of(0, NOW, 9), request: 9, order };
    economy.submit(&command, NOW).expect("it is taken");
    economy.commit().expect("a disk that works");
    world.tell(&economy);
    let events = world.events();
    let all = events.iter().filter_map(|event| match &event.event {
        Event::WalletChanged(changed) => Some(changed.postings.len()),
        _ => None,
    });
    assert_eq!(all.collect::<Vec<_>>(), [POSTINGS_MAX]);
}

#[test]
fn an_entry_of_more_events_than_a_batch_takes_is_told_in_several() {
    let (mut economy, world) = (roomy(), World::new());
    let give = |player: u64| Order {
        subject: player,
        reason: name("gift"),
        claim: None,
        steps: vec![Step::Transfer {
            from: Account::issuer(name("medkit")),
            to: Account::main(player, name("medkit")),
            amount: 1,
        }],
    };
    let orders = (1..=1_500).map(give).collect();
    let command = Command::Consume { source: name("gifts"), position: 0, orders };
    economy.submit(&command, NOW).expect("it is taken");
    economy.commit().expect("a disk that works");
    let (mut publisher, mut batches) = (world.publisher(&economy), Vec::new());
    while publisher.entries() < economy.acknowledged() {
        publisher
            .tell(economy.store(), |facts| {
                batches.push(facts.len());
                world.bring(facts)
            })
            .expect("told");
    }
    // For each an account that is new, what moved, and a thing; and the issuer.
    assert_eq!(batches.iter().sum::<usize>(), 3 * 1_500 + 1);
    assert_eq!(batches[0], batch::EVENTS_MAX);
}

#[test]
fn what_an_asset_is_is_noted_once_and_when_it_changes() {
    let (mut economy, _) = opened();
    assert_eq!(economy.register(&catalogue(), NOW), Ok(None));
    let mut other = catalogue();
    other.items.get_mut(&name("medkit")).expect("an item").stack = 9;
    assert!(economy.register(&other, NOW).expect("it fits").is_some());
    assert_eq!(economy.register(&other, NOW), Ok(None));
}

#[test]
fn an_economy_from_before_the_notes_is_told_what_its_assets_are_at_its_next_start() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    let known = catalogue();
    let registered =
        known.assets.iter().map(|(asset, known)| Step::Register { asset: asset.clone(), supply: known.supply });
    let medkits =
        |amount| Step::Transfer { from: Account::issuer(name("medkit")), to: Account::main(1, name("medkit")), amount };
    house(&mut economy, 1, registered.chain([medkits(3)]).collect());
    assert!(economy.register(&known, NOW).expect("it fits").is_some());
    economy.commit().expect("a disk that works");
    drop(economy);
    let mut economy = open(&disk);
    assert_eq!(economy.register(&known, NOW), Ok(None), "not with each start");
    house(&mut economy, 2, vec![medkits(4)]);
    let told = World::new().hears(&economy);
    let things: Vec<&String> = told.iter().filter(|line| line.contains(" has ")).collect();
    assert_eq!(things, [r#"players/1 has 7 medkit (+4) worn in """#], "with what was there before");
}
