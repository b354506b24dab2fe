//! Contract: health, readiness and figures over HTTP say what the server does.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use arbiter_server::services::Services;
use arbiter_server::{OnStop, Server, ServerHandle, StartError};

use common::{Client, config, registry, start, until};

/// Status and body of an answer.
fn get(server: &ServerHandle, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.operate_address().expect("it was asked for")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a body");
    (status, body)
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[test]
fn a_server_tells_how_it_is() {
    let mut config = config();
    config.settings.players_max = 2;
    config.operate = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = start(&config);
    assert_eq!(get(&server, "/healthz").0, 200);
    assert_eq!(get(&server, "/readyz").0, 200);
    assert_eq!(get(&server, "/secrets").0, 404);

    let registry = registry(&config);
    let mut clients = [0, 1].map(|_| Client::new(server.local_address(), &config.key, &registry));
    until("all play", &mut clients, |clients| clients.iter().all(|client| client.snapshots > 90));
    until("it is counted", &mut clients, |_| {
        let metrics = get(&server, "/metrics").1;
        value(&metrics, "arbiter_players") == 2.0 && value(&metrics, "arbiter_snapshots_total") >= 180.0
    });
    assert_eq!(get(&server, "/readyz"), (503, "all rooms are full\n".to_owned()));
    let (status, metrics) = get(&server, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.ends_with("# EOF\n"));
    for (name, at_least) in [
        ("arbiter_clients", 2.0),
        ("arbiter_rooms", 1.0),
        ("arbiter_matches_started_total", 1.0),
        ("arbiter_tick_seconds_count{tick_rate=\"60\"}", 90.0),
        ("arbiter_packets_total{outcome=\"connects\"}", 2.0),
        ("arbiter_snapshots_total", 180.0),
        ("arbiter_snapshot_bytes_total", 180.0),
        ("arbiter_round_trip_seconds_count", 1.0),
        ("arbiter_dropped_total{reason=\"receive_buffer\"}", 0.0),
        ("arbiter_tick_overruns_total{tick_rate=\"60\"}", 0.0),
        ("arbiter_tick_phase_seconds_total{phase=\"simulation\"}", 1e-6),
        ("arbiter_inputs_total", 90.0),
        ("arbiter_input_delay_seconds_count", 1.0),
        ("arbiter_snapshot_staleness_seconds_count", 1.0),
        ("arbiter_queue_depth{queue=\"sockets\"}", 0.0),
        ("arbiter_log_lines_total{fate=\"lost\"}", 0.0),
    ] {
        assert!(value(&metrics, name) >= at_least, "{name} in {metrics}");
    }

    // A family that stood there twice would be no OpenMetrics any more.
    let mut families: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    families.sort_unstable();
    assert!(families.windows(2).all(|pair| pair[0] != pair[1]), "{metrics}");

    server.stop(OnStop::Finish);
    assert_eq!(get(&server, "/readyz"), (503, "the server stops\n".to_owned()));
    assert_eq!(get(&server, "/healthz").0, 200);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut config = config();
    config.operate = Some(taken.local_addr().expect("an address"));
    let error = arbiter_server::Server::start(config).expect_err("it is taken").to_string();
    assert!(error.contains("--operate"), "{error}");
}

#[test]
fn a_server_that_players_cannot_reach_asks_no_services_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config();
    config.bind = ([0, 0, 0, 0], 0).into();
    config.record_dir = Some(folder.path().join("recordings"));
    config.outbox_dir = Some(folder.path().join("outbox"));
    config.services = Some(Services { url: "http://127.0.0.1:9".to_owned(), bearer: String::new() });
    let error = Server::start(config).expect_err("nobody can reach it");
    assert!(matches!(error, StartError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("--public-addresses"), "{error}");
}
