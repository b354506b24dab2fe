//! The tick that spectators are shown: what there was, whose it was, and what each player had been told of it.

use arbiter_protocol::{SoundList, Target, Welcome};
use arbiter_schema::{ComponentId, Describe as _, Registry, StableId};
use arbiter_sim::index::{Identity, Kind};
use arbiter_snapshot::{History, Viewer};

use super::rows::{Bytes, Rows};
use super::tape::{Overheard, Said, read_tick};
use crate::interest::News;

/// An entity of the tick that is shown.
#[derive(Debug, Clone, Copy)]
struct Actor {
    id: StableId,
    team: u8,
    /// Slot of the player that it is or belongs to.
    owner: Option<u16>,
    /// The slot, if it is a player.
    slot: Option<u16>,
    weight: u8,
}

/// What somebody is shown of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everybody and everything.
    Free,
    /// What the player in a slot had been told of.
    Player(u16),
    /// What the killer had been told of, for whoever was killed: the two, what is theirs, what is nobody's, and the mates of the
    /// killed. The killer's mates and their things are left out: where they were tells where they are.
    Kill {
        /// Slot.
        killer: u16,
        /// Slot.
        victim: u16,
    },
}

impl View {
    /// Of a spectator.
    pub fn of(target: Target) -> Self {
        match target {
            Target::Free => Self::Free,
            Target::Player(slot) => Self::Player(slot),
        }
    }
}

/// One that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub id: StableId,
    /// How fast it becomes urgent.
    pub weight: u8,
}

/// See the module.
#[derive(Debug)]
pub struct Stage {
    registry: Registry,
    identity: Option<ComponentId>,
    history: History,
    welcome: Option<Box<Welcome>>,
    tick: Option<u32>,
    rows: Rows,
    spare: Rows,
    /// By slot: what that player had been told of, by id.
    told: Vec<Vec<StableId>>,
    /// What was heard since the last tick that was shown, by tick for each who hears.
    heard: Vec<Overheard>,
    actors: Vec<Actor>,
    /// The slot whose list is cleared next of what is not there any more.
    next_swept: usize,
}

impl Stage {
    /// For matches of so many slots.
    pub fn new(registry: &Registry, slots: usize) -> Self {
        let identity = registry.find(Identity::NAME);
        Self {
            identity: identity.filter(|it| it.lanes == Identity::lane_descs()).map(|it| it.id),
            history: History::new(registry),
            registry: registry.clone(),
            welcome: None,
            tick: None,
            rows: Rows::default(),
            spare: Rows::default(),
            told: vec![Vec::new(); slots],
            heard: Vec::new(),
            actors: Vec::new(),
            next_swept: 0,
        }
    }

    /// What the match that is shown is called; `None` until its first tick is.
    pub fn welcome(&self) -> Option<(u32, &Welcome)> {
        self.tick.zip(self.welcome.as_deref())
    }

    /// What is encoded.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Another match begins.
    pub fn begin(&mut self, welcome: Box<Welcome>) {
        self.history = History::new(&self.registry);
        self.rows.clear();
        self.actors.clear();
        self.told.iter_mut().for_each(Vec::clear);
        self.heard.clear();
        (self.welcome, self.tick) = (Some(welcome), None);
    }

    /// Goes on to the next tick; false if its rows were left out. What is to be encoded is only made if somebody watches.
    pub fn play(&mut self, from: Bytes<'_>, is_watched: bool) -> bool {
        let Self { rows, spare, told, heard, .. } = self;
        let (tick, has_rows) = read_tick(from, rows, spare, |said| match said {
            Said::News(slot, news) => {
                if let Some(told) = told.get_mut(usize::from(slot)) {
                    note(told, news);
                }
            }
            Said::Heard(overheard) => heard.extend(Some(overheard).filter(|_| is_watched)),
        });
        if !has_rows {
            return false;
        }
        self.tick = Some(tick);
        if is_watched {
            self.cast();
            self.sweep();
            self.history.begin(tick);
            for row in self.rows.iter() {
                self.history.row(row.id, row.component, row.owner, row.team, row.lanes);
            }
            self.history.finish();
        }
        true
    }

    /// What was heard is told.
    pub fn hush(&mut self) {
        self.heard.clear();
    }

    /// What somebody with a view hears since the last tick that was shown: the tick, and what. Whoever was killed hears nothing:
    /// its killer heard where those are who are left out.
    pub fn heard(&self, view: View) -> impl Iterator<Item = (u32, &SoundList)> {
        let slot = match view {
            View::Free => Some(None),
            View::Player(slot) => Some(Some(slot)),
            View::Kill { .. } => None,
        };
        let own = self.heard.iter().filter(move |heard| Some(heard.slot) == slot);
        own.map(|heard| (heard.tick, &heard.list))
    }

    /// Finds out who is there.
    fn cast(&mut self) {
        self.actors.clear();
        for row in self.rows.iter() {
            if self.actors.last().is_none_or(|last| last.id != row.id) {
                self.actors.push(Actor { id: row.id, team: row.team, owner: row.owner, slot: None, weight: 1 });
            }
            if Some(row.component) == self.identity
                && let Some(actor) = self.actors.last_mut()
            {
                let identity = Identity::from_lanes(row.lanes);
                actor.slot = identity.slot().filter(|_| identity.kind == Kind::Player);
                actor.weight = weight(identity.kind);
            }
        }
    }

    /// Takes out of a list what is not there any more, of which its player is not told that it is gone. One list a tick: what is
    /// not there is not shown in any case, since ids are not used again.
    fn sweep(&mut self) {
        let Self { actors, told, next_swept, .. } = self;
        if let Some(told) = told.get_mut(*next_swept) {
            told.retain(|id| actors.binary_search_by_key(id, |actor| actor.id).is_ok());
        }
        *next_swept = if *next_swept + 1 < told.len() { *next_swept + 1 } else { 0 };
    }

    fn team_of(&self, slot: u16) -> u8 {
        let player = self.actors.iter().find(|actor| actor.slot == Some(slot));
        player.map_or(0, |player| player.team)
    }

    /// Who somebody with a view is to what there is: what is for owners alone is shown to nobody, since it stays true for longer
    /// than any delay (what a weapon's spread is drawn from holds for a life).
    pub fn viewer(&self, view: View) -> Viewer {
        let team = match view {
            View::Free => Viewer::EVERY_TEAM,
            View::Player(slot) | View::Kill { victim: slot, .. } => self.team_of(slot),
        };
        Viewer { slot: None, team }
    }

    /// Appends what may be shown, by id; the match itself always.
    pub fn show(&self, view: View, to: &mut Vec<Shown>) {
        match view {
            View::Free => to.extend(self.actors.iter().map(Shown::of)),
            View::Player(slot) => self.show_told(slot, |_| true, to),
            View::Kill { killer, victim } => {
                let team = self.team_of(victim);
                let may = |actor: &Actor| {
                    let theirs = actor.owner.is_none_or(|owner| owner == killer || owner == victim);
                    theirs || (team != 0 && actor.team == team)
                };
                self.show_told(killer, may, to);
            }
        }
    }

    fn show_told(&self, slot: u16, may: impl Fn(&Actor) -> bool, to: &mut Vec<Shown>) {
        to.extend(self.actors.first().filter(|actor| actor.id == StableId::NONE).map(Shown::of));
        let told = self.told.get(usize::from(slot)).map_or(&[][..], Vec::as_slice);
        let at = |id: &StableId| self.actors.binary_search_by_key(id, |actor| actor.id).ok();
        let known = told.iter().filter(|id| id.is_some()).filter_map(at).map(|at| &self.actors[at]);
        to.extend(known.filter(|actor| may(actor)).map(|actor| match actor.slot {
            // Whose view it is.
            Some(own) if own == slot => Shown { id: actor.id, weight: u8::MAX },
            _ => Shown::of(actor),
        }));
    }
}

impl Shown {
    fn of(actor: &Actor) -> Self {
        Self { id: actor.id, weight: actor.weight }
    }
}

/// How much sooner one kind of thing is told again than another, where not all fits into a tick.
fn weight(kind: Kind) -> u8 {
    match kind {
        Kind::Player | Kind::Projectile => 8,
        Kind::Shield | Kind::Platform | Kind::Custom => 6,
        Kind::Prop | Kind::Deployable | Kind::Area => 4,
        Kind::Point | Kind::Pickup => 2,
    }
}

/// Notes what a player was told.
fn note(told: &mut Vec<StableId>, news: News) {
    match news {
        News::Nothing => told.clear(),
        News::Told(id) => {
            if let Err(at) = told.binary_search(&id) {
                told.insert(at, id);
            }
        }
        News::Forgotten(id) => {
            if let Ok(at) = told.binary_search(&id) {
                told.remove(at);
            }
        }
    }
}
