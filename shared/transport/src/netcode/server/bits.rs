//! A set of small numbers, to walk over the few that are in use.

/// See the module.
#[derive(Debug)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    pub fn new(capacity: usize) -> Self {
        Self(vec![0; capacity.div_ceil(64)].into_boxed_slice())
    }

    pub fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    pub fn clear(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    /// The first member from `at` on. A walk that continues behind what it was given may change the set on its way.
    pub fn next(&self, at: usize) -> Option<usize> {
        let mut word = at / 64;
        let mut bits = self.0.get(word)? & u64::MAX << (at % 64);
        while bits == 0 {
            word += 1;
            bits = *self.0.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_meets_each_member_once() {
        let mut bits = Bits::new(200);
        let members = [0, 1, 63, 64, 130, 199];
        members.iter().for_each(|at| bits.set(*at));
        bits.set(100);
        bits.clear(100);
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(member) = bits.next(at) {
            found.push(member);
            at = member + 1;
        }
        assert_eq!(found, members);
    }
}
