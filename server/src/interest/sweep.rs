//! What a look does with all that stands in a [block](super::marks) of places, without a branch: the compiler makes vectors of it.

use arbiter_schema::StableId;

use super::aim;
use super::marks::{JOLTED, LANES, Marks, PLACED, REMEMBERED, TARGET, each};
use super::pairs::{Block, CONTACT, MAY_KNOW, TOLD};
use super::rank::{self, Order, URGENT, Wait};
use super::scene::Body;

/// Which of them must be looked at one by one: what came to its place, what is due, what moved as nobody could foresee, and
/// what had to do with the viewer.
pub fn closer(marks: &Marks, pairs: &Block, tick: u32, all: bool) -> [bool; LANES] {
    core::array::from_fn(|lane| {
        let is_new = pairs.id[lane] != marks.id[lane];
        let is_noted = (marks.traits[lane] & JOLTED != 0) | (pairs.flags[lane] & CONTACT != 0);
        (marks.id[lane] != StableId::NONE) & (all | is_new | is_noted | (pairs.due[lane] <= tick))
    })
}

/// Which of them the client was told of and may not know any more.
pub fn gone(marks: &Marks, pairs: &Block) -> [bool; LANES] {
    core::array::from_fn(|lane| {
        let (flags, is_remembered) = (pairs.flags[lane], marks.traits[lane] & REMEMBERED != 0);
        pairs.is_of(marks, lane) & (flags & TOLD != 0) & (flags & MAY_KNOW == 0) & !is_remembered
    })
}

/// Weighs all of them anew, whether the client may know them or not.
pub fn weigh(me: &Body, bodies: &[Body], marks: &Marks, pairs: &mut Block) {
    let (at, look) = (me.shape.position, me.look);
    let reach = me.weapon_range + aim::EDGE_MAX + aim::CLOSE;
    let mut is_urgent = [false; LANES];
    for (lane, is_urgent) in is_urgent.iter_mut().enumerate() {
        let (x, y, z) = (marks.x[lane] - at.x, marks.y[lane] - at.y, marks.z[lane] - at.z);
        let (ahead, metres) = (look.x * x + look.y * y + look.z * z, (x * x + y * y + z * z).sqrt());
        let (traits, flags) = (marks.traits[lane], pairs.flags[lane]);
        let weight = rank::weight(marks.heft[lane], ahead, metres, flags & CONTACT != 0);
        pairs.weight[lane] = if traits & PLACED != 0 { weight } else { rank::WEIGHT_NOWHERE };
        // More than are, but few.
        let is_target = (flags & MAY_KNOW != 0) & (traits & TARGET != 0);
        let is_before = (ahead + aim::EDGE_MAX >= aim::CONE_COSINE * metres) | (metres < aim::CLOSE);
        *is_urgent = (is_target & is_before & (metres <= reach)) | (marks.id[lane] == me.id);
    }
    each(&is_urgent, |lane| {
        if rank::is_urgent(me, &bodies[marks.body[lane] as usize]) {
            pairs.weight[lane] = URGENT;
        }
    });
}

/// The ticks for which a look is made.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    /// The first.
    pub tick: u32,
    /// How many there are.
    pub window: u32,
    /// What is known and weighs less is left out of some.
    pub stretch: f32,
}

/// Puts what may be known, and is told in one of those ticks, among `keys`, each with its place.
pub fn offer(order: &Order, marks: &Marks, pairs: &Block, within: Within, first: usize, keys: &mut Vec<u64>) {
    let Within { tick, window, stretch } = within;
    let (mut urgencies, mut is_offered) = ([0; LANES], [false; LANES]);
    for lane in 0..LANES {
        let flags = pairs.flags[lane];
        let age = tick.wrapping_sub(pairs.told[lane]);
        let wait = Wait { weight: pairs.weight[lane], age, is_known: flags & TOLD != 0 };
        urgencies[lane] = order.urgency(wait);
        let period = rank::period(stretch, wait.weight, wait.is_known);
        let is_turn = rank::is_turn(tick, marks.id[lane], period, age, window);
        is_offered[lane] = pairs.is_of(marks, lane) & (flags & MAY_KNOW != 0) & is_turn;
    }
    each(&is_offered, |lane| keys.push(rank::key(urgencies[lane], (first + lane) as u32)));
}
