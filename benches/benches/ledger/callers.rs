//! Callers of the economy's HTTP: each has a connection, sends a purchase under a new key, and waits for its answer.
//!
//! All of them are tasks of one thread, with no more HTTP than is needed: what they cost is taken from what they measure.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use arbiter_benches::measure::Samples;
use arbiter_eventlog::simulated::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::town::key_text;

/// What a turn came to.
#[derive(Debug, Default)]
pub struct Turn {
    pub transfers_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Before anything is counted.
pub const WARMING: Duration = Duration::from_millis(200);

/// Lets `callers` buy for `time`: of their own accounts in turn, or all of them of one.
pub fn run(address: SocketAddr, tokens: &[String], callers: usize, hot: bool, time: Duration, seed: u64) -> Turn {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tokens = if hot { &tokens[..1] } else { tokens };
    let parts: Vec<Vec<u8>> = tokens.iter().map(|token| head(token)).collect();
    let from = Instant::now() + WARMING;
    let until = from + time;
    let local = tokio::task::LocalSet::new();
    let parts = std::rc::Rc::new(parts);
    let samples = local.block_on(&runtime, async {
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let dice = Dice::new(seed << 16 | caller as u64);
                tokio::task::spawn_local(call(address, std::rc::Rc::clone(&parts), caller, dice, from, until))
            })
            .collect();
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
    }
}

const BODY: &str = "{\"offer\":\"pouch\"}";

fn head(token: &str) -> Vec<u8> {
    let length = BODY.len();
    format!(
        "POST /store/purchase HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nIdempotency-Key: "
    )
    .into_bytes()
}

async fn call(
    address: SocketAddr,
    parts: std::rc::Rc<Vec<Vec<u8>>>,
    caller: usize,
    mut dice: Dice,
    from: Instant,
    until: Instant,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let (mut samples, mut request, mut answer) = (Vec::new(), Vec::new(), vec![0; 4_096]);
    // Prime, so that callers meet in no account for long.
    let mut at = caller * 1_009;
    loop {
        request.clear();
        request.extend_from_slice(&parts[at % parts.len()]);
        request.extend_from_slice(key_text(&mut dice).as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(BODY.as_bytes());
        at += 1;
        let before = Instant::now();
        stream.write_all(&request).await.expect("sent");
        read_answer(&mut stream, &mut answer).await;
        let now = Instant::now();
        if now >= until {
            return samples;
        }
        if before >= from {
            samples.push(now - before);
        }
    }
}

/// Reads one answer and makes sure that it is the right one.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("an answer");
        assert!(read > 0, "the service hung up");
        filled += read;
        let text = &buffer[..filled];
        let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let said = || String::from_utf8_lossy(text).into_owned();
        assert!(text.starts_with(b"HTTP/1.1 200"), "{}", said());
        let head = std::str::from_utf8(&text[..end]).expect("a head");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let whole = end + 4 + length.expect("a length");
        if filled >= whole {
            assert!(text[end..].windows(13).any(|word| word == b"\"transaction\""), "{}", said());
            return;
        }
    }
}
