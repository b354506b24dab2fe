//! Contract of logs: each kind of line at a bounded rate, whoever logs never waits, and what is missing is told. What stands in a line
//! is what `tracing-subscriber` alone would write, though spans are written down late, and a span without a line allocates nothing.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use arbiter_cli::logging::limit::LINES_PER_SECOND;
use arbiter_cli::logging::queue::{LINES_MAX, Queue};
use arbiter_cli::logging::{Format, LoggingArgs, subscriber};
use arbiter_metrics::lines;
use serde_json::Value;
use tracing::Dispatch;
use tracing::field::Empty;
use tracing::subscriber::with_default;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

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

/// What `tracing-subscriber` alone writes.
fn logged_plainly(log: &str, log_format: Format, work: impl FnOnce()) -> String {
    let page = Page::default();
    let written = page.clone();
    let format = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || written.clone());
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(log).expect("a filter"));
    let dispatch = match log_format {
        Format::Text => Dispatch::new(registry.with(format)),
        Format::Json => Dispatch::new(registry.with(format.json())),
    };
    tracing::dispatcher::with_default(&dispatch, work);
    page.text()
}

/// Without the times at which lines were written.
fn timeless(text: &str, format: Format) -> Vec<String> {
    let without = |line: &str| match format {
        Format::Text => line.split_once(' ').map(|(_, line)| line.to_owned()),
        Format::Json => {
            let mut line: serde_json::Map<String, Value> = serde_json::from_str(line).expect("JSON");
            line.remove("timestamp").map(|_| Value::Object(line).to_string())
        }
    };
    text.lines().map(|line| without(line).expect("a line with its time")).collect()
}

/// Spans of all kinds, and lines in them.
fn spans_of_all_kinds() {
    let tick = tracing::debug_span!("tick", room = 3_u16, tick = 77).entered();
    {
        let _phase = tracing::debug_span!("simulation").entered();
        tracing::info!("in both");
        tracing::info!("and once more");
    }
    drop(tracing::debug_span!("messages").entered());
    let numbers = tracing::info_span!("numbers", least = i64::MIN, most = u64::MAX, half = 0.5, is_so = true);
    numbers.in_scope(|| tracing::warn!(also = 1, "as many as are kept"));
    tracing::info_span!("five", a = 1, b = 2, c = 3, d = 4, e = 5).in_scope(|| tracing::info!("more than are kept"));
    let request = tracing::info_span!("request", trace = "00ff", route = %"/orders", what = ?Some(1), status = 200);
    request.in_scope(|| tracing::info!("words"));
    let later = tracing::info_span!("later", status = Empty, first = 1, bytes = Empty);
    later.in_scope(|| tracing::info!("not said yet"));
    later.record("status", 404);
    later.in_scope(|| tracing::info!("said"));
    let at_once = tracing::info_span!("at once", status = Empty, number = 9, word = Empty);
    at_once.record("word", "so");
    at_once.record("status", 500);
    tracing::info!(parent: &at_once, "of another span");
    tracing::info!(parent: None, "of none");
    tracing::info_span!(parent: &numbers, "child", number = 2).in_scope(|| tracing::info!("of a span outside"));
    drop(tick);
    let elsewhere = tracing::debug_span!("elsewhere", number = 4);
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tracing::dispatcher::with_default(&dispatch, || elsewhere.in_scope(|| tracing::info!("another thread")));
        });
    });
    // More at once than are kept.
    let many: Vec<_> = (0..2_000_u64).map(|number| tracing::debug_span!("many", number)).collect();
    for number in [0, 499, 500, 511, 512, 1_023, 1_999] {
        many[number].in_scope(|| tracing::info!("one of many"));
    }
    drop(many);
    tracing::debug_span!("again", number = 5).in_scope(|| tracing::info!("after many"));
    tracing::info!("no span");
}

#[test]
fn lines_are_those_of_the_library_though_spans_are_written_down_late() {
    for format in [Format::Text, Format::Json] {
        let plain = timeless(&logged_plainly("debug", format, spans_of_all_kinds), format);
        let ours = timeless(&logged(Some("debug"), format, spans_of_all_kinds), format);
        assert!(ours.len() > 15, "{ours:#?}");
        assert_eq!(ours, plain);
    }
}

#[test]
fn a_filter_lets_through_what_the_library_lets_through() {
    let work = || {
        let _span = tracing::debug_span!(target: "arbiter_server::room", "tick", room = 1).entered();
        tracing::error!(target: "arbiter_server", "1");
        tracing::info!(target: "arbiter_server::room", "2");
        tracing::debug!(target: "arbiter_server::room", "3");
        tracing::trace!(target: "arbiter_server::shard", "4");
        tracing::warn!(target: "arbiter_web", "5");
        tracing::info!(target: "hyper", "6");
        tracing::debug!(target: "ureq::pool", "7");
    };
    let filters = [
        "info",
        "Warn",
        "off",
        "trace",
        "info,arbiter_server=debug",
        "arbiter_server=debug,info",
        "arbiter_server=debug",
        "warn,arbiter_server::room=trace,arbiter_server=off",
        "info,info,error",
        "info,",
        "arbiter_web",
        "info,arbiter_server=",
        "3",
        "warn,arbiter_server[tick]=trace",
        "warn,[tick{room=1}]=debug",
    ];
    for filter in filters {
        let plain = timeless(&logged_plainly(filter, Format::Json, work), Format::Json);
        assert_eq!(timeless(&logged(Some(filter), Format::Json, work), Format::Json), plain, "{filter}");
    }
}

#[test]
fn the_spans_of_a_tick_in_which_nothing_is_logged_allocate_nothing() {
    let tick = |tick: u32| {
        let _tick = tracing::debug_span!("tick", room = 1_u16, tick).entered();
        for _ in 0..7 {
            let _phase = tracing::debug_span!("phase").entered();
        }
    };
    let text = logged(Some("debug"), Format::Json, || {
        (0..100).for_each(tick);
        let counted = allocation_counter::measure(|| (100..1_100).for_each(tick));
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    });
    assert_eq!(text, "");
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
