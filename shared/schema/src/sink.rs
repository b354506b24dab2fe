//! Walking over state: a value pushes its leaves into a [`Sink`], and the sink decides what becomes of them.

use crate::value::StableId;

/// What receives the leaves of a value, in order. Names are given for sinks that print; the others ignore them.
pub trait Sink {
    /// A leaf of at most 32 bits, given as its bits; `show` says how a person reads it.
    fn word(&mut self, bits: u32, width: Width, show: Show);
    /// A leaf of 64 bits.
    fn long(&mut self, bits: u64);
    /// Enters the field `name`.
    fn enter(&mut self, _name: &'static str) {}
    /// Enters the element `index` of a list.
    fn enter_item(&mut self, _index: usize) {}
    /// Leaves what was entered last.
    fn leave(&mut self) {}
    /// The name of an enum's value, for sinks that print it; its bits follow as a [`Sink::word`].
    fn name(&mut self, _name: &'static str) {}
}

/// How many bytes of a word are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    One,
    /// Two bytes.
    Two,
    /// Four bytes.
    Four,
}

/// How a word is shown to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Unsigned integer.
    Unsigned,
    /// Signed integer, sign-extended to 32 bits.
    Signed,
    /// IEEE 754 single.
    Float,
    /// True or false.
    Bool,
    /// A stable id.
    Id,
}

const HASH_KEY: u64 = 0x9E37_79B9_7F4A_7C15;
const HASH_SEED: u64 = 0x2D35_8DCC_AA6C_78A5;

/// Hashes leaves into 64 bits: a multiply-and-fold per 64 bits of state (the mixing step of wyhash), so that a tick of ten
/// players costs a few microseconds. It finds divergence; it does not resist an attacker, who has no reason to forge it.
#[derive(Debug, Clone)]
pub struct HashSink {
    state: u64,
    half: u32,
    has_half: bool,
}

impl Default for HashSink {
    fn default() -> Self {
        Self { state: HASH_SEED, half: 0, has_half: false }
    }
}

impl HashSink {
    #[inline(always)]
    fn mix(&mut self, bits: u64) {
        let product = u128::from(self.state ^ bits).wrapping_mul(u128::from(HASH_KEY));
        // The rotation keeps a state of zero from absorbing everything that follows.
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(HASH_SEED).rotate_left(23);
    }

    /// The hash of everything pushed so far.
    pub fn finish(&self) -> u64 {
        let mut end = self.clone();
        if end.has_half {
            end.mix(u64::from(end.half) | 1 << 63);
        }
        end.mix(HASH_KEY);
        end.state
    }
}

impl Sink for HashSink {
    #[inline(always)]
    fn word(&mut self, bits: u32, _width: Width, _show: Show) {
        if self.has_half {
            self.has_half = false;
            self.mix(u64::from(self.half) | u64::from(bits) << 32);
        } else {
            self.has_half = true;
            self.half = bits;
        }
    }

    #[inline(always)]
    fn long(&mut self, bits: u64) {
        self.word(bits as u32, Width::Four, Show::Unsigned);
        self.word((bits >> 32) as u32, Width::Four, Show::Unsigned);
    }
}

/// Appends leaves to a byte vector, little endian.
#[derive(Debug)]
pub struct ByteSink<'a>(pub &'a mut Vec<u8>);

impl Sink for ByteSink<'_> {
    #[inline]
    fn word(&mut self, bits: u32, width: Width, _show: Show) {
        match width {
            Width::One => self.0.push(bits as u8),
            Width::Two => self.0.extend_from_slice(&(bits as u16).to_le_bytes()),
            Width::Four => self.0.extend_from_slice(&bits.to_le_bytes()),
        }
    }

    #[inline]
    fn long(&mut self, bits: u64) {
        self.0.extend_from_slice(&bits.to_le_bytes());
    }
}

/// One leaf of a dump: where it is and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Path inside the component, such as `slots[2].ammo`; empty for a component that is itself a leaf.
    pub path: String,
    /// The value as a person reads it; floats are followed by their bits where two dumps must be told apart.
    pub text: String,
    /// The exact bits.
    pub bits: u64,
}

/// Collects leaves as readable text with their paths.
#[derive(Debug, Default)]
pub struct DumpSink {
    /// The leaves so far, in order.
    pub leaves: Vec<Leaf>,
    path: Vec<PathPart>,
    name: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
enum PathPart {
    Field(&'static str),
    Item(usize),
}

impl DumpSink {
    fn push(&mut self, text: String, bits: u64) {
        let mut path = String::new();
        for part in &self.path {
            match part {
                PathPart::Field(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                PathPart::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        self.leaves.push(Leaf { path, text, bits });
    }
}

impl Sink for DumpSink {
    fn word(&mut self, bits: u32, _width: Width, show: Show) {
        let text = match (self.name.take(), show) {
            (Some(name), _) => name.to_owned(),
            (None, Show::Unsigned) => bits.to_string(),
            (None, Show::Signed) => (bits as i32).to_string(),
            (None, Show::Float) => format!("{:?}", f32::from_bits(bits)),
            (None, Show::Bool) => (bits != 0).to_string(),
            (None, Show::Id) => StableId(bits).to_string(),
        };
        self.push(text, u64::from(bits));
    }

    fn long(&mut self, bits: u64) {
        self.push(bits.to_string(), bits);
    }

    fn enter(&mut self, name: &'static str) {
        self.path.push(PathPart::Field(name));
    }

    fn enter_item(&mut self, index: usize) {
        self.path.push(PathPart::Item(index));
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn name(&mut self, name: &'static str) {
        self.name = Some(name);
    }
}
