//! A place that takes files over HTTP, as an object store or the upload folder of a web server does: PUT keeps a file, GET gives it
//! back. It is as real as those, and can be told to be slow, down or full.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::sync::oneshot;

/// How it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It takes and gives.
    Well,
    /// It takes its time for each request.
    Slow(Duration),
    /// It answers that it cannot.
    Down,
    /// It gives, and takes nothing more.
    Full,
}

struct Shop {
    folder: PathBuf,
    /// What must stand in `Authorization`.
    authorization: Option<String>,
    mood: Mutex<Mood>,
}

/// See the module. Its port is free again when it is dropped; the files stay.
pub struct Depot {
    address: SocketAddr,
    shop: Arc<Shop>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Depot {
    /// Opens one in a folder, for whoever sends this as `Authorization`, or for everybody.
    pub fn open(folder: &Path, authorization: Option<&str>) -> Self {
        let shop = Shop {
            folder: folder.to_owned(),
            authorization: authorization.map(ToOwned::to_owned),
            mood: Mutex::new(Mood::Well),
        };
        let shop = Arc::new(shop);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().fallback(serve).layer(DefaultBodyLimit::max(128 << 20)).with_state(Arc::clone(&shop));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    served = axum::serve(listener, app) => served.expect("serves"),
                    _ = stopped => {}
                }
            });
        });
        Self { address, shop, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is, for one server.
    pub fn url(&self, server: &str) -> String {
        format!("http://{}/{server}", self.address)
    }

    /// From now on.
    pub fn be(&self, mood: Mood) {
        *self.shop.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(
    State(shop): State<Arc<Shop>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    let mood = *shop.mood.lock().unwrap_or_else(PoisonError::into_inner);
    let says = |status: StatusCode, text: &str| (status, text.as_bytes().to_vec());
    let authorization = headers.get("Authorization").and_then(|value| value.to_str().ok());
    if shop.authorization.is_some() && shop.authorization.as_deref() != authorization {
        return says(StatusCode::UNAUTHORIZED, "who are you?");
    }
    match mood {
        Mood::Slow(time) => tokio::time::sleep(time).await,
        Mood::Down => return says(StatusCode::SERVICE_UNAVAILABLE, "not now"),
        Mood::Full if method == Method::PUT => return says(StatusCode::INSUFFICIENT_STORAGE, "no room"),
        Mood::Well | Mood::Full => {}
    }
    let Some(path) = path_of(&shop.folder, uri.path()) else { return says(StatusCode::BAD_REQUEST, "no such name") };
    let done = match method {
        Method::GET => std::fs::read(path).map(|bytes| (StatusCode::OK, bytes)),
        Method::PUT => keep(&path, &body).map(|()| (StatusCode::CREATED, Vec::new())),
        _ => return says(StatusCode::METHOD_NOT_ALLOWED, "GET and PUT"),
    };
    done.unwrap_or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => says(StatusCode::NOT_FOUND, "nothing of this name"),
        _ => says(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    })
}

/// Under which path a name lies, if it is one.
fn path_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let is_good = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let parts: Vec<&str> = name.split('/').skip(1).collect();
    parts.iter().all(|part| is_good(part)).then(|| folder.join(parts.join("/")))
}

/// All of it or nothing, as object stores do.
fn keep(path: &Path, body: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("put");
    std::fs::write(&fresh, body)?;
    std::fs::rename(&fresh, path)
}
