//! How a socket thread sleeps: until a datagram comes, a room has something, or it is time.

use core::time::Duration;
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::SocketKind;

/// The portable way cannot sleep on a socket and on rooms at once: it looks at the socket this often, and an input waits so
/// long at most.
const LOOK: Duration = Duration::from_micros(500);

/// The same when the sleep was to be a long one, because nobody is connected: a handshake may wait a little.
const LOOK_IDLE: Duration = Duration::from_millis(4);

/// What ended a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// There was something to do before it began.
    NotAsleep,
    /// A datagram.
    Socket,
    /// A room, or whoever else called.
    Called,
    /// The time, or nothing in particular.
    Time,
}

/// How a sleeper is called.
enum Bell {
    /// An event of Linux that a thread can sleep on beside its socket.
    #[cfg(target_os = "linux")]
    Event(OwnedFd),
    /// Room for one call.
    Channel(Sender<()>, Receiver<()>),
}

struct Line {
    bell: Bell,
    is_asleep: AtomicBool,
}

/// The thread's side.
pub(crate) struct Sleeper(Arc<Line>);

/// The others' side.
#[derive(Clone)]
pub(crate) struct Waker(Arc<Line>);

/// Makes both sides.
pub(crate) fn waiting(kind: SocketKind) -> std::io::Result<(Sleeper, Waker)> {
    let line = Arc::new(Line { bell: bell(kind)?, is_asleep: AtomicBool::new(false) });
    Ok((Sleeper(Arc::clone(&line)), Waker(line)))
}

fn bell(kind: SocketKind) -> std::io::Result<Bell> {
    #[cfg(target_os = "linux")]
    if kind.is_batched() {
        use rustix::event::{EventfdFlags, eventfd};
        return Ok(Bell::Event(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?));
    }
    let _ = kind;
    let (ring, hear) = bounded(1);
    Ok(Bell::Channel(ring, hear))
}

impl Waker {
    /// To be called behind each burst of things for the thread. Costs a fence while it is awake, and a call into the system
    /// once for each time that it sleeps.
    pub fn wake(&self) {
        // Either this sees that the thread has lain down, or the thread sees what was queued before: see `sleep`.
        fence(Ordering::SeqCst);
        if !self.0.is_asleep.load(Ordering::Relaxed) || !self.0.is_asleep.swap(false, Ordering::Relaxed) {
            return;
        }
        match &self.0.bell {
            // It can only fail when it has been rung 2^64 times.
            #[cfg(target_os = "linux")]
            Bell::Event(event) => drop(rustix::io::write(event, &1_u64.to_ne_bytes())),
            Bell::Channel(ring, _) => drop(ring.try_send(())),
        }
    }
}

impl Sleeper {
    /// Sleeps for `time` at most. `has_work` is asked once the others can see that the thread sleeps: what they queue later
    /// wakes it.
    pub fn sleep(&self, socket: &UdpSocket, time: Duration, has_work: impl FnOnce() -> bool) -> Wake {
        let Line { bell, is_asleep } = &*self.0;
        is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let wake = if has_work() { Wake::NotAsleep } else { lie(bell, socket, time) };
        is_asleep.store(false, Ordering::Relaxed);
        wake
    }
}

fn lie(bell: &Bell, socket: &UdpSocket, time: Duration) -> Wake {
    match bell {
        #[cfg(target_os = "linux")]
        Bell::Event(event) => on_event(event, socket, time),
        Bell::Channel(_, hear) => {
            let look = if time > LOOK_IDLE * 4 { LOOK_IDLE } else { time.min(LOOK) };
            if hear.recv_timeout(look).is_ok() { Wake::Called } else { Wake::Time }
        }
    }
}

#[cfg(target_os = "linux")]
fn on_event(event: &OwnedFd, socket: &UdpSocket, time: Duration) -> Wake {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut both = [PollFd::new(socket, PollFlags::IN), PollFd::new(event, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    // A signal ends it early, which does no harm.
    if poll(&mut both, time.as_ref()).is_err() {
        return Wake::Time;
    }
    let [has_datagram, is_called] = both.map(|it| !it.revents().is_empty());
    if is_called {
        // Resets it; what it says does not matter.
        let _ = rustix::io::read(event, &mut [0; 8]);
    }
    match (has_datagram, is_called) {
        (true, _) => Wake::Socket,
        (_, true) => Wake::Called,
        _ => Wake::Time,
    }
}
