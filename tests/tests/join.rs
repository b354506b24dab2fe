//! Contract of joining, end to end: game servers tell the service what they host, players log in, are sent to a server that lets them
//! in with the token, and come back to their place. Real servers, real HTTP, real clients.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arbiter_access::{Issuer, IssuerConfig, Verifier};
use arbiter_cli::assets::Assets;
use arbiter_cli::config::Settings;
use arbiter_cli::host::{Bots, Host, Play};
use arbiter_cli::lobby::Lobby;
use arbiter_cli::mint::KeyMint;
use arbiter_cli::plugins;
use arbiter_headless_client::runner::Door;
use arbiter_intake::Intake;
use arbiter_join::{Join, JoinConfig};
use arbiter_protocol::{ClientMessage, PROTOCOL_VERSION, ServerMessage, Welcome};
use arbiter_tests::wait_for;
use arbiter_transport::conditioner::Profile;
use arbiter_transport::{ClientConnection, ClientEvent, Key, UDP_BYTES_MAX};
use arbiter_web::{Limits, Running, ServiceKey, serve};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The services that game servers need, in this process.
struct Services {
    running: Running,
    key: Key,
    _intake: Intake,
}

impl Services {
    fn start(folder: &Path, address: SocketAddr, key: &Key) -> Self {
        let issuer = Issuer::open(IssuerConfig::new(folder.join("access"), "arbiter")).expect("keys");
        let issuer = Arc::new(issuer);
        let intake = Intake::start(&folder.join("events"), Default::default()).expect("a log");
        let orders = folder.join("orders");
        let mut config = JoinConfig::new(Arc::clone(&issuer), Arc::new(KeyMint::new(key.clone())), &orders);
        config.development = true;
        let services = vec![Join::new(config).expect("a configuration").service(), intake.service()];
        let access = Arc::new(Verifier::of(&issuer));
        let running = serve(address, services, ServiceKey::derive(key.as_bytes()), access, Limits::default());
        Self { running: running.expect("a free port"), key: key.clone(), _intake: intake }
    }

    fn url(&self) -> String {
        format!("http://{}", self.running.address)
    }

    fn ask(&self, method: &str, path: &str, bearer: &str, body: &Value) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Content-Type", "application/json");
        let mut answer = agent.run(request.body(body.to_string()).expect("a request")).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Servers that can be heard.
    fn servers(&self) -> Vec<Value> {
        let (status, mut said) =
            self.ask("GET", "/servers", &ServiceKey::derive(self.key.as_bytes()).bearer(), &json!({}));
        assert_eq!(status, 200, "{said}");
        said["servers"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    fn log_in(&self, name: &str) -> (String, u64) {
        let (status, said) = self.ask("POST", "/auth/login", "", &json!({ "provider": "development", "proof": name }));
        assert_eq!(status, 200, "{said}");
        let player = said["player"].as_str().and_then(|text| text.parse().ok()).expect("a number");
        (said["access_token"].as_str().expect("a token").to_owned(), player)
    }

    fn join(&self, access: &str) -> Value {
        let (status, said) = self.ask("POST", "/join", access, &json!({}));
        assert_eq!(status, 200, "{said}");
        said
    }
}

fn here() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn arena() -> Play {
    Play::load(Assets::embedded(), "arena", plugins::none()).expect("the arena")
}

/// A server of one room with four places that tells the services at a URL of itself.
fn host(folder: &Path, name: &str, url: &str, key: &Key) -> Host {
    let settings = Settings {
        bind: here(),
        operate: Some(here()),
        players_max: 4,
        seed: Some(7),
        verify: false,
        record_dir: folder.join(name).join("recordings"),
        outbox_dir: Some(folder.join(name).join("outbox")),
        services: Some(url.to_owned()),
        ..Settings::default()
    };
    Host::start(&settings, &arena(), key.clone(), None).expect("the server starts")
}

fn address(host: &Host) -> Value {
    json!([host.address().to_string()])
}

/// A client that does nothing but to come in and to stay.
struct Client {
    socket: UdpSocket,
    connection: ClientConnection,
    began: Instant,
    since: Duration,
    hash: u64,
}

impl Client {
    /// With what `POST /join` answered.
    fn new(joined: &Value) -> Self {
        let token = STANDARD.decode(joined["connect_token"].as_str().expect("a text")).expect("base64");
        let hash = joined["protocol_hash"].as_str().and_then(|text| u64::from_str_radix(text, 16).ok());
        let socket = UdpSocket::bind(here()).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        let connection = ClientConnection::new(&token, since).expect("a connect token");
        Self { socket, connection, began: Instant::now(), since, hash: hash.expect("a hash") }
    }

    /// Receives and sends what is due; a welcome if one came.
    fn step(&mut self) -> Option<Welcome> {
        let now = self.since + self.began.elapsed();
        let (mut welcome, mut connected) = (None, false);
        let socket = &self.socket;
        let out = &mut |to: SocketAddr, bytes: &[u8]| _ = socket.send_to(bytes, to);
        let tell = &mut |event: ClientEvent<'_>| match event {
            ClientEvent::Connected => connected = true,
            ClientEvent::Disconnected(reason) => panic!("the connection ended: {reason}"),
            ClientEvent::Message(bytes) => match ServerMessage::decode(bytes).expect("a message") {
                ServerMessage::Welcome(found) => welcome = Some(found),
                ServerMessage::Refused(refused) => panic!("refused: {}", refused.text),
                _ => (),
            },
            _ => (),
        };
        let mut buffer = [0; UDP_BYTES_MAX];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            self.connection.receive(now, from, &mut buffer[..length], out, tell);
        }
        self.connection.advance(now, out, tell);
        if connected {
            let (version, protocol_hash) = (PROTOCOL_VERSION, self.hash);
            let join = arbiter_protocol::Join { version, protocol_hash, hero: 0, team: 0, watch: None };
            self.connection.send_message(&ClientMessage::Join(join).encode()).expect("sent");
        }
        welcome
    }

    fn welcome(&mut self) -> Welcome {
        wait_for("welcome", || self.step())
    }
}

fn match_of(welcome: &Welcome) -> String {
    format!("{:032x}", u128::from_be_bytes(welcome.match_id))
}

#[test]
fn bots_log_in_join_and_play() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("randomness");
    let services = Services::start(folder.path(), here(), &key);
    let host = host(folder.path(), "a", &services.url(), &key);
    let (tickets, sessions) = Lobby::new(&services.url()).tickets(|bot| format!("bot-{bot}"));
    let bots = Bots::start(3, Door::Tickets(tickets), 7, Profile::default(), &arena()).expect("started");
    wait_for("match of three", || {
        let servers = services.servers();
        let room = &servers.first()?["rooms"][0];
        (room["players"] == 3 && room["under_way"] == 0).then_some(())
    });
    let metrics = format!("http://{}/metrics", host.operate_address().expect("it was asked for"));
    let metrics = ureq::get(metrics).call().and_then(|mut answer| answer.body_mut().read_to_string()).expect("figures");
    assert!(metrics.contains("arbiter_services_registered 1\n"), "{metrics}");
    let report = bots.stop().expect("they played");
    assert_eq!((report.played, report.failed.len()), (3, 0), "{:?}", report.failed);
    assert_eq!(sessions.all().len(), 3);
    drop(host);
    assert!(services.servers().is_empty(), "a server that ends says so");
}

#[test]
fn a_player_who_comes_back_is_sent_to_the_same_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("randomness");
    let services = Services::start(folder.path(), here(), &key);
    let hosts = ["a", "b"].map(|name| host(folder.path(), name, &services.url(), &key));
    wait_for("two servers", || (services.servers().len() == 2).then_some(()));
    let (access, _) = services.log_in("anna");
    let joined = services.join(&access);
    assert_eq!(joined["returned"], false, "{joined}");
    let mut client = Client::new(&joined);
    let welcome = client.welcome();
    assert_eq!(match_of(&welcome), joined["match"]);

    // The server has told the services of her, and her connection is lost without a word.
    let again = wait_for("return", || {
        client.step();
        let again = services.join(&access);
        (again["returned"] == true).then_some(again)
    });
    for member in ["server", "addresses", "room", "match", "epoch"] {
        assert_eq!(again[member], joined[member], "{member}");
    }
    drop(client);
    let back = Client::new(&again).welcome();
    assert_eq!((back.slot, back.match_id, back.player), (welcome.slot, welcome.match_id, welcome.player));
    drop(hosts);
}

#[test]
fn a_server_that_drains_is_chosen_by_those_who_play_there_and_by_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("randomness");
    let services = Services::start(folder.path(), here(), &key);
    let [first, second] = ["a", "b"].map(|name| host(folder.path(), name, &services.url(), &key));
    wait_for("two servers", || (services.servers().len() == 2).then_some(()));
    let (access, _) = services.log_in("anna");
    let joined = services.join(&access);
    let chosen_first = joined["addresses"] == address(&first);
    let (chosen, other) = if chosen_first { (&first, &second) } else { (&second, &first) };
    assert_eq!(joined["addresses"], address(chosen));
    // She plays there, so that it does not end at once.
    let mut client = Client::new(&joined);
    client.welcome();
    wait_for("her place", || {
        client.step();
        let servers = services.servers();
        servers.iter().any(|server| server["rooms"][0]["players"] == 1).then_some(())
    });
    chosen.drain();
    wait_for("closed", || {
        client.step();
        let servers = services.servers();
        servers.iter().any(|server| server["rooms"][0]["open"] == false).then_some(())
    });
    assert!(!chosen.finished(), "its match goes on");
    assert_eq!(services.join(&services.log_in("bert").0)["addresses"], address(other));
    let again = services.join(&access);
    assert_eq!((&again["addresses"], &again["returned"]), (&address(chosen), &json!(true)));
    drop(client);
}

#[test]
fn a_server_that_has_drained_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("randomness");
    let services = Services::start(folder.path(), here(), &key);
    let host = host(folder.path(), "a", &services.url(), &key);
    wait_for("a server", || (services.servers().len() == 1).then_some(()));
    host.drain();
    wait_for("its end", || host.finished().then_some(()));
    drop(host);
    assert_eq!(services.servers().len(), 0);
}

#[test]
fn a_server_whose_services_are_away_plays_and_finds_them_when_they_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("randomness");
    // A port on which nobody listens yet.
    let address = TcpListener::bind(here()).and_then(|taken| taken.local_addr()).expect("a port");
    let host = host(folder.path(), "a", &format!("http://{address}"), &key);
    let mut client = Client::new(&by_hand(&host, &key));
    client.welcome();
    let services = Services::start(folder.path(), address, &key);
    wait_for("registration", || {
        client.step();
        let servers = services.servers();
        (servers.first()?["rooms"][0]["players"] == 1).then_some(())
    });
    assert_eq!(services.join(&services.log_in("anna").0)["addresses"], self::address(&host));
    // It brings its last events first.
    drop(host);
}

/// What `POST /join` would answer for somebody without an account.
fn by_hand(host: &Host, key: &Key) -> Value {
    let user = arbiter_protocol::UserData::default().encode().expect("user data");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let token = arbiter_transport::mint_token(key, &[host.address()], &user, Duration::from_secs(30), now);
    let hash = format!("{:016x}", host.protocol_hash());
    json!({ "connect_token": STANDARD.encode(&token.expect("a token")[..]), "protocol_hash": hash })
}
