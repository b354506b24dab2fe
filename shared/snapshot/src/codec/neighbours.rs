//! Who was told before in the same packet, near whom something happened may have been pushed too.

use super::entity::{Around, Told};
use super::numbers::root;

/// Nearer than this many lane steps, two entities may touch.
const NEAR: i32 = 260;

/// Those that are remembered, the first ones: each that is told looks at all of them, and a hostile part may tell of many.
const NEIGHBOURS_MAX: usize = 1_024;

#[derive(Debug, Clone, Copy, Default)]
struct Neighbour {
    place: [i32; 3],
    told: Told,
}

/// Those that were told.
#[derive(Debug, Default)]
pub struct Neighbours {
    told: Vec<Neighbour>,
    /// What the receiver drives, and where that was before.
    driven: Option<(Neighbour, [i32; 3])>,
}

/// The place in an entity's lanes, from lane `at` on.
pub fn place_of(lanes: &[i32], at: usize) -> [i32; 3] {
    [lanes[at], lanes[at + 1], lanes[at + 2]]
}

/// Beyond this far apart, how far makes no difference.
const APART_MAX: u32 = 1 << 30;

/// The square of a distance.
pub fn square(a: [i32; 3], b: [i32; 3]) -> i64 {
    a.iter().zip(b).map(|(a, b)| i64::from(a.abs_diff(b).min(APART_MAX)).pow(2)).sum()
}

impl Neighbours {
    /// Nobody was told.
    pub fn clear(&mut self) {
        self.told.clear();
        self.driven = None;
    }

    /// Whether what the receiver drives was told.
    pub fn has_driven(&self) -> bool {
        self.driven.is_some()
    }

    /// Adds one that was told: its newest state, what it is now, its place's first lane, and whether the receiver drives it.
    pub fn add(&mut self, before: &[i32], now: &[i32], place: usize, told: &Told, is_driven: bool) {
        let neighbour = Neighbour { place: place_of(now, place), told: *told };
        if is_driven {
            self.driven = Some((neighbour, place_of(before, place)));
        }
        if self.told.len() < NEIGHBOURS_MAX {
            self.told.push(neighbour);
        }
    }

    /// What is known of the surroundings of one whose newest state is `lanes`.
    pub fn around(&self, lanes: &[i32], place: usize) -> Around {
        let here = place_of(lanes, place);
        let mut around = Around::default();
        let mut nearest = [(i64::MAX, 0); 2];
        for (at, other) in self.told.iter().enumerate() {
            let apart = square(here, other.place);
            around.crowd += i32::from(apart < i64::from(NEAR).pow(2));
            if apart < nearest[0].0 {
                nearest = [(apart, at), nearest[0]];
            } else if apart < nearest[1].0 {
                nearest[1] = (apart, at);
            }
        }
        let distance = |square: i64| root(square).min(1 << 20) as i32;
        let amount = |told: &Told| told.missed.iter().map(|part| part.abs()).sum::<i64>().min(1 << 20) as i32;
        for (number, (apart, at)) in nearest.into_iter().enumerate() {
            around.distances[number] = distance(apart);
            if let Some(other) = self.told.get(at).filter(|_| apart < i64::MAX) {
                around.missed[number] = other.told.missed;
                if number == 0 {
                    around.amount = [amount(&other.told), other.told.turned];
                }
            }
        }
        if let Some((driver, before)) = &self.driven {
            around.distances[2] = distance(square(here, driver.place));
            around.missed[2] = driver.told.missed;
            around.driver_amount = amount(&driver.told);
            around.driver_way = around.distances[2] - distance(square(here, *before));
        }
        around
    }
}
