//! What is looked at of every entity for every client in every look: by place, in blocks of so many that a block is walked along
//! without a branch and the compiler makes vectors of it.

use arbiter_schema::StableId;

use super::rank;
use super::scene::{Body, Secrecy};

/// Places of a block.
pub const LANES: usize = 64;

/// It moved as nobody could foresee: see [`Body::jolted`].
pub const JOLTED: u8 = 1;
/// One may aim at it.
pub const TARGET: u8 = 2;
/// It is somewhere.
pub const PLACED: u8 = 4;
/// Everybody may always know it.
pub const OPEN: u8 = 8;
/// See [`Secrecy::Remembered`].
pub const REMEMBERED: u8 = 16;
/// It is an area, which one feels inside of.
pub const AREA: u8 = 32;
/// It and what it does can be judged.
pub const FINITE: u8 = 64;

/// The entities at [`LANES`] places.
#[derive(Debug, Clone)]
pub struct Marks {
    /// Which; none where nothing stands.
    pub id: [StableId; LANES],
    /// Where it is.
    pub x: [f32; LANES],
    /// See `x`.
    pub y: [f32; LANES],
    /// See `x`.
    pub z: [f32; LANES],
    /// Its own share of what it weighs for whoever looks: see [`rank::heft`].
    pub heft: [f32; LANES],
    /// [`JOLTED`] and the others.
    pub traits: [u8; LANES],
    /// Whose it is: see [`side`].
    pub side: [u32; LANES],
    /// Its place in the scene's bodies.
    pub body: [u32; LANES],
}

impl Marks {
    /// Nothing at any place.
    pub const EMPTY: Self = Self {
        id: [StableId::NONE; LANES],
        x: [0.0; LANES],
        y: [0.0; LANES],
        z: [0.0; LANES],
        heft: [0.0; LANES],
        traits: [0; LANES],
        side: [0; LANES],
        body: [0; LANES],
    };

    /// Nothing stands at a place any more, which is no target either.
    pub fn clear(&mut self, lane: usize) {
        (self.id[lane], self.traits[lane], self.body[lane]) = (StableId::NONE, 0, 0);
    }

    /// Notes what stands at a place.
    pub fn set(&mut self, lane: usize, body: &Body, at: u32) {
        let position = body.shape.position;
        (self.id[lane], self.body[lane]) = (body.id, at);
        (self.x[lane], self.y[lane], self.z[lane]) = (position.x, position.y, position.z);
        (self.heft[lane], self.side[lane]) = (rank::heft(body), side(body.team, body.owner));
        let traits = [
            (JOLTED, body.jolted),
            (TARGET, body.is_target()),
            (PLACED, body.placed),
            (OPEN, !body.placed || body.secrecy == Secrecy::Open),
            (REMEMBERED, body.secrecy == Secrecy::Remembered),
            (AREA, body.area > 0.0),
            (FINITE, body.shape.is_finite()),
        ];
        self.traits[lane] = traits.into_iter().fold(0, |all, (bit, is)| if is { all | bit } else { all });
    }
}

/// Team and owner of an entity as one number.
pub fn side(team: u8, owner: u16) -> u32 {
    u32::from(team) << 16 | u32::from(owner)
}

/// The owner of a side; 0 is nobody.
pub fn owner(side: u32) -> u32 {
    side & u32::from(u16::MAX)
}

/// Whether something of one side is a player's own or of that player's team.
pub fn is_ours(side: u32, mine: u32) -> bool {
    let (owner, team) = (u32::from(u16::MAX), u32::from(u8::MAX) << 16);
    let is_same = |part: u32| side & part != 0 && side & part == mine & part;
    is_same(owner) || is_same(team)
}

/// The block and the lane of a place.
pub fn at(place: usize) -> (usize, usize) {
    (place / LANES, place % LANES)
}

/// Calls `visit` with each lane that is set.
pub fn each(lanes: &[bool; LANES], mut visit: impl FnMut(usize)) {
    for (eighth, lanes) in lanes.as_chunks::<8>().0.iter().enumerate() {
        let mut left = u64::from_le_bytes(lanes.map(u8::from));
        while left != 0 {
            visit(eighth * 8 + left.trailing_zeros() as usize / 8);
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_lane_is_visited_once_in_order() {
        let lanes = core::array::from_fn(|lane| [0, 1, 7, 8, 30, 63].contains(&lane));
        let mut visited = Vec::new();
        each(&lanes, |lane| visited.push(lane));
        assert_eq!(visited, [0, 1, 7, 8, 30, 63]);
        each(&[false; LANES], |lane| panic!("{lane}"));
    }

    #[test]
    fn ours_is_what_we_own_and_what_our_team_does() {
        assert!(is_ours(side(0, 3), side(0, 3)) && is_ours(side(2, 4), side(2, 3)));
        assert!(!is_ours(side(0, 4), side(0, 3)) && !is_ours(side(1, 4), side(2, 3)));
        assert!(!is_ours(side(0, 0), side(0, 3)), "what is nobody's is not ours");
    }
}
