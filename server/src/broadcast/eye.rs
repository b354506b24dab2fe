//! One client that is shown a stage: what it was told of, and what it is told next.

use arbiter_protocol::Sounds;
use arbiter_schema::StableId;
use arbiter_snapshot::{Cache, Peer, PeerParts, Wish};

use super::stage::{Shown, Stage, View};
use crate::interest::WANTED_MAX;
use crate::sounds::{self, SoundQueue};

/// What was told longer ago than this many ticks is as urgent as can be.
const AGE_MAX: u32 = 1 << 16;

/// See the module.
#[derive(Debug)]
pub struct Eye {
    peer: Peer,
    /// What it has yet to hear.
    sounds: SoundQueue,
    /// What it was told of and not that it is gone, and when last, by id.
    told: Vec<(StableId, u32)>,
}

/// What one eye after the other is told with.
#[derive(Debug, Default)]
pub struct Ink {
    cache: Cache,
    parts: PeerParts,
    sounds: Vec<u8>,
    shown: Vec<Shown>,
    told: Vec<(StableId, u32)>,
    keys: Vec<(u64, StableId)>,
    wanted: Vec<StableId>,
    gone: Vec<StableId>,
}

impl Eye {
    /// Of a client that holds nothing; see [`Peer::new`].
    pub fn new(ladder: u32) -> Self {
        Self { peer: Peer::new(ladder), sounds: SoundQueue::new(0), told: Vec::new() }
    }

    /// What became of a part.
    pub fn land(&mut self, tag: u32, came: bool) {
        sounds::land(&mut self.peer, &mut self.sounds, tag, came);
    }

    /// From this tick on nothing counts as held.
    pub fn restart(&mut self, tick: u32) {
        self.peer.restart(tick);
    }

    /// The client holds nothing. Tags go on.
    pub fn reset(&mut self) {
        self.peer.reset();
        self.sounds.begin(0);
        self.told.clear();
    }

    /// Is shown another view, or another match, from now on: what was to be heard of the one before is not told any more.
    pub fn turn_away(&mut self, tick_rate: u16) {
        self.sounds.begin(tick_rate);
    }

    /// Hears what a stage has to be heard, whether or not it is shown a tick now.
    pub fn hear(&mut self, stage: &Stage, view: View) {
        for (tick, list) in stage.heard(view) {
            self.sounds.push(tick, list.clone());
        }
    }

    /// Tells the tick of a stage; `part` takes each part with its tag and what is heard with it, and says whether it could.
    pub fn tell(
        &mut self,
        stage: &Stage,
        tick: u32,
        view: View,
        budget_bytes: usize,
        ink: &mut Ink,
        mut part: impl FnMut(u32, Option<Sounds<'_>>, &[u8]) -> bool,
    ) {
        ink.sounds.clear();
        self.sounds.write(tick, budget_bytes, &mut ink.sounds);
        let budget_bytes = budget_bytes - ink.sounds.len();
        ink.shown.clear();
        stage.show(view, &mut ink.shown);
        ink.rank(&self.told, tick);
        // Told always, so that the clock of whoever watches a still scene goes on.
        let always = Some(StableId::NONE);
        let wish = Wish { wanted: &ink.wanted, gone: &ink.gone, always, budget_bytes };
        let (history, viewer) = (stage.history(), stage.viewer(view));
        let served = self.peer.encode(history, &mut ink.cache, viewer, &wish, &mut ink.parts);
        ink.note(served, tick);
        core::mem::swap(&mut ink.told, &mut self.told);
        let mut sounds = Sounds::new(&ink.sounds).ok();
        for (tag, bytes) in ink.parts.iter() {
            self.sounds.sent(tag);
            if !part(tag, sounds.take(), bytes) {
                self.land(tag, false);
            }
        }
        self.sounds.unsent();
    }
}

impl Ink {
    /// What may be shown of a tick, the longest not told and weightiest first, and what was `told` and may not any more. Both
    /// lists that this is made from are in the order of ids.
    fn rank(&mut self, told: &[(StableId, u32)], tick: u32) {
        let mut before = told.iter().copied().peekable();
        self.told.clear();
        self.keys.clear();
        self.gone.clear();
        for shown in &self.shown {
            while let Some((id, _)) = before.next_if(|(id, _)| *id < shown.id) {
                self.gone.push(id);
            }
            let told = before.next_if(|(id, _)| *id == shown.id).map(|(_, told)| told);
            self.told.extend(told.map(|told| (shown.id, told)));
            let age = told.map_or(AGE_MAX, |told| tick.saturating_sub(told).min(AGE_MAX));
            // The match itself leads, as it does for players.
            let weight = if shown.id.is_some() { u32::from(shown.weight) } else { u32::from(u8::MAX) + 1 };
            self.keys.push((u64::from(age * weight), shown.id));
        }
        self.gone.extend(before.map(|(id, _)| id));
        let by_key = |a: &(u64, StableId), b: &(u64, StableId)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        if self.keys.len() > WANTED_MAX {
            self.keys.select_nth_unstable_by(WANTED_MAX, by_key);
            self.keys.truncate(WANTED_MAX);
        }
        self.keys.sort_unstable_by(by_key);
        self.wanted.clear();
        self.wanted.extend(self.keys.iter().map(|(_, id)| *id));
    }

    /// Notes that the first so many were told.
    fn note(&mut self, served: usize, tick: u32) {
        for id in &self.wanted[..served] {
            match self.told.binary_search_by_key(id, |(id, _)| *id) {
                Ok(at) => self.told[at].1 = tick,
                Err(at) => self.told.insert(at, (*id, tick)),
            }
        }
    }
}
