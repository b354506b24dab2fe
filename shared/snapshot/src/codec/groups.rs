//! Which groups of an entity differ among states, a bit each: most do not, and are stepped over many at a time.

use super::plan::Plan;

/// Groups that have a bit. Those of a plan that has more are looked at whenever they are asked for.
pub const NOTED: usize = u128::BITS as usize;

/// Numbers of groups, those below [`NOTED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups(u128);

/// Lanes that are compared at once.
const AT_ONCE: usize = 8;

/// Those of `AT_ONCE` bytes that are 1, as bits.
fn gather(bytes: [u8; AT_ONCE]) -> u8 {
    // Each byte's bit is moved to the top one, at a place of its own.
    (u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// Lanes in which three states are not the same, of the first [`NOTED`].
fn differing([a, b, c]: [&[i32]; 3]) -> u128 {
    let (mut lanes, mut at) = (0, 0);
    let ((a, a_rest), (b, b_rest), (c, c_rest)) =
        (a.as_chunks::<AT_ONCE>(), b.as_chunks::<AT_ONCE>(), c.as_chunks::<AT_ONCE>());
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        let differs: [u8; AT_ONCE] = core::array::from_fn(|lane| u8::from((a[lane] != b[lane]) | (a[lane] != c[lane])));
        lanes |= u128::from(gather(differs)) << at;
        at += AT_ONCE as u32;
    }
    for ((a, b), c) in a_rest.iter().zip(b_rest).zip(c_rest) {
        lanes |= u128::from((a != b) | (a != c)) << at;
        at += 1;
    }
    lanes
}

impl Groups {
    /// Those of which any lane is not the same in all three states.
    pub fn differing(plan: &Plan, states: [&[i32]; 3]) -> Self {
        if plan.lanes > NOTED {
            let differs = |lane: usize| states[0][lane] != states[1][lane] || states[0][lane] != states[2][lane];
            let groups = plan.groups.iter().take(NOTED).enumerate();
            return Self(groups.fold(0, |all, (at, group)| all | u128::from(group.lanes().any(differs)) << at));
        }
        let mut bits = differing(states);
        // From the last on, so that those in front of each still stand where their lanes do.
        for group in &plan.wide {
            let (width, low, high) = (group.lanes().len(), bits & ((1 << group.at) - 1), bits >> group.at);
            let any = u128::from(high & ((1 << width) - 1) != 0);
            bits = low | any << group.at | high >> width << (group.at + 1);
        }
        Self(bits)
    }

    /// Those from `from` on and below `to`.
    pub fn within(from: usize, to: usize) -> Self {
        let below = |end: usize| if end < NOTED { (1 << end) - 1 } else { u128::MAX };
        Self(below(to) & !below(from))
    }

    /// Whether a noted one is among them.
    #[inline]
    pub fn has(self, number: usize) -> bool {
        self.0 >> number & 1 != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those that are among others too.
    pub fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are not among others.
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those in front of the first of others; all of them if there are no others.
    pub fn before(self, others: Self) -> Self {
        Self(self.0 & (others.0 & others.0.wrapping_neg()).wrapping_sub(1))
    }

    /// The first, or [`NOTED`].
    pub fn first(self) -> usize {
        self.0.trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use arbiter_schema::{Audience, LaneDesc, Predictor};

    use super::*;

    /// A place, a rotation, and so many lanes that stand for themselves between the two.
    fn plan(between: usize) -> Plan {
        let lane = |field, predictor| LaneDesc { field, max: 1_000, predictor, audience: Audience::Everyone };
        let place = [lane("place", Predictor::Linear); 3];
        let turn = [lane("turn", Predictor::Rotation); 4];
        let lanes: Vec<LaneDesc> =
            place.into_iter().chain(vec![lane("x", Predictor::Hold); between]).chain(turn).collect();
        Plan::new(&lanes)
    }

    #[test]
    fn a_group_differs_if_any_of_its_lanes_does() {
        for between in [0, 1, 9, 60, 121, 122, 200] {
            let plan = plan(between);
            for lane in 0..plan.lanes {
                let (same, mut other) = (vec![7; plan.lanes], vec![7; plan.lanes]);
                other[lane] = 8;
                let number = plan.groups.iter().position(|group| group.lanes().contains(&lane)).unwrap();
                for states in [[&same[..], &other, &same], [&same, &same, &other]] {
                    let groups = Groups::differing(&plan, states);
                    assert_eq!(groups.first(), number.min(NOTED), "lane {lane} of {}", plan.lanes);
                    assert_eq!(groups.count(), usize::from(number < NOTED));
                }
                assert!(Groups::differing(&plan, [&same; 3]).is_empty());
            }
        }
    }

    #[test]
    fn those_in_front_of_others_are_counted() {
        let all = Groups::within(3, 9);
        assert_eq!((all.count(), all.first(), all.has(8), all.has(9)), (6, 3, true, false));
        assert_eq!(all.before(Groups::within(5, 7)), Groups::within(3, 5));
        assert_eq!(all.before(Groups::within(4, 4)), all);
        assert_eq!(Groups::within(126, 500).count(), 2);
        assert_eq!(Groups::within(130, 500).count(), 0);
        assert_eq!(all.without(Groups::within(0, 8)).among(Groups::within(8, NOTED)).count(), 1);
    }
}
