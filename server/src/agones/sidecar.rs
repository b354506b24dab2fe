//! The REST calls of Agones' sidecar, one function each. What they mean to a server is not known here: see `keeper`.
//!
//! Shapes are those of `sdk.proto` and `beta.proto` as grpc-gateway writes them: numbers of 64 bits are texts, what is zero may be left out,
//! an error is a status and `{"message": ...}`. What was checked against what stands in docs/decisions/agones.md.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};

use arbiter_contracts::outward::Policy;
use serde_json::{Value, json};
use thiserror::Error;

use crate::outward::OPEN_AFTER;

/// Where the sidecar listens unless `AGONES_SDK_HTTP_PORT` says otherwise.
pub const PORT: u16 = 9358;

/// How it is called. A call is shorter than what health pings may be late, which share the thread; a sidecar that is started again is
/// there within a second.
pub(crate) const POLICY: Policy = Policy {
    connect_max: Duration::from_secs(1),
    call_max: Duration::from_secs(3),
    wait_min: Duration::from_millis(100),
    wait_max: Duration::from_secs(2),
    open_after: OPEN_AFTER,
};

/// A watch is begun anew after so long, since one that says nothing cannot be told from one that is dead.
const WATCH_MAX: Duration = Duration::from_secs(30);

/// Bytes of an answer, and of a line of a watch: a thousand players, a thousand matches and all metadata that Kubernetes lets an object have.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Values of a list at most; Agones refuses a larger capacity.
pub const LIST_MAX: usize = 1_000;

/// What a game server is to Agones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Before it was ready for the first time: created, starting or scheduled.
    Starting,
    /// It said that it is ready, and Agones has not made it so yet.
    RequestReady,
    /// It may be allocated, and deleted when fewer are wanted.
    Ready,
    /// It may not be deleted for a while, nor allocated.
    Reserved,
    /// It is in use and not deleted by a rollout or a fleet that shrinks.
    Allocated,
    /// It is going to be deleted.
    Shutdown,
    /// It failed; it stays so until it is deleted.
    Unhealthy,
    /// Agones cannot run it.
    Error,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::RequestReady,
        Self::Ready,
        Self::Reserved,
        Self::Allocated,
        Self::Shutdown,
        Self::Unhealthy,
        Self::Error,
    ];

    /// As Agones writes it; what it writes before a server runs counts as starting.
    pub fn of(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.name() == name).unwrap_or(Self::Starting)
    }

    /// As Agones writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::RequestReady => "RequestReady",
            Self::Ready => "Ready",
            Self::Reserved => "Reserved",
            Self::Allocated => "Allocated",
            Self::Shutdown => "Shutdown",
            Self::Unhealthy => "Unhealthy",
            Self::Error => "Error",
        }
    }
}

/// What the sidecar says of this game server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GameServer {
    /// Its name in the cluster.
    pub name: String,
    /// Unique over time.
    pub uid: String,
    /// When it was made, in seconds since 1970, as text.
    pub creation_timestamp: String,
    /// What Agones holds of it.
    pub state: State,
    /// Where its node is reached from outside, an IP address or a name; empty while Agones does not know.
    pub address: String,
    /// Ports there by their names in the spec.
    pub ports: Vec<(String, u16)>,
    /// Whether it is being deleted.
    pub deleted: bool,
    /// Labels, with their prefixes.
    pub labels: BTreeMap<String, String>,
    /// Annotations, with their prefixes.
    pub annotations: BTreeMap<String, String>,
}

impl GameServer {
    fn of(value: &Value) -> Self {
        let meta = &value["object_meta"];
        let text = |value: &Value| value.as_str().map_or_else(String::new, ToOwned::to_owned);
        let map = |value: &Value| {
            let entries = value.as_object().into_iter().flatten();
            entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        Self {
            name: text(&meta["name"]),
            uid: text(&meta["uid"]),
            creation_timestamp: number(&meta["creation_timestamp"]).to_string(),
            state: State::of(value["status"]["state"].as_str().unwrap_or_default()),
            address: text(&value["status"]["address"]),
            ports: value["status"]["ports"].as_array().into_iter().flatten().filter_map(port).collect(),
            deleted: number(&meta["deletion_timestamp"]) != 0,
            labels: map(&meta["labels"]),
            annotations: map(&meta["annotations"]),
        }
    }
}

fn port(value: &Value) -> Option<(String, u16)> {
    let name = value["name"].as_str().unwrap_or_default().to_owned();
    u16::try_from(number(&value["port"])).ok().filter(|port| *port != 0).map(|port| (name, port))
}

/// A number that may be a text, or left out.
fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// A counter: a number and its limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    /// How many there are.
    pub count: i64,
    /// How many there may be.
    pub capacity: i64,
}

/// A list of names and its limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// How many there may be, at most [`LIST_MAX`].
    pub capacity: i64,
    /// The names, each once.
    pub values: Vec<String>,
}

/// Why a call did not work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SidecarError {
    /// Nobody answered in time.
    #[error("{call}: {why}; is Agones' sidecar in the pod, and is its port in AGONES_SDK_HTTP_PORT?")]
    Unreachable {
        /// Which call.
        call: String,
        /// What the system says.
        why: String,
    },
    /// The sidecar does not do it.
    #[error("{call}: {status}: {message}")]
    Refused {
        /// Which call.
        call: String,
        /// Status of HTTP.
        status: u16,
        /// What the sidecar says.
        message: String,
    },
    /// There is no such counter or list: it must be declared where the game server is.
    #[error("{call}: {message}; declare it in the counters or lists of the game server's spec")]
    Undeclared {
        /// Which call.
        call: String,
        /// What the sidecar says.
        message: String,
    },
}

/// Calls the sidecar.
#[derive(Debug, Clone)]
pub struct Sidecar {
    calls: ureq::Agent,
    watches: ureq::Agent,
    url: String,
}

impl Sidecar {
    /// Of this machine, at a port.
    pub fn new(port: u16) -> Self {
        let config = || {
            let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
            config.timeout_connect(Some(POLICY.connect_max))
        };
        let watches = config().timeout_recv_response(Some(POLICY.call_max));
        Self {
            calls: config().timeout_global(Some(POLICY.call_max)).build().into(),
            watches: watches.timeout_recv_body(Some(WATCH_MAX)).build().into(),
            url: format!("http://localhost:{port}"),
        }
    }

    /// Players may come.
    pub fn ready(&self) -> Result<(), SidecarError> {
        self.call("POST", "/ready", Some(&json!({}))).map(drop)
    }

    /// The process is well.
    pub fn health(&self) -> Result<(), SidecarError> {
        self.call("POST", "/health", Some(&json!({}))).map(drop)
    }

    /// Players are in.
    pub fn allocate(&self) -> Result<(), SidecarError> {
        self.call("POST", "/allocate", Some(&json!({}))).map(drop)
    }

    /// Keeps the game server for so many seconds; then it is ready again. 0 is forever.
    pub fn reserve(&self, seconds: u32) -> Result<(), SidecarError> {
        self.call("POST", "/reserve", Some(&json!({ "seconds": seconds.to_string() }))).map(drop)
    }

    /// The process ends, and with it the pod.
    pub fn shutdown(&self) -> Result<(), SidecarError> {
        self.call("POST", "/shutdown", Some(&json!({}))).map(drop)
    }

    /// What Agones holds of this game server now.
    pub fn game_server(&self) -> Result<GameServer, SidecarError> {
        self.call("GET", "/gameserver", None).map(|value| GameServer::of(&value))
    }

    /// Sets the label `agones.dev/sdk-KEY`. Values have up to 63 letters, digits, `-`, `_` and `.`.
    pub fn set_label(&self, key: &str, value: &str) -> Result<(), SidecarError> {
        self.call("PUT", "/metadata/label", Some(&json!({ "key": key, "value": value }))).map(drop)
    }

    /// Sets the annotation `agones.dev/sdk-KEY`.
    pub fn set_annotation(&self, key: &str, value: &str) -> Result<(), SidecarError> {
        self.call("PUT", "/metadata/annotation", Some(&json!({ "key": key, "value": value }))).map(drop)
    }

    /// A counter.
    pub fn counter(&self, name: &str) -> Result<Counter, SidecarError> {
        let value = self.call("GET", &format!("/v1beta1/counters/{name}"), None)?;
        Ok(Counter { count: number(&value["count"]), capacity: number(&value["capacity"]) })
    }

    /// Sets a counter and its limit.
    pub fn set_counter(&self, name: &str, to: Counter) -> Result<(), SidecarError> {
        let body = json!({ "count": to.count.to_string(), "capacity": to.capacity.to_string() });
        self.call("PATCH", &format!("/v1beta1/counters/{name}"), Some(&body)).map(drop)
    }

    /// Counts up or down.
    pub fn count(&self, name: &str, difference: i64) -> Result<(), SidecarError> {
        let body = json!({ "countDiff": difference.to_string() });
        self.call("PATCH", &format!("/v1beta1/counters/{name}"), Some(&body)).map(drop)
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<List, SidecarError> {
        let value = self.call("GET", &format!("/v1beta1/lists/{name}"), None)?;
        let values = value["values"].as_array().into_iter().flatten();
        let values = values.filter_map(|value| value.as_str().map(ToOwned::to_owned)).collect();
        Ok(List { capacity: number(&value["capacity"]), values })
    }

    /// Replaces a list.
    pub fn set_list(&self, name: &str, to: &List) -> Result<(), SidecarError> {
        let body = json!({ "capacity": to.capacity.to_string(), "values": to.values });
        self.call("PATCH", &format!("/v1beta1/lists/{name}"), Some(&body)).map(drop)
    }

    /// Adds a value to the end of a list.
    pub fn add_to_list(&self, name: &str, value: &str) -> Result<(), SidecarError> {
        self.call("POST", &format!("/v1beta1/lists/{name}:addValue"), Some(&json!({ "value": value }))).map(drop)
    }

    /// Removes a value from a list.
    pub fn remove_from_list(&self, name: &str, value: &str) -> Result<(), SidecarError> {
        self.call("POST", &format!("/v1beta1/lists/{name}:removeValue"), Some(&json!({ "value": value }))).map(drop)
    }

    /// Tells of this game server now and at each change, for half a minute at most or until `told` wants no more.
    pub fn watch(&self, mut told: impl FnMut(GameServer) -> bool) -> Result<(), SidecarError> {
        let call = "GET /watch/gameserver";
        let unreachable = |why: String| SidecarError::Unreachable { call: call.to_owned(), why };
        let answer = self.watches.get(format!("{}/watch/gameserver", self.url)).call();
        let mut answer = answer.map_err(|error| unreachable(error.to_string()))?;
        if !answer.status().is_success() {
            let message = text(&mut answer);
            return Err(refusal(call.to_owned(), answer.status().as_u16(), &message));
        }
        let mut stream = BufReader::new(answer.into_body().into_reader());
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = stream.by_ref().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line);
            match read {
                Ok(0) => return Err(unreachable("the stream ended".to_owned())),
                Ok(_) if line.last() != Some(&b'\n') => return Err(unreachable("a line has no end".to_owned())),
                Ok(_) => {}
                // Over its time: nothing is wrong.
                Err(error) if error.to_string().contains("timeout") => return Ok(()),
                Err(error) => return Err(unreachable(error.to_string())),
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let value: Value = serde_json::from_slice(&line).map_err(|error| unreachable(error.to_string()))?;
            if value["result"].is_null() {
                return Err(refusal(call.to_owned(), 200, &value["error"].to_string()));
            }
            if !told(GameServer::of(&value["result"])) {
                return Ok(());
            }
        }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, SidecarError> {
        let call = || format!("{method} {path}");
        let unreachable = |why: String| SidecarError::Unreachable { call: call(), why };
        // Texts and numbers: it can always be written. The sidecar refuses a health ping without a body.
        let body = body.map(|body| serde_json::to_vec(body).unwrap_or_default()).unwrap_or_default();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Content-Type", "application/json")
            .body(body)
            .map_err(|error| unreachable(error.to_string()))?;
        let mut answer = self.calls.run(request).map_err(|error| unreachable(error.to_string()))?;
        let (status, text) = (answer.status(), text(&mut answer));
        if !status.is_success() {
            return Err(refusal(call(), status.as_u16(), &text));
        }
        // Empty answers are `{}`.
        serde_json::from_str(&text).map_err(|error| unreachable(format!("the answer is no JSON: {error}")))
    }
}

fn text(answer: &mut ureq::http::Response<ureq::Body>) -> String {
    let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    String::from_utf8_lossy(&read.unwrap_or_default()).into_owned()
}

fn refusal(call: String, status: u16, text: &str) -> SidecarError {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let message = value["message"].as_str().unwrap_or(text).to_owned();
    // Agones answers 500 to names that nobody declared, and only the words say so.
    if message.contains("not found") {
        return SidecarError::Undeclared { call, message };
    }
    SidecarError::Refused { call, status, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_game_server_is_read_whether_numbers_are_texts_or_not_and_whatever_is_left_out() {
        let text = r#"{"object_meta":{"name":"gs-1","creation_timestamp":"1531795395","deletion_timestamp":"0",
            "annotations":{"agones.dev/last-allocated":"x"}},"status":{"state":"Allocated","ports":[{"name":"game","port":7777},{"name":"none"}]}}"#;
        let found = GameServer::of(&serde_json::from_str(text).expect("JSON"));
        assert_eq!((found.name.as_str(), found.state, found.deleted), ("gs-1", State::Allocated, false));
        assert_eq!(found.creation_timestamp, "1531795395");
        assert_eq!(found.ports, [("game".to_owned(), 7777)]);
        assert_eq!(found.annotations.get("agones.dev/last-allocated").map(String::as_str), Some("x"));
        let deleted = GameServer::of(&json!({ "object_meta": { "deletion_timestamp": 5 } }));
        assert!(deleted.deleted && deleted.state == State::Starting);
    }

    #[test]
    fn a_counter_that_nobody_declared_is_told_from_a_failure() {
        let error =
            refusal("GET /x".to_owned(), 500, r#"{"code":2,"message":"counter not found: rooms","details":[]}"#);
        assert!(matches!(error, SidecarError::Undeclared { .. }) && error.to_string().contains("declare"), "{error}");
        let error = refusal("GET /x".to_owned(), 500, "oops");
        assert!(matches!(error, SidecarError::Refused { status: 500, .. }), "{error}");
    }
}
