//! Contract of logs: each kind of line at a bounded rate, whoever logs never waits, and what is missing is told.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use arbiter_cli::logging::limit::LINES_PER_SECOND;
use arbiter_cli::logging::queue::{LINES_MAX, Queue};
use arbiter_cli::logging::{Format, LoggingArgs, subscriber};
use arbiter_metrics::lines;
use serde_json::Value;
use tracing::subscriber::with_default;

/// What was written so far.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics").clone()).expect("text")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a program writes with these flags.
fn logged(log: Option<&str>, log_format: Format, work: impl FnOnce()) -> String {
    let page = Page::default();
    let args = LoggingArgs { log: log.map(ToOwned::to_owned), log_format };
    let (subscriber, writing) = subscriber(&args, true, page.clone()).expect("the flags are right");
    with_default(subscriber, work);
    drop(writing);
    page.text()
}

fn flood(lines: u64) {
    for number in 0..lines {
        tracing::warn!(number, "the same again");
    }
}

/// Lines of the flood that were written, and how many the log says were left out of it.
fn told_of_flood(text: &str) -> (u64, u64) {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let written = lines.iter().filter(|line| line["fields"]["message"] == "the same again").count();
    let left_out = lines.iter().filter(|line| line["fields"]["message"] == "lines like those before were left out");
    (written as u64, left_out.filter_map(|line| line["fields"]["count"].as_u64()).sum())
}

#[test]
fn a_flood_of_one_kind_of_line_is_a_few_lines_and_a_number() {
    let text = logged(None, Format::Json, || flood(5_000));
    let (written, left_out) = told_of_flood(&text);
    assert_eq!(written + left_out, 5_000, "{text}");
    // However slow the machine is, its seconds are counted: no more than the seconds that 5,000 lines may take.
    assert!(written >= u64::from(LINES_PER_SECOND) && left_out > 0, "{written}");
}

#[test]
fn a_flood_does_not_hide_other_lines() {
    let text = logged(None, Format::Json, || {
        flood(5_000);
        tracing::warn!("another kind");
    });
    assert!(text.contains("another kind"), "{text}");
}

#[test]
fn a_line_of_json_has_its_fields_and_the_spans_around_it() {
    let text = logged(Some("debug"), Format::Json, || {
        let _span = tracing::debug_span!("tick", room = 3, tick = 77).entered();
        tracing::info!(players = 10, "a match begins");
    });
    let line: Value = serde_json::from_str(text.trim()).expect("one line");
    assert_eq!((&line["fields"]["message"], &line["fields"]["players"]), (&"a match begins".into(), &10.into()));
    assert_eq!((&line["level"], &line["spans"][0]["tick"]), (&"INFO".into(), &77.into()), "{line}");
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
}

#[test]
fn what_is_logged_is_what_the_flag_says() {
    let work = || {
        tracing::debug!("one");
        tracing::info!("two");
        tracing::error!("three");
    };
    let lines = |log| logged(log, Format::Text, work).lines().count();
    assert_eq!([lines(None), lines(Some("debug")), lines(Some("error")), lines(Some("off"))], [2, 3, 1, 0]);
    let wrong = LoggingArgs { log: Some("loud=loud=loud".to_owned()), log_format: Format::Text };
    let why = subscriber(&wrong, true, io::sink()).map(drop).expect_err("that is no level");
    assert!(why.to_string().starts_with("--log: "), "{why}");
}

/// Takes nothing before it is told to.
struct Shut(Receiver<()>, Page);

impl Write for Shut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Opened for good once the other end is gone.
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whoever_logs_does_not_wait_for_whoever_does_not_read_and_what_was_lost_is_told() {
    let (open, shut): (Sender<()>, _) = channel();
    let page = Page::default();
    let out = Shut(shut, page.clone());
    let (queue, writing) = Queue::start(out, Format::Text, Arc::default()).expect("a thread");
    let before = lines::LOST.load(Ordering::Relaxed);
    for _ in 0..3 * LINES_MAX {
        (&queue).write_all(b"a line\n").expect("it is never refused");
    }
    // Here is only who did not wait. Some were taken by the thread, and one queue is full.
    let lost = lines::LOST.load(Ordering::Relaxed) - before;
    assert!(lost >= LINES_MAX as u64 - 1, "{lost}");
    drop((open, queue, writing));
    let text = page.text();
    assert!(text.contains("a line\n") && text.contains("lines were lost"), "{}", text.lines().count());
}
