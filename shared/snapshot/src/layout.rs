//! What both ends know of the lanes: how wide each is and who may know it.

use core::ops::Range;

use arbiter_schema::{Audience, ComponentId, Registry};

use crate::frame::Head;

/// Most lanes of one component: so many, all changed, still fit into one part.
pub const LANES_PER_COMPONENT_MAX: usize = 200;

/// Who is told. A client whose slot or team changes starts afresh: what it holds is judged by who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The client's slot; `None` owns nothing.
    pub slot: Option<u16>,
    /// The client's team; 0 for none, where only what everyone may know and what it owns is told; [`Self::EVERY_TEAM`] for
    /// whoever belongs to none and may know what all of them do.
    pub team: u8,
}

impl Viewer {
    /// In place of a team, of which there are fewer.
    pub const EVERY_TEAM: u8 = u8::MAX;

    pub(crate) fn knows(self, head: &Head) -> Known {
        self.knows_of(head.owner, head.team)
    }

    /// The same of an entity with this owner and team, as a row has them.
    pub(crate) fn knows_of(self, owner: u32, team: u8) -> Known {
        let owner = self.slot.is_some_and(|slot| owner == u32::from(slot));
        let mate = self.team == team || self.team == Self::EVERY_TEAM;
        Known { team: owner || (mate && team != 0), owner }
    }
}

/// What of a component a client may know, beside the lanes for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Known {
    /// The lanes for the team.
    pub team: bool,
    /// The lanes for the owner.
    pub owner: bool,
}

impl Known {
    /// Two bits: the team's, then the owner's.
    pub(crate) fn bits(self) -> u32 {
        u32::from(self.team) | u32::from(self.owner) << 1
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self { team: bits & 1 != 0, owner: bits & 2 != 0 }
    }

    /// Whether lanes of `audience` are known.
    pub fn knows(self, audience: Audience) -> bool {
        match audience {
            Audience::Everyone => true,
            Audience::Team => self.team,
            Audience::Owner => self.owner,
        }
    }
}

/// One lane.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    /// Bits that hold every value.
    pub width: u32,
    /// Largest value.
    pub max: u32,
    /// Who may know it.
    pub audience: Audience,
}

/// The lanes of all components.
#[derive(Debug, Clone)]
pub struct Layout {
    components: Vec<Vec<Lane>>,
    /// By component and [`Known::bits`]: runs of lanes that are told.
    told: Vec<[Vec<Range<usize>>; 4]>,
    /// By component: whether a team mate may know more than everyone.
    mates_more: Vec<bool>,
    component_bits: u32,
}

/// Runs of lanes that whoever knows `known` may be told.
fn runs(lanes: &[Lane], known: Known) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in lanes.iter().enumerate().filter(|(_, lane)| known.knows(lane.audience)) {
        match runs.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end += 1,
            None => runs.push(at..at + 1),
        }
    }
    runs
}

impl Layout {
    /// From the description that both ends share.
    ///
    /// # Panics
    /// If a component has more than [`LANES_PER_COMPONENT_MAX`] lanes: such a component has to be split where it is defined.
    pub fn new(registry: &Registry) -> Self {
        let components: Vec<Vec<Lane>> = registry
            .components()
            .iter()
            .map(|component| {
                assert!(
                    component.lanes.len() <= LANES_PER_COMPONENT_MAX,
                    "component {} has {} lanes, at most {LANES_PER_COMPONENT_MAX} fit into a part: split it",
                    component.name,
                    component.lanes.len()
                );
                let lane = |lane: &arbiter_schema::LaneDesc| {
                    // Lanes are told as i32; a lane of one value still needs a bit to be written.
                    let max = lane.max.min(i32::MAX as u32);
                    Lane { width: (32 - max.leading_zeros()).max(1), max, audience: lane.audience }
                };
                component.lanes.iter().map(lane).collect()
            })
            .collect();
        let highest = components.len().saturating_sub(1) as u32;
        let told = |lanes: &Vec<Lane>| [0, 1, 2, 3].map(|bits| runs(lanes, Known::from_bits(bits)));
        let told: Vec<_> = components.iter().map(told).collect();
        let mate = Known { team: true, owner: false };
        let differs = |told: &[Vec<Range<usize>>; 4]| told[0] != told[mate.bits() as usize];
        let mates_more = told.iter().map(differs).collect();
        Self { components, told, mates_more, component_bits: (32 - highest.leading_zeros()).max(1) }
    }

    /// The lanes of a component; empty for one that does not exist or is not replicated.
    pub fn lanes(&self, component: ComponentId) -> &[Lane] {
        self.components.get(usize::from(component)).map_or(&[], Vec::as_slice)
    }

    /// Bits of a component's number.
    pub(crate) fn component_bits(&self) -> u32 {
        self.component_bits
    }

    /// Whether a client that knows `known` may know anything of the component; its very existence is told only then.
    pub fn tells(&self, component: ComponentId, known: Known) -> bool {
        !self.told(component, known).is_empty()
    }

    /// Whether a team mate may know more of the component than everyone.
    pub(crate) fn tells_mates_more(&self, component: ComponentId) -> bool {
        self.mates_more.get(usize::from(component)).is_some_and(|more| *more)
    }

    /// Runs of lanes of a component that a client that knows `known` may know.
    pub(crate) fn told(&self, component: ComponentId, known: Known) -> &[Range<usize>] {
        self.told.get(usize::from(component)).map_or(&[], |told| told[known.bits() as usize].as_slice())
    }
}

#[cfg(test)]
mod tests {
    use arbiter_schema::StableId;

    use super::*;

    #[test]
    fn whoever_belongs_to_no_team_may_know_what_all_do_and_never_what_owners_do() {
        let viewer = Viewer { slot: None, team: Viewer::EVERY_TEAM };
        for (team, known) in [(0, false), (1, true), (16, true)] {
            let head = Head { owner: 3, team, ..Head::new(StableId(9), 0) };
            assert_eq!(viewer.knows(&head), Known { team: known, owner: false });
        }
    }
}
