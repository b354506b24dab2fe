//! One address with any number of services behind it, on threads of its own.
//!
//! The accept loop is ours because axum's has no limit on connections and no time for a request's head: whoever sends a byte a
//! minute must not hold a connection for ever. A connection stays on the thread that it was given to, each of which has a runtime of
//! its own: what is asked and answered there wakes no other thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tower::ServiceExt as _;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::caller::{Access, Doors, ServiceKey};
use crate::figures::{Figures, Told};
use crate::limits::{self, Limits, Rate};
use crate::linger::{Callers, Lingering};
use crate::problem::Problem;
use crate::requests::{Counted, Requests};
use crate::{Router, trace};

/// Until the head of a request is there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that are being answered when the process ends get so long.
const CLOSING: Duration = Duration::from_secs(5);

/// When no connection can be accepted because the system has no more files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Whether a service can do its work now; why not, otherwise.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a service brings.
pub struct Service {
    /// Its name, for `/readyz`.
    pub name: &'static str,
    /// Its paths, documented.
    pub router: Router,
    /// Whether it can do its work.
    pub ready: Ready,
    /// How it does.
    pub figures: Figures,
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What [`crate::operate`] tells of it.
    pub(crate) told: Arc<Told>,
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

/// Serves services at an address until the result is dropped; port 0 takes any.
pub fn serve(
    address: SocketAddr,
    services: Vec<Service>,
    service_key: ServiceKey,
    access: Arc<dyn Access>,
    limits: Limits,
) -> std::io::Result<Running> {
    let (router, told) = assemble(services, Doors { service: service_key, access }, limits);
    listen(address, &router, Arc::new(told), limits, WORKERS)
}

/// Answers at an address, on so many threads.
pub(crate) fn listen(
    address: SocketAddr,
    router: &axum::Router,
    told: Arc<Told>,
    limits: Limits,
    workers: usize,
) -> std::io::Result<Running> {
    // Bound here, so that a port that is taken is told at the start.
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let callers = Callers::new();
    let workers = (0..workers)
        .map(|_| Worker::start(router.clone(), Arc::clone(&callers)))
        .collect::<std::io::Result<Vec<_>>>()?;
    let runtime = runtime()?;
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            accept(&listener, &workers, limits, stopped).await;
            Ok::<(), std::io::Error>(())
        });
        if let Err(error) = served {
            tracing::error!(%error, "nothing is served any more");
        }
        // All are told to end before any is waited for.
        let threads: Vec<_> = workers.into_iter().map(|worker| worker.thread).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    };
    let thread = std::thread::Builder::new().name("accept".to_owned()).spawn(run)?;
    Ok(Running { address, told, stop: Some(stop), thread: Some(thread) })
}

/// Threads that answer: none of them waits long for a disk, so that two are plenty.
const WORKERS: usize = 2;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

fn assemble(services: Vec<Service>, doors: Doors, limits: Limits) -> (axum::Router, Told) {
    let info = InfoBuilder::new().title("Arbiter's services").version(env!("CARGO_PKG_VERSION"));
    let mut all = Router::with_openapi(OpenApiBuilder::new().info(info.build()).build());
    let (mut ready, mut figures) = (Vec::new(), Vec::new());
    for Service { name, router, ready: is_ready, figures: of_it } in services {
        all = all.merge(router);
        ready.push((name, is_ready));
        figures.push(of_it);
    }
    let (router, api): (axum::Router, OpenApi) = all.split_for_parts();
    let requests = Arc::new(Requests::new(&api));
    let told = Told { ready, figures, requests: Arc::clone(&requests) };
    // The document is texts and numbers: it can always be written.
    let api = api.to_json().unwrap_or_default();
    let served = move || async move { ([(header::CONTENT_TYPE, "application/json")], api.clone()) };
    let ready = Arc::new(told.ready.clone());
    let gate = Gate { requests, rate: Rate::new(&limits), timeout: limits.timeout };
    let router = router
        .route("/openapi.json", get(served))
        .route("/readyz", get(readyz).with_state(ready))
        .fallback(|| async { Problem::not_found("there is nothing here: /openapi.json lists what is served") })
        .method_not_allowed_fallback(|| async {
            let detail = "this path has other methods: /openapi.json lists them";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
        })
        // Whether the process lives is asked behind no limit: see `Gate::pass`.
        .route(HEALTH, get(|| async { "ok\n" }))
        .layer((
            axum::middleware::from_fn_with_state(Arc::new(gate), Gate::pass),
            axum::Extension(doors),
            DefaultBodyLimit::max(limits.body_bytes_max),
        ));
    (router, told)
}

/// Where it is asked whether the process lives.
const HEALTH: &str = "/healthz";

/// What every request passes.
struct Gate {
    requests: Arc<Requests>,
    rate: Rate,
    timeout: Duration,
}

impl Gate {
    /// Counts a request, gives it its trace and its limits. All at once: a router puts each layer that it is given into a box around each
    /// route, copies all boxes for each request, and each puts what it waits for into another one.
    async fn pass(State(gate): State<Arc<Self>>, request: Request, next: Next) -> Response {
        let counted = Counted::begin(&gate.requests, &request);
        let limits = &*gate;
        let answer = trace::answer(request, async move |request| limits.limited(request, next).await).await;
        counted.end(&answer);
        answer
    }

    async fn limited(&self, request: Request, next: Next) -> Response {
        if request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == HEALTH) {
            return next.run(request).await;
        }
        match limits::rate(&self.rate, &request) {
            Ok(()) => limits::timeout(self.timeout, next.run(request)).await,
            Err(problem) => problem.into_response(),
        }
    }
}

pub(crate) async fn readyz(State(services): State<Arc<Vec<(&'static str, Ready)>>>) -> impl IntoResponse {
    let unready = |(name, ready): &(&'static str, Ready)| ready().err().map(|why| format!("{name}: {why}\n"));
    let why: String = services.iter().filter_map(unready).collect();
    if why.is_empty() { (StatusCode::OK, "ready\n".to_owned()) } else { (StatusCode::SERVICE_UNAVAILABLE, why) }
}

/// A connection, and the place that it takes until it ends.
type Accepted = (std::net::TcpStream, SocketAddr, OwnedSemaphorePermit);

/// A thread that answers. It ends when nothing more can be given to it and everything is answered.
struct Worker {
    connections: mpsc::UnboundedSender<Accepted>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(router: axum::Router, callers: Arc<Callers>) -> std::io::Result<Self> {
        let runtime = runtime()?;
        // As many as there are places for connections, not more.
        let (connections, accepted) = mpsc::unbounded_channel();
        let run = move || runtime.block_on(answer(accepted, router, callers));
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(run)?;
        Ok(Self { connections, thread })
    }
}

/// Gives connections to the threads in turn.
async fn accept(
    listener: &tokio::net::TcpListener,
    workers: &[Worker],
    limits: Limits,
    mut stopped: oneshot::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    for worker in workers.iter().cycle() {
        let next = async {
            loop {
                let accepted = async {
                    let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
                    let (stream, peer) = listener.accept().await?;
                    Ok::<Accepted, std::io::Error>((stream.into_std()?, peer, place))
                };
                match accepted.await {
                    Ok(accepted) => return accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                }
            }
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = &mut stopped => return,
        };
        // A thread that has ended, which only a panic can make it, costs its part of the connections and no others.
        let _ = worker.connections.send(accepted);
    }
}

async fn answer(mut accepted: mpsc::UnboundedReceiver<Accepted>, router: axum::Router, callers: Arc<Callers>) {
    let graceful = GracefulShutdown::new();
    while let Some((stream, peer, place)) = accepted.recv().await {
        // Answers are small, and whoever asks waits for them.
        let _ = stream.set_nodelay(true);
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                continue;
            }
        };
        let service = router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(axum::body::Body::new)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(Lingering::new(stream, &callers)), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A peer that went away or sent nonsense is no fault of ours.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    if tokio::time::timeout(CLOSING, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not answered before the process ended");
    }
}
