//! Contract over HTTP: log in, join, register; who may ask for what; and that whatever is asked, by however many at once, is
//! answered with what it says or a problem that says why. Real sockets, real tokens of both kinds; time stands until it is moved.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbiter_access::{Issuer, IssuerConfig, Verifier};
use arbiter_join::{Join, JoinConfig, JoinError, LoginError, MintError, MintRequest, Provider, Role, SILENCE};
use arbiter_protocol::UserData;
use arbiter_transport::netcode::ConnectToken;
use arbiter_transport::{Key, mint_token};
use arbiter_web::{Limits, Running, ServiceKey, serve};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SECRET: [u8; 32] = [7; 32];
const SEALING: [u8; 32] = [9; 32];
const HASH: &str = "0000000000c0ffee";

/// A provider as a studio would write one.
struct Letters;

impl Provider for Letters {
    fn name(&self) -> &str {
        "letters"
    }

    fn subject(&self, proof: &str) -> Result<String, LoginError> {
        match proof {
            "away" => Err(LoginError::Unavailable("the provider does not answer".to_owned())),
            "panic" => panic!("a provider that is wrong"),
            _ => proof
                .strip_prefix("sealed:")
                .map(str::to_owned)
                .ok_or_else(|| LoginError::Refused("that seal is broken".to_owned())),
        }
    }
}

fn mint(request: &MintRequest<'_>) -> Result<Box<[u8; 2_048]>, MintError> {
    let MintRequest { addresses, protocol_id: _, player, room, team, role, build, lifetime } = *request;
    let role = match role {
        Role::Player => arbiter_protocol::Role::Player,
        Role::Spectator => arbiter_protocol::Role::Spectator,
    };
    let user = UserData { player, room: Some(room), team, build: build.to_owned(), role };
    let failed = |error: &dyn std::fmt::Display| MintError(error.to_string());
    let user = user.encode().map_err(|error| failed(&error))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| failed(&error))?;
    mint_token(&Key::from_bytes(SEALING), addresses, &user, lifetime, now).map_err(|error| failed(&error))
}

struct House {
    running: Running,
    issuer: Arc<Issuer>,
    milliseconds: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

fn start(change: impl FnOnce(&mut JoinConfig)) -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::open(IssuerConfig::new(folder.path(), "https://arbiter.example")).expect("it opens");
    let (issuer, milliseconds) = (Arc::new(issuer), Arc::new(AtomicU64::new(0)));
    let mut config = JoinConfig::new(Arc::clone(&issuer), Arc::new(mint), &folder.path().join("orders"));
    let hand = Arc::clone(&milliseconds);
    config.clock = Arc::new(move || Duration::from_millis(hand.load(Ordering::SeqCst)));
    config.development = true;
    config.providers.push(Arc::new(Letters));
    change(&mut config);
    let join = Join::new(config).expect("a configuration");
    let access = Arc::new(Verifier::of(&issuer));
    let address = ([127, 0, 0, 1], 0).into();
    let running = serve(address, vec![join.service()], ServiceKey::derive(&SECRET), access, Limits::default());
    House { running: running.expect("a free port"), issuer, milliseconds, _folder: folder }
}

fn house() -> House {
    start(|_| ())
}

type Answer = (u16, Value, ureq::http::HeaderMap);

impl House {
    fn ask(&self, method: &str, path: &str, bearer: &str, body: impl Into<Vec<u8>>) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.running.address))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Content-Type", "application/json");
        let mut answer = agent.run(request.body(body.into()).expect("a request")).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (answer.status().as_u16(), json, answer.headers().clone())
    }

    fn service(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &ServiceKey::derive(&SECRET).bearer(), body.to_string())
    }

    fn login(&self, provider: &str, proof: &str) -> Answer {
        self.ask("POST", "/auth/login", "", json!({ "provider": provider, "proof": proof }).to_string())
    }

    /// An access token.
    fn token(&self, player: u64) -> String {
        self.issuer.issue(NonZeroU64::new(player).expect("not 0")).expect("issued").token
    }

    fn join(&self, player: u64, wanted: &Value) -> Answer {
        self.ask("POST", "/join", &self.token(player), wanted.to_string())
    }

    fn beat(&self, id: &str, rooms: &[Value]) {
        let (status, said, _) = self.service("PUT", &format!("/servers/{id}"), &server(rooms));
        assert_eq!(status, 204, "{said}");
    }

    fn pass(&self, time: Duration) {
        self.milliseconds.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }
}

fn room(number: u16, players_max: u16) -> Value {
    json!({
        "room": number, "match": format!("{:032x}", 1_000 + number), "epoch": 0, "mode": "team_deathmatch", "map": "arena",
        "tick_rate": 60, "players": 0, "players_max": players_max, "spectators_max": 2, "open": true, "holders": [],
    })
}

fn server(rooms: &[Value]) -> Value {
    json!({ "addresses": ["192.0.2.1:7777", "[2001:db8::7]:7777"], "build": "0.1.0", "protocol_hash": HASH, "rooms": rooms })
}

fn kind(problem: &Value) -> &str {
    problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:arbiter:problem:")).unwrap_or("no problem")
}

#[test]
fn a_player_logs_in_joins_and_gets_what_a_server_opens() {
    let house = house();
    house.beat("eu-1", &[room(3, 10)]);
    let (status, login, headers) = house.login("development", "anna");
    assert_eq!((status, &headers["cache-control"]), (200, &"no-store".parse().unwrap()), "{login}");
    assert_eq!((&login["player"], &login["expires_in"]), (&json!("10760761254222850851"), &json!(600)));

    let access = login["access_token"].as_str().expect("a text");
    let wanted = json!({ "build": "1.4.0", "protocol_hash": HASH, "mode": "team_deathmatch" });
    let (status, joined, headers) = house.ask("POST", "/join", access, wanted.to_string());
    assert_eq!((status, &headers["cache-control"]), (200, &"no-store".parse().unwrap()), "{joined}");
    for (member, value) in [
        ("server", json!("eu-1")),
        ("addresses", json!(["192.0.2.1:7777", "[2001:db8::7]:7777"])),
        ("room", json!(3)),
        ("match", json!(format!("{:032x}", 1_003))),
        ("epoch", json!(0)),
        ("role", json!("player")),
        ("protocol_hash", json!(HASH)),
        ("returned", json!(false)),
        ("expires_in", json!(30)),
    ] {
        assert_eq!(joined[member], value, "{member} in {joined}");
    }
    let bytes = STANDARD.decode(joined["connect_token"].as_str().expect("a text")).expect("base64");
    let token = ConnectToken::from_bytes(&bytes).expect("a connect token");
    let sealed = token.open_private(&Key::from_bytes(SEALING)).expect("it opens");
    let user = UserData::decode(&sealed.user_data).expect("user data");
    let said = (user.player, user.room, user.build.as_str(), user.role);
    assert_eq!(said, (10_760_761_254_222_850_851, Some(3), "1.4.0", arbiter_protocol::Role::Player));
    assert_eq!(token.expire_seconds - token.create_seconds, 30);
}

#[test]
fn hundreds_who_join_at_once_overfill_no_room() {
    const PLAYERS: u64 = 300;
    const PLACES: u16 = 64;
    let house = house();
    house.beat("a", &[room(0, PLACES), room(1, PLACES)]);
    house.beat("b", &[room(0, PLACES)]);
    let tokens: Vec<String> = (1..=PLAYERS).map(|player| house.token(player)).collect();
    let together = Barrier::new(tokens.len());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads = tokens.iter().map(|token| {
            let (house, together) = (&house, &together);
            scope.spawn(move || {
                together.wait();
                house.ask("POST", "/join", token, "{}")
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("it ended")).collect()
    });
    let mut rooms: BTreeMap<String, u16> = BTreeMap::new();
    for (status, said, headers) in &answers {
        match status {
            200 => *rooms.entry(format!("{} {}", said["server"], said["room"])).or_default() += 1,
            _ => assert_eq!(
                (*status, kind(said), headers.contains_key("retry-after")),
                (503, "no-place", true),
                "{said}"
            ),
        }
    }
    assert_eq!(rooms.values().copied().collect::<Vec<_>>(), [PLACES; 3], "{rooms:?}");
}

#[test]
fn whoever_has_a_place_comes_back_to_it() {
    let house = house();
    let mut held = room(1, 2);
    (held["players"], held["holders"], held["open"]) = (json!(2), json!(["7", "8"]), json!(false));
    house.beat("a", &[room(0, 10)]);
    house.beat("b", &[held]);
    let (status, joined, _) = house.join(7, &json!({ "mode": "control_point" }));
    assert_eq!((status, &joined["server"], &joined["returned"]), (200, &json!("b"), &json!(true)), "{joined}");
}

#[test]
fn a_server_is_chosen_while_it_is_heard_of() {
    let house = house();
    assert_eq!(kind(&house.join(7, &json!({})).1), "no-place");
    house.beat("a", &[room(0, 10)]);
    assert_eq!(house.join(7, &json!({})).0, 200);
    house.pass(SILENCE);
    assert_eq!(kind(&house.join(7, &json!({})).1), "no-place");
    house.beat("a", &[room(0, 10)]);
    assert_eq!(house.join(7, &json!({})).0, 200);
    assert_eq!(house.service("DELETE", "/servers/a", &json!({})).0, 204);
    assert_eq!(house.service("DELETE", "/servers/a", &json!({})).0, 204);
    assert_eq!(kind(&house.join(7, &json!({})).1), "no-place");
}

#[test]
fn a_player_may_watch() {
    let house = house();
    house.beat("a", &[room(0, 10)]);
    let (status, joined, _) = house.join(7, &json!({ "role": "spectator", "match": format!("{:032x}", 1_000) }));
    assert_eq!((status, &joined["role"]), (200, &json!("spectator")), "{joined}");
}

#[test]
fn what_cannot_be_joined_is_a_problem_that_says_why() {
    let house = house();
    house.beat("a", &[room(0, 10)]);
    for (wanted, status, said) in [
        (json!({ "match": format!("{:032x}", 5) }), 404, "no-such-match"),
        (json!({ "protocol_hash": "0000000000000001" }), 409, "protocol-mismatch"),
        (json!({ "mode": "chess" }), 503, "no-place"),
        (json!({ "match": "5" }), 400, "bad-request"),
        (json!({ "match": 5 }), 400, "bad-request"),
        (json!({ "protocol_hash": "C0FFEE" }), 400, "bad-request"),
        (json!({ "mode": "m".repeat(65) }), 400, "bad-request"),
        (json!({ "build": "b".repeat(33) }), 400, "bad-request"),
        (json!({ "build": "a\u{1b}[31m" }), 400, "bad-request"),
        (json!({ "role": "admin" }), 400, "bad-request"),
        (json!({ "player": "8" }), 400, "bad-request"),
        (json!("anything"), 400, "bad-request"),
    ] {
        let (found, problem, headers) = house.join(7, &wanted);
        assert_eq!((found, kind(&problem)), (status, said), "{wanted}: {problem}");
        assert_eq!(headers["content-type"], "application/problem+json");
    }
    let (_, problem, _) = house.join(7, &json!({ "protocol_hash": "0000000000000001" }));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(HASH)), "{problem}");
}

#[test]
fn only_players_join() {
    let house = house();
    house.beat("a", &[room(0, 10)]);
    assert_eq!(house.service("POST", "/join", &json!({})).0, 403);
    for bearer in ["", "seven", "a.b.c", &"x".repeat(4_000)] {
        let (status, problem, headers) = house.ask("POST", "/join", bearer, "{}");
        assert_eq!((status, kind(&problem), headers.contains_key("www-authenticate")), (401, "unauthorized", true));
    }
}

#[test]
fn a_player_does_nothing_that_only_services_may() {
    let house = house();
    let token = house.token(7);
    let body = server(&[room(0, 10)]).to_string();
    for (method, path, body) in [
        ("PUT", "/servers/a", body.as_str()),
        ("DELETE", "/servers/a", ""),
        ("GET", "/servers", ""),
        ("PUT", "/auth/issuing", r#"{"issuing":false}"#),
        ("POST", "/matches", r#"{"settings":{}}"#),
        ("GET", "/matches/0123456789abcdef0123456789abcdef/settings", ""),
    ] {
        assert_eq!(house.ask(method, path, &token, body).0, 403, "{method} {path}");
        assert_eq!(house.ask(method, path, "", body).0, 401, "{method} {path}");
    }
    assert!(house.issuer.is_issuing());
    assert_eq!(house.service("GET", "/servers", &json!({})).1, json!({ "servers": [] }));
}

#[test]
fn who_a_stranger_is_is_looked_at_before_what_they_bring() {
    let house = house();
    let mut stream = TcpStream::connect(house.running.address).expect("a connection");
    let token = house.token(7);
    // The body never comes: nobody waits for it.
    let head = format!(
        "PUT /servers/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 400000\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn services_see_what_servers_host() {
    let house = house();
    house.beat("a", &[room(0, 10)]);
    assert_eq!(house.join(7, &json!({})).0, 200);
    house.pass(Duration::from_secs(1));
    let (_, listed, _) = house.service("GET", "/servers", &json!({}));
    let server = &listed["servers"][0];
    assert_eq!((&server["id"], &server["heard_ms"]), (&json!("a"), &json!(1_000)), "{listed}");
    assert_eq!((&server["rooms"][0]["players"], &server["rooms"][0]["under_way"]), (&json!(0), &json!(1)), "{listed}");
}

#[test]
fn a_server_may_say_more_than_is_known_and_a_lot_of_it() {
    let house = house();
    let mut crowded = room(0, 1_000);
    crowded["holders"] = (1..=1_000_u64).map(|player| (u64::MAX - player).to_string()).collect();
    crowded["weather"] = json!("rain");
    let rooms: Vec<Value> =
        (0..16).map(|number| [crowded.clone(), room(0, 1)][usize::from(number > 7)].clone()).collect();
    let rooms: Vec<Value> = rooms
        .into_iter()
        .zip(0..)
        .map(|(mut room, number)| {
            room["room"] = json!(number);
            room
        })
        .collect();
    house.beat("a", &rooms);
}

#[test]
fn a_registration_that_makes_no_sense_is_told_which_part() {
    let house = house();
    let mut nobody = server(&[room(0, 10)]);
    nobody["addresses"] = json!([]);
    let mut name = server(&[room(0, 10)]);
    name["addresses"] = json!(["arbiter.example:7777"]);
    let mut holders = room(0, 10);
    holders["holders"] = json!([7]);
    for (body, part) in [
        (json!({}), "addresses"),
        (nobody, "addresses"),
        (name, "addresses"),
        (server(&[room(0, 0)]), "players_max"),
        (server(&[room(1, 1), room(1, 1)]), "room 1 twice"),
        (server(&[holders]), "holders"),
    ] {
        let (status, problem, _) = house.service("PUT", "/servers/a", &body);
        assert_eq!(status, 400, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{part}: {problem}");
    }
    assert_eq!(house.service("PUT", "/servers/a%20b", &server(&[])).0, 400);
}

#[test]
fn whoever_proves_nothing_is_not_logged_in() {
    let house = house();
    for (provider, proof, status, said) in [
        ("development", "", 400, "bad-request"),
        ("development", "anna miller", 400, "bad-request"),
        ("development", &"a".repeat(10_000), 400, "bad-request"),
        ("nobody", "anna", 400, "bad-request"),
        ("letters", "anna", 401, "login-refused"),
        ("letters", "away", 503, "unavailable"),
        ("letters", "panic", 503, "unavailable"),
    ] {
        let (found, problem, _) = house.login(provider, proof);
        assert_eq!((found, kind(&problem)), (status, said), "{problem}");
        let text = problem.to_string();
        assert!(proof.is_empty() || proof == "panic" || !text.contains(proof) || proof == "anna", "{text}");
    }
    let (status, login, _) = house.login("letters", "sealed:anna");
    assert_eq!(status, 200);
    assert_ne!(login["player"], house.login("development", "anna").1["player"]);
}

#[test]
fn the_development_provider_is_off_unless_it_is_switched_on() {
    let house = start(|config| config.development = false);
    let (status, problem, _) = house.login("development", "anna");
    assert_eq!((status, kind(&problem)), (403, "provider-off"), "{problem}");
    assert_eq!(house.login("letters", "sealed:anna").0, 200);
}

#[test]
fn the_keys_that_are_published_check_the_tokens_that_are_issued() {
    let house = house();
    let (status, keys, headers) = house.ask("GET", "/.well-known/jwks.json", "", "");
    assert_eq!((status, &headers["content-type"]), (200, &"application/jwk-set+json".parse().unwrap()));
    assert_eq!(headers["cache-control"], "public, max-age=60");
    assert_eq!(keys, serde_json::to_value(house.issuer.jwks()).expect("JSON"));
    let url = format!("http://{}/.well-known/jwks.json", house.running.address);
    let elsewhere = Verifier::fetched(arbiter_access::FetchConfig::new(url, house.issuer.name())).expect("started");
    while elsewhere.ready().is_err() {
        std::thread::yield_now();
    }
    assert_eq!(elsewhere.check(&house.token(7)), Ok(7));
}

#[test]
fn an_operator_stops_the_issuing_and_starts_it_again() {
    let house = house();
    house.beat("a", &[room(0, 10)]);
    let token = house.token(7);
    assert_eq!(house.ask("GET", "/auth/issuing", "", "").1, json!({ "issuing": true }));
    assert_eq!(house.service("PUT", "/auth/issuing", &json!({ "issuing": false })).0, 200);
    assert_eq!(house.ask("GET", "/auth/issuing", "", "").1, json!({ "issuing": false }));
    let (status, problem, headers) = house.login("development", "anna");
    assert_eq!((status, kind(&problem), headers.contains_key("retry-after")), (503, "not-issuing", true), "{problem}");
    assert_eq!(house.ask("POST", "/join", &token, "{}").0, 200, "tokens that are out are good");
    assert_eq!(house.service("PUT", "/auth/issuing", &json!({ "issuing": true })).0, 200);
    assert_eq!(house.login("development", "anna").0, 200);
}

#[test]
fn a_place_without_a_token_is_nobodys() {
    let house = start(|config| {
        let (asked, honest) = (AtomicU64::new(0), mint);
        config.mint = Arc::new(move |request: &MintRequest<'_>| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err(MintError("no key".to_owned())),
            _ => honest(request),
        });
    });
    house.beat("a", &[room(0, 1)]);
    let (status, problem, _) = house.join(7, &json!({}));
    assert_eq!((status, kind(&problem)), (503, "unavailable"), "{problem}");
    assert!(!problem.to_string().contains("no key"), "that is for the log: {problem}");
    assert_eq!(house.join(8, &json!({})).0, 200);
}

const ORDERED: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_match_is_ordered_once_and_its_settings_are_told_by_its_id_after_a_restart_too() {
    let orders = tempfile::tempdir().expect("a folder");
    let started = || start(|config| config.orders = orders.path().to_owned());
    let settings = json!({ "mode": "control_point", "match_seconds": 600, "seed": "18446744073709551615" });
    let order = json!({ "match": ORDERED, "settings": settings });
    let house = started();
    let (status, said, _) = house.service("POST", "/matches", &order);
    assert_eq!((status, &said), (201, &order), "{said}");
    assert_eq!(house.service("POST", "/matches", &order).0, 200);
    let other = json!({ "match": ORDERED, "settings": {} });
    let (status, problem, _) = house.service("POST", "/matches", &other);
    assert_eq!((status, kind(&problem)), (409, "match-differs"), "{problem}");
    drop(house);
    let house = started();
    let (status, said, _) = house.service("GET", &format!("/matches/{ORDERED}/settings"), &json!(null));
    assert_eq!((status, &said), (200, &order), "{said}");
}

#[test]
fn an_order_without_an_id_is_given_one() {
    let house = house();
    let (status, said, _) = house.service("POST", "/matches", &json!({ "settings": {} }));
    let id = said["match"].as_str().unwrap_or_default().to_owned();
    assert_eq!((status, id.len()), (201, 32), "{said}");
    assert_eq!(house.service("GET", &format!("/matches/{id}/settings"), &json!(null)).1, said);
}

#[test]
fn an_order_that_no_server_could_play_names_what_is_wrong() {
    let house = house();
    for (order, told) in [
        (json!({ "settings": { "teams": 17 } }), "settings.teams: expected a number from 0 to 16, found 17"),
        (json!({ "settings": { "gravity": 0 } }), "gravity"),
        (json!({ "match": "7", "settings": {} }), "32 hexadecimal digits"),
        (json!({ "match": "0".repeat(32), "settings": {} }), "32 hexadecimal digits"),
        (json!({}), "settings"),
    ] {
        let (status, problem, _) = house.service("POST", "/matches", &order);
        assert_eq!(status, 400, "{order}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{order}: {problem}");
    }
    let (status, problem, _) = house.service("GET", &format!("/matches/{ORDERED}/settings"), &json!(null));
    assert_eq!((status, kind(&problem)), (404, "no-such-order"), "{problem}");
}

#[test]
fn all_that_is_served_is_described() {
    let (_, described, _) = house().ask("GET", "/openapi.json", "", "");
    for (path, methods) in [
        ("/auth/login", &["post"][..]),
        ("/auth/issuing", &["get", "put"]),
        ("/.well-known/jwks.json", &["get"]),
        ("/join", &["post"]),
        ("/servers/{id}", &["put", "delete"]),
        ("/servers", &["get"]),
        ("/matches", &["post"]),
        ("/matches/{id}/settings", &["get"]),
    ] {
        for method in methods {
            assert!(described["paths"][path][method]["summary"].is_string(), "{method} {path}: {described}");
        }
    }
}

#[test]
fn a_configuration_that_makes_no_sense_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::open(IssuerConfig::new(folder.path(), "a")).expect("it opens");
    let good = JoinConfig::new(Arc::new(issuer), Arc::new(mint), &folder.path().join("orders"));
    let twice: Vec<Arc<dyn Provider>> = vec![Arc::new(Letters), Arc::new(Letters)];
    let error = Join::new(JoinConfig { providers: twice, ..good.clone() }).expect_err("two of one name");
    assert_eq!(error, JoinError::Provider("letters".to_owned()));
    let second = Duration::from_secs(1);
    let error = Join::new(JoinConfig { connect_lifetime: second, ..good.clone() }).expect_err("too short");
    assert_eq!(error, JoinError::Lifetime(second));
    // A file is no folder.
    let orders = folder.path().join("taken");
    std::fs::write(&orders, []).expect("written");
    let error = Join::new(JoinConfig { orders: orders.clone(), ..good }).expect_err("no folder");
    assert!(error.to_string().contains(&orders.display().to_string()), "{error}");
}
