//! Players of both builds, a process for each party: they log in, join, play, and join again, whatever is rolled out meanwhile.
//!
//! How each connection ended is read from what the program says at its end. A party either plays for some seconds and quits, or
//! until the server says goodbye.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_tests::{PATIENCE, arbiter_at};

/// Between two looks at a party.
const LOOK: Duration = Duration::from_millis(50);

/// Until a party that did not get in asks again.
const AGAIN: Duration = Duration::from_millis(500);

/// Words of an end that nobody gave a reason for: a connection that fell silent, or was closed without a word.
const UNEXPLAINED: [&str; 4] =
    ["nothing was heard", NEVER_IN, "closed the connection", "does not acknowledge what it is sent"];

/// What the program says of a bot that was in no match. It is no reason, unless the bot quit by itself before it had a place.
const NEVER_IN: &str = "never got in";

/// Players who go together.
#[derive(Debug, Clone)]
pub struct Party {
    /// What its build is called.
    pub build: String,
    /// Its program.
    pub program: PathBuf,
    /// Address of the services.
    pub url: String,
    /// How many.
    pub count: u16,
    /// Its accounts are named by it.
    pub seed: u64,
    /// How long it plays before it quits; until the server says goodbye, otherwise.
    pub seconds: Option<u32>,
}

/// What became of all parties.
#[derive(Debug, Default, Clone)]
pub struct Ends {
    /// Times that a party played, by its seed.
    pub played: BTreeMap<u64, u32>,
    /// Players who were in a match.
    pub players: u64,
    /// Ends of connections and refusals that had a reason, by their words.
    pub explained: BTreeMap<String, u64>,
    /// Those that had none.
    pub unexplained: BTreeMap<String, u64>,
}

impl Ends {
    /// Reads what a party said at its end; `quit` if it ended by itself.
    fn note(&mut self, party: &Party, quit: bool, good: bool, out: &str, errors: &str) {
        let mut players = 0;
        for line in out.lines() {
            if let Some((count, _)) = line.split_once(" played, ") {
                players = count.parse().unwrap_or(0);
            }
            if let Some((count, end)) = line.split_once(" out of the match: ") {
                *self.explained.entry(end.to_owned()).or_default() += count.parse().unwrap_or(0);
            }
        }
        self.players += players;
        if players > 0 {
            *self.played.entry(party.seed).or_default() += 1;
        }
        let mut told = false;
        for (bots, why) in errors.lines().filter_map(failure) {
            told = true;
            if quit && why.contains(NEVER_IN) {
                *self.explained.entry("quit before it had a place".to_owned()).or_default() += bots;
                continue;
            }
            let unexplained = UNEXPLAINED.iter().any(|words| why.contains(words)) && !is_told(&why);
            let ends = if unexplained { &mut self.unexplained } else { &mut self.explained };
            *ends.entry(why).or_default() += bots;
        }
        if !good && !told {
            let why = format!("a party of {} ended without a word: {errors}", party.build);
            *self.unexplained.entry(why).or_default() += u64::from(party.count);
        }
    }
}

/// What the other end said before it closed a connection stands behind a second colon.
fn is_told(why: &str) -> bool {
    why.strip_prefix("the connection ended: ").is_some_and(|rest| rest.contains(": "))
}

/// A line of those that failed: how many, and why.
fn failure(line: &str) -> Option<(u64, String)> {
    if let Some(why) = line.strip_prefix("error: ").or(line.strip_prefix("Error: ")) {
        return Some((1, without_numbers(why)));
    }
    let (bots, why) = line.strip_prefix("bot")?.split_once(": ")?;
    let numbers: Vec<u64> = bots.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect();
    let more = bots.contains(" more").then(|| numbers.last().copied().unwrap_or(0));
    let named = numbers.len() as u64 - u64::from(more.is_some());
    Some((named + more.unwrap_or(0), why.to_owned()))
}

/// The same reason of another bot is the same reason.
fn without_numbers(why: &str) -> String {
    match why.split_once("bot ").map(|(before, rest)| (before, rest.trim_start_matches(|it: char| it.is_ascii_digit())))
    {
        Some((before, rest)) => format!("{before}a bot{rest}"),
        None => why.to_owned(),
    }
}

/// All parties; dropping it ends them.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    ends: Arc<Mutex<Ends>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Crowd {
    /// Sends parties to play, again and again.
    pub fn start(parties: Vec<Party>) -> Self {
        let (stop, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Ends::default())));
        let run = |party: Party| {
            let (stop, ends) = (Arc::clone(&stop), Arc::clone(&ends));
            std::thread::spawn(move || play(&party, &stop, &ends))
        };
        let threads = parties.into_iter().map(run).collect();
        Self { stop, ends, threads }
    }

    /// What became of them so far.
    pub fn ends(&self) -> Ends {
        lock(&self.ends).clone()
    }

    /// Tells all to quit, and waits until they have.
    pub fn finish(mut self) -> Result<Ends> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            match thread.join() {
                Ok(done) => done?,
                Err(_) => bail!("a thread that plays parties panicked"),
            }
        }
        Ok(self.ends())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            // Whatever became of it, the chore has failed already.
            let _ = thread.join();
        }
    }
}

fn lock(ends: &Mutex<Ends>) -> MutexGuard<'_, Ends> {
    // Counts stay what they are, whatever panicked while it held them.
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}

fn play(party: &Party, stop: &AtomicBool, ends: &Mutex<Ends>) -> Result<()> {
    let (count, seed) = (party.count.to_string(), party.seed.to_string());
    let seconds = party.seconds.map(|seconds| seconds.to_string());
    let mut arguments = vec!["bots", "--services", &party.url, "--count", &count, "--seed", &seed];
    if let Some(seconds) = &seconds {
        arguments.extend(["--duration", seconds]);
    }
    while !stop.load(Ordering::Relaxed) {
        let mut command = arbiter_at(&party.program, &arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (out, errors) = (read(child.stdout.take()), read(child.stderr.take()));
        let good = wait(&mut child, stop)?;
        let (out, errors) = (text(out)?, text(errors)?);
        let quit = party.seconds.is_some() || stop.load(Ordering::Relaxed);
        lock(ends).note(party, quit, good, &out, &errors);
        if !good {
            std::thread::sleep(AGAIN);
        }
    }
    Ok(())
}

/// Waits for the end of a party, which is told to quit when all are.
fn wait(child: &mut Child, stop: &AtomicBool) -> Result<bool> {
    let mut told = None::<Instant>;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        match told {
            None if stop.load(Ordering::Relaxed) => {
                told = Some(Instant::now());
                let id = child.id().to_string();
                // It may have ended a moment ago.
                let _ = std::process::Command::new("kill").args(["-INT", &id]).status();
            }
            Some(since) if since.elapsed() > PATIENCE => {
                child.kill()?;
                bail!("a party did not quit within {PATIENCE:?}");
            }
            _ => {}
        }
        std::thread::sleep(LOOK);
    }
}

type Reading = JoinHandle<std::io::Result<String>>;

/// Reads to the end on a thread, so that nobody waits for a full pipe.
fn read(from: Option<impl Read + Send + 'static>) -> Option<Reading> {
    from.map(|mut from| {
        std::thread::spawn(move || {
            let mut text = String::new();
            from.read_to_string(&mut text)?;
            Ok(text)
        })
    })
}

fn text(reading: Option<Reading>) -> Result<String> {
    let text = reading.context("a party has no outputs")?.join();
    text.ok().context("the thread that reads a party panicked")?.context("a party cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party() -> Party {
        let (build, program, url) = ("next".to_owned(), PathBuf::new(), String::new());
        Party { build, program, url, count: 12, seed: 7, seconds: None }
    }

    #[test]
    fn ends_are_counted_by_their_reasons() {
        let mut ends = Ends::default();
        let out = "12 played, 3 deaths, 99 inputs (0 told late)\n9 out of the match: the server is stopping";
        let errors = "bot 3: the connection ended: nothing was heard for too long\n\
                      bots 4, 5: could not come back: the server is stopping: join another one";
        ends.note(&party(), false, false, out, errors);
        assert_eq!((ends.players, ends.played[&7]), (12, 1));
        assert_eq!(ends.explained["the server is stopping"], 9);
        assert_eq!(ends.explained["could not come back: the server is stopping: join another one"], 2);
        assert_eq!(ends.unexplained["the connection ended: nothing was heard for too long"], 1);
    }

    #[test]
    fn a_party_that_ends_without_a_word_is_told() {
        let mut ends = Ends::default();
        ends.note(&party(), false, false, "", "");
        assert_eq!(ends.unexplained.values().sum::<u64>(), 12);
    }

    #[test]
    fn who_never_got_in_has_a_reason_only_if_it_quit() {
        let errors = "bots 1, 2: never got in; is a server running there?";
        for quit in [false, true] {
            let mut ends = Ends::default();
            ends.note(&party(), quit, false, "0 played, 0 deaths", errors);
            let (explained, unexplained): (u64, u64) = (ends.explained.values().sum(), ends.unexplained.values().sum());
            assert_eq!((explained, unexplained), if quit { (2, 0) } else { (0, 2) });
        }
    }

    #[test]
    fn what_the_other_end_said_before_it_closed_is_a_reason() {
        let mut ends = Ends::default();
        let errors = "bot 1: the connection ended: the other end closed the connection: broke a rule\n\
                      bots 1, 2, 3, 4, 5, 6, 7, 8 and 3 more: the connection ended: the other end closed the connection";
        ends.note(&party(), false, false, "12 played, 0 deaths", errors);
        assert_eq!((ends.explained.values().sum::<u64>(), ends.unexplained.values().sum::<u64>()), (1, 11));
    }

    #[test]
    fn a_refusal_is_a_reason_whichever_bot_was_refused() {
        let mut ends = Ends::default();
        for bot in [3, 5] {
            let why = format!("error: no connect token for bot {bot}: the services do not answer");
            ends.note(&party(), false, false, "", &why);
        }
        assert_eq!(ends.explained["no connect token for a bot: the services do not answer"], 2);
    }
}
