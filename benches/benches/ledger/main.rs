//! Money that moves: purchases a second that are acknowledged after fdatasync, over the economy's own HTTP, with 20 million keys
//! stored before; beside PostgreSQL doing the same double entry, in turns of one run, on the same disk and the same cores.
//!
//! A purchase is one idempotent order: a key, four postings (a player's gold to the house, gems from their issuer to the
//! player) with the balance behind each, balances that never fall below zero, one entry for whoever reads the log. All callers
//! wait for each answer before they ask again; each has a new key. Both sides are asked in the best of their ways for each case,
//! which are tried before: by each caller over a connection of its own, or through a service that sends all that waits in one call, over
//! one connection or two.
//!
//! | | ours | PostgreSQL |
//! | --- | --- | --- |
//! | asked by | HTTP/1.1 with JSON over loopback: each caller a player with a signed access token who buys, or a service that sends transfers | its own protocol with prepared calls over loopback: a function for each request, with and without `commit_delay`, or one for all that waits, which does it as sets |
//! | batched | besides, what came while the last commit was under way | besides, what `commit_delay` brings together |
//! | on disk | one write and one fdatasync of the log | WAL, `synchronous_commit = on`, `wal_sync_method = fdatasync` |
//! | keys before | entries of real purchases in the log and answers in memory | rows of the table of keys with their index, no postings of theirs |
//! | the house's accounts | one for each asset | 256 rows for each asset, so that nobody waits for a row |
//! | beside | BLAKE3 through all entries, places in the inventory are counted | nothing |
//!
//! `hot` is all callers buying as one player. `fdatasync` is a sector written into a file that was filled before, and flushed, one behind the other
//! at once; `fdatasync_paced` is the same with as much between two as a single caller takes for all, since a disk takes longer the longer
//! it had nothing to do: what such a caller would wait for if there were nothing but the disk.
//! Medians of turns, before each of which the disk is given time to be as quick as at the best. The limit on requests a second of one address is lifted, since all callers have one here. The view of
//! transactions is not fed (see `town.rs`), and PostgreSQL has no index of postings either.
//!
//! `snapshot` is what callers meet while a snapshot of all of it is written, which begins when the log has grown by an eighth.
//!
//! `cargo bench --bench ledger`; behind `--`: `--keys N`, `--rounds N`, `--cases callers1,hot32` for some of them, `--no-snapshot`
//! without the last part, `--alone` without the peer, which is a program of its own
//! (`benches/peers/postgres`) and needs PostgreSQL installed. Files are kept in the target folder, some 12 GB.

mod bare;
mod callers;
mod peer;
mod snapshot;
mod town;

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use arbiter_benches::measure::{figure, machine, rss_mb};
use bare::Bare;
use callers::Turn;
use peer::Peer;
use town::Town;

const KEYS: u64 = 20_000_000;
const ROUNDS: usize = 7;
/// One turn of one side: hundreds of commits.
const TURN: Duration = Duration::from_secs(2);
/// A turn in which a way is tried.
const TRY: Duration = Duration::from_millis(1_500);
const FDATASYNC_TURN: Duration = Duration::from_millis(500);

/// Name, callers, whether all of them are one player.
type Case = (&'static str, usize, bool);

const CASES: [Case; 5] = [
    ("callers1", 1, false),
    ("callers32", 32, false),
    ("callers256", 256, false),
    ("hot32", 32, true),
    ("hot256", 256, true),
];

/// What turns came to, and the middle of it.
#[derive(Default)]
struct Turns(Vec<Turn>);

impl Turns {
    fn middle(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        middle(self.0.iter().map(of).collect())
    }

    fn print(&self, name: &str) {
        figure(name, self.middle(|turn| turn.transfers_per_s), "transfers_per_s");
        figure(&format!("{name}.p50"), self.middle(|turn| turn.p50_us), "us");
        figure(&format!("{name}.p99"), self.middle(|turn| turn.p99_us), "us");
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The middle of what two sides' turns make, round by round.
fn ratio(over: &Turns, under: &Turns, of: impl Fn(&Turn) -> f64) -> f64 {
    middle(over.0.iter().zip(&under.0).map(|(over, under)| of(over) / of(under)).collect())
}

fn argument<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: a number, not {text}")))
}

fn main() -> Result<(), String> {
    let (keys, rounds) = (argument("--keys", KEYS), argument("--rounds", ROUNDS));
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let cases = cases(&argument("--cases", String::new()))?;
    println!("ledger: {keys} keys before, {rounds} turns of {} s each, {}", TURN.as_secs(), machine());
    // Beside the build's output, which is on the disk that people mean; the system's temporary folder may be in memory.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = std::path::absolute(Path::new(&target).join("ledger-bench")).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut peer =
        if given("--alone") { None } else { Some(Peer::start(&folder.join(format!("postgres-{keys}")), keys)?) };
    let town = Town::open(&folder.join(format!("ours-{keys}")), keys);
    figure("ledger.memory", rss_mb(), "MB");
    let mut bare = Bare::new(&folder.join("fdatasync"));
    let own_ways = best_ways("ours", &cases, callers::WAYS, |way, callers, hot| {
        bare.rest();
        Ok(callers::run(&town, way, callers, hot, TRY, 0))
    })?;
    let tried = peer.as_mut().map(|peer| {
        best_ways("PostgreSQL", &cases, peer::WAYS, |way, callers, hot| {
            bare.rest();
            peer.turn(way, callers, hot, TRY)
        })
    });
    let ways = tried.transpose()?;
    let none = || cases.iter().map(|_| Turns::default()).collect::<Vec<_>>();
    let (mut ours, mut theirs, mut flushes) = (none(), none(), Turns::default());
    let mut paced = Turns::default();
    for round in 0..rounds {
        bare.rest();
        flushes.0.push(bare.run(FDATASYNC_TURN));
        for (at, (_, callers, hot)) in cases.iter().copied().enumerate() {
            // Who begins changes, so that neither always follows the other.
            for who in [round % 2, (round + 1) % 2] {
                bare.rest();
                match (who, &mut peer, &ways) {
                    (0, ..) => {
                        let seed = (round * cases.len() + at) as u64;
                        ours[at].0.push(callers::run(&town, own_ways[at], callers, hot, TURN, seed));
                        if callers == 1 {
                            bare.rest();
                            let every = Duration::from_secs_f64(ours[at].0[round].p50_us / 1e6);
                            paced.0.push(bare.paced(FDATASYNC_TURN, every));
                        }
                    }
                    (_, Some(peer), Some(ways)) => theirs[at].0.push(peer.turn(ways[at], callers, hot, TURN)?),
                    _ => {}
                }
            }
        }
    }
    println!("waited {:.0} s for the disk to be as quick as before", bare.rested.as_secs_f64());
    flushes.print("ledger.fdatasync");
    let per_s = |turn: &Turn| turn.transfers_per_s;
    let mut worst = f64::INFINITY;
    for (at, (name, ..)) in cases.iter().enumerate() {
        println!("our best way for {name}: {}", own_ways[at]);
        ours[at].print(&format!("ledger.{name}.ours"));
        if let Some(ways) = &ways {
            println!("PostgreSQL's best way for {name}: {}", ways[at]);
            theirs[at].print(&format!("ledger.{name}.postgres"));
            let over = ratio(&ours[at], &theirs[at], per_s);
            figure(&format!("ledger.{name}.over_postgres"), over, "ratio");
            worst = worst.min(over);
        }
    }
    if peer.is_some() {
        figure("ledger.over_postgres", worst, "ratio");
    }
    let of = |name: &str| cases.iter().position(|case| case.0 == name).map(|at| &ours[at]);
    for (figures, hot, spread) in
        [("ledger.hot_over_spread_32", "hot32", "callers32"), ("ledger.hot_over_spread", "hot256", "callers256")]
    {
        if let (Some(hot), Some(spread)) = (of(hot), of(spread)) {
            figure(figures, ratio(hot, spread, per_s), "ratio");
        }
    }
    if let Some(single) = of("callers1") {
        paced.print("ledger.fdatasync_paced");
        for (name, flushes) in [("fdatasync", &flushes), ("fdatasync_paced", &paced)] {
            figure(&format!("ledger.single_over_{name}"), ratio(single, flushes, |turn| turn.p50_us), "ratio");
        }
    }
    if !given("--no-snapshot") {
        snapshot::figures(&town);
    }
    Ok(())
}

/// The cases whose names are given; all of them if none is.
fn cases(names: &str) -> Result<Vec<Case>, String> {
    let known = |name: &str| CASES.into_iter().find(|case| case.0 == name);
    let all: Vec<&str> = CASES.iter().map(|case| case.0).collect();
    let unknown = |name: &str| format!("--cases: there is no {name:?}; there are {}", all.join(", "));
    let given = names.split(',').filter(|name| !name.is_empty());
    let given: Result<Vec<Case>, String> = given.map(|name| known(name).ok_or_else(|| unknown(name))).collect();
    given.map(|given| if given.is_empty() { CASES.to_vec() } else { given })
}

/// The best of a side's ways for each case.
fn best_ways<W: Copy + Display, const N: usize>(
    who: &str,
    cases: &[Case],
    ways: [W; N],
    mut turn: impl FnMut(W, usize, bool) -> Result<Turn, String>,
) -> Result<Vec<W>, String> {
    let mut best = vec![ways[0]; cases.len()];
    for (at, (name, callers, hot)) in cases.iter().copied().enumerate() {
        let mut most = 0.0;
        for way in ways {
            let turn = turn(way, callers, hot)?;
            println!("  {who}, {name}, {way}: {:.0} transfers/s, p50 {:.0} us", turn.transfers_per_s, turn.p50_us);
            if turn.transfers_per_s > most {
                (most, best[at]) = (turn.transfers_per_s, way);
            }
        }
    }
    Ok(best)
}
