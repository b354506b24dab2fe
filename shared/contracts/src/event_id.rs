//! Names of facts. An event of a match is named by match, tick and its number in the tick, so that a replay of the recording
//! tells the same story under the same names, and what a crash swallowed can be told again.

use std::fmt;
use std::str::FromStr;

/// The name of a match's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchEventId {
    /// The match.
    pub match_id: u128,
    /// The tick in which it happened.
    pub tick: u32,
    /// Its number in the tick, from 0.
    pub index: u32,
}

impl fmt::Display for MatchEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{}-{}", self.match_id, self.tick, self.index)
    }
}

/// A text that names no event of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of a match is named by 32 hexadecimal digits, a tick and a number, with - between them")]
pub struct NoMatchEvent;

impl FromStr for MatchEventId {
    type Err = NoMatchEvent;

    fn from_str(text: &str) -> Result<Self, NoMatchEvent> {
        let mut parts = text.split('-');
        let (Some(id), Some(tick), Some(index), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(NoMatchEvent);
        };
        let found = Self {
            match_id: u128::from_str_radix(id, 16).map_err(|_| NoMatchEvent)?,
            tick: tick.parse().map_err(|_| NoMatchEvent)?,
            index: index.parse().map_err(|_| NoMatchEvent)?,
        };
        // One fact has one name: signs, capitals and leading zeros would make a second one.
        if found.to_string() == text { Ok(found) } else { Err(NoMatchEvent) }
    }
}

/// The 16 bytes under which a log keeps an event: the beginning of BLAKE3 over source and id, which together are unique.
pub fn log_id(source: &str, id: &str) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key("arbiter contracts 1 log id");
    hasher.update(&(source.len() as u64).to_le_bytes()).update(source.as_bytes()).update(id.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_written_and_in_no_other_way() {
        let id = MatchEventId { match_id: 0xAB, tick: 70, index: 3 };
        let text = id.to_string();
        assert_eq!(text, "000000000000000000000000000000ab-70-3");
        assert_eq!(text.parse(), Ok(id));
        for other in ["ab-70-3", "000000000000000000000000000000AB-70-3", "000000000000000000000000000000ab-070-3", ""]
        {
            assert_eq!(other.parse::<MatchEventId>(), Err(NoMatchEvent), "{other}");
        }
    }

    #[test]
    fn source_and_id_are_not_run_together() {
        assert_ne!(log_id("a", "bc"), log_id("ab", "c"));
    }
}
