//! A connection over which one request follows the other at once: its thread looks for the next one for a moment before it sleeps.
//!
//! To put a thread to sleep and to wake it again costs some 5 to 60 us on virtual machines, beside the 50 us that a quick disk
//! takes. Whoever waits for each answer before asking again (a service that brings transfers, a game server that brings events) pays
//! that for each request. So the thread that has answered looks at that one connection for some tens of microseconds more, if
//!
//! - the machine has more than one core;
//! - nobody else has asked anything of this address since;
//! - the last requests over this connection each came right behind the answer before;
//! - and looking was worth it lately. Where it is not, because the caller has other work or the core is needed by somebody else, it is
//!   tried again only after twice as many such requests.
//!
//! A caller who asks a few times a match never meets any of it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long it is looked at most: what a caller takes to be woken, to read the answer and to ask again.
const LOOK: Duration = Duration::from_micros(60);

/// Between an answer and the next request of a caller who asks at once, with all that it takes to wake both threads.
const SOON: Duration = Duration::from_micros(250);

/// Between two looks, if nobody else has the core meanwhile: a look takes less than one.
const INTERRUPTED: Duration = Duration::from_micros(15);

/// Requests at once before it is looked, at the least and, after looking in vain again and again, at the most.
const PATIENCE_MIN: u32 = 4;
const PATIENCE_MAX: u32 = 4_096;

thread_local! {
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Whether what this thread read last came over the one connection that asks anything, so that there is nothing else to be done with
/// it. It is a hint: who waits for more to come would wait in vain.
pub fn is_alone() -> bool {
    IS_ALONE.get()
}

/// What the connections of an address know of each other.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    /// Number of the connection over which something came last.
    last: AtomicU64,
    /// Connections so far.
    count: AtomicU64,
    /// Whether there is a core for whoever is waited for.
    is_worth_it: bool,
}

impl Callers {
    pub fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { is_worth_it: cfg!(unix) && cores > 1, ..Self::default() })
    }
}

/// A connection that is looked at for a moment before its thread sleeps.
#[derive(Debug)]
pub(crate) struct Lingering {
    stream: TcpStream,
    callers: Arc<Callers>,
    number: u64,
    /// When something was answered behind what came last.
    answered: Option<Instant>,
    /// How often in a row something came right behind an answer.
    at_once: u32,
    /// How often that has to be so before it is looked.
    patience: u32,
}

impl Lingering {
    pub fn new(stream: TcpStream, callers: &Arc<Callers>) -> Self {
        // From 1: nothing came over number 0.
        let number = 1 + callers.count.fetch_add(1, Ordering::Relaxed);
        let callers = Arc::clone(callers);
        Self { stream, callers, number, answered: None, at_once: 0, patience: PATIENCE_MIN }
    }

    /// Something came.
    fn came(&mut self) {
        let is_alone = self.callers.last.swap(self.number, Ordering::Relaxed) == self.number;
        let was_soon = self.answered.take().map(|at| at.elapsed() <= SOON);
        match was_soon {
            Some(true) if is_alone => self.at_once = self.at_once.saturating_add(1),
            // More of a request that had begun to come.
            None if is_alone => (),
            _ => self.at_once = 0,
        }
    }

    fn is_expected(&self) -> bool {
        self.answered.is_some()
            && self.at_once >= self.patience
            && self.callers.is_worth_it
            && self.callers.last.load(Ordering::Relaxed) == self.number
    }

    /// Looks until something comes, or it is no use.
    fn look(&mut self, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (began, mut before) = (Instant::now(), Duration::ZERO);
        loop {
            if let Some(received) = received(&self.stream, into.initialize_unfilled()) {
                self.patience = PATIENCE_MIN;
                return Poll::Ready(received.map(|bytes| into.advance(bytes)));
            }
            let now = began.elapsed();
            if now > LOOK || now - before > INTERRUPTED {
                self.at_once = 0;
                self.patience = (2 * self.patience).min(PATIENCE_MAX);
                // The runtime wakes the task when something comes.
                return Poll::Pending;
            }
            before = now;
        }
    }
}

/// What has come, past the runtime, which learns of it later; `None` if nothing has.
#[cfg(unix)]
fn received(stream: &TcpStream, into: &mut [u8]) -> Option<io::Result<usize>> {
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, recv};

    match recv(stream, into, RecvFlags::DONTWAIT) {
        Ok((_, bytes)) => Some(Ok(bytes)),
        Err(Errno::AGAIN | Errno::INTR) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Nobody looks.
#[cfg(not(unix))]
fn received(_stream: &TcpStream, _into: &mut [u8]) -> Option<io::Result<usize>> {
    None
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let mut read = Pin::new(&mut self.stream).poll_read(cx, into);
        let is_looked_for = read.is_pending() && into.remaining() > 0 && self.is_expected();
        if is_looked_for {
            read = self.look(into);
        }
        if into.filled().len() > before {
            self.came();
            IS_ALONE.set(is_looked_for);
        }
        read
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            self.answered = Some(Instant::now());
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        if written.is_ready() {
            self.answered = Some(Instant::now());
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    struct Pair {
        here: Lingering,
        there: std::net::TcpStream,
    }

    fn pair(callers: &Arc<Callers>) -> Pair {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bound");
        let there = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        there.set_nodelay(true).expect("no delay");
        let (stream, _) = listener.accept().expect("accepted");
        stream.set_nonblocking(true).expect("set");
        Pair { here: Lingering::new(TcpStream::from_std(stream).expect("a stream"), callers), there }
    }

    impl Pair {
        /// Reads once without the runtime, which so learns of nothing that has come.
        fn read(&mut self) -> Option<Vec<u8>> {
            let mut bytes = [0; 16];
            let mut into = ReadBuf::new(&mut bytes);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            match Pin::new(&mut self.here).poll_read(&mut cx, &mut into) {
                Poll::Ready(read) => {
                    read.expect("read");
                    Some(into.filled().to_vec())
                }
                Poll::Pending => None,
            }
        }

        async fn answer(&mut self) {
            let written = std::future::poll_fn(|cx| Pin::new(&mut self.here).poll_write(cx, b"answer")).await;
            assert_eq!(written.expect("written"), 6);
            self.there.read_exact(&mut [0; 6]).expect("an answer");
        }

        /// The next request, in a socket of which the runtime knows that it was empty.
        fn ask(&mut self) {
            assert_eq!(self.read(), None);
            self.there.write_all(b"ask").expect("asked");
        }
    }

    fn callers() -> Arc<Callers> {
        Arc::new(Callers { is_worth_it: true, ..Callers::default() })
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn what_follows_at_once_is_found_without_the_runtime_and_nothing_else_is() {
        run(async {
            let mut pair = pair(&callers());
            pair.here.at_once = PATIENCE_MIN;
            pair.here.callers.last.store(pair.here.number, Ordering::Relaxed);
            assert!(!pair.here.is_expected(), "nothing was answered");
            pair.here.at_once = 0;
            pair.answer().await;
            pair.ask();
            assert_eq!(pair.read(), None, "nobody has asked at once yet");
            pair.here.at_once = PATIENCE_MIN;
            assert_eq!(pair.read().as_deref(), Some(&b"ask"[..]));
            assert!(is_alone());
            assert_eq!(pair.read(), None, "nothing was answered since");
        });
    }

    #[test]
    fn somebody_else_who_asks_ends_it() {
        run(async {
            let callers = callers();
            let (mut pair, mut other) = (pair(&callers), pair(&callers));
            pair.here.at_once = PATIENCE_MIN;
            callers.last.store(pair.here.number, Ordering::Relaxed);
            pair.answer().await;
            assert!(pair.here.is_expected());
            other.here.came();
            assert!(!pair.here.is_expected());
            pair.here.came();
            assert_eq!(pair.here.at_once, 0);
        });
    }

    #[test]
    fn looking_in_vain_is_tried_again_later_and_later_and_success_begins_anew() {
        run(async {
            let mut pair = pair(&callers());
            pair.ask();
            let mut bytes = [0; 16];
            assert!(pair.here.look(&mut ReadBuf::new(&mut bytes)).is_ready());
            for round in 1..20 {
                pair.here.at_once = pair.here.patience;
                assert!(pair.here.look(&mut ReadBuf::new(&mut bytes)).is_pending());
                assert_eq!((pair.here.at_once, pair.here.patience), (0, (PATIENCE_MIN << round).min(PATIENCE_MAX)));
            }
            pair.there.write_all(b"ask").expect("asked");
            assert!(pair.here.look(&mut ReadBuf::new(&mut bytes)).is_ready());
            assert_eq!(pair.here.patience, PATIENCE_MIN);
        });
    }

    #[test]
    fn a_caller_who_hangs_up_is_seen() {
        run(async {
            let Pair { mut here, there } = pair(&callers());
            drop(there);
            let mut bytes = [0; 16];
            let mut into = ReadBuf::new(&mut bytes);
            assert!(matches!(here.look(&mut into), Poll::Ready(Ok(()))));
            assert_eq!(into.filled(), b"");
        });
    }
}
