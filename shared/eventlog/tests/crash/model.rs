//! A script of a writer's life from a seed, and what must be on the disk after it.

use std::collections::VecDeque;

use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};
use arbiter_eventlog::{
    Appended, Begun, CommitError, Cursor, Disk, Log, Masters, Options, PendingCommit, Record, WrittenCommit, verify,
};

/// Small, so that a short script fills several segments.
pub fn options(sealed: bool) -> Options {
    Options {
        segment_bytes: 16 << 10,
        batch_bytes: 2 << 10,
        ids_max: 10_000,
        masters: sealed.then(|| Masters::from_key([7; 32])),
    }
}

/// What the outside knows.
#[derive(Debug, Default, Clone)]
pub struct Known {
    /// Acknowledged, in order.
    pub acknowledged: Vec<(u128, Vec<u8>)>,
    /// Commits that were begun and not ended, in order: each is there whole or not at all after a crash, and none without those
    /// before it.
    pub under_way: VecDeque<Vec<(u128, Vec<u8>)>>,
    /// Appended since: there whole or not at all after a crash.
    pub open: Vec<(u128, Vec<u8>)>,
    /// The cursor is one of these.
    pub cursor: (u64, u64),
}

pub struct Run<D: Disk = SimulatedDisk> {
    pub disk: SimulatedDisk,
    pub seen: D,
    pub known: Known,
    pub sealed: bool,
    next_id: u128,
}

/// Commits that were begun, before and after they were written: what a thread beside the log's would have.
struct Beside<D: Disk> {
    pending: VecDeque<PendingCommit<D>>,
    written: VecDeque<WrittenCommit>,
}

impl<D: Disk> Beside<D> {
    fn write_one(&mut self) {
        let next = self.pending.pop_front();
        self.written.extend(next.map(PendingCommit::write));
    }
}

impl Run {
    pub fn new(seed: u64) -> Self {
        // Both kinds of file systems, each sealed and in the clear.
        let disk = if (seed / 2).is_multiple_of(2) { SimulatedDisk::direct() } else { SimulatedDisk::default() };
        Self::through(seed, disk.clone(), disk)
    }
}

impl<D: Disk> Run<D> {
    /// The log sees the disk through `seen`.
    pub fn through(seed: u64, disk: SimulatedDisk, seen: D) -> Self {
        Self { disk, seen, known: Known::default(), sealed: seed.is_multiple_of(2), next_id: 1 }
    }

    /// Opens, checks what is there, and works until the script ends or the disk fails.
    pub fn live(&mut self, seed: u64) -> Result<(), String> {
        let mut dice = Dice::new(seed);
        let Ok((mut log, _)) = Log::open(self.seen.clone(), options(self.sealed)) else { return self.must_be_dead() };
        self.check(&log)?;
        let preparer = log.preparer();
        let Ok(mut cursor) = Cursor::open(&self.seen, "reader") else { return self.must_be_dead() };
        let mut beside = Beside { pending: VecDeque::new(), written: VecDeque::new() };
        for _ in 0..80 {
            let went = match dice.below(16) {
                0..7 => self.append(&mut log, &mut dice, &mut beside),
                7 | 8 => self.commit_all(&mut log, &mut beside),
                9 => log.settle().map_err(|_| ()),
                10 => preparer.prepare().map(drop).map_err(drop),
                11 | 12 => self.begin(&mut log, &mut dice, &mut beside),
                13 => {
                    beside.write_one();
                    Ok(())
                }
                14 => self.end_one(&mut log, &mut beside),
                _ => self.advance(&log, &mut cursor),
            };
            if went.is_err() {
                self.try_again(&mut log);
                return Ok(());
            }
        }
        let _ = self.commit_all(&mut log, &mut beside);
        if dice.below(2) == 0 {
            let _ = log.close();
        }
        Ok(())
    }

    fn must_be_dead(&self) -> Result<(), String> {
        if self.disk.is_dead() { Ok(()) } else { Err("the log does not open although the disk works".to_owned()) }
    }

    fn append(&mut self, log: &mut Log<D>, dice: &mut Dice, beside: &mut Beside<D>) -> Result<(), ()> {
        let id = self.next_id;
        let data = vec![dice.roll() as u8; dice.below(900) as usize];
        if log.append(id, &data) == Err(arbiter_eventlog::AppendError::BatchFull) {
            self.commit_all(log, beside)?;
            log.append(id, &data).map_err(drop)?;
        }
        self.next_id += 1;
        self.known.open.push((id, data));
        Ok(())
    }

    pub fn commit(&mut self, log: &mut Log<D>) -> Result<(), ()> {
        log.commit().map_err(drop)?;
        self.known.acknowledged.append(&mut self.known.open);
        Ok(())
    }

    /// Ends all that was begun and commits what is open.
    fn commit_all(&mut self, log: &mut Log<D>, beside: &mut Beside<D>) -> Result<(), ()> {
        while log.under_way() > 0 {
            beside.write_one();
            self.end_one(log, beside)?;
        }
        self.commit(log)
    }

    fn begin(&mut self, log: &mut Log<D>, dice: &mut Dice, beside: &mut Beside<D>) -> Result<(), ()> {
        if let Begun::Pending(mut pending) = log.begin_commit().map_err(drop)? {
            match dice.below(3) {
                0 => pending.seal(),
                1 => pending.hash(),
                _ => (),
            }
            beside.pending.push_back(pending);
            self.known.under_way.push_back(std::mem::take(&mut self.known.open));
        }
        Ok(())
    }

    fn end_one(&mut self, log: &mut Log<D>, beside: &mut Beside<D>) -> Result<(), ()> {
        let Some(written) = beside.written.pop_front() else { return Ok(()) };
        log.end_commit(written).map_err(drop)?;
        self.known.acknowledged.extend(self.known.under_way.pop_front().into_iter().flatten());
        Ok(())
    }

    /// What a caller does who was refused: tell everything once more. If that is acknowledged, it counts.
    fn try_again(&mut self, log: &mut Log<D>) {
        for (id, data) in &self.known.open {
            let _ = log.append(*id, data);
        }
        let _ = self.commit(log);
    }

    fn advance(&mut self, log: &Log<D>, cursor: &mut Cursor<D>) -> Result<(), ()> {
        self.known.cursor.1 = log.acknowledged();
        cursor.advance(log.acknowledged()).map_err(drop)?;
        self.known.cursor.0 = cursor.position();
        Ok(())
    }

    /// What is there against what is known.
    fn check(&mut self, log: &Log<D>) -> Result<(), String> {
        let found = all(log)?;
        let acknowledged = self.known.acknowledged.len();
        if found.len() < acknowledged {
            return Err(format!("{acknowledged} records were acknowledged, {} are there", found.len()));
        }
        let mut expected = self.known.acknowledged.clone();
        let begun = std::mem::take(&mut self.known.under_way).into_iter();
        for commit in begun.chain([std::mem::take(&mut self.known.open)]) {
            if found.len() > expected.len() {
                expected.extend(commit);
            }
        }
        if found.len() != expected.len() {
            return Err(format!("{} records are there where {} belong", found.len(), expected.len()));
        }
        for (position, (record, (id, data))) in found.iter().zip(&expected).enumerate() {
            if record.position != position as u64 || record.id != *id || record.data != *data {
                return Err(format!("another record is at position {position}"));
            }
        }
        self.known.acknowledged = expected;
        Ok(())
    }

    /// After everything: open on a disk that works, check, append again all that was ever appended.
    pub fn end(&mut self) -> Result<(), String> {
        let opened = Log::open(self.seen.clone(), options(self.sealed));
        let (mut log, _) = opened.map_err(|error| format!("the log does not open: {error}"))?;
        self.check(&log)?;
        let cursor = Cursor::open(&self.seen, "reader").map_err(|error| format!("the cursor: {error}"))?;
        let (least, most) = self.known.cursor;
        if cursor.position() < least || cursor.position() > most.max(least) {
            return Err(format!("the cursor is at {}, and was {least} or {most}", cursor.position()));
        }
        let before = log.acknowledged();
        for (position, (id, data)) in self.known.acknowledged.clone().iter().enumerate() {
            if log.append(*id, data) != Ok(Appended::Known(position as u64)) {
                return Err(format!("id {id} was not known again"));
            }
        }
        log.close().map_err(|error| format!("closing: {error}"))?;
        let found = verify(&self.seen, options(self.sealed).masters).map_err(|error| error.to_string())?;
        if !found.damages.is_empty() || found.end != before {
            return Err(format!("verify: {found:?}"));
        }
        Ok(())
    }
}

pub fn all<D: Disk>(log: &Log<D>) -> Result<Vec<Record>, String> {
    let mut found = Vec::new();
    while (found.len() as u64) < log.acknowledged() {
        let before = found.len();
        log.read(before as u64, 3000, &mut found).map_err(|error| error.to_string())?;
        if found.len() == before {
            return Err(format!("reading stopped at {before}"));
        }
    }
    Ok(found)
}

/// A life, a power loss in it, a second life with a power loss in its beginning, and the check at the end.
pub fn play(seed: u64, first: Option<u64>, second: Option<u64>) -> Result<(), String> {
    play_with(&mut Run::new(seed), seed, first, second, Faults::default())
}

pub fn play_with<D: Disk>(
    run: &mut Run<D>,
    seed: u64,
    first: Option<u64>,
    second: Option<u64>,
    lies: Faults,
) -> Result<(), String> {
    let mut dice = Dice::new(seed ^ 0xD15C);
    for (life, power_loss_at) in [first, second].into_iter().enumerate() {
        run.disk.set_faults(Faults { power_loss_at, ..lies });
        run.live(seed.wrapping_add(life as u64))?;
        run.disk.restart(&mut dice);
        run.disk.set_faults(lies);
    }
    run.end()
}

pub fn play_failing_sync(seed: u64, at: u64) -> Result<(), String> {
    let mut run = Run::new(seed);
    run.live(seed)?;
    run.disk.set_faults(Faults { failing_sync_at: Some(at), ..Faults::default() });
    // Opening may fail by it, which is no loss.
    let _ = run.live(seed + 1);
    let mut dice = Dice::new(seed ^ at);
    if at.is_multiple_of(2) {
        run.disk.restart(&mut dice);
    } else {
        // The process starts again, the machine does not: what it sees may not be on disk.
        run.disk.set_faults(Faults::default());
        run.live(seed + 2)?;
        run.disk.restart(&mut dice);
    }
    run.end()
}

pub fn play_full_disk(seed: u64) -> Result<(), String> {
    let mut run = Run::new(seed);
    let (mut log, _) = Log::open(run.disk.clone(), options(run.sealed)).map_err(|error| error.to_string())?;
    run.disk.set_faults(Faults { capacity_bytes: Some(60 << 10), ..Faults::default() });
    let mut dice = Dice::new(seed);
    let mut beside = Beside { pending: VecDeque::new(), written: VecDeque::new() };
    let mut refused = 0;
    for _ in 0..400 {
        let _ = run.append(&mut log, &mut dice, &mut beside);
        match log.commit() {
            Ok(_) => run.known.acknowledged.append(&mut run.known.open),
            Err(CommitError::NoSpace(..)) => refused += 1,
            Err(error) => return Err(error.to_string()),
        }
        if refused == 5 {
            run.disk.set_faults(Faults::default());
        }
    }
    if refused == 0 {
        return Err("the disk was never full".to_owned());
    }
    drop(log);
    run.end()
}
