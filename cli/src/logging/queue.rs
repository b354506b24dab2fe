//! Lines on their way: whoever logs puts one into a bounded queue and goes on; a thread writes. What finds the queue full is lost,
//! counted, and told.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arbiter_metrics::lines;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde_json::json;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::Format;
use super::limit::Limit;

/// Lines that may wait: some seconds of the noisiest server.
pub const LINES_MAX: usize = 8_192;

/// Bytes of a line; a longer one is lost.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// How often it is told what was left out.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// When the program ends and nobody reads what it says, it waits no longer than this.
const ENDING: Duration = Duration::from_secs(2);

enum Told {
    Line(Vec<u8>),
    /// Write what is there, and say when that is done.
    End(Sender<()>),
}

/// Where lines are put.
#[derive(Debug, Clone)]
pub struct Queue {
    lines: Sender<Told>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

/// The thread that writes; dropping it writes what waits.
#[derive(Debug)]
pub struct Writing {
    lines: Sender<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    /// Starts the thread.
    pub fn start(out: impl Write + Send + 'static, format: Format, limit: Arc<Limit>) -> io::Result<(Self, Writing)> {
        let (lines, waiting) = bounded(LINES_MAX);
        let write = Pen { out: Box::new(out), format, limit, lost: lines::LOST.load(Ordering::Relaxed) };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || write.run(&waiting))?;
        Ok((Self { lines: lines.clone() }, Writing { lines, thread: Some(thread) }))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let (done, is_done) = bounded(1);
        // Whoever reads may have stopped to: then it is not waited for.
        let told = self.lines.send_timeout(Told::End(done), ENDING);
        if told.is_ok() && is_done.recv_timeout(ENDING).is_ok() {
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Queue {
    /// A whole line: that is how lines are handed over.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() > LINE_BYTES_MAX || self.lines.try_send(Told::Line(line.to_vec())).is_err() {
            lines::LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The state of the thread.
struct Pen {
    out: Box<dyn Write + Send>,
    format: Format,
    limit: Arc<Limit>,
    /// Lost lines that were told of.
    lost: u64,
}

impl Pen {
    fn run(mut self, waiting: &Receiver<Told>) {
        let mut told = Instant::now();
        loop {
            let ended = match waiting.recv_timeout(TELL_EVERY.saturating_sub(told.elapsed())) {
                Ok(first) => self.write_all(first, waiting),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if ended.is_some() || told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                self.tell_what_is_missing();
            }
            // Nobody can be told that nobody can be told.
            let _ = self.out.flush();
            if let Some(done) = ended {
                let _ = done.send(());
                return;
            }
        }
    }

    /// Writes what is there; whom to tell that it is done, if that was the end.
    fn write_all(&mut self, first: Told, waiting: &Receiver<Told>) -> Option<Sender<()>> {
        for told in std::iter::once(first).chain(waiting.try_iter().take(LINES_MAX)) {
            match told {
                Told::Line(line) => self.write(&line),
                Told::End(done) => return Some(done),
            }
        }
        None
    }

    fn write(&mut self, line: &[u8]) {
        if self.out.write_all(line).is_ok() {
            lines::WRITTEN.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell_what_is_missing(&mut self) {
        let limit = Arc::clone(&self.limit);
        limit.left_out(|metadata, count| {
            let line = self.missing(metadata, count, "lines like those before were left out");
            self.write(line.as_bytes());
        });
        let lost = lines::LOST.load(Ordering::Relaxed);
        let since = lost - std::mem::replace(&mut self.lost, lost);
        if since > 0 {
            let line = self.of(
                "ERROR",
                "arbiter::log",
                "lines were lost, since they come faster than they are read",
                since,
                None,
            );
            self.write(line.as_bytes());
        }
    }

    fn missing(&self, metadata: &Metadata<'_>, count: u64, message: &str) -> String {
        let place = metadata.file().zip(metadata.line());
        self.of(metadata.level().as_str(), metadata.target(), message, count, place)
    }

    /// A line in the form of the others.
    fn of(&self, level: &str, target: &str, message: &str, count: u64, place: Option<(&str, u32)>) -> String {
        let mut time = String::new();
        // Writing to a string does not fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let place = place.map(|(file, line)| format!("{file}:{line}")).unwrap_or_default();
        match self.format {
            Format::Text => format!("{time} {level:>5} {target}: {message} count={count} place={place:?}\n"),
            Format::Json => {
                let fields = json!({ "message": message, "count": count, "place": place });
                let line = json!({ "timestamp": time, "level": level, "fields": fields, "target": target });
                format!("{line}\n")
            }
        }
    }
}
