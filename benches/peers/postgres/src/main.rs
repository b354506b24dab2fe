//! PostgreSQL doing the double entry of the bench `ledger`, which starts this program and tells it turns, a line each:
//!
//! `direct:DELAY_US|batched:CONNECTIONS CALLERS hot|spread MILLISECONDS SEED`, answered by
//! `ran TRANSFERS P50_US P99_US`. Arguments: the folder of its files, and how many keys belong in it.
//!
//! It ends, and PostgreSQL with it, when its input ends.

mod callers;
mod dice;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use callers::Way;
use server::{Result, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, keys] = &arguments[..] else { return Err("usage: FOLDER KEYS".into()) };
    let began = Instant::now();
    let server = Server::start(Path::new(folder))?;
    let found = server.fill(keys.parse()?).await?;
    println!("ready {found} keys in {:.1} s", began.elapsed().as_secs_f64());
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [way, callers, where_to, milliseconds, seed] = words[..] else { return Err(line.into()) };
        let way = match way.split_once(':') {
            Some(("direct", delay)) => Way::Direct(delay.parse()?),
            Some(("batched", connections)) => Way::Batched(connections.parse()?),
            _ => return Err(line.into()),
        };
        let time = Duration::from_millis(milliseconds.parse()?);
        let local = tokio::task::LocalSet::new();
        let turn = callers::run(&server, way, callers.parse()?, where_to == "hot", time, seed.parse()?);
        let mut samples = local.run_until(turn).await?;
        samples.sort_unstable();
        let percentile = |share: f64| {
            let rank = (share * samples.len() as f64).ceil().max(1.0) as usize;
            samples.get(rank - 1).map_or(0.0, |sample| sample.as_secs_f64() * 1e6)
        };
        println!("ran {} {:.1} {:.1}", samples.len(), percentile(0.5), percentile(0.99));
    }
    Ok(())
}
