//! The REST API, on a thread and a runtime of its own that are dropped to end it.

use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use crate::Shared;
use crate::cluster::{Counter, List};

/// Capacity of a list at most.
const LIST_MAX: i64 = 1_000;

type Held = State<Arc<Shared>>;

/// A sidecar that runs; dropping it ends it with all its connections.
#[derive(Debug)]
pub(crate) struct Running {
    pub handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

pub(crate) fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Running> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = axum::serve(listener, router(shared)) => {}
                _ = stopped => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("sidecar".to_owned()).spawn(run)?;
    Ok(Running { handle, stop: Some(stop), thread: Some(thread) })
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/ready", post(|State(it): Held| async { ask(it, "ready", &["RequestReady", "Ready"]) }))
        .route("/allocate", post(|State(it): Held| async { ask(it, "allocate", &["Allocated"]) }))
        .route("/shutdown", post(|State(it): Held| async { ask(it, "shutdown", &["Shutdown"]) }))
        .route("/reserve", post(reserve))
        .route("/health", post(health))
        .route("/gameserver", get(game_server))
        .route("/watch/gameserver", get(watch))
        .route("/metadata/label", put(set_label))
        .route("/metadata/annotation", put(set_annotation))
        .route("/v1beta1/counters/{name}", get(counter).patch(set_counter))
        .route("/v1beta1/lists/{name}", get(list).patch(set_list).post(change_list))
        .layer(from_fn_with_state(Arc::clone(&shared), slowly))
        .with_state(shared)
}

async fn slowly(State(shared): Held, request: Request, next: Next) -> Response {
    tokio::time::sleep(shared.manners.latency).await;
    next.run(request).await
}

/// As grpc-gateway answers an error that has no code of its own.
fn failed(message: String) -> Response {
    let body = json!({ "code": 2, "message": message, "details": [] });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

fn done() -> Response {
    Json(json!({})).into_response()
}

/// The states come one by one, each a while later, unless another is asked for meanwhile.
fn ask(shared: Arc<Shared>, call: &'static str, states: &'static [&'static str]) -> Response {
    shared.note(call);
    let asked = shared.change(|cluster| {
        cluster.asked += 1;
        cluster.asked
    });
    tokio::spawn(async move {
        for state in states {
            tokio::time::sleep(shared.manners.delay).await;
            shared.change(|cluster| {
                if cluster.asked == asked {
                    cluster.become_state(state);
                }
            });
        }
    });
    done()
}

async fn reserve(State(shared): Held, Json(body): Json<Value>) -> Response {
    let seconds = integer(&body["seconds"]).unwrap_or(0).max(0) as u64;
    let answer = ask(Arc::clone(&shared), "reserve", &["Reserved"]);
    let asked = shared.cluster().asked;
    if seconds > 0 {
        tokio::spawn(async move {
            tokio::time::sleep(shared.manners.delay + Duration::from_secs(seconds)).await;
            shared.change(|cluster| {
                if cluster.asked == asked {
                    cluster.become_state("Ready");
                }
            });
        });
    }
    answer
}

async fn health(State(shared): Held, body: Bytes) -> Response {
    if body.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    shared.note("health");
    let mut cluster = shared.cluster();
    (cluster.pinged, cluster.missing) = (true, 0);
    done()
}

/// Counts periods without a ping, as the sidecar does from the first probe on.
pub(crate) async fn count_pings(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.manners.health_period).await;
        shared.change(|cluster| {
            if !std::mem::take(&mut cluster.pinged) {
                cluster.missing += 1;
            }
            if cluster.missing >= shared.manners.health_threshold {
                cluster.asked += 1;
                cluster.become_state("Unhealthy");
            }
        });
    }
}

async fn game_server(State(shared): Held) -> Json<Value> {
    shared.note("gameserver");
    Json(shared.cluster().json())
}

/// Lines as they come.
struct Lines(UnboundedReceiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(ready!(self.0.poll_recv(cx)).map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn watch(State(shared): Held) -> Response {
    shared.note("watch");
    let (tell, lines) = unbounded_channel();
    let mut changes = shared.changes.subscribe();
    tokio::spawn(async move {
        let mut last = None;
        loop {
            let now = shared.cluster().json();
            if last.as_ref() != Some(&now) {
                let line = format!("{}\n", json!({ "result": now }));
                if tell.send(Bytes::from(line)).is_err() {
                    return;
                }
                last = Some(now);
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::new(Lines(lines))).into_response()
}

/// What is written comes a while later, as one batch does.
fn later(shared: &Arc<Shared>, change: impl FnOnce(&mut crate::Cluster) + Send + 'static) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::time::sleep(shared.manners.delay).await;
        shared.change(change);
    });
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A number that may be a text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

async fn set_label(State(shared): Held, Json(body): Json<Value>) -> Response {
    shared.note("setlabel");
    let (key, value) = (format!("agones.dev/sdk-{}", text(&body["key"])), text(&body["value"]));
    let fits = value.len() <= 63 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !fits {
        return failed(format!("Invalid value: {value:?}"));
    }
    later(&shared, |cluster| drop(cluster.labels.insert(key, value)));
    done()
}

async fn set_annotation(State(shared): Held, Json(body): Json<Value>) -> Response {
    shared.note("setannotation");
    let (key, value) = (format!("agones.dev/sdk-{}", text(&body["key"])), text(&body["value"]));
    later(&shared, |cluster| drop(cluster.annotations.insert(key, value)));
    done()
}

async fn counter(State(shared): Held, Path(name): Path<String>) -> Response {
    shared.note("getcounter");
    match shared.cluster().counters.get(&name) {
        Some(counter) => Json(counter.json(Some(&name))).into_response(),
        None => failed(format!("counter not found: {name}")),
    }
}

async fn set_counter(State(shared): Held, Path(name): Path<String>, Json(body): Json<Value>) -> Response {
    let Some(Counter { mut count, mut capacity }) = shared.cluster().counters.get(&name).copied() else {
        return failed(format!("counter not found: {name}"));
    };
    if let Some(set) = integer(&body["capacity"]) {
        shared.note("setcapacitycounter");
        capacity = set;
    }
    if let Some(set) = integer(&body["count"]) {
        shared.note("setcountcounter");
        count = set;
    }
    if let Some(difference) = integer(&body["countDiff"]).filter(|difference| *difference != 0) {
        shared.note("updatecounter");
        count += difference;
    }
    if capacity < 0 || !(0..=capacity).contains(&count) {
        return failed(format!(
            "out of range. Count must be within range [0,Capacity]. Found Count: {count}, Capacity: {capacity}"
        ));
    }
    let counter = Counter { count, capacity };
    // What was asked through the sidecar is told by it at once; the cluster's own copy is not told apart here.
    shared.change(|cluster| cluster.counters.insert(name.clone(), counter));
    Json(counter.json(Some(&name))).into_response()
}

async fn list(State(shared): Held, Path(name): Path<String>) -> Response {
    shared.note("getlist");
    match shared.cluster().lists.get(&name) {
        Some(list) => Json(list.json(Some(&name))).into_response(),
        None => failed(format!("list not found: {name}")),
    }
}

async fn set_list(State(shared): Held, Path(name): Path<String>, Json(body): Json<Value>) -> Response {
    shared.note("updatelist");
    let Some(mut list) = shared.cluster().lists.get(&name).cloned() else {
        return failed(format!("not found. {name} List not found"));
    };
    // The gateway makes the mask of the fields that are there.
    if let Some(capacity) = integer(&body["capacity"]) {
        if !(0..=LIST_MAX).contains(&capacity) {
            return failed(format!("out of range. Capacity must be within range [0,1000]. Found Capacity: {capacity}"));
        }
        list.capacity = capacity;
    }
    if let Some(values) = body["values"].as_array() {
        list.values = values.iter().map(text).collect();
    }
    list.values.truncate(list.capacity as usize);
    put_list(&shared, &name, list)
}

fn put_list(shared: &Shared, name: &str, list: List) -> Response {
    let answer = list.json(Some(name));
    shared.change(|cluster| cluster.lists.insert(name.to_owned(), list));
    Json(answer).into_response()
}

/// `NAME:addValue` and `NAME:removeValue`.
async fn change_list(State(shared): Held, Path(path): Path<String>, Json(body): Json<Value>) -> Response {
    let Some((name, verb)) = path.split_once(':') else { return StatusCode::NOT_FOUND.into_response() };
    let value = text(&body["value"]);
    let list = shared.cluster().lists.get(name).cloned();
    match (verb, list) {
        ("addValue", list) => {
            shared.note("addlistvalue");
            let Some(mut list) = list else { return failed(format!("list not found: {name}")) };
            if list.values.len() as i64 >= list.capacity {
                return failed("out of range. No available capacity.".to_owned());
            }
            if list.values.contains(&value) {
                return failed(format!("already exists. Value: {value} already in List: {name}"));
            }
            list.values.push(value);
            put_list(&shared, name, list)
        }
        ("removeValue", list) => {
            shared.note("removelistvalue");
            let Some(mut list) = list else { return failed(format!("list not found: {name}")) };
            let before = list.values.len();
            list.values.retain(|there| *there != value);
            if list.values.len() == before {
                return failed(format!("not found. Value: {value} not found in List: {name}"));
            }
            put_list(&shared, name, list)
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
