//! What one's own hero made and shows before the server tells of it: shots that fly, walls, areas, turrets. Once the server
//! tells of the same thing the two are matched, and nothing is shown twice.

use arbiter_schema::{ComponentId, Describe, Registry, StableId};
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::prediction::{Made, Prediction};
use arbiter_sim::projectiles::Projectile;
use arbiter_snapshot::Frame;
use arrayvec::ArrayVec;

/// Pairs that are remembered: as many as are predicted at a time.
const PAIRS_MAX: usize = 64;
/// Ticks behind its making in which the server may still tell of a thing: a snapshot may leave it out for its budget.
const PATIENCE_TICKS: u32 = 16;

/// See the module.
#[derive(Debug)]
pub struct Prespawned {
    identity: Option<ComponentId>,
    projectile: Option<ComponentId>,
    pairs: ArrayVec<Pair, PAIRS_MAX>,
    matched: u64,
    unmatched: u64,
}

/// The same thing as it was predicted and as the server tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Its predicted id.
    pub made: StableId,
    /// The server's.
    pub told: StableId,
}

impl Prespawned {
    /// For the components of a registry.
    pub fn new(registry: &Registry) -> Self {
        let number = |name| registry.find(name).map(|component| component.id);
        Self {
            identity: number(Identity::NAME),
            projectile: number(Projectile::NAME),
            pairs: ArrayVec::new(),
            matched: 0,
            unmatched: 0,
        }
    }

    /// Things that were matched, and things that the server never told of.
    pub fn counts(&self) -> (u64, u64) {
        (self.matched, self.unmatched)
    }

    /// The matched pairs.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.pairs.clear();
    }

    /// Finds the server's things for those that were made, and takes back those that are not or are no more.
    pub fn compare(&mut self, prediction: &mut Prediction, frame: &Frame) {
        // What the server tells of no more is over, on this side too.
        while let Some(at) = self.pairs.iter().position(|pair| frame.entity(pair.told).next().is_none()) {
            let pair = self.pairs.remove(at);
            prediction.take_back(pair.made);
        }
        let mut at = 0;
        while let Some(made) = prediction.made().get(at).copied() {
            let due = made.tick <= frame.tick();
            if !due || self.pairs.iter().any(|pair| pair.made == made.id) {
                at += 1;
                continue;
            }
            match self.told_of(prediction.mine().slot, &made, frame) {
                Some(told) => {
                    self.matched += 1;
                    if self.pairs.is_full() {
                        self.pairs.remove(0);
                    }
                    self.pairs.push(Pair { made: made.id, told });
                    if matches!(made.kind, Kind::Projectile | Kind::Area) {
                        // It flies and acts on ahead, as one's own hero is ahead.
                        at += 1;
                    } else {
                        prediction.take_back(made.id);
                    }
                }
                None if frame.tick() - made.tick > PATIENCE_TICKS => {
                    self.unmatched += 1;
                    prediction.take_back(made.id);
                }
                None => at += 1,
            }
        }
    }

    /// The first of the same kind that belongs to nobody's prediction yet.
    fn told_of(&self, slot: u16, made: &Made, frame: &Frame) -> Option<StableId> {
        let (identity, projectile) = (self.identity?, self.projectile?);
        let mine = |id: StableId, lanes: &[i32]| {
            let told = Identity::from_lanes(lanes);
            let same = told.kind == made.kind && told.slot() == Some(slot);
            same && (made.kind != Kind::Projectile
                || frame
                    .lanes(id, projectile)
                    .map(Projectile::from_lanes)
                    .is_some_and(|flying| flying.origin == made.origin && flying.number == made.number))
        };
        let rows = frame.rows().filter(|row| row.component == identity && row.id.is_some());
        let mut free = rows.filter(|row| self.pairs.iter().all(|pair| pair.told != row.id));
        free.find(|row| mine(row.id, row.lanes)).map(|row| row.id)
    }
}
