//! What one client's watcher remembers of each entity: side by side by what is looked at together, since most of a tick is
//! walking these lists. Entities are found by their place in the scene; a place that went to another entity starts afresh.

use arbiter_schema::StableId;

use super::settings::ENTITIES_MAX;
use super::shaft::Memory;

/// It may be known now.
pub const RELEVANT: u8 = 1;
/// The client was told of it and not yet that it is out of sight.
pub const TOLD: u8 = 2;
/// By sight, not because a team mate sees it.
pub const SEEN: u8 = 4;

/// What is needed only when an entity is judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged {
    /// Where to begin the next time.
    pub memory: Memory,
    /// How far ahead the last judgement looked: a place in the list of slacks.
    pub level: u8,
    /// Until when it is of interest because of what it did.
    pub contact_until: u32,
    /// When it went out of sight.
    pub lost: u32,
}

/// What is looked at of an entity in every tick: a quarter of a cache line, since one that is wanted is found at random.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Which entity stands here.
    pub id: StableId,
    /// When it is judged next.
    pub due: u32,
    /// Tick at which it was told last.
    pub told: u32,
    /// How fast it becomes urgent.
    pub weight: u16,
    /// [`RELEVANT`], [`TOLD`], [`SEEN`].
    pub flags: u8,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pairs {
    /// By place.
    pub all: Vec<Pair>,
    /// The rest, by place.
    pub judged: Vec<Judged>,
}

impl Pair {
    fn new(id: StableId, told: u32) -> Self {
        Self { id, due: 0, told, weight: 1, flags: 0 }
    }
}

impl Pairs {
    /// Room for as many places as are in use; grows in steps so that a room that is warm does not.
    pub fn reserve(&mut self, places: usize) {
        const STEP: usize = 256;
        if self.all.len() < places {
            let places = places.next_multiple_of(STEP).min(ENTITIES_MAX);
            self.all.resize(places, Pair::new(StableId::NONE, 0));
            self.judged.resize(places, Judged::default());
        }
    }

    /// Another entity stands at a place from now on; its wait begins at `tick`.
    pub fn begin(&mut self, place: usize, id: StableId, tick: u32) {
        self.all[place] = Pair::new(id, tick);
        self.judged[place] = Judged::default();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.all.fill(Pair::new(StableId::NONE, 0));
    }
}
