//! The list of a simulation's components, in registration order: what `snapshot` needs to know and nothing of the ECS.

use crate::describe::{Describe, FieldDesc};
use crate::lanes::LaneDesc;
use crate::sink::{HashSink, Show, Sink, Width};

/// A component's number: its place in the registry. The same in every process with the same plugins in the same order.
pub type ComponentId = u16;

/// What is known of one component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentDesc {
    /// Its number.
    pub id: ComponentId,
    /// Its name.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [FieldDesc],
    /// Its replicated lanes; empty for a component that stays on the server.
    pub lanes: Vec<LaneDesc>,
}

/// All described components of a simulation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registry {
    components: Vec<ComponentDesc>,
}

impl Registry {
    /// Adds a component and returns its number.
    ///
    /// # Panics
    /// If a component of this name is registered already: two descriptions under one name would read each other's bytes.
    pub fn add<C: Describe>(&mut self) -> ComponentId {
        assert!(self.find(C::NAME).is_none(), "component {} is registered twice", C::NAME);
        let id = ComponentId::try_from(self.components.len()).expect("at most 65,536 components");
        self.components.push(ComponentDesc { id, name: C::NAME, fields: C::FIELDS, lanes: C::lane_descs() });
        id
    }

    /// All components by number.
    pub fn components(&self) -> &[ComponentDesc] {
        &self.components
    }

    /// The component with this name.
    pub fn find(&self, name: &str) -> Option<&ComponentDesc> {
        self.components.iter().find(|component| component.name == name)
    }

    /// A hash of everything that both ends must agree on: names, lanes, ranges, predictors and audiences of what is
    /// replicated. Client and server compare it on joining.
    pub fn protocol_hash(&self) -> u64 {
        let mut hash = HashSink::default();
        let text = |hash: &mut HashSink, text: &str| {
            hash.long(text.len() as u64);
            for byte in text.bytes() {
                hash.word(u32::from(byte), Width::One, Show::Unsigned);
            }
        };
        for component in self.components.iter().filter(|component| !component.lanes.is_empty()) {
            hash.long(u64::from(component.id));
            text(&mut hash, component.name);
            for lane in &component.lanes {
                text(&mut hash, lane.field);
                hash.long(u64::from(lane.max));
                hash.long(lane.predictor as u64);
                hash.long(lane.audience as u64);
            }
            // Steps and ranges decide what a lane means.
            for field in component.fields {
                if let Some(spec) = field.spec {
                    for bits in [spec.min.to_bits(), spec.max.to_bits(), spec.step.to_bits()] {
                        hash.long(u64::from(bits));
                    }
                }
            }
        }
        hash.finish()
    }
}
