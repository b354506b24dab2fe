//! A snapshot that is kept while the script goes on: every write of either disk may come between two parts of it.

use arbiter_eventlog::Disk;
use arbiter_eventlog::simulated::Dice;

use super::{Running, Stop, World};
use crate::{Kind, Mutant};

/// Bytes of a part: small, so that much happens between the parts of one.
const PART_BYTES: usize = 256;

impl World {
    /// Keeps a snapshot while everything else goes on, or gives it up.
    pub(super) fn keep_snapshot(&mut self, running: &mut Running, dice: &mut Dice) -> Result<(), Stop> {
        let Some(frozen) = running.economy.freeze() else { return Ok(()) };
        if self.is(Mutant::SnapshotBeforeDropped) {
            self.drop_snapshots()?;
        }
        let (entries, gives_up, mut parts) = (self.entries.clone(), dice.below(64), 0);
        let mut beside = Ok(());
        running.is_keeping = true;
        let kept = frozen.keep(&entries, PART_BYTES, || {
            parts += 1;
            if dice.below(4) == 0 {
                beside = self.step(running, dice);
            }
            beside.is_ok() && parts != gives_up
        });
        running.is_keeping = false;
        beside?;
        if !kept.map_err(|why| self.failed("snapshot", why))? {
            return Ok(());
        }
        self.known.kept = frozen.entries();
        if self.known.hashes.get(&frozen.entries()).is_some_and(|hash| *hash != frozen.ledger().hash()) {
            return Err(Kind::Hash.because(format!("the snapshot of {} entries has others", frozen.entries())).into());
        }
        Ok(())
    }

    fn drop_snapshots(&self) -> Result<(), Stop> {
        let names = self.entries.names().map_err(|why| self.failed("names", why))?;
        for name in names.iter().filter(|name| name.starts_with("snapshot-")) {
            self.entries.remove(name).map_err(|why| self.failed("remove", why))?;
        }
        Ok(())
    }
}
