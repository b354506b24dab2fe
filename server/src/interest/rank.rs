//! What goes first. Each relevant entity gathers urgency with every tick that it is not told, the faster the nearer it is, the
//! nearer to the middle of the view, the larger, and if it had to do with the viewer of late.
//!
//! In this order: *urgent* (oneself, whom one aims at, who hurts one) every tick; what is *near*, by age times weight; what the
//! client holds and would soon have to be told in full, the weightiest first; what is *overdue*, not told for [`STALE_MAX_S`],
//! the longest wait first; and the rest by age times weight. A full state takes some ten times as many bytes as one that is told
//! against another, so that a client for which all grows too old is told nothing but a few full states.
//!
//! Nobody starves: in every [`OVERDUE_EVERY`]th turn what is overdue goes before all that is not urgent. With `n` relevant
//! entities of which `u` are urgent and `m > u` told a tick, each is told at least every
//! `STALE_MAX_S · rate + OVERDUE_EVERY · (turns + ceil(n / (m - u)))` ticks where clients look at everything once in `turns` ticks:
//! at most `n - 1` are overdue for longer, and each of those is told once.
//!
//! In a crowd what is far is told in one of 2, 4, 8 or 16 ticks, the lighter the fewer, and an entity to all clients in the same
//! ones: they hold the same of it then, and one encoding does for all.

use arbiter_schema::StableId;
use arbiter_sim::index::Kind;

use super::aim;
use super::marks::{is_ours, side};
use super::scene::Body;

/// Seconds after which what was not told is overdue.
pub const STALE_MAX_S: f32 = 1.0;

/// In every so many turns what is overdue goes first.
pub const OVERDUE_EVERY: u32 = 8;

/// Seconds for which whoever hurt, or was hurt by, the viewer is of interest.
pub const CONTACT_S: f32 = 2.0;

/// Weight of what is told every tick.
pub const URGENT: f32 = f32::INFINITY;

/// The largest weight of all else. Weight 1 is the smallest, so that rates differ by this much at most.
const WEIGHT_MAX: f32 = 1_024.0;

/// Weight of what is nowhere.
pub const WEIGHT_NOWHERE: f32 = 32.0;

/// Metres within which being nearer makes no difference.
const NEAR_M: f32 = 8.0;

/// Weight at [`NEAR_M`] of a player in the middle of the view, out of which all others follow.
const WEIGHT_NEAR: f32 = 128.0;

/// Below this weight an entity is far: a player ahead from 43 m on, at one's side from 27, behind one's back from 11.
const FAR_WEIGHT: f32 = 24.0;

/// Seconds between two times that what is far is told while load is shed: a picture of it is extrapolated, then stands for a moment.
const FAR_EVERY_S: f32 = 0.25;

/// What is behind one's back is shown to nobody; it must only be there when one turns.
const BEHIND: f32 = 0.25;

/// Whoever had to do with the viewer is looked for on the screen.
const CONTACT: f32 = 4.0;

/// Ticks after which what the client holds is told again before what else is far: if that is lost, there is time for another.
const KEEP_TICKS: u32 = arbiter_snapshot::AGE_MAX / 2;

/// Ticks after which what the client holds is of no more use.
const LOST_TICKS: u32 = arbiter_snapshot::AGE_MAX - 4;

/// The weight below which what is known is left out of some ticks in a crowd: a player in view at 4 m.
pub const CROWD_STRETCH: f32 = 256.0;

fn kind_factor(kind: Kind) -> f32 {
    match kind {
        Kind::Player | Kind::Projectile => 1.0,
        Kind::Shield | Kind::Platform | Kind::Custom => 0.75,
        Kind::Prop | Kind::Deployable | Kind::Area => 0.5,
        Kind::Point | Kind::Pickup => 0.25,
    }
}

/// What an entity adds to its weight by itself, whoever looks.
pub fn heft(body: &Body) -> f32 {
    let size = (body.shape.extent[0].max(body.shape.height[1] * 0.5)).clamp(0.5, 2.0);
    WEIGHT_NEAR * size * kind_factor(body.kind)
}

/// How fast an entity becomes urgent, from 1: of its heft, so many metres away of which `ahead` are along the look; `contact` is
/// whether it had to do with the viewer.
#[inline(always)]
pub fn weight(heft: f32, ahead: f32, metres: f32, contact: bool) -> f32 {
    // Half a turn away counts least; the factor falls with the angle, as what is at the edge is looked at least.
    const HALF: f32 = 0.5 * (1.0 - BEHIND);
    let metres = metres.max(0.01);
    let view = (BEHIND + HALF) * metres + HALF * ahead;
    let touched = if contact { CONTACT } else { 1.0 };
    (heft * touched * NEAR_M * view / (metres * metres.max(NEAR_M))).clamp(1.0, WEIGHT_MAX)
}

/// The [`weight`] of an entity for a player, or [`URGENT`].
pub fn weight_of(me: &Body, body: &Body, contact: bool) -> f32 {
    let apart = body.shape.position - me.shape.position;
    if is_urgent(me, body) {
        URGENT
    } else if body.placed {
        weight(heft(body), me.look.dot(apart), apart.length(), contact)
    } else {
        WEIGHT_NOWHERE
    }
}

/// Whether an entity is told to a player in every tick, whatever else there is.
pub fn is_urgent(me: &Body, body: &Body) -> bool {
    let (of, mine) = (side(body.team, body.owner), side(me.team, me.owner));
    let is_target = body.is_target() && of != 0 && !is_ours(of, mine);
    let apart = body.shape.position - me.shape.position;
    body.id == me.id || (is_target && aim::is_aimed_at(me, body, apart, apart.length()))
}

/// What there is to tell of an entity.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// See [`weight`]; or [`URGENT`].
    pub weight: f32,
    /// Ticks since it was told, or since it may be known.
    pub age: u32,
    /// Whether it was told.
    pub is_known: bool,
}

impl Wait {
    /// Whether it is far enough, and was told lately enough, to be left out while load is shed. What the client does not know
    /// yet is never far: whether one may be hit rests on it.
    pub fn may_be_shed(&self, rate: u16) -> bool {
        self.is_known && self.weight < FAR_WEIGHT && (self.age as f32) < FAR_EVERY_S * f32::from(rate)
    }
}

/// By what everything is put in order for one client and tick.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    stale: u32,
    keep: u32,
    overdue_first: bool,
}

impl Order {
    /// For a client whose turn has this number.
    pub fn new(rate: u16, turn: u32) -> Self {
        let stale = (STALE_MAX_S * f32::from(rate)) as u32;
        Self { stale, keep: KEEP_TICKS.min(stale), overdue_first: turn.is_multiple_of(OVERDUE_EVERY) }
    }

    /// How urgent something is: more if it goes first.
    #[inline(always)]
    pub fn urgency(&self, wait: Wait) -> u32 {
        // Bits of numbers that are not negative are in the order of the numbers.
        const CLASS_BITS: u32 = 28;
        let below = |most: f32| most.to_bits() >> (32 - CLASS_BITS - 1);
        let Wait { weight, age, is_known } = wait;
        let waited = age as i32 as f32;
        let (is_held, is_overdue) = (is_known & (age < LOST_TICKS), age >= self.stale);
        let waits = waited * weight;
        let (class, most) = if is_overdue { (1, waited) } else { (0, waits) };
        let (class, most) = if is_held & (age >= self.keep) { (2, weight) } else { (class, most) };
        let (class, most) = if weight >= FAR_WEIGHT { (3, waits) } else { (class, most) };
        let (class, most) = if is_overdue & self.overdue_first { (4, waited) } else { (class, most) };
        let (class, most) = if weight == URGENT { (5, 0.0) } else { (class, most) };
        class << CLASS_BITS | below(most)
    }
}

/// Ticks, less one, in one of which something is told: a power of 2, less one. What is known and weighs less than `stretch` is
/// left out of some.
#[inline(always)]
pub fn period(stretch: f32, weight: f32, is_known: bool) -> u32 {
    let is_rarer = |factor: f32, bit: u32| if is_known & (weight * factor < stretch) { bit } else { 0 };
    is_rarer(1.0, 1) | is_rarer(2.0, 2) | is_rarer(4.0, 4) | is_rarer(8.0, 8)
}

/// Whether an entity with such a [period] is told in one of so many ticks from `tick` on, if there is room: the same ones for
/// all clients, and any for whoever missed it thrice, as those do whose link carries something in every second tick only.
#[inline(always)]
pub fn is_turn(tick: u32, id: StableId, period: u32, age: u32, ticks: u32) -> bool {
    let until = 0_u32.wrapping_sub(tick.wrapping_add(id.0)) & period;
    (until < ticks) | (age > 3 * (period + 1))
}

/// The key by which what is told is ordered, smallest first; equal ones by label.
pub fn key(urgency: u32, label: u32) -> u64 {
    u64::from(!urgency) << 32 | u64::from(label)
}

/// The label of a key.
pub fn label(key: u64) -> u32 {
    key as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: &Order, waits: &[Wait]) -> Vec<u32> {
        let mut keys: Vec<u64> = (0..).zip(waits).map(|(label, wait)| key(order.urgency(*wait), label)).collect();
        keys.sort_unstable();
        keys.into_iter().map(label).collect()
    }

    #[test]
    fn what_is_near_goes_before_what_grows_too_old_and_that_before_what_is_not_held() {
        let wait = |weight: f32, age: u32, is_known: bool| Wait { weight, age, is_known };
        let waits = [
            wait(4.0, 20, true),
            wait(4.0, 600, false),
            wait(2.0, KEEP_TICKS, true),
            wait(3.0, KEEP_TICKS, true),
            wait(FAR_WEIGHT, 1, true),
            wait(URGENT, 0, true),
            wait(4.0, LOST_TICKS, true),
        ];
        assert_eq!(sorted(&Order::new(60, 1), &waits), [5, 4, 3, 2, 1, 6, 0]);
        assert_eq!(sorted(&Order::new(60, 8), &waits), [5, 1, 6, 4, 3, 2, 0]);
    }

    #[test]
    fn the_lighter_something_is_the_fewer_are_its_ticks() {
        let turns = |weight: f32, stretch: f32, is_known: bool| {
            let period = period(stretch, weight, is_known);
            (0..32).filter(|tick| is_turn(*tick, StableId(3), period, 1, 1)).collect::<Vec<u32>>()
        };
        assert_eq!(turns(1.0, 0.0, true).len(), 32);
        assert_eq!(turns(1.0, CROWD_STRETCH, false).len(), 32);
        assert_eq!(turns(URGENT, CROWD_STRETCH, true).len(), 32);
        assert_eq!(turns(1.0, CROWD_STRETCH, true), [13, 29]);
        assert_eq!(turns(63.0, CROWD_STRETCH, true), [5, 13, 21, 29]);
        assert_eq!(turns(1.0, 20.0, true), turns(2.0, CROWD_STRETCH, true));
    }

    #[test]
    fn whoever_is_told_something_in_some_ticks_only_is_told_everything() {
        // A link that carries something in every second tick: of what is told in the others the age decides.
        let period = period(CROWD_STRETCH, 1.0, true);
        for id in 0..32 {
            let mut told = 0;
            for tick in (0..200).step_by(2) {
                if is_turn(tick, StableId(id), period, tick - told, 1) {
                    told = tick;
                }
                assert!(tick - told <= 3 * (period + 1), "entity {id} in tick {tick}");
            }
        }
    }
}
