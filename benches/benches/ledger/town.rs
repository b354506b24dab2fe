//! The economy as it is served: its own log and ledger with all the keys in it, its thread, its HTTP, real access tokens.
//!
//! The keys come in through `Economy::purchase`, as entries of real purchases, and are kept in a folder between runs. The view
//! of transactions follows another log, which is empty: it is made behind the commits, and building it for millions of
//! entries would take the processor from what is measured.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_access::{Issuer, IssuerConfig, LIFETIME_MAX, Verifier};
use arbiter_benches::measure::{figure, rss_mb};
use arbiter_economy::desk::{Desk, DeskConfig, House};
use arbiter_economy::{Catalogue, Economy, LedgerView, http};
use arbiter_eventlog::simulated::Dice;
use arbiter_eventlog::{Disk, Folder, Log, Options};
use arbiter_ledger::account::HOUSE;
use arbiter_ledger::{Account, Command, Key, Name, Order, Step, Time};
use arbiter_web::{Limits, Running, ServiceKey, serve};

const CATALOGUE: &str = include_str!("catalogue.ron");

/// Players who have bought something before, and go on.
pub const PLAYERS: u64 = 100_000;

/// Of these, so many buy while it is measured: each has a token, as everybody who plays has.
pub const CALLING: u64 = 4_096;

/// Gold of each player: more than all runs together spend.
const GOLD: u64 = 1 << 40;

/// Players who are given gold by one order.
const GIVEN_TOGETHER: u64 = 1_000;

/// Keys are spread over so long before now: they are known for 30 days.
const SPREAD_MS: u64 = 3_600_000;

/// Purchases that are committed together while the keys are made.
const TOGETHER: u64 = 8_192;

/// Ids that the log keeps, as in `cli/src/services.rs`.
const IDS_MAX: usize = 32 << 20;

/// Keys beyond those that are asked for, after which the folder is made anew: each run leaves some.
const SURPLUS_MAX: usize = 8 << 20;

/// Fields are dropped in this order.
pub struct Town {
    pub address: SocketAddr,
    /// Access tokens of those who buy.
    pub tokens: Vec<String>,
    /// What services call each other with.
    pub bearer: String,
    economy: PathBuf,
    _server: Running,
    _view: LedgerView,
    _desk: Desk,
}

/// The player who is one of those.
pub fn buyer(at: u64) -> u64 {
    1 + at * (PLAYERS / CALLING)
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn options() -> Options {
    Options { ids_max: IDS_MAX, ..Options::default() }
}

fn catalogue() -> Catalogue {
    Catalogue::parse("catalogue.ron", CATALOGUE).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Makes sure that a folder has an economy with so many keys.
pub fn prepare(folder: &Path, keys: u64) {
    let whole = folder.join("whole");
    if whole.exists() {
        return;
    }
    println!("{keys} keys are put into the ledger in {}: minutes, and kept for the next run", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("an unfinished folder is removed");
    }
    let began = Instant::now();
    let disk = Folder::make(&folder.join("economy")).expect("a folder");
    let (mut economy, _) = Economy::open_in(&disk, options()).expect("an economy");
    let catalogue = catalogue();
    let start = now_ms() - SPREAD_MS;
    economy.register(&catalogue, Time(start)).expect("registered");
    give(&mut economy, start);
    let (offer, mut dice) = (name("pouch"), Dice::new(20_261_121));
    for number in 0..keys {
        let time = Time(start + number * SPREAD_MS / keys);
        let other = u128::from(dice.roll()) << 64 | u128::from(dice.roll());
        let key = Key::of(1 + dice.roll() % PLAYERS, time, other);
        economy.purchase(&catalogue, key, &offer, time).expect("bought");
        if number % TOGETHER == 0 {
            economy.commit().expect("on disk");
        }
        if number % 2_000_000 == 0 {
            println!("  {number} in {:.0} s, {:.0} MB of memory", began.elapsed().as_secs_f64(), rss_mb());
        }
    }
    economy.commit().expect("on disk");
    figure("ledger.prepared", keys as f64 / began.elapsed().as_secs_f64(), "transfers_per_s");
    let before = Instant::now();
    assert!(economy.keep_snapshot(&disk).expect("a snapshot"), "everything is on disk");
    figure("ledger.snapshot", before.elapsed().as_secs_f64(), "s");
    economy.close().expect("closed");
    std::fs::write(whole, b"").expect("marked");
}

fn give(economy: &mut House, start: u64) {
    for first in (1..=PLAYERS).step_by(GIVEN_TOGETHER as usize) {
        let to = |player| Step::Transfer {
            from: Account::issuer(name("gold")),
            to: Account::main(player, name("gold")),
            amount: GOLD,
        };
        let steps = (first..first + GIVEN_TOGETHER).map(to).collect();
        let order = Order { subject: HOUSE, reason: name("endow"), claim: None, steps };
        let key = Key::of(HOUSE, Time(start), first.into());
        let command = Command::Request { key, request: first.into(), order };
        economy.submit(&command, Time(start)).expect("given");
        economy.commit().expect("on disk");
    }
}

impl Town {
    /// Opens a folder that was prepared, and serves it.
    pub fn open(folder: &Path, keys: u64) -> Self {
        prepare(folder, keys);
        let config = DeskConfig {
            folder: folder.join("economy"),
            options: options(),
            events: folder.join("events"),
            catalogue: catalogue(),
        };
        {
            // Looked at before it is served, since nothing that is served says how many keys there are.
            let disk = Folder::make(&config.folder).expect("a folder");
            let began = Instant::now();
            let (economy, recovered) = Economy::open_in(&disk, options()).expect("an economy");
            let found = economy.ledger().map_or(0, arbiter_ledger::State::answers_kept);
            println!("opened in {:.1} s: {found} keys, {recovered:?}", began.elapsed().as_secs_f64());
            drop(economy);
            if found < keys as usize || found > keys as usize + SURPLUS_MAX {
                println!("made anew");
                std::fs::remove_dir_all(folder).expect("removed");
                return Self::open(folder, keys);
            }
            figure("ledger.keys", found as f64, "keys");
        }
        let began = Instant::now();
        drop(Log::open(Folder::make(&config.events).expect("made"), Options::default()).expect("a log of events"));
        let desk = Desk::start(config).expect("an economy");
        figure("ledger.start", began.elapsed().as_secs_f64(), "s");
        let view = view(folder);
        let mut config = IssuerConfig::new(folder.join("access"), "arbiter");
        config.lifetime = LIFETIME_MAX;
        let issuer = Arc::new(Issuer::open(config).expect("an issuer"));
        let token = |at: u64| issuer.issue(NonZeroU64::new(buyer(at)).expect("a player")).expect("a token").token;
        let tokens = (0..CALLING).map(token).collect();
        let most = NonZeroU32::MAX;
        // All callers have one address here, which only one household would have otherwise.
        let limits = Limits { requests_per_s: most, burst: most, ..Limits::default() };
        let services = vec![http::service(&desk.counter(), &view)];
        let (key, access) = (ServiceKey::derive(&[3; 32]), Arc::new(Verifier::of(&issuer)));
        let server = serve(([127, 0, 0, 1], 0).into(), services, key, access, limits).expect("served");
        let (address, economy) = (server.address, folder.join("economy"));
        Self { address, tokens, bearer: key.bearer(), economy, _server: server, _view: view, _desk: desk }
    }
}

impl Town {
    /// Whether a snapshot is being written.
    pub fn is_keeping_a_snapshot(&self) -> bool {
        let disk = Folder::at(&self.economy).expect("there");
        disk.names().expect("readable").iter().any(|name| name.starts_with("snapshot-") && name.ends_with(".tmp"))
    }
}

/// A view of an empty log.
fn view(folder: &Path) -> LedgerView {
    let log = folder.join("empty");
    let (opened, _) = Log::open(Folder::make(&log).expect("made"), Options::default()).expect("a log");
    drop(opened);
    LedgerView::start(&log, folder.join("view.sqlite"), None).expect("a view")
}

/// A new key of RFC 9562, as a client sends it.
pub fn key_text(dice: &mut Dice) -> String {
    let other = u128::from(dice.roll()) << 64 | u128::from(dice.roll());
    let text = format!("{:032x}", Key::of(1, Time(now_ms()), other).uuid());
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
