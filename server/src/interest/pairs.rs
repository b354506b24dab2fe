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
/// It is a player: the simulation must know who was told of it.
const PLAYER: u8 = 8;
/// A team mate sees it.
pub const MATES_SEE: u8 = 16;

/// In place of a weight: it is to be weighed before anything else is done with it.
pub const UNWEIGHED: u16 = 0;

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

/// What is needed only when an entity is judged.
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

/// What is looked at of an entity in every tick: a quarter of a cache line, since one that is wanted is found at random.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Which entity stands here.
    pub id: StableId,
    /// When it is judged next.
    pub due: u32,
    /// Tick at which it was told last.
    pub told: u32,
    /// How fast it becomes urgent, or [`UNWEIGHED`].
    pub weight: u16,
    /// [`RELEVANT`], [`TOLD`], [`SEEN`], [`MATES_SEE`].
    pub flags: u8,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pairs {
    /// By place.
    pub all: Vec<Pair>,
    /// The rest, by place.
    pub judged: Vec<Judged>,
    /// What was told of players since the room last asked, in order.
    pub news: Vec<News>,
    /// The same of every entity, for those who watch; `None` where nobody may.
    pub watched: Option<Vec<News>>,
}

impl Pair {
    fn new(id: StableId, told: u32) -> Self {
        Self { id, due: 0, told, weight: UNWEIGHED, flags: 0 }
    }
}

impl Pairs {
    /// Whether what stands at `place` is this entity.
    pub fn holds(&self, place: usize, id: StableId) -> bool {
        self.all.get(place).is_some_and(|pair| pair.id == id)
    }

    /// Room for as many places as are in use; grows in steps so that a room that is warm does not.
    pub fn reserve(&mut self, places: usize) {
        const STEP: usize = 256;
        if self.all.len() < places {
            let places = places.next_multiple_of(STEP).min(ENTITIES_MAX);
            self.all.resize(places, Pair::new(StableId::NONE, 0));
            self.judged.resize(places, Judged::default());
            self.news.reserve(NEWS_USUAL);
        }
    }

    /// Another entity stands at a place from now on; its wait begins at `tick`.
    pub fn begin(&mut self, place: usize, id: StableId, is_player: bool, tick: u32) {
        self.all[place] = Pair { flags: if is_player { PLAYER } else { 0 }, ..Pair::new(id, tick) };
        self.judged[place] = Judged::default();
    }

    /// What stands here is in the snapshot of `tick`. Returns it as it is now.
    pub fn tell(&mut self, place: usize, tick: u32) -> Pair {
        let pair = &mut self.all[place];
        pair.told = tick;
        if pair.flags & (TOLD | PLAYER) == PLAYER {
            self.news.push(News::Told(pair.id));
        }
        if pair.flags & TOLD == 0
            && let Some(watched) = &mut self.watched
        {
            watched.push(News::Told(pair.id));
        }
        pair.flags |= TOLD;
        *pair
    }

    /// The client is told that what stands here is out of sight.
    pub fn forget(&mut self, place: usize) {
        let pair = &mut self.all[place];
        if pair.flags & (TOLD | PLAYER) == TOLD | PLAYER {
            self.news.push(News::Forgotten(pair.id));
        }
        if pair.flags & TOLD != 0
            && let Some(watched) = &mut self.watched
        {
            watched.push(News::Forgotten(pair.id));
        }
        pair.flags &= !TOLD;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.news.push(News::Nothing);
        if let Some(watched) = &mut self.watched {
            watched.push(News::Nothing);
        }
        self.all.fill(Pair::new(StableId::NONE, 0));
    }

    /// Says once more all that the client was told of, for those who watch.
    pub fn tell_watched_again(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.clear();
            watched.push(News::Nothing);
            let told = self.all.iter().filter(|pair| pair.flags & TOLD != 0);
            watched.extend(told.map(|pair| News::Told(pair.id)));
        }
    }
}
