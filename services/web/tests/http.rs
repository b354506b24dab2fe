//! What every service promises over HTTP, over real sockets: problems, limits, callers, traces, a description.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arbiter_web::{
    Access, AccessDenied, Caller, Figures, Json, Limits, Path, Problem, Router, Running, Service, ServiceKey,
    ServiceOnly, Trace, operate, routes, serve,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
struct Note {
    text: String,
}

/// Gives a note back.
#[utoipa::path(post, path = "/notes/{player}", params(("player" = u64, Path)), request_body = Note,
    responses((status = 200, body = Note), (status = 403, body = Problem)))]
async fn note(caller: Caller, Path(player): Path<u64>, Json(note): Json<Note>) -> Result<Json<Note>, Problem> {
    caller.may_see(player)?;
    Ok(Json(note))
}

#[utoipa::path(get, path = "/house", responses((status = 200)))]
async fn house(_: ServiceOnly, trace: Trace) -> String {
    trace.parent()
}

#[utoipa::path(get, path = "/slow", responses((status = 200)))]
async fn slow() {
    std::future::pending().await
}

struct SevenOnly;

impl Access for SevenOnly {
    fn player(&self, token: &str) -> Result<u64, AccessDenied> {
        (token == "seven").then_some(7).ok_or_else(|| AccessDenied("that token is not known".to_owned()))
    }
}

const SECRET: [u8; 32] = [7; 32];

fn start(limits: Limits, ready: bool) -> Running {
    let router = Router::new().routes(routes!(note)).routes(routes!(house)).routes(routes!(slow));
    let ready = move || if ready { Ok(()) } else { Err("the disk is full".to_owned()) };
    let service = Service { name: "notes", router, ready: Arc::new(ready), figures: Figures::default() };
    let address = ([127, 0, 0, 1], 0).into();
    serve(address, vec![service], ServiceKey::derive(&SECRET), Arc::new(SevenOnly), limits).expect("a free port")
}

/// Status and body of an answer.
fn ask(server: &Running, method: &str, path: &str, bearer: &str, body: &str) -> (u16, String, ureq::http::HeaderMap) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", server.address))
        .header("Authorization", format!("Bearer {bearer}"))
        .header("Content-Type", "application/json")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let mut answer = agent.run(request.body(body.to_owned()).expect("a request")).expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"), answer.headers().clone())
}

#[test]
fn a_player_does_what_is_the_players_own_and_nothing_else() {
    let server = start(Limits::default(), true);
    let note = r#"{"text":"hello"}"#;
    assert_eq!(ask(&server, "POST", "/notes/7", "seven", note).0, 200);
    assert_eq!(ask(&server, "POST", "/notes/8", "seven", note).0, 403);
    assert_eq!(ask(&server, "POST", "/notes/7", "eight", note).0, 401);
    assert_eq!(ask(&server, "GET", "/house", "seven", "").0, 403);
}

#[test]
fn a_service_is_let_in_by_its_key_and_its_trace_goes_on() {
    let server = start(Limits::default(), true);
    let bearer = ServiceKey::derive(&SECRET).bearer();
    let (status, parent, headers) = ask(&server, "GET", "/house", &bearer, "");
    assert_eq!(status, 200);
    assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{parent}");
    assert_eq!(headers["traceparent"], parent);
    let other = ServiceKey::derive(&[8; 32]).bearer();
    assert_eq!(ask(&server, "GET", "/house", &other, "").0, 401);
}

#[test]
fn whatever_is_wrong_is_a_problem_that_says_what() {
    let limits = Limits { body_bytes_max: 100, ..Limits::default() };
    let server = start(limits, true);
    let long = format!(r#"{{"text":"{}"}}"#, "a".repeat(200));
    let cases = [
        ("POST", "/notes/7", r#"{"words":1}"#, 400, "missing field `text`"),
        ("POST", "/notes/seven", "{}", 400, "seven"),
        ("POST", "/notes/7", &long, 413, "too-large"),
        ("GET", "/nowhere", "", 404, "/openapi.json"),
        ("DELETE", "/house", "", 405, "/openapi.json"),
    ];
    for (method, path, body, status, said) in cases {
        let (found, text, headers) = ask(&server, method, path, "seven", body);
        assert_eq!((found, &headers["content-type"]), (status, &"application/problem+json".parse().unwrap()), "{text}");
        assert!(text.contains(said) && text.contains("urn:arbiter:problem:"), "{path}: {text}");
    }
}

#[test]
fn one_address_that_asks_too_much_is_told_when_to_come_back() {
    let one = NonZeroU32::MIN;
    let server = start(Limits { requests_per_s: one, burst: one, ..Limits::default() }, true);
    let statuses: Vec<u16> = (0..3).map(|_| ask(&server, "GET", "/nowhere", "", "").0).collect();
    assert!(statuses.contains(&404) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(ask(&server, "GET", "/healthz", "", "").0, 200);
}

#[test]
fn a_request_that_takes_too_long_is_ended() {
    let server = start(Limits { timeout: Duration::from_millis(50), ..Limits::default() }, true);
    let (status, text, headers) = ask(&server, "GET", "/slow", "", "");
    assert_eq!((status, &headers["retry-after"]), (503, &"1".parse().unwrap()), "{text}");
}

#[test]
fn readiness_names_the_service_that_cannot_work() {
    assert_eq!(ask(&start(Limits::default(), true), "GET", "/readyz", "", "").0, 200);
    let (status, text, _) = ask(&start(Limits::default(), false), "GET", "/readyz", "", "");
    assert_eq!((status, text.as_str()), (503, "notes: the disk is full\n"));
}

#[test]
fn the_description_has_every_path_and_what_it_takes() {
    let (_, text, _) = ask(&start(Limits::default(), true), "GET", "/openapi.json", "", "");
    for part in ["\"/notes/{player}\"", "Gives a note back", "\"Note\"", "\"Problem\"", "\"openapi\":\"3.1"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let server = start(Limits { connections_max: 1, ..Limits::default() }, true);
    let first = TcpStream::connect(server.address).expect("a connection");
    let mut second = TcpStream::connect(server.address).expect("one that the system keeps");
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("written");
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The value of a sample; 0 if it is not there.
fn value(figures: &str, sample: &str) -> f64 {
    let line = figures.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[test]
fn figures_count_requests_by_route_and_status_and_nobody_makes_up_a_route() {
    let server = start(Limits::default(), true);
    let operated = operate(([127, 0, 0, 1], 0).into(), &server).expect("a free port");
    for (method, path, bearer) in [
        ("POST", "/notes/7", "seven"),
        ("POST", "/notes/8", "seven"),
        ("GET", "/nowhere/anna", ""),
        ("GET", "/elsewhere/bert", ""),
        ("PATCH", "/notes/7", "seven"),
    ] {
        ask(&server, method, path, bearer, r#"{"text":"hello"}"#);
    }
    assert_eq!(ask(&server, "GET", "/metrics", "", "").0, 404, "players reach that address");
    let (status, figures, headers) = ask(&operated, "GET", "/metrics", "", "");
    assert_eq!((status, headers["content-type"].to_str().ok()), (200, Some(arbiter_metrics::CONTENT_TYPE)));
    for (labels, count) in [
        (r#"route="/notes/{player}",method="POST",status="200""#, 1.0),
        (r#"route="/notes/{player}",method="POST",status="403""#, 1.0),
        (r#"route="/notes/{player}",method="other",status="405""#, 1.0),
        (r#"route="none",method="GET",status="404""#, 3.0),
    ] {
        assert_eq!(value(&figures, &format!("arbiter_requests_total{{{labels}}}")), count, "{labels} in {figures}");
    }
    assert_eq!(value(&figures, r#"arbiter_request_seconds_count{route="none"}"#), 3.0, "{figures}");
    assert_eq!(value(&figures, r#"arbiter_service_ready{service="notes"}"#), 1.0, "{figures}");
    assert!(!figures.contains("anna") && !figures.contains("bert"), "{figures}");
    // A family that stood there twice would be no OpenMetrics any more.
    let mut families: Vec<&str> = figures.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), count, "{figures}");
    assert!(figures.ends_with("# EOF\n"));
}

#[test]
fn health_and_readiness_are_told_to_operators_too() {
    let server = start(Limits::default(), false);
    let operated = operate(([127, 0, 0, 1], 0).into(), &server).expect("a free port");
    assert_eq!(ask(&operated, "GET", "/healthz", "", "").0, 200);
    let (status, text, _) = ask(&operated, "GET", "/readyz", "", "");
    assert_eq!((status, text.as_str()), (503, "notes: the disk is full\n"));
}

/// Asks over a connection that stays open, and reads the answer.
fn ask_over(connection: &mut TcpStream, text: &str) -> String {
    let body = format!(r#"{{"text":"{text}"}}"#);
    let head = "POST /notes/7 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer seven\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).expect("asked");
    let (mut answer, mut bytes) = (String::new(), [0; 1024]);
    // What is given back is the same text.
    while !answer.ends_with(&body) {
        let read = connection.read(&mut bytes).expect("an answer");
        assert!(read > 0, "hung up behind {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).expect("text"));
    }
    answer
}

#[test]
fn a_caller_who_asks_and_asks_is_answered_each_time_and_so_is_everybody_else_meanwhile() {
    let server = start(Limits::default(), true);
    let mut one = TcpStream::connect(server.address).expect("a connection");
    one.set_nodelay(true).expect("no delay");
    let mut others: Vec<_> = (0..3).map(|_| TcpStream::connect(server.address).expect("a connection")).collect();
    for number in 0..600 {
        let answer = ask_over(&mut one, &format!("note {number}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        if number % 50 == 49 {
            for other in &mut others {
                assert!(ask_over(other, "another").starts_with("HTTP/1.1 200"));
            }
        }
    }
    drop(one);
    assert!(ask_over(&mut others[0], "the last").starts_with("HTTP/1.1 200"));
}
