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

/// See the module.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Which entity stands here.
    pub ids: Vec<StableId>,
    /// When it is judged next.
    pub due: Vec<u32>,
    /// Tick at which it was told last.
    pub told: Vec<u32>,
    /// How fast it becomes urgent.
    pub weights: Vec<u16>,
    /// [`RELEVANT`], [`TOLD`], [`SEEN`].
    pub flags: Vec<u8>,
    /// The rest.
    pub judged: Vec<Judged>,
}

impl Pairs {
    /// Room for as many places as are in use; grows in steps so that a room that is warm does not.
    pub fn reserve(&mut self, places: usize) {
        const STEP: usize = 256;
        if self.ids.len() < places {
            let places = places.next_multiple_of(STEP).min(ENTITIES_MAX);
            self.ids.resize(places, StableId::NONE);
            self.due.resize(places, 0);
            self.told.resize(places, 0);
            self.weights.resize(places, 1);
            self.flags.resize(places, 0);
            self.judged.resize(places, Judged::default());
        }
    }

    /// Another entity stands at a place from now on; its wait begins at `tick`.
    pub fn begin(&mut self, place: usize, id: StableId, tick: u32) {
        self.ids[place] = id;
        (self.due[place], self.told[place], self.weights[place], self.flags[place]) = (0, tick, 1, 0);
        self.judged[place] = Judged::default();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ids.fill(StableId::NONE);
        self.flags.fill(0);
    }
}
