//! The entities of a part of a snapshot in the small form: each sees what was told before it in the same part.

use super::entity::{Around, Subject, Told};
use super::neighbours::Neighbours;
use super::numbers::{STEPS, first_step, step_class};
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
    /// The class of the last step, and how that entity was told.
    other: [i32; 2],
    /// Entities so far.
    told: i32,
    /// How many of them followed, one behind the other, up to here.
    run: i32,
}

/// More entities than this make no difference.
const TOLD_MAX: i32 = 64;

impl Context {
    /// A part begins.
    pub fn clear(&mut self) {
        self.neighbours.clear();
        (self.last, self.other, self.told, self.run) = ([0; 2], [0; 2], 0, 0);
    }

    /// Tells or reads what stands in front of an entity.
    pub fn head(&mut self, coder: &mut impl Coder, head: Head) -> Result<Head, Damaged> {
        let features = [self.last[0], self.last[1], self.told, self.other[0], self.other[1], self.run];
        let symbol = coder.symbol(Model::Head, &features, head as u32)?;
        self.last = [symbol as i32, self.last[0]];
        self.told = (self.told + 1).min(TOLD_MAX);
        self.run = if symbol == Head::Follows as u32 { (self.run + 1).min(TOLD_MAX) } else { 0 };
        Ok([Head::Follows, Head::Other, Head::End][symbol.min(2) as usize])
    }

    /// Tells or reads the step to an entity that does not follow, and the number of how it is told.
    pub fn other(&mut self, coder: &mut impl Coder, step: u32, how: u32) -> Result<(u32, u32), Damaged> {
        let (class, first) = step_class(step);
        let features = [self.other[0], self.other[1], self.last[1], self.told];
        let class = coder.symbol(Model::Step, &features, class as u32)? as usize;
        let bits = *STEPS.get(class).ok_or(Damaged)?;
        let step = first_step(class) + coder.raw(step.wrapping_sub(first), bits)?;
        let features = [self.other[1], class as i32, self.last[1], self.told];
        let how = coder.symbol(Model::How, &features, how)?;
        self.other = [class as i32, how as i32];
        Ok((step, how))
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
        let mut around = plan.place.map_or_else(Around::default, |place| neighbours.around(past.states[0], place));
        around.in_part = true;
        let told: Told = Subject::new(tables, plan, past).change(coder, &around, writes, now)?;
        if let Some(place) = plan.place {
            let is_driven = is_owned && !neighbours.has_driven();
            neighbours.add(past.states[0], now, place, &told, is_driven);
        }
        Ok(())
    }
}
