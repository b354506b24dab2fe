//! Contract of logs: whatever a server and its services print while players come, misbehave and leave, with every line turned on, it
//! does not say who they are: no name, no address, no token, no key. And their figures do not either.
//!
//! Server and services listen on 127.0.0.3, so that 127.0.0.1 is an address that only players have. Linux has all of 127.0.0.0/8.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_cli::keys::read_key;
use arbiter_cli::services::bearer;
use arbiter_protocol::{ClientMessage, Join, PROTOCOL_VERSION, ServerMessage};
use arbiter_tests::{arbiter, wait_for};
use arbiter_transport::{ClientConnection, ClientEvent, UDP_BYTES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Where server and services listen; players come from another address.
const HOUSE: &str = "127.0.0.3:0";
const PLAYERS: &str = "127.0.0.1";

/// What she logs in with, what others call her, and what she calls herself where nobody should.
const LOGIN: &str = "Xanthippe-Papadopoulou";
const DISPLAYED: &str = "Zuleika Dobson";
const FORGED: &str = "eyJhbGciOiJub25lIn0.Zm9yZ2Vk.c2VjcmV0";

/// A program, and the file that it prints to.
struct Program {
    child: Child,
    prints: PathBuf,
}

impl Program {
    fn start(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let prints = folder.join(format!("{name}.txt"));
        let file = File::create(&prints).expect("a file");
        let mut command = arbiter(&[arguments, &["--log", "trace", "--log-format", "json"]].concat());
        command.current_dir(folder).stdout(file.try_clone().expect("a file")).stderr(file);
        Self { child: command.spawn().expect("it runs"), prints }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.prints).expect("a file")).into_owned()
    }

    /// What stands behind `before` in a line, up to a blank or a comma.
    fn wait_for(&self, before: &str) -> String {
        wait_for(before, || {
            let text = self.text();
            let (_, behind) = text.split_once(before)?;
            let end = behind.find([' ', ',', '\n'])?;
            Some(behind[..end].to_owned())
        })
    }

    fn end(&mut self) {
        let id = self.child.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks over a connection of its own; status, body and the player's port.
fn ask(address: &str, method: &str, path: &str, bearer: &str, body: &str) -> (u16, String, u16) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let from = stream.local_addr().expect("an address");
    assert_eq!(from.ip().to_string(), PLAYERS);
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: house\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n");
    let head = format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body, from.port())
}

/// Joins with a token, says what nobody may say, and waits until it is thrown out. Returns its port.
fn misbehave(joined: &Value) -> u16 {
    let token = STANDARD.decode(joined["connect_token"].as_str().expect("a text")).expect("base64");
    let hash = joined["protocol_hash"].as_str().and_then(|text| u64::from_str_radix(text, 16).ok()).expect("a hash");
    let socket = UdpSocket::bind((PLAYERS, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    let (began, since) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock"));
    let mut connection = ClientConnection::new(&token, since).expect("a connect token");
    let mut is_in = false;
    wait_for("way out", || {
        let now = since + began.elapsed();
        let (mut connected, mut out_now) = (false, false);
        let out = &mut |to: SocketAddr, bytes: &[u8]| {
            let _ = socket.send_to(bytes, to);
            // Junk from the same address, some of it in the form of what she sent before.
            let _ = socket.send_to(&bytes[..bytes.len() / 2], to);
            let _ = socket.send_to(LOGIN.as_bytes(), to);
        };
        let tell = &mut |event: ClientEvent<'_>| match event {
            ClientEvent::Connected => connected = true,
            ClientEvent::Disconnected(_) => out_now = true,
            ClientEvent::Message(bytes) => {
                is_in |= matches!(ServerMessage::decode(bytes), Ok(ServerMessage::Welcome(_)))
            }
            _ => (),
        };
        let mut buffer = [0; UDP_BYTES_MAX];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            connection.receive(now, from, &mut buffer[..length], out, tell);
        }
        connection.advance(now, out, tell);
        if connected {
            let join = Join { version: PROTOCOL_VERSION, protocol_hash: hash, hero: 0, team: 0, watch: None };
            connection.send_message(&ClientMessage::Join(join).encode()).expect("sent");
        }
        if is_in {
            // No message of the protocol.
            let _ = connection.send_message(format!("\u{7f}{LOGIN}").as_bytes());
        }
        out_now.then_some(())
    });
    socket.local_addr().expect("an address").port()
}

#[test]
fn nothing_that_is_printed_says_who_plays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let services =
        ["services", "--bind", HOUSE, "--operate", HOUSE, "--development-login", "--key-file", "arbiter.key"];
    let mut services = Program::start(path, "services", &services);
    let url = services.wait_for("serving on ");
    let services_figures = services.wait_for("health and metrics on http://");
    let mut server = Program::start(
        path,
        "server",
        &[
            "server",
            "--bind",
            HOUSE,
            "--operate",
            HOUSE,
            "--services",
            &url,
            "--key-file",
            "arbiter.key",
            "--outbox-dir",
            "outbox",
            "--record-dir",
            "recordings",
            "--players-max",
            "4",
            "--on-stop",
            "abandon",
        ],
    );
    let server_figures = server.wait_for("health and metrics on http://");
    let at = url.trim_start_matches("http://");
    let key = bearer(&read_key(&path.join("arbiter.key")).expect("a key"));
    wait_for("registration", || ask(at, "GET", "/servers", &key, "").1.contains("\"rooms\"").then_some(()));

    let mut secrets: Vec<String> = [LOGIN, DISPLAYED, FORGED, &key].map(ToOwned::to_owned).into();
    let mut ports = Vec::new();
    let mut asked = |method: &str, path: &str, bearer: &str, body: &Value| {
        let (status, text, port) = ask(at, method, path, bearer, &body.to_string());
        ports.push(port);
        (status, serde_json::from_str::<Value>(&text).unwrap_or_default())
    };
    let (status, said) = asked("POST", "/auth/login", "", &json!({ "provider": "development", "proof": LOGIN }));
    assert_eq!(status, 200, "{said}");
    let access = said["access_token"].as_str().expect("a token").to_owned();
    let player = said["player"].as_str().expect("a number").to_owned();
    let profile = format!("/player/{player}/profile");
    let (status, said) = asked("PUT", &profile, &access, &json!({ "display_name": DISPLAYED }));
    assert_eq!(status, 200, "{said}");
    // What nobody should ask for, and what is no request at all.
    for (method, path, bearer, body) in [
        ("POST", "/auth/login", "", json!({ "provider": LOGIN, "proof": DISPLAYED })),
        ("POST", "/auth/login", "", json!({ "provider": "development", "proof": format!("{LOGIN} {DISPLAYED}") })),
        ("PUT", &*profile, &*access, json!({ "display_name": format!("\u{0}{DISPLAYED}") })),
        ("PUT", &*profile, FORGED, json!({ "display_name": DISPLAYED })),
        ("GET", "/player/Xanthippe-Papadopoulou/profile?name=Xanthippe-Papadopoulou", &*access, Value::Null),
        ("GET", "/player/1/profile", &*access, Value::Null),
        ("POST", "/join", &*access, json!({ "build": DISPLAYED, "mode": LOGIN })),
        ("POST", "/join", FORGED, json!({})),
        ("POST", "/store/purchase", &*access, json!({ "offer": LOGIN })),
        ("POST", "/events", &*access, json!(LOGIN)),
        ("PATCH", "/Xanthippe-Papadopoulou", FORGED, json!(DISPLAYED)),
    ] {
        let (status, said) = asked(method, path, bearer, &body);
        // 503: there is no room with such a mode.
        assert!((200..500).contains(&status) || status == 503, "{method} {path}: {status} {said}");
    }
    let (status, joined) = asked("POST", "/join", &access, &json!({ "build": DISPLAYED }));
    assert_eq!(status, 200, "{joined}");
    secrets.push(joined["connect_token"].as_str().expect("a token")[..64].to_owned());
    secrets.push(access);
    ports.push(misbehave(&joined));

    let figures = [&services_figures, &server_figures].map(|address| {
        let address = address.trim_end_matches("/metrics");
        // This port is the scraper's, which is no player.
        ask(address, "GET", "/metrics", "", "").1
    });
    server.end();
    services.end();
    let printed = [server.text(), services.text()];
    for (what, text) in ["server", "services"].iter().zip(&printed) {
        let lines = text.lines().filter(|line| line.starts_with('{')).count();
        println!("{what}: {} lines, {lines} of them JSON", text.lines().count());
        assert!(lines > 0, "the {what} log nothing: {text}");
    }
    let is_told_of = |text: &str| printed.iter().any(|printed| printed.contains(text));
    // Else the silence would prove nothing.
    assert!(is_told_of("\"answered\"") && is_told_of("server started"), "{printed:?}");
    for text in printed.iter().chain(&figures) {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret:?} stands in {text}");
        }
        let addresses = ports.iter().map(|port| format!("{PLAYERS}:{port}"));
        for address in addresses.chain([PLAYERS.to_owned()]) {
            assert!(!text.contains(&address), "{address} stands in {text}");
        }
    }
    for text in &figures {
        assert!(!text.contains(&player), "a player's number stands in {text}");
    }
    // A trace that the server began goes on in the services.
    let trace = |line: &str, span: &str| -> Option<String> {
        let line: Value = serde_json::from_str(line).ok()?;
        let spans = line["spans"].as_array()?;
        Some(spans.iter().find(|found| found["name"] == span)?["trace"].as_str()?.to_owned())
    };
    let began: Vec<String> = printed[0].lines().filter_map(|line| trace(line, "call")).collect();
    let went_on = printed[1].lines().filter_map(|line| trace(line, "request")).any(|id| began.contains(&id));
    assert!(went_on, "no trace of the server's is one of the services': {began:?}");
}
