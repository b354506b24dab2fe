//! The small form of a part: one stream of a range coder, whose contexts see what was told before in the same part.

use super::shape::Shapes;
use super::{Bases, How, TickForm, follows};
use crate::bits::Put as _;
use crate::codec::near::{Context, Head};
use crate::codec::range::RangeWriter;
use crate::codec::{Past, Plan, Tables, Tier};

/// Writes parts; keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    context: Context,
}

/// A part that is written.
pub(crate) struct Stream<'a> {
    context: &'a mut Context,
    to: RangeWriter<'a>,
}

impl Writer {
    /// Begins a part.
    pub(crate) fn begin<'a>(
        &'a mut self,
        to: &'a mut Vec<u8>,
        (form, tick): (TickForm, u32),
        usual: Option<Bases>,
    ) -> Stream<'a> {
        self.context.clear();
        let mut to = RangeWriter::new(Tables::frozen(), Tier::Near, to);
        form.write(&mut to, tick);
        to.flag(usual.is_some());
        if let Some(usual) = usual {
            usual.write(&mut to);
        }
        Stream { context: &mut self.context, to }
    }
}

// A writer cannot fail.
impl Stream<'_> {
    pub(crate) fn bytes_max(&self) -> usize {
        self.to.bytes_max()
    }

    pub(crate) fn head(&mut self, step: u32, how: How, own: Option<Bases>) {
        let head = if follows(step, how) { Head::Follows } else { Head::Other };
        let _ = self.context.head(&mut self.to, head);
        if head == Head::Other {
            let _ = self.context.other(&mut self.to, step, how as u32);
            if let Some(own) = own {
                own.write(&mut self.to);
            }
        }
    }

    pub(crate) fn change(&mut self, plan: &Plan, past: &Past<'_>, is_owned: bool, now: &mut [i32]) {
        let _ = self.context.change(&mut self.to, Tables::frozen(), plan, past, is_owned, true, now);
    }

    pub(crate) fn full(&mut self, shapes: &Shapes, shape: u32, now: &[i32]) {
        shapes.write_full(&mut self.to, shape, now);
    }

    pub(crate) fn finish(mut self) {
        let _ = self.context.head(&mut self.to, Head::End);
        self.to.finish();
    }
}
