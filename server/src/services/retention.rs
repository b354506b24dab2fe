//! What of the outbox may be dropped: whole segments of which the services have every event, in a log whose last backup reaches
//! behind them.
//!
//! Positions of the services' log that were told a while ago say nothing any more if that log was restored meanwhile: then it ends
//! earlier, and others stand where ours stood. So nothing is remembered. Before a segment goes, all of it is brought once
//! more: the services know its events by their names, and say where they are now and how far their last backup reaches now. If some
//! were new to them after all, their log has lost something, and everything behind is brought again too.
//!
//! If the services' log never had a backup, there is nothing to wait for: what they have acknowledged is kept up to so many bytes.

use core::time::Duration;
use std::sync::Arc;

use arbiter_eventlog::{Cursor, Extent, Folder, OpenError, Reader};
use serde::Deserialize;

use super::Client;
use super::ship::{Acknowledged, bring, read};
use crate::outbox::OutboxStats;

/// Between two looks whether something may be dropped.
pub(super) const LOOK_FOR_BACKUP: Duration = Duration::from_secs(2);

/// What the services say of their log.
#[derive(Debug, Deserialize)]
struct Log {
    backed_up: Option<u64>,
}

/// Decides what may be dropped, and tells it to whoever writes the outbox.
#[derive(Debug)]
pub(super) struct Retention {
    outbox: Arc<OutboxStats>,
    keep_bytes: u64,
    /// How far the backup reached when it did not reach behind the oldest segment.
    too_short: Option<u64>,
}

impl Retention {
    pub fn new(outbox: Arc<OutboxStats>, keep_bytes: u64) -> Self {
        Self { outbox, keep_bytes, too_short: None }
    }

    /// Looks once. The cursor goes back where the services have lost something.
    pub fn look(
        &mut self,
        reader: &Reader<Folder>,
        client: &Client,
        cursor: &mut Cursor<Folder>,
    ) -> Result<(), String> {
        let segments = reader.segments().map_err(|error| error.to_string())?;
        let dropped = self.outbox.may_drop();
        let is_whole = |segment: &Extent| segment.end.is_some_and(|end| end > dropped && end <= cursor.position());
        if !segments.iter().any(is_whole) {
            return Ok(());
        }
        let answer = client.call("GET", "/events", "application/json", &[])?;
        let log: Log = serde_json::from_slice(&answer)
            .map_err(|error| format!("GET /events: an answer that nobody can read: {error}"))?;
        let Some(backed_up) = log.backed_up else {
            self.outbox.let_go(beyond(&segments, self.keep_bytes, cursor.position()));
            return Ok(());
        };
        if self.too_short == Some(backed_up) {
            return Ok(());
        }
        for segment in segments.iter().filter(|segment| is_whole(segment)) {
            let end = segment.end.unwrap_or_default();
            let there = bring_again(reader, client, segment.first, end)?;
            if there.new > 0 {
                tracing::warn!(
                    events = there.new,
                    "the services had lost events that they had acknowledged, as after a restore; all from then on are brought again"
                );
                return cursor.advance(end).map_err(|error| error.to_string());
            }
            if there.backed_up.is_none_or(|backed_up| backed_up < there.position) {
                self.too_short = Some(backed_up);
                return Ok(());
            }
            self.outbox.let_go(end);
        }
        Ok(())
    }
}

/// Brings all of a segment once more: the position behind the last of its events, how many of them were new, and how far the backup
/// reaches by the last answer.
fn bring_again(reader: &Reader<Folder>, client: &Client, first: u64, end: u64) -> Result<Acknowledged, String> {
    let mut all = Acknowledged { position: 0, new: 0, backed_up: None };
    let mut next = first;
    while next < end {
        let records = read(reader, next, end).map_err(|error: OpenError| error.to_string())?;
        let Some(last) = records.last() else { return Err(format!("the outbox holds nothing at {next}")) };
        next = last.position + 1;
        let there = bring(client, &records)?;
        all = Acknowledged {
            position: all.position.max(there.position),
            new: all.new + there.new,
            backed_up: there.backed_up,
        };
    }
    Ok(all)
}

/// Position behind the segments that are acknowledged and not among the last `keep_bytes`.
fn beyond(segments: &[Extent], keep_bytes: u64, acknowledged: u64) -> u64 {
    let mut left: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut to = 0;
    for segment in segments {
        left -= segment.bytes;
        match segment.end {
            Some(end) if left >= keep_bytes && end <= acknowledged => to = end,
            _ => break,
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_backup_so_many_bytes_are_kept_and_whatever_is_not_acknowledged() {
        let extent = |first, end| Extent { first, end, bytes: 100 };
        let segments = [extent(0, Some(10)), extent(10, Some(20)), extent(20, Some(30)), extent(30, None)];
        assert_eq!(beyond(&segments, 200, 35), 20);
        assert_eq!(beyond(&segments, 201, 35), 10);
        assert_eq!(beyond(&segments, 0, 35), 30);
        assert_eq!(beyond(&segments, 0, 19), 10);
        assert_eq!(beyond(&segments, 1000, 35), 0);
    }
}
