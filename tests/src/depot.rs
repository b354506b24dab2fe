//! A place that takes files over HTTP, as an object store or the upload folder of a web server does: PUT keeps a file, GET gives it
//! back. It is as real as those, over TLS if it has a certificate, and can be told to be slow, down or full.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authority::Identity;

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
    scheme: &'static str,
    shop: Arc<Shop>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Depot {
    /// Opens one in a folder, for whoever sends this as `Authorization`, or for everybody.
    pub fn open(folder: &Path, authorization: Option<&str>) -> Self {
        Self::start(folder, authorization, None)
    }

    /// The same over TLS.
    pub fn open_with_tls(folder: &Path, authorization: Option<&str>, identity: &Identity) -> Self {
        Self::start(folder, authorization, Some(identity.acceptor()))
    }

    fn start(folder: &Path, authorization: Option<&str>, tls: Option<TlsAcceptor>) -> Self {
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
        let scheme = if tls.is_some() { "https" } else { "http" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                let serving = async {
                    match tls {
                        Some(tls) => axum::serve(Greeted::new(listener, tls), app).await,
                        None => axum::serve(listener, app).await,
                    }
                };
                tokio::select! {
                    served = serving => served.expect("serves"),
                    _ = stopped => {}
                }
            });
        });
        Self { address, scheme, shop, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is, for one server.
    pub fn url(&self, server: &str) -> String {
        format!("{}://{}/{server}", self.scheme, self.address)
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

/// Connections that have agreed on their keys. Each does so in a task of its own: one that never does keeps nobody waiting.
struct Greeted {
    address: SocketAddr,
    greeted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Greeted {
    fn new(mut listener: TcpListener, tls: TlsAcceptor) -> Self {
        let address = listener.local_addr().expect("an address");
        let (tell, greeted) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let (stream, from) = Listener::accept(&mut listener).await;
                let (tls, tell) = (tls.clone(), tell.clone());
                tokio::spawn(async move {
                    // Whoever does not trust it hangs up.
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ = tell.send((stream, from)).await;
                    }
                });
            }
        });
        Self { address, greeted }
    }
}

impl Listener for Greeted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.greeted.recv().await {
            Some(greeted) => greeted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
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
