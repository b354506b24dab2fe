//! A part that is being put together in the shared form: entities are put in as they are urgent and told by id, so that an id
//! takes few bits.

use arbiter_schema::StableId;

use super::{Bases, How, TickForm, follows, put_step, step_bits};
use crate::PART_BYTES_MAX;
use crate::bits::BitWriter;

/// Bits of a part behind its tick but for whether it has bases, and for the end.
pub(super) const PART_BITS: usize = PART_BYTES_MAX * 8 - TickForm::BITS_MAX - 1 - END_BITS;

/// Bits of the end of a part; in front of the next id that is told against the bases of the part; and of any other.
pub(super) const END_BITS: usize = 2;
const FOLLOWS_BITS: usize = 1;
const OTHER_BITS: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Encodings that are not in the cache any more.
    bodies: BitWriter,
    /// By id.
    pub told: Vec<Piece>,
    /// Bits that each bases would save as those of the part.
    savings: Vec<(Bases, usize)>,
    /// Bits of the part, or a few more.
    pub bits: usize,
    /// The bases that were put in first: those of the part, unless others turn out to take less.
    pub first: Option<Bases>,
    pub out: BitWriter,
}

/// An entity of a part. Small: it is put between others, by id, that are moved along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub id: StableId,
    pub slot: u32,
    pub how: How,
    pub bases: Option<Bases>,
    /// Where its encoding begins and ends, in the cache, or else among the bodies of the part.
    pub body: (u32, u32),
    pub is_cached: bool,
}

impl Piece {
    /// How it is told in a part with these bases.
    pub fn how(&self, usual: Option<Bases>) -> (How, Option<Bases>) {
        let own = self.bases.filter(|bases| Some(*bases) != usual);
        (if own.is_some() { How::Own } else { self.how }, own)
    }
}

/// Ids between two entities of a part; `before` is `None` for the first.
pub(super) fn step(before: Option<StableId>, id: StableId) -> u32 {
    before.map_or(id.0, |before| id.0.saturating_sub(before.0 + 1))
}

impl Part {
    /// Bits that an entity would add, and its place by id.
    pub fn room_for(&self, id: StableId, how: How, bases: Option<Bases>, body: usize) -> (usize, usize) {
        let at = match self.told.last() {
            Some(last) if last.id >= id => self.told.partition_point(|piece| piece.id < id),
            _ => self.told.len(),
        };
        let before = at.checked_sub(1).map(|at| self.told[at].id);
        // The first one that has bases names those of the part.
        let usual = bases.filter(|_| self.first.is_none()).map_or(0, Bases::bits);
        let mut bits = usual + body + self.head_bits(before, id, how, bases);
        if let Some(next) = self.told.get(at) {
            let head = |before| self.head_bits(before, next.id, next.how, next.bases);
            bits = (bits + head(Some(id))).saturating_sub(head(before));
        }
        (bits, at)
    }

    /// Bits in front of an entity that is told behind another, in a part with the bases that were put in first.
    fn head_bits(&self, before: Option<StableId>, id: StableId, how: How, bases: Option<Bases>) -> usize {
        let step = step(before, id);
        let own = bases.filter(|bases| self.first.is_some_and(|first| first != *bases));
        if follows(step, how) && own.is_none() {
            return FOLLOWS_BITS;
        }
        let how = own.map_or(how.bits(), |own| How::Own.bits() + own.bits());
        OTHER_BITS + step_bits(step) + how
    }

    /// The bases that save most as those of the part: never fewer bits than the first, with which the bits were counted.
    pub fn usual(&mut self) -> Option<Bases> {
        let first = self.first?;
        let savings = &mut self.savings;
        savings.clear();
        savings.push((first, 0));
        let (mut last, mut before) = (0, None);
        for piece in &self.told {
            let follows = step(before, piece.id) == 0;
            before = Some(piece.id);
            let Some(bases) = piece.bases else { continue };
            if savings[last].0 != bases {
                last = savings.iter().position(|(other, _)| *other == bases).unwrap_or_else(|| {
                    savings.push((bases, 0));
                    savings.len() - 1
                });
            }
            // Bits that it saves by not naming these bases.
            let head = OTHER_BITS + step_bits(0) + How::Usual.bits() - FOLLOWS_BITS;
            let named = How::Own.bits() - How::Usual.bits() + bases.bits();
            savings[last].1 += named + if follows { head } else { 0 };
        }
        let saved = |(bases, bits): (Bases, usize)| bits - bases.bits();
        let mut best = savings[0];
        for other in &savings[1..] {
            if saved(*other) > saved(best) {
                best = *other;
            }
        }
        Some(best.0)
    }

    /// Keeps what the cache is about to forget.
    pub fn keep(&mut self, cached: &BitWriter) {
        for piece in self.told.iter_mut().filter(|piece| piece.is_cached) {
            let start = self.bodies.len() as u32;
            cached.copy(piece.body.0 as usize, piece.body.1 as usize, &mut self.bodies);
            (piece.body, piece.is_cached) = ((start, self.bodies.len() as u32), false);
        }
    }

    pub fn write(&mut self, tick: u32, form: TickForm, cached: &BitWriter) {
        let usual = self.usual();
        let out = &mut self.out;
        out.clear();
        form.write(out, tick);
        out.flag(usual.is_some());
        if let Some(usual) = usual {
            usual.write(out);
        }
        let mut before = None;
        for piece in &self.told {
            let (how, own) = piece.how(usual);
            let step = step(before, piece.id);
            before = Some(piece.id);
            let follows = follows(step, how);
            out.flag(!follows);
            if !follows {
                out.flag(false);
                put_step(out, step);
                how.write(out);
                if let Some(own) = own {
                    own.write(out);
                }
            }
            let from = if piece.is_cached { cached } else { &self.bodies };
            from.copy(piece.body.0 as usize, piece.body.1 as usize, out);
        }
        out.put(0b11, END_BITS as u32);
    }

    pub fn clear(&mut self) {
        self.bodies.clear();
        self.told.clear();
        (self.bits, self.first) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cache_forgets_is_written_all_the_same() {
        let mut cached = BitWriter::default();
        cached.put(0x2A5, 11);
        cached.put(0x1_5555, 17);
        let bases = Bases([3, 1, 3], None);
        let piece = |id, body| {
            let (id, slot, how) = (StableId(id), id, How::Usual);
            Piece { id, slot, how, bases: Some(bases), body, is_cached: true }
        };
        let part = || {
            let told = vec![piece(4, (11, 28)), piece(9, (0, 11))];
            Part { told, first: Some(bases), ..Part::default() }
        };
        let (mut kept, mut plain) = (part(), part());
        plain.write(50, TickForm::Far, &cached);
        kept.keep(&cached);
        kept.write(50, TickForm::Far, &BitWriter::default());
        let written = [plain, kept].map(|part| {
            let mut bytes = Vec::new();
            part.out.finish_into(&mut bytes);
            bytes
        });
        assert_eq!(written[0], written[1]);
    }
}
