//! The economy as players and operators meet it: over HTTP, on real files, fed by a real log of events, which is told what it does.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arbiter_contracts::v1::{MatchEnded, Outcome, PlayerResult};
use arbiter_contracts::{Attributes, Envelope, Event, event_id::log_id};
use arbiter_economy::desk::{Desk, DeskConfig};
use arbiter_economy::tell::{Fact, NotBrought, SOURCE, TellConfig, Teller};
use arbiter_economy::{Catalogue, LedgerView, http};
use arbiter_eventlog::{Folder, Options, Reader, Record};
use arbiter_intake::{Event as Brought, Intake};
use arbiter_ledger::{Key, Time};
use arbiter_web::{Access, AccessDenied, Limits, Running, ServiceKey, serve};
use serde_json::{Value, json};

const CATALOGUE: &str = include_str!("../../../assets/economy/catalogue.ron");

/// Tokens are the player's number: who is who is not what is tested here.
struct Numbers;

impl Access for Numbers {
    fn player(&self, token: &str) -> Result<u64, AccessDenied> {
        token.parse().map_err(|_| AccessDenied("not a number".to_owned()))
    }
}

/// The economy with everything around it; fields are dropped in this order.
struct Town {
    server: Running,
    _view: LedgerView,
    _teller: Teller,
    desk: Desk,
    intake: Intake,
    /// Whether the log of events takes nothing of what the economy tells.
    deaf: Arc<AtomicBool>,
    /// When all matches end.
    time: Duration,
    folder: tempfile::TempDir,
}

fn open(folder: tempfile::TempDir) -> Town {
    let catalogue = Catalogue::parse("catalogue.ron", CATALOGUE).unwrap_or_else(|wrong| panic!("{wrong}"));
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let intake = Intake::start(&path("events"), Options::default()).expect("a log of events");
    let config = DeskConfig { folder: path("economy"), options: Options::default(), events: path("events"), catalogue };
    let desk = Desk::start(config).expect("an economy");
    let view = LedgerView::start(&path("economy"), path("economy.sqlite"), None).expect("a view");
    let (bringer, log, deaf) = (intake.bringer(), path("economy"), Arc::new(AtomicBool::new(false)));
    let is_deaf = Arc::clone(&deaf);
    let bring = move |facts: Vec<Fact>| {
        if is_deaf.load(Ordering::SeqCst) {
            return Err(NotBrought("it is deaf".to_owned()));
        }
        let stored = bringer.bring(facts.into_iter().map(|Fact { id, bytes }| Brought { id, bytes }).collect());
        stored.map(|stored| stored.new).map_err(|refused| NotBrought(refused.to_string()))
    };
    let config = TellConfig { log, file: path("told.sqlite"), masters: None };
    let teller = Teller::start(config, &desk.counter(), bring).expect("a view");
    let services = vec![http::service(&desk.counter(), &view)];
    let (key, address) = (ServiceKey::derive(&[3; 32]), ([127, 0, 0, 1], 0).into());
    let server = serve(address, services, key, Arc::new(Numbers), limits()).expect("served");
    Town { server, _view: view, _teller: teller, desk, intake, deaf, time: now(), folder }
}

fn town() -> Town {
    open(tempfile::tempdir().expect("a folder"))
}

/// How long something that must happen is waited for: only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever waits for something here asks all the time.
fn limits() -> Limits {
    let many = NonZeroU32::new(1_000_000).expect("more than 0");
    Limits { requests_per_s: many, burst: many, ..Limits::default() }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// A new key, as a client makes one.
fn key(number: u128) -> String {
    let key = Key::of(1, Time(now().as_millis() as u64), number).uuid();
    let text = format!("{key:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

impl Town {
    /// A match in which the first player won; the position behind its event.
    fn played(&self, number: u64, players: &[u64]) -> u64 {
        let result = |(slot, player): (usize, &u64)| PlayerResult {
            player: *player,
            slot: slot as u32,
            won: slot == 0,
            ticks_played: 7_200,
            ..PlayerResult::default()
        };
        let results = players.iter().enumerate().map(result).collect();
        let event = MatchEnded { outcome: Outcome::Won.into(), results, ..MatchEnded::default() };
        let (id, source) = (format!("{number:032x}-7200-0"), format!("/matches/{number:032x}"));
        let attributes = Attributes { id, source, time: self.time, sequence: number, ..Attributes::default() };
        let id = log_id(&attributes.source, &attributes.id);
        let bytes = Envelope { attributes, event: event.into() }.encode().expect("an event");
        self.intake.bringer().bring(vec![Brought { id, bytes }]).expect("a disk that works").behind
    }

    /// Waits until nothing is left to be done; all that is in the log of events then.
    fn rest(&self) -> Vec<Envelope> {
        let end = Instant::now() + PATIENCE;
        loop {
            let books = self.service("GET", "/economy").1;
            let events = self.events();
            // What is booked is told, and what was told is consumed: nothing that could lead to anything is left.
            if books["told"] == books["entries"] && books["position"] == json!(events.len()) {
                return events;
            }
            assert!(Instant::now() < end, "there is no rest: {books}, {} events", events.len());
            std::thread::yield_now();
        }
    }

    fn events(&self) -> Vec<Envelope> {
        let disk = Folder::at(&self.folder.path().join("events")).expect("there");
        let reader = Reader::open(disk, None).expect("a log");
        let mut records = Vec::new();
        while let next = records.last().map_or(0, |record: &Record| record.position + 1)
            && next < reader.end()
        {
            reader.read(next, 1 << 20, &mut records).expect("read");
        }
        records.iter().map(|record| Envelope::decode(&record.data).expect("an event")).collect()
    }

    fn ask(&self, method: &str, path: &str, bearer: &str, key: &str, body: &Value) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server.address))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Idempotency-Key", key)
            .header("Content-Type", "application/json");
        let mut answer = agent.run(request.body(body.to_string()).expect("a request")).expect("an answer");
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"));
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str, player: u64) -> Value {
        let (status, value) = self.ask("GET", path, &player.to_string(), "", &Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    fn service(&self, method: &str, path: &str) -> (u16, Value) {
        self.ask(method, path, &ServiceKey::derive(&[3; 32]).bearer(), "", &Value::Null)
    }

    fn buy(&self, player: u64, key: &str, offer: &str) -> (u16, Value) {
        self.ask("POST", "/store/purchase", &player.to_string(), key, &json!({ "offer": offer }))
    }

    fn gold(&self, player: u64, after: u64) -> String {
        let wallet = self.get(&format!("/wallet/{player}?after={after}"), player);
        let balances = wallet["balances"].as_array().expect("a list");
        let gold = balances.iter().find(|balance| balance["asset"] == "gold");
        gold.map_or("0", |gold| gold["amount"].as_str().expect("a text")).to_owned()
    }
}

#[test]
fn a_match_becomes_money_and_money_becomes_things() {
    let town = town();
    let position = town.played(1, &[7, 8]);
    assert_eq!((town.gold(7, position), town.gold(8, position)), ("75".to_owned(), "60".to_owned()));
    let (status, bought) = town.buy(7, &key(1), "azure");
    assert_eq!((status, &bought["offer"]), (200, &json!("azure")));
    let (status, _) = town.ask("PUT", "/inventory/7/worn/body", "7", &key(2), &json!({ "item": "skin.azure" }));
    assert_eq!(status, 204);
    let things = town.get("/inventory/7", 7);
    assert_eq!((&things["worn"]["body"], &things["items"][0]["quantity"]), (&json!("skin.azure"), &json!("1")));
    assert_eq!(town.gold(7, 0), "15");
}

#[test]
fn a_purchase_that_is_sent_again_is_answered_the_same_and_done_once() {
    let town = town();
    let position = town.played(1, &[7]);
    assert_eq!(town.gold(7, position), "75");
    let key = key(1);
    let first = town.buy(7, &key, "medkits");
    assert_eq!(first.0, 200);
    assert_eq!(town.buy(7, &key, "medkits"), first);
    assert_eq!(town.gold(7, 0), "55");
    let (status, problem) = town.buy(7, &key, "azure");
    assert_eq!((status, &problem["type"]), (409, &json!("urn:arbiter:problem:key-used")));
}

#[test]
fn what_cannot_be_bought_says_why() {
    let town = town();
    let position = town.played(1, &[7]);
    assert_eq!(town.gold(7, position), "75");
    let cases =
        [("moon", 404, "no-such-offer"), ("gem-pouch", 409, "not-enough"), ("founders", 409, "not-for-sale-now")];
    for (number, (offer, status, kind)) in (1..).zip(cases) {
        let (found, problem) = town.buy(7, &key(number), offer);
        assert_eq!((found, &problem["type"]), (status, &json!(format!("urn:arbiter:problem:{kind}"))), "{problem}");
    }
    assert_eq!(town.buy(7, "no key", "azure").0, 400);
    let old = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    assert_eq!(town.buy(7, old, "azure").1["type"], "urn:arbiter:problem:key-too-old");
}

#[test]
fn nobody_looks_into_another_players_pockets_or_spends_from_them() {
    let town = town();
    for path in ["/wallet/7", "/inventory/7", "/wallet/7/transactions"] {
        assert_eq!(town.ask("GET", path, "8", "", &Value::Null).0, 403, "{path}");
        assert_eq!(town.service("GET", path).0, 200, "{path}");
    }
    assert_eq!(town.ask("PUT", "/inventory/7/worn/body", "8", &key(1), &json!({ "item": null })).0, 403);
    assert_eq!(town.ask("GET", "/economy", "7", "", &Value::Null).0, 403);
    let bearer = ServiceKey::derive(&[3; 32]).bearer();
    assert_eq!(town.ask("POST", "/store/purchase", &bearer, &key(2), &json!({ "offer": "azure" })).0, 403);
}

#[test]
fn transactions_come_in_pages_the_newest_first() {
    let town = town();
    let position = town.played(1, &[7]);
    assert_eq!(town.gold(7, position), "75");
    for number in 0..3 {
        assert_eq!(town.buy(7, &key(number), "medkits").0, 200);
    }
    let entry = town.get("/wallet/7", 7)["entry"].as_u64().expect("a number");
    let (mut found, mut query) = (Vec::new(), format!("?limit=4&after={entry}"));
    loop {
        let page = town.get(&format!("/wallet/7/transactions{query}"), 7);
        let movements = page["movements"].as_array().expect("a list");
        assert!(movements.len() <= 4);
        found.extend(movements.iter().map(|movement| {
            let part = |name: &str| movement[name].as_str().expect("a text").to_owned();
            (part("reason"), part("asset"), part("amount"), part("balance"))
        }));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("?limit=4&cursor={cursor}");
    }
    let row = |reason: &str, asset: &str, amount: &str, balance: &str| {
        (reason.to_owned(), asset.to_owned(), amount.to_owned(), balance.to_owned())
    };
    assert_eq!(found.len(), 3 + 6, "entry {entry}: {found:?}");
    assert_eq!(found[0], row("purchase:medkits", "medkit", "3", "9"));
    assert_eq!(found[1], row("purchase:medkits", "gold", "-20", "15"));
    assert_eq!(found[8], row("grant:played", "gold", "10", "10"));
    assert_eq!(town.ask("GET", "/wallet/7/transactions?cursor=x", "7", "", &Value::Null).0, 400);
    assert_eq!(town.ask("GET", "/wallet/7/transactions?limit=0", "7", "", &Value::Null).0, 400);
}

#[test]
fn what_was_answered_is_still_so_after_the_process_ended() {
    let town = town();
    let position = town.played(1, &[7, 8]);
    assert_eq!(town.gold(7, position), "75");
    assert_eq!(town.buy(7, &key(1), "azure").0, 200);
    let before = town.service("GET", "/economy").1;
    let Town { server, _view, _teller, desk, intake, folder, .. } = town;
    drop((server, _view, _teller, desk, intake));
    let again = open(folder);
    let after = again.service("GET", "/economy").1;
    assert_eq!((&after["hash"], &after["history"]), (&before["hash"], &before["history"]));
    assert_eq!(again.gold(7, position), "15");
}

#[test]
fn a_result_that_is_told_twice_is_worth_something_once() {
    let town = town();
    town.played(1, &[7]);
    let position = town.played(1, &[7]);
    assert_eq!(position, 1, "the log knows it by its name");
    let position = town.played(2, &[7]);
    assert_eq!(town.gold(7, position), "100", "the first of the day is once a day");
}

#[test]
fn asking_for_what_has_not_happened_is_answered_with_come_again() {
    let town = town();
    let (status, problem) = town.ask("GET", "/wallet/7?after=99", "7", "", &Value::Null);
    assert_eq!((status, &problem["retry_after"]), (503, &json!(1)));
}

/// A transfer of gold that a service asks for.
fn transfer(key: &str, amount: &str, from: &str, to: &str) -> Value {
    let moves = json!([{ "asset": "gold", "amount": amount, "from": from, "to": to }]);
    json!({ "key": key, "player": "7", "reason": "event", "moves": moves })
}

impl Town {
    fn transfers(&self, bearer: &str, transfers: &[Value]) -> (u16, Value) {
        self.ask("POST", "/transfers", bearer, "", &json!({ "transfers": transfers }))
    }
}

#[test]
fn a_service_moves_much_at_once_and_each_transfer_is_done_or_refused_alone() {
    let town = town();
    let bearer = ServiceKey::derive(&[3; 32]).bearer();
    let asked = [
        transfer(&key(1), "30", "0/issuer", "7"),
        transfer(&key(2), "31", "7", "8"),
        transfer(&key(3), "10", "7", "8"),
    ];
    let (status, answer) = town.transfers(&bearer, &asked);
    assert_eq!(status, 200, "{answer}");
    let done = |at: usize| answer["results"][at]["transaction"].is_string();
    assert_eq!([done(0), done(1), done(2)], [true, false, true], "{answer}");
    assert_eq!(answer["results"][1]["problem"]["type"], "urn:arbiter:problem:not-enough");
    assert_eq!((town.gold(7, 0), town.gold(8, 0)), ("20".to_owned(), "10".to_owned()));
    assert_eq!(town.transfers(&bearer, &asked), (200, answer), "sent again it is answered the same");
    assert_eq!(town.gold(8, 0), "10");
}

#[test]
fn a_key_of_a_transfer_that_is_used_for_another_one_is_a_conflict() {
    let town = town();
    let bearer = ServiceKey::derive(&[3; 32]).bearer();
    let key = key(1);
    town.transfers(&bearer, &[transfer(&key, "30", "0/issuer", "7")]);
    let (_, answer) = town.transfers(&bearer, &[transfer(&key, "31", "0/issuer", "7")]);
    assert_eq!(answer["results"][0]["problem"]["type"], "urn:arbiter:problem:key-used");
    assert_eq!(town.gold(7, 0), "30");
}

#[test]
fn only_services_transfer() {
    let (status, _) = town().transfers("7", &[transfer(&key(1), "30", "0/issuer", "7")]);
    assert_eq!(status, 403);
}

#[test]
fn a_transfer_that_makes_no_sense_is_refused_with_all_others_and_named() {
    let town = town();
    let bearer = ServiceKey::derive(&[3; 32]).bearer();
    let good = transfer(&key(1), "30", "0/issuer", "7");
    for (wrong, named) in [
        (transfer(&key(2), "-3", "0/issuer", "7"), "transfers[1].moves[0].amount"),
        (transfer(&key(2), "3", "nobody", "7"), "transfers[1].moves[0].from"),
        (transfer("0", "3", "0/issuer", "7"), "transfers[1].key"),
        (transfer("017f22e2-79b0-4cc3-98c4-dc0c0c07398f", "3", "0/issuer", "7"), "transfers[1].key"),
        (json!({ "key": key(2), "player": "7", "reason": "event", "moves": [] }), "transfers[1].moves"),
    ] {
        let (status, answer) = town.transfers(&bearer, &[good.clone(), wrong]);
        let detail = answer["detail"].as_str().expect("a text");
        assert!(status >= 400 && detail.contains(named), "{status} {detail}");
    }
    assert_eq!(town.transfers(&bearer, &[]).0, 400);
    assert_eq!(town.gold(7, 0), "0");
}

#[test]
fn everybody_who_asks_at_once_is_answered() {
    let town = town();
    let bearer = ServiceKey::derive(&[3; 32]).bearer();
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let (town, bearer) = (&town, &bearer);
            scope.spawn(move || {
                for number in 0..40 {
                    let asked = transfer(&key(caller * 40 + number), "1", "0/issuer", "7");
                    let (status, answer) = town.transfers(bearer, &[asked]);
                    assert!(status == 200 && answer["results"][0]["transaction"].is_string(), "{status} {answer}");
                }
            });
        }
    });
    assert_eq!(town.gold(7, 0), "640");
}

#[test]
fn the_world_is_told_and_then_there_is_rest() {
    let town = town();
    let position = town.played(1, &[7, 8]);
    assert_eq!(town.gold(7, position), "75");
    assert_eq!(town.buy(7, &key(1), "azure").0, 200);
    let (status, _) = town.ask("PUT", "/inventory/7/worn/body", "7", &key(2), &json!({ "item": "skin.azure" }));
    assert_eq!(status, 204);
    let told = town.rest();
    let of = |name: &str| told.iter().filter(|event| event.event.type_name() == name).count();
    // Of two players: played and the first of the day, and one of them won.
    assert_eq!((of("arbiter.grant.issued.v1"), of("arbiter.purchase.completed.v1")), (5, 1));
    assert_eq!((of("arbiter.wallet.changed.v1"), of("arbiter.inventory.changed.v1")), (5 + 2, 2));
    assert_eq!(town.events().len(), told.len());
}

#[test]
fn what_it_tells_is_worth_nothing_to_the_economy_itself() {
    let town = town();
    let mut position = 0;
    for number in 0..60 {
        position = town.played(number, &[7, 8]);
    }
    assert_ne!(town.gold(7, position), "0");
    for number in 0..70 {
        assert_eq!(town.buy(7, &key(number), "medkits").0, 200);
    }
    let events = town.rest();
    let told: Vec<_> = events.iter().filter(|event| event.attributes.source == SOURCE).collect();
    // More than are passed without an entry: entries that say so are told of nobody.
    assert!(told.len() > 2 * 256, "{}", told.len());
    assert!(told.iter().map(|event| event.attributes.sequence).eq(0..told.len() as u64));
    let moved = |event: &&&Envelope| matches!(event.event, Event::WalletChanged(_));
    let entries = town.service("GET", "/economy").1["entries"].as_u64().expect("a number");
    let bookings = told.iter().filter(moved).count() as u64;
    assert_eq!(bookings, 60 * 2 + 60 + 2 + 70);
    // One that made the assets known, one for each match and purchase, and one for each 256 events.
    assert!(entries <= 1 + 60 + 70 + events.len() as u64 / 256 + 1, "{entries} entries for {} events", events.len());
}

#[test]
fn a_log_of_events_that_takes_nothing_holds_up_nobody_and_is_named() {
    let town = town();
    let position = town.played(1, &[7]);
    assert_eq!(town.gold(7, position), "75");
    let before = town.rest();
    town.deaf.store(true, Ordering::SeqCst);
    assert_eq!(town.buy(7, &key(1), "medkits").0, 200);
    let end = Instant::now() + PATIENCE;
    let why = loop {
        match town.desk.counter().ready() {
            Err(why) => break why,
            Ok(()) => assert!(Instant::now() < end, "it never says that nobody is told"),
        }
        std::thread::yield_now();
    };
    assert_eq!(why, "nobody is told of what is booked: it is deaf");
    assert_eq!((town.gold(7, 0), town.events()), ("55".to_owned(), before));
    town.deaf.store(false, Ordering::SeqCst);
    let bought = |event: &Envelope| matches!(event.event, Event::PurchaseCompleted(_));
    assert_eq!(town.rest().iter().filter(|event| bought(event)).count(), 1);
    assert_eq!(town.desk.counter().ready(), Ok(()));
}

#[test]
fn what_was_told_is_gone_on_from_when_the_economy_is_started_again() {
    let town = town();
    let position = town.played(1, &[7]);
    assert_eq!(town.gold(7, position), "75");
    let before = town.rest();
    let Town { server, _view, _teller, desk, intake, folder, .. } = town;
    drop((server, _view, _teller));
    drop((desk, intake));
    let again = open(folder);
    assert_eq!(again.buy(7, &key(1), "medkits").0, 200);
    let after = again.rest();
    assert_eq!(after[..before.len()], before[..]);
    let told = after.iter().filter(|event| event.attributes.source == SOURCE);
    assert!(told.map(|event| event.attributes.sequence).eq(0..after.len() as u64 - 1), "all but the match");
}
