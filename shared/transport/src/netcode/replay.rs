//! Which packets have been received already.

/// How far behind the newest packet one may arrive. Four seconds at 60 packets a second.
pub const REPLAY_WINDOW: u64 = 256;

/// A window over the newest [`REPLAY_WINDOW`] sequences: a bit for each, in 40 bytes.
///
/// Everything is written as a difference, so that no sequence, up to `u64::MAX`, overflows.
#[derive(Debug, Clone, Default)]
pub struct ReplayWindow {
    newest: u64,
    received: ReplayBits,
}

impl ReplayWindow {
    /// Whether a packet must be refused: received before, or too old to tell.
    pub fn is_known(&self, sequence: u64) -> bool {
        self.received.is_known(self.newest, sequence)
    }

    /// Notes an authentic packet. Never to be called for one that has not been authenticated: a forged sequence would shut
    /// honest ones out.
    pub fn note(&mut self, sequence: u64) {
        self.received.note(&mut self.newest, sequence);
    }
}

/// A [`ReplayWindow`] whose newest sequence is kept elsewhere: the bits then share a cache line with a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplayBits {
    /// Bit `s % 256` says whether `s` of the window was received.
    bits: [u64; 4],
}

impl ReplayBits {
    pub fn is_known(&self, newest: u64, sequence: u64) -> bool {
        if sequence > newest {
            return false;
        }
        newest - sequence >= REPLAY_WINDOW || self.bits[word(sequence)] & bit(sequence) != 0
    }

    pub fn note(&mut self, newest: &mut u64, sequence: u64) {
        if sequence > *newest {
            if sequence - *newest >= REPLAY_WINDOW {
                self.bits = [0; 4];
            } else {
                for skipped in *newest + 1..sequence {
                    self.bits[word(skipped)] &= !bit(skipped);
                }
            }
            *newest = sequence;
        }
        self.bits[word(sequence)] |= bit(sequence);
    }
}

fn word(sequence: u64) -> usize {
    (sequence / 64 % 4) as usize
}

fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_packet_passes_once() {
        let mut window = ReplayWindow::default();
        for sequence in 0..1_000 {
            assert!(!window.is_known(sequence));
            window.note(sequence);
            assert!(window.is_known(sequence));
        }
    }

    #[test]
    fn a_late_packet_passes_within_the_window_only() {
        let mut window = ReplayWindow::default();
        window.note(1_000);
        assert!(!window.is_known(745));
        assert!(window.is_known(744));
    }

    #[test]
    fn the_highest_sequences_pass_once_and_overflow_nothing() {
        let mut window = ReplayWindow::default();
        for sequence in [u64::MAX - 300, u64::MAX - 1, u64::MAX, u64::MAX - 255] {
            assert!(!window.is_known(sequence));
            window.note(sequence);
            assert!(window.is_known(sequence));
        }
        assert!(window.is_known(0) && window.is_known(u64::MAX - 256));
    }

    proptest! {
        /// The window agrees with a list of everything that was ever received.
        #[test]
        fn the_window_agrees_with_a_list(start in any::<u64>(), steps in proptest::collection::vec(0..600_u64, 1..400)) {
            let mut window = ReplayWindow::default();
            let mut all: Vec<u64> = Vec::new();
            let mut newest = 0_u64;
            let mut at = start;
            for step in steps {
                // Forwards by a little, or backwards by up to more than the window.
                at = if step < 300 { at.saturating_add(step / 50) } else { at.saturating_sub(step - 300) };
                let expected = newest.saturating_sub(at) >= REPLAY_WINDOW || all.contains(&at);
                prop_assert_eq!(window.is_known(at), expected);
                if !expected {
                    window.note(at);
                    all.push(at);
                    newest = newest.max(at);
                }
            }
        }
    }
}
