//! What goes first. Each relevant entity gathers urgency with every tick that it is not told, the faster the nearer it is, the
//! nearer to the middle of the view, the larger, and if it had to do with the viewer of late.
//!
//! Three classes, in this order: *urgent* (oneself, whom one aims at, who hurts one) every tick; *overdue*, which was not
//! told for [`STALE_MAX_S`], the longest wait first; and the rest by age times weight. Since weights only order the rest,
//! nobody starves: with `n` relevant entities of which `u` are urgent and `m > u` told a tick, each is told at least every
//! `STALE_MAX_S · rate + ceil(n / (m - u))` ticks, because at most `n - 1` are overdue for longer and each is told once.

use arbiter_sim::index::Kind;

use super::aim;
use super::scene::Body;

/// Seconds after which what was not told goes before all that is not urgent.
pub const STALE_MAX_S: f32 = 1.0;

/// Seconds for which whoever hurt, or was hurt by, the viewer is of interest.
pub const CONTACT_S: f32 = 2.0;

/// Weight of what is told every tick.
pub const URGENT: u16 = u16::MAX;

/// The largest weight of all else. Weight 1 is the smallest, so that rates differ by this much at most.
const WEIGHT_MAX: f32 = 1_024.0;

/// Metres within which being nearer makes no difference.
const NEAR_M: f32 = 8.0;

/// Weight at [`NEAR_M`] of a player in the middle of the view, out of which all others follow.
const WEIGHT_NEAR: f32 = 128.0;

/// Below this weight an entity is far: a player ahead from 43 m on, at one's side from 27, behind one's back from 11.
const FAR_WEIGHT: u16 = 24;

/// Seconds between two times that what is far is told while load is shed: a picture of it is extrapolated, then stands for a moment.
const FAR_EVERY_S: f32 = 0.25;

/// What is behind one's back is shown to nobody; it must only be there when one turns.
const BEHIND: f32 = 0.25;

/// Whoever had to do with the viewer is looked for on the screen.
const CONTACT: f32 = 4.0;

fn kind_factor(kind: Kind) -> f32 {
    match kind {
        Kind::Player | Kind::Projectile => 1.0,
        Kind::Shield | Kind::Platform | Kind::Custom => 0.75,
        Kind::Prop | Kind::Deployable | Kind::Area => 0.5,
        Kind::Point | Kind::Pickup => 0.25,
    }
}

/// How fast a relevant entity becomes urgent for a player: from 1, and [`URGENT`] for what is told every tick. `contact` is
/// whether they had to do with each other.
pub fn weight(me: &Body, body: &Body, hostile: bool, contact: bool) -> u16 {
    if body.id == me.id {
        return URGENT;
    }
    if !body.placed {
        return 32;
    }
    let apart = body.shape.position - me.shape.position;
    let distance = apart.length();
    let target = hostile && body.alive && matches!(body.kind, Kind::Player | Kind::Deployable);
    if target && aim::is_aimed_at(me, body, apart, distance) {
        return URGENT;
    }
    // Half a turn away counts least; the factor falls with the angle, as what is at the edge is looked at least.
    let ahead = if distance > 0.0 { me.look.dot(apart) / distance } else { 1.0 };
    let view = BEHIND + (1.0 - BEHIND) * (0.5 + 0.5 * ahead);
    let size = (body.shape.extent[0].max(body.shape.height[1] * 0.5)).clamp(0.5, 2.0);
    let near = NEAR_M / distance.max(NEAR_M);
    let touched = if contact { CONTACT } else { 1.0 };
    (WEIGHT_NEAR * near * view * size * kind_factor(body.kind) * touched).clamp(1.0, WEIGHT_MAX) as u16
}

/// Whether an entity that was told so many ticks ago is far enough to be told rarely.
pub fn may_wait(rate: u16, weight: u16, age: u32) -> bool {
    weight < FAR_WEIGHT && (age as f32) < FAR_EVERY_S * f32::from(rate)
}

/// The key by which what is told is ordered, smallest first; equal ones by label.
#[inline(always)]
pub fn key(rate: u16, weight: u16, age: u32, label: u32) -> u64 {
    const CLASS: u32 = 1 << 30;
    // Below a class: the largest weight for a day's ticks.
    const MOST: u32 = CLASS - 1;
    let stale = (STALE_MAX_S * f32::from(rate)) as u32;
    let urgency = match weight {
        URGENT => 2 * CLASS,
        _ if age >= stale => CLASS + age.min(MOST),
        weight => age.saturating_mul(u32::from(weight)).min(MOST),
    };
    u64::from(!urgency) << 32 | u64::from(label)
}

/// The label of a key.
pub fn label(key: u64) -> u32 {
    key as u32
}
