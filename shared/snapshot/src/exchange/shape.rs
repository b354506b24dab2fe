//! What is told of an entity: which components, and what is known of each. Entities of one shape are coded alike.

use std::collections::BTreeMap;

use arbiter_schema::{ComponentDesc, ComponentId, Registry};

use crate::bits::{Get, OutOfBits, Put};
use crate::codec::Plan;
use crate::layout::{Known, Layout};

/// Most shapes that a client learns: a hostile server could make up more for ever.
const SHAPES_MAX: usize = 4_096;

/// Most components of an entity that are told.
pub(crate) const COMPONENTS_MAX: usize = 63;

/// Components by number, with what is known of each.
pub type Shape = Vec<(ComponentId, Known)>;

/// Shapes that were met, by number, with the plan that codes each.
#[derive(Debug)]
pub struct Shapes {
    layout: Layout,
    components: Vec<ComponentDesc>,
    numbers: BTreeMap<Shape, u32>,
    shapes: Vec<(Shape, Plan, Vec<u32>)>,
    has_trails: bool,
}

impl Shapes {
    /// For the components of `registry`.
    pub fn new(registry: &Registry) -> Self {
        let components = registry.components().to_vec();
        let has_trails = components.iter().any(|it| Plan::new(&it.lanes).has_trail());
        Self { layout: Layout::new(registry), components, numbers: BTreeMap::new(), shapes: Vec::new(), has_trails }
    }

    /// Whether anything is told against a trail of states.
    pub(crate) fn has_trails(&self) -> bool {
        self.has_trails
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The number of a shape; `None` if there are too many.
    pub(crate) fn number(&mut self, shape: &Shape) -> Option<u32> {
        if let Some(number) = self.numbers.get(shape) {
            return Some(*number);
        }
        if self.shapes.len() == SHAPES_MAX {
            return None;
        }
        let number = self.shapes.len() as u32;
        let mut widths = Vec::new();
        for (component, known) in shape {
            let told = self.layout.lanes(*component).iter().filter(|lane| known.knows(lane.audience));
            widths.extend(told.map(|lane| lane.width));
        }
        let plan = Plan::of(shape.iter().map(|(component, known)| {
            let described = self.components.get(usize::from(*component)).map_or(&[][..], |it| &it.lanes);
            described.iter().filter(|lane| known.knows(lane.audience))
        }));
        self.numbers.insert(shape.clone(), number);
        self.shapes.push((shape.clone(), plan, widths));
        Some(number)
    }

    /// The shape, its plan, and the bits of each told lane.
    pub(crate) fn get(&self, number: u32) -> (&Shape, &Plan, &[u32]) {
        let (shape, plan, widths) = &self.shapes[number as usize];
        (shape, plan, widths)
    }

    fn write(&self, to: &mut impl Put, number: u32) {
        let (shape, ..) = self.get(number);
        to.put(shape.len() as u32, 6);
        for (component, known) in shape {
            to.put(u32::from(*component), self.layout.component_bits());
            to.put(known.bits(), 2);
        }
    }

    /// An entity in full: its shape, then each told lane.
    pub(crate) fn write_full(&self, to: &mut impl Put, number: u32, lanes: &[i32]) {
        self.write(to, number);
        lanes.iter().zip(self.get(number).2).for_each(|(lane, width)| to.put(*lane as u32, *width));
    }

    /// Reads a shape: components ascend, and something may be known of each.
    pub(crate) fn read(&mut self, from: &mut impl Get) -> Result<Option<u32>, OutOfBits> {
        let mut shape = Shape::new();
        for _ in 0..from.get(6)? {
            let component = from.get(self.layout.component_bits())? as ComponentId;
            let known = Known::from_bits(from.get(2)?);
            let ascends = shape.last().is_none_or(|(last, _)| *last < component);
            if !ascends || !self.layout.tells(component, known) {
                return Ok(None);
            }
            shape.push((component, known));
        }
        Ok(self.number(&shape))
    }
}
