//! The entities of a part of a snapshot in the small form: each sees what was told before it in the same part.

use super::entity::{Around, Subject, Told};
use super::neighbours::Neighbours;
use super::{Coder, Damaged, Model, Past, Plan, Tables};

/// What stands in front of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The next id, told against the bases of the part.
    Follows,
    /// A step and how follow.
    Other,
    /// The part ends.
    End,
}

/// What both ends know in front of the next entity.
#[derive(Debug, Default)]
pub struct Context {
    neighbours: Neighbours,
    /// What stood in front of the last two.
    last: [i32; 2],
}

impl Context {
    /// A part begins.
    pub fn clear(&mut self) {
        self.neighbours.clear();
        self.last = [0; 2];
    }

    /// Tells or reads what stands in front of an entity.
    pub fn head(&mut self, coder: &mut impl Coder, head: Head) -> Result<Head, Damaged> {
        let symbol = coder.symbol(Model::Head, &self.last, head as u32)?;
        self.last = [symbol as i32, self.last[0]];
        Ok([Head::Follows, Head::Other, Head::End][symbol.min(2) as usize])
    }

    /// Tells or reads an entity that is told against its past. The first of those that a client owns that is somewhere is what it
    /// drives. `writes` says whether `now` is given.
    #[allow(clippy::too_many_arguments, reason = "what both ends know of it, each by its name")]
    pub fn change<C: Coder>(
        &mut self,
        coder: &mut C,
        tables: &Tables,
        plan: &Plan,
        past: &Past<'_>,
        is_owned: bool,
        writes: bool,
        now: &mut [i32],
    ) -> Result<(), Damaged> {
        let neighbours = &mut self.neighbours;
        let around = plan.place.map_or_else(Around::default, |place| neighbours.around(past.states[0], place));
        let told: Told = Subject::new(tables, plan, past).change(coder, &around, writes, now)?;
        if let Some(place) = plan.place {
            let is_driven = is_owned && !neighbours.has_driven();
            neighbours.add(past.states[0], now, place, &told, is_driven);
        }
        Ok(())
    }
}
