//! Which packets and acknowledgements arrive, and what the sender therefore knows.

use arbiter_benches::cubes::{AGE, Bases};

/// Packets that one acknowledgement tells of, as in our payloads.
const TOLD: usize = 33;

/// How far back the sender looks for frames to build upon.
const HISTORY: usize = 64;

/// Tick of the frame, and the ages of the three frames that it builds upon: told wherever any may be missing.
const HEADER_BYTES: usize = 7;

/// A link that loses the same share of packets and of acknowledgements.
pub struct Link {
    percent: u64,
    dice: u64,
    /// By frame: whether it came, and whether the acknowledgement sent upon it came.
    came: Vec<bool>,
    told: Vec<bool>,
    /// By frame: whether the sender knows that it came.
    known: Vec<bool>,
}

impl Link {
    /// Loses `percent` of 100; the first frames have all come.
    pub fn new(percent: u64) -> Self {
        let first = || vec![true; AGE];
        Self { percent, dice: 0x9e37_79b9_7f4a_7c15, came: first(), told: first(), known: first() }
    }

    /// What it costs to say what a frame builds upon.
    pub fn header_bytes(&self) -> usize {
        if self.percent == 0 { 0 } else { HEADER_BYTES }
    }

    /// What `frame` may build upon: the frames that the sender knows have come.
    pub fn bases(&mut self, frame: usize) -> Bases {
        // An acknowledgement travels as long as a frame is old when it counts: this is the one that comes now.
        let at = frame - AGE;
        if self.told[at] {
            for told in at.saturating_sub(TOLD - 1)..=at {
                self.known[told] |= self.came[told];
            }
        }
        Bases::among(frame, frame.saturating_sub(HISTORY), |at| self.known[at]).unwrap_or(Bases([AGE - 1; 3]))
    }

    /// Sends `frame`; whether it comes.
    pub fn arrives(&mut self, _frame: usize) -> bool {
        let came = self.chance();
        self.came.push(came);
        let told = self.chance();
        self.told.push(told);
        self.known.push(false);
        came
    }

    fn chance(&mut self) -> bool {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % 100 >= self.percent
    }
}
