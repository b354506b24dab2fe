//! Contract: whatever the parts outside do, matches go on and what waits for them is bounded; when they do what they should again, they
//! are brought and told everything. Real services and a double of Agones stand behind a door that lets nothing through as it should.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use arbiter_agones_double::{Double, Manners};
use arbiter_eventlog::Options;
use arbiter_intake::Intake;
use arbiter_server::agones::Agones;
use arbiter_server::services::Services;
use arbiter_server::{OnStop, ServerConfig, ServerHandle};
use arbiter_web::{Access, AccessDenied, Limits, Running, ServiceKey, serve};

use common::{Client, config, registry, start, until};

/// What the door does with whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Lets them through.
    Open,
    /// Takes the connection, and never says anything.
    Silent,
    /// Ends the connection.
    Refuses,
    /// Says what nobody understands.
    Babbles,
    /// Begins a good answer, and never ends it.
    Halves,
}

impl Manner {
    const ALL: [Self; 5] = [Self::Open, Self::Silent, Self::Refuses, Self::Babbles, Self::Halves];
}

/// A door in front of a real part.
struct Door {
    address: SocketAddr,
    manner: Arc<AtomicU8>,
    ends: Arc<AtomicBool>,
}

impl Door {
    fn before(part: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (manner, ends) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicBool::new(false)));
        let (how, over) = (Arc::clone(&manner), Arc::clone(&ends));
        std::thread::spawn(move || {
            // Those that wait for an answer for ever wait here.
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let manner = Manner::ALL[usize::from(how.load(Ordering::SeqCst))];
                held.extend(answer(stream, manner, part));
            }
        });
        Self { address, manner, ends }
    }

    fn be(&self, manner: Manner) {
        let at = Manner::ALL.iter().position(|known| *known == manner).expect("known");
        self.manner.store(at as u8, Ordering::SeqCst);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

/// Serves one connection; gives back what must stay open.
fn answer(mut stream: TcpStream, manner: Manner, part: SocketAddr) -> Option<TcpStream> {
    match manner {
        Manner::Open => {
            let through = TcpStream::connect(part).ok()?;
            let (mut from, mut to) = (stream.try_clone().ok()?, through.try_clone().ok()?);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
            let mut back = through;
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut stream);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            });
            None
        }
        Manner::Silent => Some(stream),
        Manner::Refuses => None,
        Manner::Babbles => {
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(&[0xFF; 2_048]);
            None
        }
        Manner::Halves => {
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it");
            Some(stream)
        }
    }
}

struct Nobody;

impl Access for Nobody {
    fn player(&self, _: &str) -> Result<u64, AccessDenied> {
        Err(AccessDenied("nobody has tokens here".to_owned()))
    }
}

/// The services' log of events, which knows no registrations of servers.
fn services(folder: &Path) -> (Intake, Running, ServiceKey) {
    let intake = Intake::start(folder, Options::default()).expect("started");
    let key = || ServiceKey::derive(&[1; 32]);
    let served = serve(([127, 0, 0, 1], 0).into(), vec![intake.service()], key(), Arc::new(Nobody), Limits::default());
    (intake, served.expect("served"), key())
}

fn figure(server: &ServerHandle, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(server.operate_address().expect("it was asked for")).expect("it listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.and_then(|value| value.trim().parse().ok())
}

fn tick(server: &ServerHandle) -> u32 {
    server.room_stats(0).map_or(0, |stats| stats.tick)
}

/// Plays two seconds of the match.
fn goes_on(server: &ServerHandle, clients: &mut [Client], while_what: Manner) {
    let (tick_before, told_before) = (tick(server), clients[0].snapshots);
    until(&format!("the match goes on while the door is {while_what:?}"), clients, |clients| {
        tick(server) > tick_before + 120 && clients[0].snapshots > told_before + 60
    });
    assert!(clients.iter().all(|client| client.ended.is_none() && client.goodbye.is_none()));
}

fn recorded(folder: &Path) -> ServerConfig {
    let mut config = config();
    config.operate = Some(([127, 0, 0, 1], 0).into());
    config.record_dir = Some(folder.join("recordings"));
    config.outbox_dir = Some(folder.join("outbox"));
    config
}

#[test]
fn a_match_goes_on_whatever_the_services_do_and_they_get_every_event_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (intake, served, key) = services(&folder.path().join("services"));
    let door = Door::before(served.address);
    let mut config = recorded(folder.path());
    config.services = Some(Services { url: format!("http://{}", door.address), bearer: key.bearer() });
    door.be(Manner::Refuses);
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry)];
    until("they play", &mut clients, |clients| clients[0].snapshots > 0);
    until("nothing is tried any more for a while", &mut clients, |_| {
        figure(&server, "arbiter_outside_circuit{part=\"events\"}") == Some(2.0)
    });
    for manner in [Manner::Silent, Manner::Babbles, Manner::Halves, Manner::Refuses] {
        door.be(manner);
        goes_on(&server, &mut clients, manner);
    }
    assert!(figure(&server, "arbiter_services_lag_events") > Some(0.0), "they wait on the disk");
    assert_eq!(figure(&server, "arbiter_outbox_waiting"), Some(0.0), "and nowhere else");
    door.be(Manner::Open);
    until("all of them are there", &mut clients, |_| {
        figure(&server, "arbiter_services_lag_events") == Some(0.0)
            && figure(&server, "arbiter_outside_circuit{part=\"events\"}") == Some(0.0)
    });
    // The other part of the same services still fails, which holds up nothing of this one.
    assert_eq!(figure(&server, "arbiter_services_registered"), Some(0.0));
    server.stop(OnStop::Abandon);
    let stats = server.join();
    assert_eq!((stats.rooms_stuck, stats.rooms_failed), (0, 0));
    drop((served, intake));
}

#[test]
fn a_match_goes_on_whatever_the_sidecar_of_agones_does_and_it_is_told_everything_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let double = Double::start(Manners { health_threshold: u32::MAX, ..Manners::default() }).expect("a port");
    let door = Door::before(SocketAddr::from(([127, 0, 0, 1], double.port())));
    let mut config = recorded(folder.path());
    config.agones = Some(Agones { port: door.address.port(), answers_within: None });
    door.be(Manner::Babbles);
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry)];
    until("they play", &mut clients, |clients| clients[0].snapshots > 0);
    until("the watch is not tried any more for a while", &mut clients, |_| {
        figure(&server, "arbiter_outside_circuit{part=\"agones_watch\"}") == Some(2.0)
    });
    for manner in [Manner::Silent, Manner::Halves, Manner::Refuses] {
        door.be(manner);
        goes_on(&server, &mut clients, manner);
    }
    door.be(Manner::Open);
    until("Agones knows that it is played on", &mut clients, |_| double.state() == "Allocated");
    until("all is well", &mut clients, |_| {
        figure(&server, "arbiter_outside_circuit{part=\"agones\"}") == Some(0.0)
            && figure(&server, "arbiter_outside_circuit{part=\"agones_watch\"}") == Some(0.0)
    });
    server.stop(OnStop::Abandon);
    let stats = server.join();
    assert_eq!((stats.rooms_stuck, stats.rooms_failed), (0, 0));
}

#[test]
fn a_server_ends_in_time_though_no_part_outside_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody is behind it: it never lets anybody through.
    let door = Door::before(SocketAddr::from(([127, 0, 0, 1], 9)));
    let mut config = recorded(folder.path());
    config.services = Some(Services { url: format!("http://{}", door.address), bearer: String::new() });
    door.be(Manner::Silent);
    let server = start(&config);
    let registry = registry(&config);
    let mut clients = [Client::new(server.local_address(), &config.key, &registry)];
    until("they play", &mut clients, |clients| clients[0].snapshots > 60);
    server.stop(OnStop::Abandon);
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Whoever waits may have given up.
        let _ = done.send(server.join());
    });
    // Ten seconds for the last events, the last call, and some for a machine under load.
    let stats = ended.recv_timeout(Duration::from_secs(45)).expect("it ends");
    assert_eq!(stats.rooms_failed, 0);
}
