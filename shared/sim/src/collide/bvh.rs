//! A tree of axis-aligned boxes over pieces: the broad phase of both worlds.
//!
//! The build depends on nothing but the boxes and their order, so that every machine walks the same tree, and it reuses its
//! memory, so that the moving solids of a tick cost no allocation.

use glam::Vec3;

/// An axis-aligned box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aabb {
    /// Its lowest corner.
    pub min: Vec3,
    /// Its highest corner.
    pub max: Vec3,
}

impl Aabb {
    /// Holds nothing; the start of a union.
    pub const EMPTY: Self = Self { min: Vec3::INFINITY, max: Vec3::NEG_INFINITY };

    /// The box with this centre and these half extents.
    pub fn around(centre: Vec3, half: Vec3) -> Self {
        Self { min: centre - half, max: centre + half }
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The smallest box that holds this and a point.
    #[must_use]
    pub fn with(self, point: Vec3) -> Self {
        Self { min: self.min.min(point), max: self.max.max(point) }
    }

    /// Whether the two share a point.
    #[inline(always)]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.min.x <= other.max.x
            && other.min.x <= self.max.x
            && self.min.z <= other.max.z
            && other.min.z <= self.max.z
            && self.min.y <= other.max.y
            && other.min.y <= self.max.y
    }

    /// Distance between the two boxes; 0 where they overlap.
    pub fn distance(&self, other: &Self) -> f32 {
        (self.min - other.max).max(other.min - self.max).max(Vec3::ZERO).length()
    }

    fn centre_twice(&self) -> Vec3 {
        self.min + self.max
    }

    /// Where a ray enters, in multiples of its direction; `None` when it misses or enters beyond `max`.
    #[inline(always)]
    pub fn entry(&self, ray: &Ray, max: f32) -> Option<f32> {
        let to_min = (self.min - Vec3::splat(ray.radius) - ray.from) * ray.inverse;
        let to_max = (self.max + Vec3::splat(ray.radius) - ray.from) * ray.inverse;
        let enter = to_min.min(to_max).max_element().max(0.0);
        let leave = to_min.max(to_max).min_element();
        (enter <= leave && enter <= max).then_some(enter)
    }
}

/// A ray, or the path of a ball, prepared for the walk.
#[derive(Debug, Clone, Copy)]
pub struct Ray {
    from: Vec3,
    inverse: Vec3,
    radius: f32,
}

impl Ray {
    /// From a point along a direction; a ball if `radius` is not 0.
    pub fn new(from: Vec3, direction: Vec3, radius: f32) -> Self {
        // An exact zero would make 0 * infinity on a box's own plane; this is as good as parallel and stays finite.
        let safe = |axis: f32| if axis.abs() < 1e-18 { 1e18 } else { 1.0 / axis };
        Self { from, inverse: Vec3::new(safe(direction.x), safe(direction.y), safe(direction.z)), radius }
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    aabb: Aabb,
    /// First leaf entry.
    first: u32,
    /// Leaf entries; 0 in an inner node.
    count: u32,
    /// The node after this one's whole subtree.
    skip: u32,
}

/// The tree: nodes in depth-first order, each with the index to go on at when it is missed, so the walk needs no stack.
#[derive(Debug, Clone, Default)]
pub struct Bvh {
    nodes: Vec<Node>,
    entries: Vec<(Aabb, u32)>,
}

impl Bvh {
    /// Pieces in a leaf: testing four boxes in a row is cheaper than two more nodes.
    const LEAF: usize = 4;

    /// Builds the tree anew over `boxes`; item i is the i-th.
    pub fn build(&mut self, boxes: impl Iterator<Item = Aabb>) {
        self.nodes.clear();
        self.entries.clear();
        self.entries.extend(boxes.enumerate().map(|(index, aabb)| (aabb, index as u32)));
        if !self.entries.is_empty() {
            Self::branch(&mut self.nodes, &mut self.entries, 0);
        }
    }

    fn branch(nodes: &mut Vec<Node>, entries: &mut [(Aabb, u32)], first: usize) {
        let aabb = entries.iter().fold(Aabb::EMPTY, |sum, entry| sum.union(entry.0));
        let at = nodes.len();
        let leaf = entries.len() <= Self::LEAF;
        let count = if leaf { entries.len() as u32 } else { 0 };
        nodes.push(Node { aabb, first: first as u32, count, skip: 0 });
        if !leaf {
            let centres = entries.iter().fold(Aabb::EMPTY, |sum, entry| sum.with(entry.0.centre_twice()));
            let size = centres.max - centres.min;
            let axis = if size.x >= size.y && size.x >= size.z {
                0
            } else if size.z >= size.y {
                2
            } else {
                1
            };
            let middle = entries.len() / 2;
            // The index breaks ties: the order is total, so the tree is the same whatever the selection does inside.
            entries.select_nth_unstable_by(middle, |a, b| {
                a.0.centre_twice()[axis].total_cmp(&b.0.centre_twice()[axis]).then(a.1.cmp(&b.1))
            });
            let (low, high) = entries.split_at_mut(middle);
            Self::branch(nodes, low, first);
            Self::branch(nodes, high, first + middle);
        } else {
            entries.sort_unstable_by_key(|entry| entry.1);
        }
        nodes[at].skip = nodes.len() as u32;
    }

    /// Every item whose box overlaps `aabb`, with its box.
    #[inline]
    pub fn overlapping(&self, aabb: &Aabb, mut visit: impl FnMut(u32, &Aabb)) {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            if !node.aabb.overlaps(aabb) {
                at = node.skip as usize;
                continue;
            }
            at += 1;
            for (item_box, item) in &self.entries[node.first as usize..][..node.count as usize] {
                if item_box.overlaps(aabb) {
                    visit(*item, item_box);
                }
            }
        }
    }

    /// Every item whose box the ray enters within `best`; `visit` gets the item and lowers `best` when it hits nearer.
    #[inline]
    pub fn along(&self, ray: &Ray, best: &mut f32, mut visit: impl FnMut(u32, &mut f32)) {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            if node.aabb.entry(ray, *best).is_none() {
                at = node.skip as usize;
                continue;
            }
            at += 1;
            for (item_box, item) in &self.entries[node.first as usize..][..node.count as usize] {
                if item_box.entry(ray, *best).is_some() {
                    visit(*item, best);
                }
            }
        }
    }
}

impl Bvh {
    /// The first item that is found to pass `test`, of those whose box the ray enters within `max`.
    #[inline]
    pub fn any_along(&self, ray: &Ray, max: f32, mut test: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            if node.aabb.entry(ray, max).is_none() {
                at = node.skip as usize;
                continue;
            }
            at += 1;
            for (item_box, item) in &self.entries[node.first as usize..][..node.count as usize] {
                if item_box.entry(ray, max).is_some() && test(*item) {
                    return Some(*item);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_overlapping_item_is_found_once() {
        let boxes: Vec<Aabb> = (0..97)
            .map(|i| Aabb::around(Vec3::new((i * 37 % 50) as f32, (i % 5) as f32, (i * 11 % 23) as f32), Vec3::ONE))
            .collect();
        let mut tree = Bvh::default();
        tree.build(boxes.iter().copied());
        let query = Aabb::around(Vec3::new(20.0, 1.0, 10.0), Vec3::new(8.0, 2.0, 6.0));
        let mut found = Vec::new();
        tree.overlapping(&query, |item, _| found.push(item));
        found.sort_unstable();
        let wanted: Vec<u32> = (0..97).filter(|i| boxes[*i as usize].overlaps(&query)).collect();
        assert_eq!(found, wanted);
        assert!(wanted.len() > 3);
    }
}
