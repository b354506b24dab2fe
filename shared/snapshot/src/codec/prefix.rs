//! Prefix codes of frozen tables: each symbol is a whole number of bits, so that bit strings can be put behind each other.

use super::numbers::SYMBOLS;
use super::tables::{Model, Tables, Tier};
use super::{Coder, Damaged};
use crate::bits::{BitReader, BitWriter};

/// Longest code: no symbol may cost more, and the reader finds each with one look.
const BITS_MAX: u32 = 12;

/// Bits that a reader looks up at once; longer codes are rare.
const LOOK_BITS: u32 = 8;

/// The code of one leaf.
#[derive(Debug, Clone)]
pub struct Code {
    /// Bits, lowest first, and how many, by symbol. In place: a writer reaches them with one look at memory.
    codes: [(u16, u8); SYMBOLS as usize],
    /// Symbol and length by the next bits; length 0 for longer codes.
    look: Vec<(u8, u8)>,
}

impl Code {
    /// Of symbols that come so often.
    pub fn new(shares: &[u32]) -> Self {
        let lengths = lengths(shares);
        let mut codes = [(0, 0); SYMBOLS as usize];
        let mut look = vec![(0, 0); 1 << LOOK_BITS];
        let mut next = 0_u16;
        for length in 1..=BITS_MAX as u8 {
            next <<= 1;
            for symbol in (0..shares.len()).filter(|symbol| lengths[*symbol] == length) {
                let bits = next.reverse_bits() >> (16 - length);
                codes[symbol] = (bits, length);
                next += 1;
                if u32::from(length) <= LOOK_BITS {
                    (usize::from(bits)..look.len())
                        .step_by(1 << length)
                        .for_each(|at| look[at] = (symbol as u8, length));
                }
            }
        }
        Self { codes, look }
    }

    #[inline]
    fn read(&self, from: &mut BitReader<'_>) -> Result<u32, Damaged> {
        let window = from.peek(BITS_MAX);
        let (symbol, length) = self.look[(window & ((1 << LOOK_BITS) - 1)) as usize];
        let (symbol, length) = if length > 0 {
            (u32::from(symbol), length)
        } else {
            let fits = |&(bits, length): &(u16, u8)| length > 0 && window & ((1 << length) - 1) == u32::from(bits);
            let symbol = self.codes.iter().position(fits).ok_or(Damaged)?;
            (symbol as u32, self.codes[symbol].1)
        };
        from.get(u32::from(length)).map_err(|_| Damaged)?;
        Ok(symbol)
    }
}

/// Lengths of a Huffman code, flattened until none is too long.
fn lengths(shares: &[u32]) -> Vec<u8> {
    let mut weights: Vec<u64> = shares.iter().map(|share| u64::from(*share)).collect();
    loop {
        // A node of the code's tree: weight, parent. Symbols come first.
        let mut nodes: Vec<(u64, usize)> = weights.iter().map(|weight| (*weight, 0)).collect();
        let mut roots: Vec<usize> = (0..nodes.len()).collect();
        while roots.len() > 1 {
            roots.sort_by_key(|node| core::cmp::Reverse((nodes[*node].0, *node)));
            let (Some(a), Some(b)) = (roots.pop(), roots.pop()) else { break };
            let parent = nodes.len();
            nodes[a].1 = parent;
            nodes[b].1 = parent;
            nodes.push((nodes[a].0 + nodes[b].0, 0));
            roots.push(parent);
        }
        let mut depths = vec![0_u8; nodes.len()];
        for node in (0..nodes.len().saturating_sub(1)).rev() {
            depths[node] = depths[nodes[node].1] + 1;
        }
        depths.truncate(shares.len());
        if depths.iter().all(|depth| u32::from(*depth) <= BITS_MAX) {
            return depths;
        }
        weights.iter_mut().for_each(|weight| *weight = weight.div_ceil(2) + 1);
    }
}

/// Writes prefix codes.
#[derive(Debug)]
pub struct PrefixWriter<'a> {
    /// The tables.
    pub tables: &'a Tables,
    /// Where the bits go.
    pub to: &'a mut BitWriter,
}

impl Coder for PrefixWriter<'_> {
    #[inline]
    fn symbol(&mut self, model: Model, features: &[i32], symbol: u32) -> Result<u32, Damaged> {
        let (bits, length) = self.tables.leaf(Tier::Shared, model, features).code.codes[symbol as usize];
        self.to.put(u32::from(bits), u32::from(length));
        Ok(symbol)
    }

    #[inline]
    fn raw(&mut self, value: u32, bits: u32) -> Result<u32, Damaged> {
        self.to.put(value, bits);
        Ok(value)
    }
}

/// Reads prefix codes.
#[derive(Debug)]
pub struct PrefixReader<'a> {
    /// The tables.
    pub tables: &'a Tables,
    /// Where the bits come from.
    pub from: BitReader<'a>,
}

impl Coder for PrefixReader<'_> {
    #[inline]
    fn symbol(&mut self, model: Model, features: &[i32], _symbol: u32) -> Result<u32, Damaged> {
        self.tables.leaf(Tier::Shared, model, features).code.read(&mut self.from)
    }

    #[inline]
    fn raw(&mut self, _value: u32, bits: u32) -> Result<u32, Damaged> {
        self.from.get(bits).map_err(|_| Damaged)
    }
}
