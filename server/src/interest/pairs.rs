//! What one client's watcher remembers of each entity: side by side by what is looked at together, since most of a tick is
//! walking these lists. Entities are found by their place in the scene; a place that went to another entity starts afresh.

use arbiter_schema::StableId;

use super::marks::{LANES, Marks, at};
use super::settings::ENTITIES_MAX;
use super::shaft::Memory;

/// It may be known now.
pub const RELEVANT: u8 = 1;
/// The client was told of it and not yet that it is out of sight.
pub const TOLD: u8 = 2;
/// By sight, not because a team mate sees it.
pub const SEEN: u8 = 4;
/// It is a player: the simulation must know who was told of it.
const PLAYER: u8 = 8;
/// A team mate sees it.
pub const MATES_SEE: u8 = 16;
/// It had to do with the viewer of late.
pub const CONTACT: u8 = 32;

/// By one's own eyes or by a team mate's.
pub const MAY_KNOW: u8 = RELEVANT | MATES_SEE;

/// News of one tick that are noted without an allocation once a room is warm.
const NEWS_USUAL: usize = 64;

/// What a client was told of another player, or where somebody watches, of any entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It knows of this one, and did not before.
    Told(StableId),
    /// It was told that this one is out of sight.
    Forgotten(StableId),
    /// It has nothing any more.
    Nothing,
}

/// What is needed only when an entity is looked at by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged {
    /// Where to begin the next time.
    pub memory: Memory,
    /// How far ahead the last judgement looked: a place in the list of slacks.
    pub level: u8,
    /// What a judgement is likely to cost, by what the last ones did.
    pub likely_cost: u16,
    /// Until when it is of interest because of what it did.
    pub contact_until: u32,
}

/// What is looked at in every look, of the entities at [`LANES`] places.
#[derive(Debug, Clone)]
pub struct Block {
    /// Which entity stands here.
    pub id: [StableId; LANES],
    /// When it is judged next.
    pub due: [u32; LANES],
    /// Tick at which it was told last.
    pub told: [u32; LANES],
    /// How fast it becomes urgent, as it was weighed last.
    pub weight: [f32; LANES],
    /// [`RELEVANT`], [`TOLD`], [`SEEN`], [`MATES_SEE`], [`CONTACT`].
    pub flags: [u8; LANES],
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pairs {
    /// By place.
    pub blocks: Vec<Block>,
    /// The rest, by place.
    pub judged: Vec<Judged>,
    /// What was told of players since the room last asked, in order.
    pub news: Vec<News>,
    /// The same of every entity, for those who watch; `None` where nobody may.
    pub watched: Option<Vec<News>>,
}

impl Block {
    const EMPTY: Self = Self {
        id: [StableId::NONE; LANES],
        due: [0; LANES],
        told: [0; LANES],
        weight: [0.0; LANES],
        flags: [0; LANES],
    };

    /// Whether what is noted of a place is of what stands there now.
    #[inline(always)]
    pub fn is_of(&self, marks: &Marks, lane: usize) -> bool {
        (self.id[lane] == marks.id[lane]) & (marks.id[lane] != StableId::NONE)
    }
}

impl Pairs {
    /// Whether what stands at `place` is this entity.
    pub fn holds(&self, place: usize, id: StableId) -> bool {
        let (block, lane) = at(place);
        self.blocks.get(block).is_some_and(|block| block.id[lane] == id)
    }

    /// What is noted of the entity at a place; the place must be in use.
    pub fn flags(&self, place: usize) -> u8 {
        let (block, lane) = at(place);
        self.blocks[block].flags[lane]
    }

    /// See [`Self::flags`].
    pub fn flags_mut(&mut self, place: usize) -> &mut u8 {
        let (block, lane) = at(place);
        &mut self.blocks[block].flags[lane]
    }

    /// Room for as many places as are in use; grows in steps so that a room that is warm does not.
    pub fn reserve(&mut self, places: usize) {
        const STEP: usize = 4;
        let blocks = places.div_ceil(LANES);
        if self.blocks.len() < blocks {
            let blocks = blocks.next_multiple_of(STEP).min(ENTITIES_MAX.div_ceil(LANES));
            self.blocks.resize(blocks, Block::EMPTY);
            self.judged.resize(blocks * LANES, Judged::default());
            self.news.reserve(NEWS_USUAL);
        }
    }

    /// Another entity stands at a place from now on; its wait begins at `tick`.
    pub fn begin(&mut self, place: usize, id: StableId, is_player: bool, tick: u32) {
        let (block, lane) = at(place);
        let block = &mut self.blocks[block];
        (block.id[lane], block.due[lane], block.told[lane]) = (id, 0, tick);
        block.flags[lane] = if is_player { PLAYER } else { 0 };
        self.judged[place] = Judged::default();
    }

    /// What stands here is in the snapshot of `tick`.
    pub fn tell(&mut self, place: usize, tick: u32) {
        let (block, lane) = at(place);
        let block = &mut self.blocks[block];
        let (id, flags) = (block.id[lane], block.flags[lane]);
        block.told[lane] = tick;
        block.flags[lane] |= TOLD;
        if flags & TOLD == 0 {
            self.note(News::Told(id), flags & PLAYER != 0);
        }
    }

    /// The client is told that what stands here is out of sight.
    pub fn forget(&mut self, place: usize) {
        let (block, lane) = at(place);
        let block = &mut self.blocks[block];
        let (id, flags) = (block.id[lane], block.flags[lane]);
        block.flags[lane] &= !TOLD;
        if flags & TOLD != 0 {
            self.note(News::Forgotten(id), flags & PLAYER != 0);
        }
    }

    fn note(&mut self, news: News, is_of_player: bool) {
        if is_of_player {
            self.news.push(news);
        }
        if let Some(watched) = &mut self.watched {
            watched.push(news);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.note(News::Nothing, true);
        self.blocks.fill(Block::EMPTY);
    }

    /// Says once more all that the client was told of, for those who watch.
    pub fn tell_watched_again(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.clear();
            watched.push(News::Nothing);
            for block in &self.blocks {
                let told = block.id.iter().zip(block.flags).filter(|(_, flags)| flags & TOLD != 0);
                watched.extend(told.map(|(id, _)| News::Told(*id)));
            }
        }
    }
}
