//! A payment provider to develop and test against, which misbehaves when it is asked to: late, twice, out of order, with another
//! amount, with refunds and chargebacks, or with nothing said at all. Nobody's money moves.
//!
//! It behaves as a real one does where it matters: it has a record of its own, on disk before it answers; it learns of the house only
//! what an adapter passes; it signs what it says and posts it to the economy's real address, again and again until that answers with
//! 2xx, over restarts too. It is served only where an operator switches it on. Next: `record.rs` for what is kept, `sender.rs` for
//! what is said when, `page.rs` for what is served.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use arbiter_eventlog::{Folder, Log, OpenError, Options};
use arbiter_ledger::{Name, Time};
use arbiter_web::Service;
use axum::http::HeaderMap;
use crossbeam::channel::{Sender, unbounded};
use thiserror::Error;

use super::adapter::{Asked, BadNotification, Notification, Provider, ProviderError};
use super::signature::{BadSecret, Secrets};
use crate::uuid;

mod page;
mod record;
mod sender;

use record::{Book, Record, Said};
use sender::Message;

/// Its name, in its paths and in the ledger.
pub const NAME: &str = "local";

/// Payments that it keeps: it is for development.
pub const PAYMENTS_MAX: usize = 65_536;

/// How late it may be asked to be: an hour.
pub const DELAY_MS_MAX: u64 = 3_600_000;

/// How often it may be asked to say the same.
pub const TIMES_MAX: u32 = 16;

/// What the local provider is started with.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Folder of its record.
    pub folder: PathBuf,
    /// How that is kept.
    pub options: Options,
    /// What it signs with.
    pub secrets: Secrets,
}

impl LocalConfig {
    /// With a secret that nobody else knows, which is enough where provider and economy are one process.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(folder: PathBuf) -> Result<Self, BadSecret> {
        // Nine records for each payment at most: begun, and four things that happen and are told.
        let options = Options { segment_bytes: 8 << 20, batch_bytes: 1 << 20, ids_max: 1 << 20, masters: None };
        Ok(Self { folder, options, secrets: Secrets::random()? })
    }
}

/// Why the local provider did not start, or does nothing.
#[derive(Debug, Error)]
pub enum LocalError {
    /// The disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Its record.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something in its record.
    #[error(
        "the local provider's record at {position} cannot be read: {why}; it is for development: remove its folder"
    )]
    Record {
        /// Where.
        position: u64,
        /// What is wrong.
        why: String,
    },
    /// Its disk takes nothing.
    #[error("the local provider's disk takes nothing: {0}; start it again")]
    Disk(String),
    /// Another payment has the number.
    #[error("the payment was begun on other terms: take another number")]
    OtherTerms,
    /// Too many.
    #[error("{PAYMENTS_MAX} payments are kept, which is the limit: remove the local provider's folder")]
    Full,
}

/// A running local provider. Dropping it ends it; what it has not said yet it says when it is started again.
#[derive(Debug)]
pub struct LocalProvider {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the adapter, the thread and the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    name: Name,
    secrets: Secrets,
    book: Mutex<Book>,
    messages: Sender<Message>,
    /// Where everything is served, once that is known.
    url: OnceLock<String>,
}

impl LocalProvider {
    /// Opens its record, or makes one. It says nothing before [`Self::announce`].
    ///
    /// # Errors
    /// The record cannot be opened or read.
    pub fn start(config: LocalConfig) -> Result<Self, LocalError> {
        let (log, _) = Log::open(Folder::make(&config.folder)?, config.options)?;
        let (book, waiting) = Book::read(log)?;
        // Its length has a limit: payments have one, and four things happen to each at most.
        let (messages, received) = unbounded();
        let name = NAME.parse().unwrap_or_else(|_| unreachable!("{NAME} is a name"));
        let (secrets, book) = (config.secrets, Mutex::new(book));
        let shared = Arc::new(Shared { name, secrets, book, messages, url: OnceLock::new() });
        let works = Arc::clone(&shared);
        let run = move || sender::run(&works, &received, waiting);
        let thread = std::thread::Builder::new().name("local-provider".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says where the services are served, as `http://127.0.0.1:8080`: there clients pay, and there it posts. The first time counts.
    pub fn announce(&self, url: &str) {
        let _ = self.shared.url.set(url.trim_end_matches('/').to_owned());
        let _ = self.shared.messages.send(Message::Look);
    }

    /// The adapter, for [`super::PaymentsConfig`].
    pub fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Adapter(Arc::clone(&self.shared)))
    }

    /// What it serves at `/provider/local/`.
    pub fn service(&self) -> Service {
        page::service(&self.shared)
    }
}

impl Drop for LocalProvider {
    fn drop(&mut self) {
        let _ = self.shared.messages.send(Message::End);
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Does something with the record. A panic in another thread leaves it whole, since it only ever follows its log.
    fn book<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where a client pays.
    fn page(&self, payment: u128) -> Option<String> {
        Some(format!("{}/provider/{NAME}/payments/{}/pay", self.url.get()?, uuid::show(payment)))
    }
}

/// The adapter of the local provider.
struct Adapter(Arc<Shared>);

impl Provider for Adapter {
    fn name(&self) -> &Name {
        &self.0.name
    }

    fn begin(&self, asked: &Asked) -> Result<String, ProviderError> {
        let page = self.0.page(asked.payment).ok_or_else(|| ProviderError("it is starting".to_owned()))?;
        let begun = Record::begun(asked);
        self.0.book(|book| book.begin(asked.payment, begun)).map_err(|error| ProviderError(error.to_string()))?;
        Ok(page)
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Time) -> Result<Option<Notification>, BadNotification> {
        let id = self.0.secrets.verify(headers, body, now)?;
        let wrong = |what: String| BadNotification::Body(what);
        let said: Said = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
        let notification =
            said.notification(id).ok_or_else(|| wrong("a field is not what belongs there".to_owned()))?;
        Ok(Some(notification))
    }
}
