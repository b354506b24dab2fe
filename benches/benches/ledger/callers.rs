//! Callers of the economy's HTTP, who wait for each answer before they ask again: through a connection each, or together.
//!
//! All of them are tasks of one thread, with no more HTTP than is needed: what they cost is taken from what they measure.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use arbiter_benches::measure::Samples;
use arbiter_eventlog::simulated::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::town::{CALLING, Town, buyer, key_text};

/// How requests come to the economy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Players: a connection and a token each, `POST /store/purchase` for each purchase.
    Each,
    /// A service for its callers: over so many connections, each of which sends all that waits as one `POST /transfers`.
    Together(usize),
}

/// The ways that are tried, as those of the peer are.
pub const WAYS: [Way; 3] = [Way::Each, Way::Together(1), Way::Together(2)];

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Each => f.write_str("a connection and a request each"),
            Way::Together(connections) => write!(f, "together over {connections}"),
        }
    }
}

/// What a turn came to.
#[derive(Debug, Default)]
pub struct Turn {
    pub transfers_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub longest_us: f64,
}

/// Before anything is counted.
pub const WARMING: Duration = Duration::from_millis(200);

/// Transfers of one call at most, as `POST /transfers` takes them.
const TOGETHER: usize = 1_024;

/// A transfer of whom, and who waits for its answer.
type Waiting = (u64, oneshot::Sender<()>);

#[derive(Clone)]
enum Door {
    Each(SocketAddr, Rc<Vec<Vec<u8>>>),
    Together(Rc<Vec<mpsc::Sender<Waiting>>>),
}

/// Lets `callers` buy for `time`: of many accounts in turn, or all of them of one.
pub fn run(town: &Town, way: Way, callers: usize, hot: bool, time: Duration, seed: u64) -> Turn {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let from = Instant::now() + WARMING;
    let until = from + time;
    let local = tokio::task::LocalSet::new();
    let samples = local.block_on(&runtime, async {
        let door = match way {
            Way::Each => {
                Door::Each(town.address, Rc::new(town.tokens.iter().map(|token| purchase_head(token)).collect()))
            }
            Way::Together(connections) => {
                let open = |number: usize| {
                    let (sender, waiting) = mpsc::channel(4_096);
                    let dice = Dice::new(seed << 16 | 1 << 15 | number as u64);
                    tokio::task::spawn_local(bring(town.address, town.bearer.clone(), waiting, dice));
                    sender
                };
                Door::Together(Rc::new((0..connections).map(open).collect()))
            }
        };
        let call = |caller: usize| {
            let dice = Dice::new(seed << 16 | caller as u64);
            tokio::task::spawn_local(call(door.clone(), caller, hot, dice, from, until))
        };
        let tasks: Vec<_> = (0..callers).map(call).collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("a caller"));
        }
        all
    });
    turn(&samples, time)
}

/// What durations come to.
pub fn turn(samples: &[Duration], time: Duration) -> Turn {
    let mut kept = Samples::with_capacity(samples.len());
    samples.iter().for_each(|sample| kept.push(*sample));
    Turn {
        transfers_per_s: samples.len() as f64 / time.as_secs_f64(),
        p50_us: kept.percentile_us(0.5),
        p99_us: kept.percentile_us(0.99),
        longest_us: kept.percentile_us(1.0),
    }
}

async fn call(door: Door, caller: usize, hot: bool, mut dice: Dice, from: Instant, until: Instant) -> Vec<Duration> {
    let mut connection = match &door {
        Door::Each(address, _) => Some(Connection::open(*address).await),
        Door::Together(_) => None,
    };
    let mut samples = Vec::new();
    // Prime, so that callers meet in no account for long.
    let mut at = caller as u64 * 1_009;
    loop {
        let player = if hot { 0 } else { at % CALLING };
        at += 1;
        let before = Instant::now();
        match (&door, &mut connection) {
            (Door::Each(_, heads), Some(connection)) => {
                connection.purchase(&heads[player as usize], &mut dice).await;
            }
            (Door::Together(doors), _) => {
                let (answer, answered) = oneshot::channel();
                let sent = doors[player as usize % doors.len()].send((buyer(player), answer)).await;
                sent.expect("the service's connection is open");
                answered.await.expect("an answer");
            }
            (Door::Each(..), None) => unreachable!("it was opened above"),
        }
        let now = Instant::now();
        if now >= until {
            return samples;
        }
        if before >= from {
            samples.push(now - before);
        }
    }
}

/// Sends all that waits in one call, and answers each that waited.
async fn bring(address: SocketAddr, bearer: String, mut waiting: mpsc::Receiver<Waiting>, mut dice: Dice) {
    let mut connection = Connection::open(address).await;
    let (mut taken, mut body) = (Vec::new(), String::new());
    while waiting.recv_many(&mut taken, TOGETHER).await > 0 {
        body.clear();
        for (player, _) in &taken {
            let (before, key) = (if body.is_empty() { "{\"transfers\":[" } else { "," }, key_text(&mut dice));
            body.push_str(before);
            body.push_str(&format!(
                "{{\"key\":\"{key}\",\"player\":\"{player}\",\"reason\":\"purchase:pouch\",\"moves\":[\
                 {{\"asset\":\"gold\",\"amount\":\"1\",\"from\":\"{player}\",\"to\":\"0\"}},\
                 {{\"asset\":\"gem\",\"amount\":\"1\",\"from\":\"0/issuer\",\"to\":\"{player}\"}}]}}"
            ));
        }
        body.push_str("]}");
        let done = connection.transfers(&bearer, &body).await;
        assert_eq!(done, taken.len(), "a transfer was refused");
        for (_, answer) in taken.drain(..) {
            // Who no longer waits was stopped.
            let _ = answer.send(());
        }
    }
}

const PURCHASE: &str = "{\"offer\":\"pouch\"}";

fn purchase_head(token: &str) -> Vec<u8> {
    let length = PURCHASE.len();
    format!(
        "POST /store/purchase HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nIdempotency-Key: "
    )
    .into_bytes()
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, request: Vec::new(), answer: vec![0; 256 << 10] }
    }

    async fn purchase(&mut self, head: &[u8], dice: &mut Dice) {
        self.request.clear();
        self.request.extend_from_slice(head);
        self.request.extend_from_slice(key_text(dice).as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(PURCHASE.as_bytes());
        assert_eq!(self.ask().await, 1, "the purchase was refused");
    }

    async fn transfers(&mut self, bearer: &str, body: &str) -> usize {
        self.request.clear();
        let head = format!(
            "POST /transfers HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body.as_bytes());
        self.ask().await
    }

    /// Sends the request and reads its answer; how many transactions it tells of.
    async fn ask(&mut self) -> usize {
        self.stream.write_all(&self.request).await.expect("sent");
        let (mut filled, mut whole) = (0, usize::MAX);
        let mut body = 0;
        while filled < whole {
            let read = self.stream.read(&mut self.answer[filled..]).await.expect("an answer");
            assert!(read > 0, "the service hung up");
            filled += read;
            let text = &self.answer[..filled];
            if body == 0
                && let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n")
            {
                assert!(text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(text));
                let head = std::str::from_utf8(&text[..end]).expect("a head");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                body = end + 4;
                whole = body + length.expect("a length");
            }
        }
        count(&self.answer[body..filled], b"\"transaction\"")
    }
}

/// How often a word stands in a text.
fn count(text: &[u8], word: &[u8]) -> usize {
    let (mut found, mut at) = (0, 0);
    while let Some(next) = text[at..].iter().position(|byte| *byte == b'"') {
        at += next;
        if text[at..].starts_with(word) {
            found += 1;
            at += word.len();
        } else {
            at += 1;
        }
    }
    found
}
