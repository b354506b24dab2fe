//! The script: what a server, an economy and its clients do until the power fails, and what they do after it.
//!
//! Mutants are planted here and in the disks, never in the code of the house: each does something beside it that a careless
//! program would do.

mod keeping;

use std::fmt::Display;

use arbiter_contracts::event_id::log_id;
use arbiter_economy::{Catalogue, Economy, Told};
use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};
use arbiter_eventlog::{Cursor, EventStore, Log, Masters, Options, Record, verify};
use arbiter_ledger::{Account, Answer, Applied, Command, Key, Order, Step, Time};

use crate::faulty::Faulty;
use crate::known::{Asked, DAY_MS, Known, OFFER, PLAYERS, PRICE, Played, START, Want, catalogue, gold, name, rent};
use crate::{Kind, Mutant, Violation};

const HOUR_MS: u64 = 3600 * 1000;

/// Why a life ended early.
#[derive(Debug)]
pub enum Stop {
    /// A disk failed, as it was meant to.
    Dead,
    /// Something was that must never be.
    Wrong(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Stop::Wrong(violation)
    }
}

/// Two disks and what the outside knows.
#[derive(Debug)]
pub struct World {
    /// Of the server: results.
    pub results: Faulty,
    /// Of the economy: entries and snapshots.
    pub entries: Faulty,
    /// What the outside knows.
    pub known: Known,
    /// What is done wrongly, if anything.
    pub mutant: Option<Mutant>,
    /// A flush may fail in this life.
    pub flush_may_fail: bool,
    /// Times that the economy was opened from a snapshot.
    pub from_snapshots: u64,
    catalogue: &'static Catalogue,
    sealed: bool,
    now: Time,
    next_key: u128,
}

/// What a running process has, and loses.
struct Running {
    log: Log<Faulty>,
    economy: Economy<Log<Faulty>>,
    /// Matches that their log has not acknowledged yet.
    unacknowledged: Vec<usize>,
    /// Matches of earlier lives that were not called final: they are told again, in any order.
    untold: Vec<usize>,
    /// Requests that wait for the log, with the position that must be acknowledged.
    unanswered: Vec<(usize, u64, Answer)>,
    /// The next position of the results to be read.
    next: u64,
    /// Whether a snapshot is being kept.
    is_keeping: bool,
}

impl World {
    /// An empty world.
    pub fn new(script: u64, mutant: Option<Mutant>) -> Self {
        let fault = mutant.and_then(Mutant::fault);
        // Both kinds of file systems, each with logs sealed and in the clear.
        let is_direct = (script / 2).is_multiple_of(2);
        let make = || if is_direct { SimulatedDisk::direct() } else { SimulatedDisk::default() };
        let disk = || Faulty { disk: make(), fault };
        Self {
            results: disk(),
            entries: disk(),
            known: Known::default(),
            mutant,
            flush_may_fail: false,
            from_snapshots: 0,
            catalogue: catalogue(),
            sealed: script.is_multiple_of(2),
            now: START,
            next_key: 0,
        }
    }

    /// Sets what goes wrong on both disks, beside what a mutant does.
    pub fn set_faults(&mut self, results: Faults, entries: Faults) {
        let lies_about_data = self.is(Mutant::AcknowledgeBeforeFlush);
        let lies_about_names = self.is(Mutant::NoFolderFlush);
        for (disk, faults) in [(&self.results, results), (&self.entries, entries)] {
            disk.disk.set_faults(Faults { lies_about_data, lies_about_names, ..faults });
        }
        self.flush_may_fail = results.failing_sync_at.or(entries.failing_sync_at).is_some();
    }

    /// Power goes and comes back, on both disks.
    pub fn lose_power(&mut self, dice: &mut Dice) {
        self.results.disk.restart(dice);
        self.entries.disk.restart(dice);
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Small, so that a short script fills several segments.
    fn options(&self) -> Options {
        Options {
            segment_bytes: 16 << 10,
            batch_bytes: 5 << 10,
            ids_max: 10_000,
            masters: self.sealed.then(|| Masters::from_key([7; 32])),
        }
    }

    /// What a failure means: the end of this life if it was meant, else that something is broken.
    fn failed(&self, what: &str, why: impl Display) -> Stop {
        if self.results.disk.is_dead() || self.entries.disk.is_dead() || self.flush_may_fail {
            Stop::Dead
        } else {
            Stop::Wrong(Kind::Broken.because(format!("{what}: {why}")))
        }
    }

    /// One life of the processes, until its script ends or a disk fails.
    pub fn live(&mut self, dice: &mut Dice, steps: u32) -> Result<(), Violation> {
        let closes = |dice: &mut Dice| dice.below(2) == 0;
        self.live_until(dice, steps, closes)
    }

    /// One life that ends with everything committed and closed.
    pub fn live_and_close(&mut self, dice: &mut Dice, steps: u32) -> Result<(), Violation> {
        self.live_until(dice, steps, |_| true)
    }

    fn live_until(
        &mut self,
        dice: &mut Dice,
        steps: u32,
        closes: impl FnOnce(&mut Dice) -> bool,
    ) -> Result<(), Violation> {
        let lived = self.start(dice).and_then(|mut running| {
            (0..steps).try_for_each(|_| self.step(&mut running, dice))?;
            if closes(dice) { self.stop(running) } else { Ok(()) }
        });
        match lived {
            Ok(()) | Err(Stop::Dead) => Ok(()),
            Err(Stop::Wrong(violation)) => Err(violation),
        }
    }

    fn start(&mut self, dice: &mut Dice) -> Result<Running, Stop> {
        let (log, _) = Log::open(self.results.clone(), self.options()).map_err(|why| self.failed("results", why))?;
        let opened = Economy::open_in(&self.entries, self.options());
        let (economy, recovered) = opened.map_err(|why| self.failed("entries", why))?;
        self.from_snapshots += u64::from(recovered.from_snapshot > 0);
        if recovered.from_snapshot < self.known.kept {
            let (kept, found) = (self.known.kept, recovered.from_snapshot);
            return Err(Kind::Lost
                .because(format!("a snapshot of {kept} entries was kept, and {found} are in one"))
                .into());
        }
        let ledger = economy.ledger().ok_or_else(|| self.failed("entries", "unsettled after opening"))?;
        self.known.check_opened(ledger)?;
        let mut untold = Vec::new();
        for (number, played) in self.known.matches.iter().enumerate() {
            match played.is_final {
                false => untold.push(number),
                true if log.position_of(id_of(played, number)).is_some() => (),
                true => return Err(Kind::Lost.because(format!("match {number} was final and is gone")).into()),
            }
        }
        for at in (1..untold.len()).rev() {
            untold.swap(at, dice.below(at as u64 + 1) as usize);
        }
        let next = economy.cursor(&name("results"));
        let (unacknowledged, unanswered) = (Vec::new(), Vec::new());
        let mut running = Running { log, economy, unacknowledged, untold, unanswered, next, is_keeping: false };
        if self.known.asked.is_empty() {
            self.want(Want::Setup, 0, setup());
        }
        self.ask_again(&mut running)?;
        Ok(running)
    }

    /// Clients who got no answer ask again.
    fn ask_again(&mut self, running: &mut Running) -> Result<(), Stop> {
        for request in 0..self.known.asked.len() {
            if self.known.asked[request].told.is_none() {
                if self.is(Mutant::NewKeyEachTry) {
                    self.known.asked[request].key = self.draw_key(self.known.asked[request].player);
                }
                self.ask(running, request)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, running: &mut Running, dice: &mut Dice) -> Result<(), Stop> {
        match dice.below(16) {
            0..3 => self.end_match(running, dice),
            3 => self.commit_results(running),
            4..6 => self.consume(running),
            6..10 => self.request(running, dice),
            10 => self.repeat(running, dice),
            11 | 12 => self.commit(running),
            13 if !running.is_keeping => self.keep_snapshot(running, dice),
            13 => Ok(()),
            14 => self.pass_time(running, dice),
            _ => {
                running.log.settle().map_err(|why| self.failed("settle", why))?;
                running.log.preparer().prepare().map(drop).map_err(|why| self.failed("prepare", why))
            }
        }
    }

    fn stop(&mut self, mut running: Running) -> Result<(), Stop> {
        self.commit_results(&mut running)?;
        self.commit(&mut running)?;
        running.log.close().map_err(|why| self.failed("close", why))?;
        running.economy.close().map(drop).map_err(|why| self.failed("close", why))
    }

    fn end_match(&mut self, running: &mut Running, dice: &mut Dice) -> Result<(), Stop> {
        let again = if dice.below(3) > 0 { running.untold.pop() } else { None };
        let number = again.unwrap_or_else(|| {
            let first = dice.below(PLAYERS);
            let players = (0..=dice.below(PLAYERS)).map(|at| (first + at) % PLAYERS + 1).collect();
            self.known.matches.push(Played { players, time: self.now, is_final: false });
            self.known.matches.len() - 1
        });
        self.tell_match(running, number)
    }

    fn tell_match(&mut self, running: &mut Running, number: usize) -> Result<(), Stop> {
        let (id, data) = (id_of(&self.known.matches[number], number), self.bytes_of(number)?);
        let mut appended = running.log.append(id, &data);
        if appended == Err(arbiter_eventlog::AppendError::BatchFull) {
            self.commit_results(running)?;
            appended = running.log.append(id, &data);
        }
        let position = appended.map_err(|why| self.failed("append", why))?.position();
        running.unacknowledged.push(number);
        if self.is(Mutant::FinalBeforeCommit) {
            self.known.matches[number].is_final = true;
        }
        if self.is(Mutant::ReadAhead) {
            self.consume_record(running, &Record { position, id, data })?;
        }
        Ok(())
    }

    fn bytes_of(&self, number: usize) -> Result<Vec<u8>, Violation> {
        let event = self.known.matches[number].event(number);
        event.encode().map_err(|why| Kind::Broken.because(why.to_string()))
    }

    fn commit_results(&mut self, running: &mut Running) -> Result<(), Stop> {
        running.log.commit().map_err(|why| self.failed("results", why))?;
        for number in running.unacknowledged.drain(..) {
            self.known.matches[number].is_final = true;
        }
        Ok(())
    }

    fn consume(&mut self, running: &mut Running) -> Result<(), Stop> {
        let mut cursor = self.own_cursor()?;
        let from = cursor.as_ref().map_or(running.next, Cursor::position);
        let mut records = Vec::new();
        if from < running.log.acknowledged() {
            running.log.read(from, 2_000, &mut records).map_err(|why| self.failed("read", why))?;
        }
        for record in records {
            let behind = record.position + 1;
            match &mut cursor {
                None => self.consume_record(running, &record)?,
                Some(cursor) if self.is(Mutant::CursorBeforeEffect) => {
                    cursor.advance(behind).map_err(|why| self.failed("cursor", why))?;
                    self.consume_record(running, &record)?;
                }
                Some(cursor) => {
                    self.consume_by_requests(running, &record)?;
                    self.commit(running)?;
                    cursor.advance(behind).map_err(|why| self.failed("cursor", why))?;
                }
            }
            running.next = running.next.max(behind);
        }
        Ok(())
    }

    /// The cursor that some mutants keep beside the ledger.
    fn own_cursor(&self) -> Result<Option<Cursor<Faulty>>, Stop> {
        if !self.is(Mutant::CursorBeforeEffect) && !self.is(Mutant::EffectBeforeCursor) {
            return Ok(None);
        }
        Cursor::open(&self.entries, "grants").map(Some).map_err(|why| self.failed("cursor", why))
    }

    fn consume_record(&mut self, running: &mut Running, record: &Record) -> Result<(), Stop> {
        let consumed = running.economy.consume(&name("results"), record, &self.catalogue.rewards, self.now);
        consumed.map(drop).map_err(|why| self.failed("consume", why))
    }

    /// Grants without a position, and without a claim of what happens once for each match, as by somebody who trusts a cursor.
    fn consume_by_requests(&mut self, running: &mut Running, record: &Record) -> Result<(), Stop> {
        let event = arbiter_contracts::Envelope::decode(&record.data).map_err(|why| self.failed("event", why))?;
        for order in self.catalogue.rewards.orders(&event).into_iter().filter(|order| !order.steps.is_empty()) {
            let order = Order { claim: order.claim.filter(|claim| claim.until != Time::NEVER), ..order };
            let command = Command::Request { key: self.draw_key(99), request: 0, order };
            running.economy.submit(&command, self.now).map_err(|why| self.failed("submit", why))?;
        }
        Ok(())
    }

    fn draw_key(&mut self, owner: u64) -> Key {
        self.next_key += 1;
        Key::of(owner, self.now, self.next_key)
    }

    fn want(&mut self, want: Want, player: u64, steps: Vec<Step>) -> usize {
        let key = self.draw_key(player);
        self.known.asked.push(Asked { player, want, key, steps, told: None });
        self.known.asked.len() - 1
    }

    fn request(&mut self, running: &mut Running, dice: &mut Dice) -> Result<(), Stop> {
        let player = dice.below(PLAYERS) + 1;
        let holds: Vec<u64> = self.holds_of(player);
        let hold = (!holds.is_empty()).then(|| holds[dice.below(holds.len() as u64) as usize]);
        let (want, steps) = match (dice.below(6), hold) {
            (0..4, _) => (Want::Buy, buy(player)),
            (4, Some(hold)) => {
                let amount = dice.below(9) + 1;
                (Want::Post(amount), vec![Step::Post { hold, amount: Some(amount) }])
            }
            (5, Some(hold)) => (Want::Void, vec![Step::Void { hold }]),
            _ => {
                let until = self.now.after((dice.below(30) + 1) * HOUR_MS);
                let amount = dice.below(30) + 1;
                (Want::Hold, vec![Step::Hold { from: gold(player), to: rent(), amount, until }])
            }
        };
        let request = self.want(want, player, steps);
        self.ask(running, request)
    }

    /// Numbers of the holds that a player was told of.
    fn holds_of(&self, player: u64) -> Vec<u64> {
        let told = self.known.asked.iter().filter(|asked| asked.player == player && asked.want == Want::Hold);
        told.filter_map(|asked| asked.told?.ok().map(|receipt| receipt.first_hold)).collect()
    }

    /// A network that delivers something old once more.
    fn repeat(&mut self, running: &mut Running, dice: &mut Dice) -> Result<(), Stop> {
        let request = dice.below(self.known.asked.len() as u64) as usize;
        self.ask(running, request)
    }

    fn ask(&mut self, running: &mut Running, request: usize) -> Result<(), Stop> {
        let asked = &self.known.asked[request];
        if asked.want != Want::Buy {
            let command = asked.command();
            return self.submit(running, request, &command).map(drop);
        }
        if self.is(Mutant::OrderInHalves) {
            return self.ask_in_halves(running, request);
        }
        let told = running.economy.purchase(self.catalogue, asked.key, &name(OFFER), self.now);
        let told = told.map_err(|why| self.failed("purchase", why))?;
        self.taken(running, request, told).map(drop)
    }

    fn ask_in_halves(&mut self, running: &mut Running, request: usize) -> Result<(), Stop> {
        let asked = &self.known.asked[request];
        let (mut pay, mut deliver) = (asked.clone(), asked.clone());
        pay.steps.truncate(1);
        deliver.steps.remove(0);
        deliver.key = Key::of(99, asked.key.time(), asked.key.uuid());
        if self.submit(running, request, &pay.command())?.is_ok() {
            self.commit(running)?;
            let told = running.economy.submit(&deliver.command(), self.now);
            told.map_err(|why| self.failed("submit", why))?;
        }
        Ok(())
    }

    fn submit(&mut self, running: &mut Running, request: usize, command: &Command) -> Result<Answer, Stop> {
        let told = running.economy.submit(command, self.now).map_err(|why| self.failed("submit", why))?;
        self.taken(running, request, told)
    }

    /// A request was taken: its answer waits for the log.
    fn taken(&mut self, running: &mut Running, request: usize, told: Told) -> Result<Answer, Stop> {
        let answer = match told.applied {
            Applied::Known(answer) => Some(answer),
            Applied::New { entry, .. } => entry.answer(),
            Applied::Nothing => None,
        };
        let answer = answer.ok_or_else(|| Kind::Broken.because("a request without an answer"))?;
        if self.is(Mutant::AnswerBeforeCommit) {
            self.known.tell(request, answer)?;
        } else {
            running.unanswered.push((request, told.after, answer));
        }
        Ok(answer)
    }

    fn commit(&mut self, running: &mut Running) -> Result<(), Stop> {
        let acknowledged = running.economy.commit().map_err(|why| self.failed("commit", why))?;
        for (request, after, answer) in running.unanswered.drain(..) {
            if after > acknowledged {
                return Err(Kind::Broken.because("a commit that did not commit all").into());
            }
            self.known.tell(request, answer)?;
        }
        let ledger = running.economy.ledger().ok_or_else(|| Kind::Broken.because("unsettled after a commit"))?;
        self.known.hashes.insert(ledger.entries(), ledger.hash());
        Ok(())
    }

    fn pass_time(&mut self, running: &mut Running, dice: &mut Dice) -> Result<(), Stop> {
        self.now = self.now.after(dice.below(9) * HOUR_MS);
        let elapsed = running.economy.submit(&Command::Elapse, self.now);
        elapsed.map(drop).map_err(|why| self.failed("submit", why))
    }

    /// Everybody goes on to the end on disks that work, and what must be so is counted.
    pub fn end(&mut self, dice: &mut Dice) -> Result<(), Violation> {
        self.set_faults(Faults::default(), Faults::default());
        match self.finish(dice) {
            Ok(()) => Ok(()),
            Err(Stop::Wrong(violation)) => Err(violation),
            Err(Stop::Dead) => Err(Kind::Broken.because("a disk died that must not")),
        }
    }

    fn finish(&mut self, dice: &mut Dice) -> Result<(), Stop> {
        let mut running = self.start(dice)?;
        while let Some(number) = running.untold.pop() {
            self.tell_match(&mut running, number)?;
        }
        self.commit_results(&mut running)?;
        let mut before = u64::MAX;
        while before != running.next {
            before = running.next;
            self.consume(&mut running)?;
        }
        // Everything once more, as a network may do, whether it was answered or not.
        for request in 0..self.known.asked.len() {
            self.ask(&mut running, request)?;
        }
        self.commit(&mut running)?;
        self.now = self.now.after(60 * DAY_MS);
        let elapsed = running.economy.submit(&Command::Elapse, self.now);
        elapsed.map_err(|why| self.failed("submit", why))?;
        self.commit(&mut running)?;
        let live = running.economy.ledger().ok_or_else(|| Kind::Broken.because("unsettled in the end"))?.clone();
        self.known.check_end(&live)?;
        self.known.check_replay(&entries_of(running.economy.store())?, &live)?;
        let results = running.log.acknowledged();
        drop(running);
        self.verify(results, live.entries())?;
        let (economy, _) =
            Economy::open_in(&self.entries, self.options()).map_err(|why| self.failed("entries", why))?;
        match economy.ledger() {
            Some(ledger) if ledger.hash() == live.hash() => Ok(()),
            _ => Err(Kind::Hash.because("opened once more, the ledger is another one").into()),
        }
    }

    fn verify(&self, results: u64, entries: u64) -> Result<(), Violation> {
        for (disk, end) in [(&self.results, results), (&self.entries, entries)] {
            let broken = |why: String| Kind::Broken.because(format!("verify: {why}"));
            let found = verify(disk, self.options().masters).map_err(|error| broken(error.to_string()))?;
            if !found.damages.is_empty() || found.end != end {
                return Err(broken(format!("{found:?}")));
            }
        }
        Ok(())
    }
}

fn id_of(played: &Played, number: usize) -> u128 {
    let attributes = played.event(number).attributes;
    log_id(&attributes.source, &attributes.id)
}

fn setup() -> Vec<Step> {
    ["gold", "gem"].map(|asset| Step::Register { asset: name(asset), supply: None }).to_vec()
}

fn buy(player: u64) -> Vec<Step> {
    let gem = name("gem");
    vec![
        Step::Transfer { from: gold(player), to: gold(0), amount: PRICE },
        Step::Transfer { from: Account::issuer(gem.clone()), to: Account::main(player, gem), amount: 1 },
    ]
}

fn entries_of(store: &impl EventStore) -> Result<Vec<Vec<u8>>, Violation> {
    let (mut records, mut next) = (Vec::new(), 0);
    while next < store.acknowledged() {
        store.read(next, 1 << 20, &mut records).map_err(|why| Kind::Broken.because(why.to_string()))?;
        let end = records.last().map_or(0, |record: &Record| record.position + 1);
        if end <= next {
            return Err(Kind::Broken.because(format!("reading stopped at {next}")));
        }
        next = end;
    }
    Ok(records.into_iter().map(|record| record.data).collect())
}
