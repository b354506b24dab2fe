//! Contract: a server that drains begins no match and lets nobody new in, plays what runs to its end or to the end of the time of
//! grace, and loses nothing that was earned.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arbiter_agones_double::{Double, Manners};
use arbiter_contracts::{Envelope, Event};
use arbiter_eventlog::{Folder, Reader};
use arbiter_protocol::{GoodbyeReason, RefusedReason, UserData};
use arbiter_server::agones::Agones;
use arbiter_server::drain::Reason;
use arbiter_server::{ServerConfig, ServerHandle};

use common::{Client, config, registry, short_match, start, until};

fn client(number: u64, server: &ServerHandle, config: &ServerConfig) -> Client {
    let user = UserData { player: number, ..UserData::default() };
    Client::of(&user, server.local_address(), &config.key, &registry(config))
}

/// Players who play.
fn players<const N: usize>(server: &ServerHandle, config: &ServerConfig) -> [Client; N] {
    let mut clients = core::array::from_fn(|at| client(at as u64 + 1, server, config));
    until("they play", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 10));
    clients
}

/// Status of an answer.
fn post(server: &ServerHandle, path: &str, header: &str) -> u16 {
    let mut stream = TcpStream::connect(server.operate_address().expect("it was asked for")).expect("it listens");
    write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status")
}

#[test]
fn a_match_is_played_to_its_end_and_none_follows() {
    let config = short_match();
    let server = start(&config);
    let mut clients = players::<1>(&server, &config);
    server.drain();
    assert_eq!(server.draining(), Some(Reason::Told));
    until("goodbye", &mut clients, |clients| clients[0].goodbye.is_some());
    let stats = server.join();
    assert_eq!((stats.matches_ended, clients[0].welcomes.len()), (1, 1));
}

#[test]
fn nobody_new_is_let_in() {
    let config = config();
    let server = start(&config);
    let [playing] = players::<1>(&server, &config);
    server.drain();
    let mut clients = [playing, client(9, &server, &config)];
    until("refused", &mut clients, |clients| clients[1].refused.is_some());
    assert_eq!(clients[1].refused.as_ref().map(|refused| &refused.reason), Some(&RefusedReason::Stopping));
    assert!(clients[0].goodbye.is_none());
}

#[test]
fn who_comes_back_to_their_place_is_let_in() {
    let config = config();
    let server = start(&config);
    let mut first = players::<1>(&server, &config);
    let began = Instant::now();
    // A place changes hands once a second at most.
    until("a second passes", &mut first, |_| began.elapsed() > Duration::from_millis(1_100));
    server.drain();
    let [old] = first;
    let mut clients = [old, client(1, &server, &config)];
    until("welcomed", &mut clients, |clients| !clients[1].welcomes.is_empty());
    assert_eq!(clients[1].welcomes[0].slot, clients[0].welcomes[0].slot);
}

#[test]
fn what_still_runs_when_the_time_of_grace_is_over_is_abandoned_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config();
    config.record_dir = Some(folder.path().join("recordings"));
    config.outbox_dir = Some(folder.path().join("outbox"));
    config.drain_grace = Duration::from_millis(300);
    let server = start(&config);
    let mut clients = players::<2>(&server, &config);
    server.drain();
    until("goodbye", &mut clients, |clients| clients.iter().all(|client| client.goodbye.is_some()));
    assert_eq!(clients[0].goodbye, Some(GoodbyeReason::Stopping));
    let stats = server.join();
    assert_eq!((stats.recordings.len(), stats.unwritten.len()), (1, 0));
    let log = Reader::open(Folder::at(&folder.path().join("outbox")).expect("a folder"), None).expect("a log");
    let mut records = Vec::new();
    log.read(log.start(), 1 << 20, &mut records).expect("read");
    let last = Envelope::decode(&records.last().expect("events").data).expect("an event");
    let Event::MatchEnded(ended) = last.event else { panic!("the end is told last: {last:?}") };
    let told: Vec<u64> = ended.results.iter().map(|result| result.player).collect();
    assert!(told.contains(&1) && told.contains(&2), "{ended:?}");
}

#[test]
fn an_operator_drains_it_with_the_secret_and_nobody_without() {
    let mut config = config();
    config.operate = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.operate_bearer = Some("secret".to_owned());
    let server = start(&config);
    for header in ["", "Authorization: Bearer \r\n", "Authorization: Bearer secre\r\n", "Authorization: secret\r\n"] {
        assert_eq!(post(&server, "/drain", header), 401, "{header}");
        assert_eq!(post(&server, "/reserve?seconds=5", header), 401, "{header}");
    }
    assert_eq!(server.draining(), None);
    assert_eq!(post(&server, "/drain", "Authorization: Bearer secret\r\n"), 202);
    assert_eq!(server.draining(), Some(Reason::Operator));
}

#[test]
fn an_operator_keeps_a_server_for_a_party_and_it_is_ready_again_when_nobody_comes() {
    let double = Double::start(Manners::default()).expect("a port");
    let mut config = config();
    config.operate = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.operate_bearer = Some("secret".to_owned());
    config.agones = Some(Agones { port: double.port(), answers_within: None });
    let server = start(&config);
    until("ready", &mut [], |_| double.state() == "Ready");
    assert_eq!(post(&server, "/reserve?seconds=0", "Authorization: Bearer secret\r\n"), 400);
    assert_eq!(post(&server, "/reserve?seconds=2", "Authorization: Bearer secret\r\n"), 202);
    until("reserved", &mut [], |_| double.state() == "Reserved");
    until("ready again", &mut [], |_| double.state() == "Ready");
}

#[test]
fn a_server_without_agones_cannot_be_kept() {
    let mut config = config();
    config.operate = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.operate_bearer = Some("secret".to_owned());
    let server = start(&config);
    assert_eq!(post(&server, "/reserve?seconds=2", "Authorization: Bearer secret\r\n"), 409);
}

/// Holds a room until it is let go.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().expect("held by nobody who panics") = closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let closed = self.closed.lock().expect("held by nobody who panics");
        drop(self.changed.wait_while(closed, |closed| *closed).expect("held by nobody who panics"));
    }
}

/// Two rooms on two threads, of which the second can be held.
fn with_gate() -> (ServerConfig, Arc<Gate>) {
    let (mut config, gate) = (short_match(), Arc::new(Gate::default()));
    (config.rooms, config.threads) = (2, 2);
    let held = Arc::clone(&gate);
    config.observer = Some(Arc::new(move |room, _| {
        if room == 1 {
            held.pass();
        }
    }));
    (config, gate)
}

#[test]
fn a_stuck_room_drains_the_process_and_the_others_play_to_their_end() {
    let (config, gate) = with_gate();
    let server = start(&config);
    let mut clients = players::<1>(&server, &config);
    gate.set(true);
    until("it drains", &mut clients, |_| server.draining() == Some(Reason::StuckRoom));
    until("goodbye", &mut clients, |clients| clients[0].goodbye.is_some());
    until("it is over", &mut clients, |_| !server.is_running());
    let stats = server.join();
    gate.set(false);
    assert!(stats.matches_ended >= 1 && stats.rooms_stuck == 1, "{stats:?}");
}

#[test]
fn health_pings_stop_only_when_no_room_advances() {
    let double = Double::start(Manners::default()).expect("a port");
    let (mut config, gate) = with_gate();
    config.rooms = 1;
    let held = Arc::clone(&gate);
    config.observer = Some(Arc::new(move |_, _| held.pass()));
    config.agones = Some(Agones { port: double.port(), answers_within: None });
    let server = start(&config);
    until("pings", &mut [], |_| double.count("health") > 0);
    gate.set(true);
    until("it is noticed", &mut [], |_| server.draining() == Some(Reason::StuckRoom));
    let pings = double.count("health");
    let since = Instant::now();
    until("two pings would have been due", &mut [], |_| since.elapsed() > Duration::from_secs(5));
    // One may have been on its way.
    assert!(double.count("health") <= pings + 1, "{} after {pings}", double.count("health"));
    gate.set(false);
}
