//! Callers of PostgreSQL who wait for each answer: with a connection each, or through batches as a service would make them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use crate::dice::Dice;
use crate::server::{Result, Server};

/// How requests come to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A connection for each caller, a function for each request; the server waits so many microseconds for company of a commit.
    Direct(u32),
    /// So many connections, each with its part of the players; a call takes all that waits meanwhile.
    Batched(usize),
}

/// Requests of one call at most, as the economy's commit.
const TOGETHER: usize = 1_024;

/// Before anything is counted.
const WARMING: Duration = Duration::from_millis(200);

/// Who buys: so many of the players, at such a distance.
const CALLING: u64 = 4_096;
const STRIDE: u64 = 100_000 / CALLING;

type Uuid = [u8; 16];

/// What is asked: key, buyer, digest of the request.
struct Asked {
    key: Uuid,
    buyer: i64,
    digest: Uuid,
}

type Waiting = (Asked, oneshot::Sender<Option<i64>>);

/// A UUID as PostgreSQL reads it.
#[derive(Debug, Clone, Copy)]
struct Wire(Uuid);

impl ToSql for Wire {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> std::result::Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(tokio_postgres::types::IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    tokio_postgres::types::to_sql_checked!();
}

#[derive(Clone)]
enum Door {
    Direct(Rc<Client>, Statement),
    Batched(Vec<mpsc::Sender<Waiting>>),
}

impl Door {
    async fn ask(&self, asked: Asked) -> Option<i64> {
        match self {
            Self::Direct(client, statement) => {
                let (key, digest) = (Wire(asked.key), Wire(asked.digest));
                let row = client.query_one(statement, &[&key, &asked.buyer, &digest]).await;
                row.unwrap_or_else(|error| panic!("{error}")).get(0)
            }
            Self::Batched(doors) => {
                let (answer, answered) = oneshot::channel();
                let door = &doors[asked.buyer as usize % doors.len()];
                door.send((asked, answer)).await.unwrap_or_else(|_| panic!("the batches ended"));
                answered.await.unwrap_or_else(|_| panic!("a batch failed"))
            }
        }
    }
}

/// Durations of the requests that were asked and answered within `time`.
pub async fn run(
    server: &Server,
    way: Way,
    callers: usize,
    hot: bool,
    time: Duration,
    seed: u64,
) -> Result<Vec<Duration>> {
    let mut doors = Vec::new();
    match way {
        Way::Direct(delay_us) => {
            let options = format!("-c commit_delay={delay_us} -c commit_siblings=2");
            for _ in 0..callers {
                let client = server.connect(&options).await?;
                let types = [Type::UUID, Type::INT8, Type::UUID];
                let statement = client.prepare_typed("SELECT purchase($1, $2, $3)", &types).await?;
                doors.push(Door::Direct(Rc::new(client), statement));
            }
        }
        Way::Batched(connections) => {
            let mut senders = Vec::new();
            for _ in 0..connections {
                let client = server.connect("").await?;
                let types = [Type::UUID_ARRAY, Type::INT8_ARRAY, Type::UUID_ARRAY];
                let statement = client.prepare_typed("SELECT purchases($1, $2, $3)", &types).await?;
                let (sender, waiting) = mpsc::channel(4_096);
                tokio::task::spawn_local(batch(client, statement, waiting));
                senders.push(sender);
            }
            doors.resize(callers, Door::Batched(senders));
        }
    }
    let from = Instant::now() + WARMING;
    let until = from + time;
    let call = |(caller, door)| tokio::task::spawn_local(call(door, caller, hot, seed, from, until));
    let tasks: Vec<_> = doors.into_iter().enumerate().map(call).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await?);
    }
    Ok(all)
}

async fn batch(client: Client, statement: Statement, mut waiting: mpsc::Receiver<Waiting>) {
    let mut taken = Vec::new();
    while waiting.recv_many(&mut taken, TOGETHER).await > 0 {
        let keys: Vec<Wire> = taken.iter().map(|(asked, _)| Wire(asked.key)).collect();
        let buyers: Vec<i64> = taken.iter().map(|(asked, _)| asked.buyer).collect();
        let digests: Vec<Wire> = taken.iter().map(|(asked, _)| Wire(asked.digest)).collect();
        let row = client.query_one(&statement, &[&keys, &buyers, &digests]).await;
        let entries: Vec<Option<i64>> = row.unwrap_or_else(|error| panic!("{error}")).get(0);
        for ((_, answer), entry) in taken.drain(..).zip(entries) {
            // Who no longer waits asks again.
            let _ = answer.send(entry);
        }
    }
}

async fn call(door: Door, caller: usize, hot: bool, seed: u64, from: Instant, until: Instant) -> Vec<Duration> {
    let mut dice = Dice(seed << 16 | caller as u64);
    let (mut samples, mut at) = (Vec::new(), caller as u64 * 1_009);
    loop {
        let buyer = if hot { 1 } else { 1 + at % CALLING * STRIDE } as i64;
        at += 1;
        let digest = (u128::from(dice.roll()) << 64 | u128::from(dice.roll())).to_be_bytes();
        let asked = Asked { key: dice.key(), buyer, digest };
        let before = Instant::now();
        let entry = door.ask(asked).await;
        let now = Instant::now();
        assert!(entry.is_some(), "a purchase was refused");
        if now >= until {
            return samples;
        }
        if before >= from {
            samples.push(now - before);
        }
    }
}
