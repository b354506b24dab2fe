//! A supervised server whose process is killed again and again, while bots play on it.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_cli::host::Play;
use arbiter_cli::keys::read_key;
use arbiter_headless_client::runner::{Content, Door};
use arbiter_tests::{PATIENCE, Running, argument};

use crate::Random;
use crate::crowd::Crowd;
use crate::saboteur::now;
use crate::tally::{Scene, Tally};

/// Between two kills, so that no supervisor takes them for a crash loop, and as much more at random.
const PAUSE: Duration = Duration::from_secs(8);
const PAUSE_MORE: Duration = Duration::from_secs(3);

/// Between two looks at how many play.
const LOOK: Duration = Duration::from_millis(200);

/// Longer than matches of the shipped modes take, so that matches end in between.
const MATCH_SECONDS: &str = "90";

pub fn play(folder: &Path, play: &Play, scene: &Scene, kills: u32, random: &mut Random) -> Result<Tally> {
    let paths = ["arbiter.key", "recordings", "outbox"].map(|name| folder.join(name));
    let [key, recordings, outbox] = paths.each_ref().map(|path| argument(path));
    // A port that is free now: who is started again must be found where it was.
    let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let (bind, bots) = (address.to_string(), scene.bots.to_string());
    let rate = scene.tick_rate.to_string();
    let server = ["server", "--supervise", "--bind", &bind, "--map", scene.map, "--players-max", &bots];
    let files = ["--key-file", key, "--record-dir", recordings, "--outbox-dir", outbox];
    let more =
        ["--match-seconds", MATCH_SECONDS, "--verify", "false", "--tick-rate", &rate, "--operate", "127.0.0.1:0"];
    let mut server = Running::start(&[&server[..], &files, &more].concat());
    let mut process = process_of(&server)?;
    let content = Content::new(play.rules.clone(), play.map.clone())?;
    let door = Door::Key { server: address, key: read_key(&paths[0])? };
    let crowd = Crowd::start(door, content, scene);
    let mut tally = Tally::default();
    for _ in 0..kills {
        wait_for_players(&server, scene.bots)?;
        std::thread::sleep(PAUSE + PAUSE_MORE.mul_f64(random.part()));
        let at = now();
        if !Command::new("kill").args(["-9", &process]).status()?.success() {
            bail!("process {process} was gone before it was killed");
        }
        process = process_of(&server)?;
        tally.restarts_ms.push((now() - at).as_millis() as u64);
        tally.failures.push(at);
        tally.resumed += 1;
        tally.progress(kills);
    }
    std::thread::sleep(PAUSE);
    let report = crowd.finish()?;
    server.terminate();
    server.wait_for_line("stopped");
    if !server.wait() {
        bail!("the server did not end well");
    }
    tally.take(&report, scene);
    Ok(tally)
}

/// Waits until everybody plays on the process that listens now.
fn wait_for_players(server: &Running, players: u16) -> Result<()> {
    let line = server.wait_for_line("health and metrics on ");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).context("an address")?;
    let (wanted, until) = (format!("\narbiter_players {players}\n"), Instant::now() + PATIENCE);
    while !metrics(address)?.contains(&wanted) {
        if Instant::now() >= until {
            bail!("not all {players} players are in after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn metrics(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("metrics")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Which process serves, once it does.
fn process_of(server: &Running) -> Result<String> {
    let line = server.wait_for_line("supervising process ");
    server.wait_for_line("listening on ");
    line.split_whitespace().last().map(ToOwned::to_owned).context("the supervisor says which process it started")
}
