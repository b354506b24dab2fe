//! One client's eyes: who is relevant to it, in which order, and who went out of sight.
//!
//! A pair of viewer and entity is judged only when it may have changed. A judgement that looks further ahead than the
//! horizon and still sees nothing holds until that time has passed: the slack. Slacks are tried from long to short, so that
//! whoever is deep behind walls costs next to nothing and whoever is about to come round a corner is looked at every tick.

use arbiter_schema::StableId;
use arbiter_sim::index::Kind;
use glam::{Vec2, Vec3};

use super::marks::{self, AREA, FINITE, JOLTED, LANES, Marks, OPEN, each, is_ours, side};
use super::pairs::{CONTACT, MATES_SEE, MAY_KNOW, News, Pairs, RELEVANT, SEEN, TOLD};
use super::rank::{self, Order, Wait};
use super::reach::Prism;
use super::scene::{Body, Scene};
use super::settings::{HORIZON_MS_MAX, InterestSettings};
use super::shaft::{COST_MAX, Memory, THING_COST_MAX, Verdict, judge};
use super::sweep::{self, Within};

/// Milliseconds that a judgement may look beyond the horizon, and for which it then holds.
const SLACKS_MS: [u32; 4] = [16, 66, 200, 500];

/// Milliseconds for which what was seen counts as seen.
const SEEN_MS: u32 = 50;

/// The same for what is no player.
const THING_SEEN_MS: u32 = 400;

/// Milliseconds for which at least what is nobody's counts as hidden: it is still told before it comes into view.
const NEUTRAL_HIDDEN_MS: u32 = 100;

/// What judgements of one client may cost in a second, in lines to one piece of some 20 ns. What is not spent is kept for
/// `SAVED_TICKS`. What is due and cannot be paid counts as seen, since nobody may miss what is in sight.
pub const COST_PER_SECOND: u32 = 120_000;

/// The same for all clients of a room together in a tick: 2 ms.
pub const COST_PER_TICK_ALL: u32 = 100_000;

/// Ticks' pay that a client may save where so many play that hardly ever all spend at once. With fewer players it would make
/// the slowest ticks: nothing is saved there.
const SAVED_TICKS: u32 = 4;

/// Players up to which nothing is saved.
const FEW: usize = 32;

/// What is likely to cost more than there is becomes less likely to by one part in so many, each time that it is not tried.
const LIKELY_FADES: u32 = 3;

/// Ticks after which what was left out at a glance is looked at again: there may be enough by then.
const LEFT_OUT_TICKS: u32 = 2;

/// Ticks after which what could not be paid is tried again, and as many more by turns.
const UNPAID_TICKS: u32 = 4;

/// Entities of a list at most: several times what a datagram holds. The rest waits and gathers urgency.
pub const WANTED_MAX: usize = 256;

/// Whoever is out of range is looked at again after so many milliseconds.
const FAR_MS: u32 = 130;

/// The same for whoever is further is at most so many times as much.
const FAR_TIMES_MAX: u32 = 8;

/// Metres beyond the range at which one is out of it: two who run at each other come no nearer in [`FAR_MS`].
const FAR_SLACK_M: f32 = 6.0;

/// Entities told to all clients of a room together in a tick: what two cores can put into datagrams beside all else.
const TOLD_ALL_MAX: usize = 32_000;

/// Entities that each of them is told at least, if there are so many and its link carries them.
const TOLD_MIN: usize = 32;

/// Something that may be told until the next turn.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    place: u32,
    id: StableId,
    told: u32,
    weight: f32,
    is_known: bool,
    /// See [`rank::period`].
    period: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    slot: u16,
    horizon_s: f32,
    team: u8,
    id: StableId,
    pairs: Pairs,
    purse: u32,
    purse_max: u32,
    /// What may be told, beside each other: between two turns nothing else is looked at.
    waiting: Vec<Waiting>,
    /// Which of it is wanted, in order.
    order: Vec<u32>,
    /// What is known and weighs less is left out of some ticks.
    stretch: f32,
    /// Places of `gone` in the pairs.
    gone_places: Vec<u32>,
    wanted: Vec<StableId>,
    gone: Vec<StableId>,
    keys: Vec<u64>,
    /// On foot and by a dash, for each slack.
    eyes: [[Prism; 2]; SLACKS_MS.len()],
    /// Judgements, and what they cost, since the watcher was made.
    pub judgements: u64,
    /// See `judgements`.
    pub cost: u64,
    /// Judgements that could not be paid or were not sure.
    pub unsure: u64,
    /// Far entities that were held back since somebody asked.
    thinned: u64,
}

impl Watcher {
    /// For the player in a slot.
    pub fn new(slot: u16, settings: &InterestSettings) -> Self {
        let nowhere = Prism { centre: Vec2::ZERO, ring: [Vec2::ZERO; 8], low: 0.0, high: 0.0 };
        let mut watcher = Self {
            slot,
            horizon_s: 0.0,
            team: 0,
            id: StableId::NONE,
            pairs: Pairs::default(),
            purse: 0,
            purse_max: 0,
            waiting: Vec::with_capacity(WANTED_MAX),
            order: Vec::with_capacity(WANTED_MAX),
            stretch: 0.0,
            gone_places: Vec::new(),
            wanted: Vec::with_capacity(WANTED_MAX + 1),
            gone: Vec::new(),
            keys: Vec::new(),
            eyes: [[nowhere; 2]; SLACKS_MS.len()],
            judgements: 0,
            cost: 0,
            unsure: 0,
            thinned: 0,
        };
        watcher.set_horizon(settings.horizon_ms);
        watcher
    }

    /// Sets the horizon in milliseconds, at most [`HORIZON_MS_MAX`]: the client's round trip, the delay with which it shows
    /// others, and a lost snapshot.
    pub fn set_horizon(&mut self, ms: u32) {
        self.horizon_s = ms.min(HORIZON_MS_MAX) as f32 * 0.001;
    }

    /// What the client may know, the most urgent first, [`StableId::NONE`] for the match itself at the head. At most
    /// [`WANTED_MAX`] and that; what is left out is more urgent with the next tick.
    pub fn wanted(&self) -> &[StableId] {
        &self.wanted
    }

    /// What the client was told of and may not know any more, by stable id. Stays in the list until [`Self::forgotten`].
    pub fn gone(&self) -> &[StableId] {
        &self.gone
    }

    /// The entity at this place of [`Self::wanted`] is in the snapshot of `tick`, or there is nothing new to tell of it.
    pub fn told(&mut self, at: usize, tick: u32) {
        let Some(at) = at.checked_sub(1).and_then(|at| self.order.get(at)) else { return };
        let waiting = &mut self.waiting[*at as usize];
        (waiting.told, waiting.is_known) = (tick, true);
        waiting.period = rank::period(self.stretch, waiting.weight, true);
        self.pairs.tell(waiting.place as usize, tick);
    }

    /// The client is told that the entity at this place of [`Self::gone`] is out of sight.
    pub fn forgotten(&mut self, at: usize) {
        let Some(place) = self.gone_places.get(at) else { return };
        self.pairs.forget(*place as usize);
    }

    /// What the client was told of players since the last call, in order.
    pub(crate) fn take_news(&mut self) -> impl Iterator<Item = News> + '_ {
        self.pairs.news.drain(..)
    }

    /// From now on what the client is told of is kept for those who watch.
    pub(crate) fn keep_watched(&mut self) {
        self.pairs.watched.get_or_insert_default();
    }

    /// What the client was told of since the last call, for those who watch; all of it if it is `again` to be said.
    pub(crate) fn take_watched(&mut self, again: bool) -> impl Iterator<Item = News> + '_ {
        if again {
            self.pairs.tell_watched_again();
        }
        self.pairs.watched.iter_mut().flat_map(|watched| watched.drain(..))
    }

    /// Far entities that were held back since the last call, each once a tick.
    pub(crate) fn take_thinned(&mut self) -> u64 {
        core::mem::take(&mut self.thinned)
    }

    /// Whether the client may know an entity now.
    pub fn may_know(&self, scene: &Scene, id: StableId) -> bool {
        self.place(scene, id).is_some_and(|place| self.pairs.flags(place) & RELEVANT != 0)
    }

    /// Whether the client may know what stands at a place of the scene, and was told of it.
    pub fn knows(&self, place: u32, id: StableId) -> bool {
        let place = place as usize;
        self.pairs.holds(place, id) && self.pairs.flags(place) & (RELEVANT | TOLD) == RELEVANT | TOLD
    }

    fn place(&self, scene: &Scene, id: StableId) -> Option<usize> {
        let place = scene.body(id)?.place as usize;
        self.pairs.holds(place, id).then_some(place)
    }

    /// The client has nothing and is told everything anew: after it joined, came back or changed teams.
    pub fn reset(&mut self) {
        self.pairs.clear();
        self.clear_waiting();
    }

    fn clear_waiting(&mut self) {
        self.waiting.clear();
        self.order.clear();
    }

    /// Judges what is due and makes the lists. `mates_see` says of a place whether a team mate sees what stands there.
    pub fn look(&mut self, scene: &Scene, settings: &InterestSettings, mates_see: &dyn Fn(u32) -> bool) {
        self.wanted.clear();
        self.gone.clear();
        self.gone_places.clear();
        self.wanted.push(StableId::NONE);
        let Some(me) = scene.player(self.slot) else { return self.clear_waiting() };
        let is_new = (me.id, me.team) != (self.id, self.team);
        if is_new {
            self.reset();
            (self.id, self.team) = (me.id, me.team);
        }
        self.make_room(scene.places());
        self.note_contacts(scene, me);
        self.stretch = scene.stretch();
        let turn = scene.tick + u32::from(self.slot);
        let order = Order::new(scene.rate, turn / scene.turns());
        if is_new || turn.is_multiple_of(scene.turns()) {
            self.look_at_all(scene, settings, me, &order, mates_see);
        }
        self.pick(scene, &order);
    }

    fn look_at_all(
        &mut self,
        scene: &Scene,
        settings: &InterestSettings,
        me: &Body,
        order: &Order,
        mates_see: &dyn Fn(u32) -> bool,
    ) {
        let pay = (COST_PER_SECOND * scene.turns() / u32::from(scene.rate).max(1))
            .min(COST_PER_TICK_ALL * scene.turns() / scene.player_count().max(1) as u32);
        self.purse_max = if scene.player_count() > FEW { pay * SAVED_TICKS } else { pay };
        self.purse = (self.purse + pay).min(self.purse_max);
        // Whoever comes into view until the next turn is told now.
        let wait = scene.turns() - 1;
        for (slack, eyes) in SLACKS_MS.iter().zip(&mut self.eyes) {
            let seconds = self.horizon_s + (ticks(*slack, scene.rate) + wait) as f32 / f32::from(scene.rate);
            *eyes = [false, true].map(|dash| me.shape.eyes_within(seconds, dash));
        }
        self.keys.clear();
        for (block, marks) in scene.marks().iter().enumerate() {
            self.look_at_block(scene, settings, me, (block, marks), order, mates_see);
        }
        if self.keys.len() > WANTED_MAX {
            self.keys.select_nth_unstable(WANTED_MAX);
            self.keys.truncate(WANTED_MAX);
        }
        self.waiting.clear();
        let blocks = &self.pairs.blocks;
        self.waiting.extend(self.keys.iter().map(|key| {
            let place = rank::label(*key);
            let (block, lane) = marks::at(place as usize);
            let pairs = &blocks[block];
            let (id, told, weight) = (pairs.id[lane], pairs.told[lane], pairs.weight[lane]);
            let is_known = pairs.flags[lane] & TOLD != 0;
            let period = rank::period(self.stretch, weight, is_known);
            Waiting { place, id, told, weight, is_known, period }
        }));
    }

    fn look_at_block(
        &mut self,
        scene: &Scene,
        settings: &InterestSettings,
        me: &Body,
        (block, marks): (usize, &Marks),
        order: &Order,
        mates_see: &dyn Fn(u32) -> bool,
    ) {
        let first = block * LANES;
        each(&sweep::closer(marks, &self.pairs.blocks[block], scene.tick, me.jolted), |lane| {
            self.look_closer(scene, settings, me, marks, first + lane);
        });
        if settings.team_sight {
            for (place, flags) in (first as u32..).zip(&mut self.pairs.blocks[block].flags) {
                *flags = if mates_see(place) { *flags | MATES_SEE } else { *flags & !MATES_SEE };
            }
        }
        let pairs = &mut self.pairs.blocks[block];
        each(&sweep::gone(marks, pairs), |lane| {
            self.gone.push(marks.id[lane]);
            self.gone_places.push((first + lane) as u32);
        });
        if pairs.flags.iter().all(|flags| flags & MAY_KNOW == 0) {
            return;
        }
        sweep::weigh(me, &scene.bodies, marks, pairs);
        let within = Within { tick: scene.tick, window: scene.turns(), stretch: self.stretch };
        sweep::offer(order, marks, pairs, within, first, &mut self.keys);
    }

    /// Looks at what came to its place, is due, or had to do with the viewer.
    fn look_closer(&mut self, scene: &Scene, settings: &InterestSettings, me: &Body, marks: &Marks, place: usize) {
        let (block, lane) = marks::at(place);
        if !self.pairs.holds(place, marks.id[lane]) {
            let is_player = scene.bodies[marks.body[lane] as usize].kind == Kind::Player;
            self.pairs.begin(place, marks.id[lane], is_player, scene.tick);
        }
        let pairs = &mut self.pairs.blocks[block];
        if pairs.flags[lane] & CONTACT != 0 && self.pairs.judged[place].contact_until <= scene.tick {
            pairs.flags[lane] &= !CONTACT;
        }
        if pairs.due[lane] <= scene.tick || marks.traits[lane] & JOLTED != 0 || me.jolted {
            self.judge(scene, settings, me, marks, place);
        }
    }

    /// Of what waits, what is told now, the most urgent first. Between two turns nothing goes out of sight.
    fn pick(&mut self, scene: &Scene, order: &Order) {
        self.keys.clear();
        for (at, waiting) in (0..).zip(&self.waiting) {
            let age = scene.tick.saturating_sub(waiting.told);
            // Whoever came to a place that was left is looked at in turn.
            if !rank::is_turn(scene.tick, waiting.id, waiting.period, age, scene.stride)
                || !scene.stands_at(waiting.id, waiting.place as usize)
            {
                continue;
            }
            let wait = Wait { weight: waiting.weight, age, is_known: waiting.is_known };
            if scene.thin && wait.may_be_shed(scene.rate) {
                self.thinned += 1;
                continue;
            }
            self.keys.push(rank::key(order.urgency(wait), at));
        }
        self.keys.sort_unstable();
        self.keys.truncate((TOLD_ALL_MAX / scene.player_count().max(1)).clamp(TOLD_MIN, WANTED_MAX));
        self.order.clear();
        self.order.extend(self.keys.iter().map(|key| rank::label(*key)));
        self.wanted.extend(self.order.iter().map(|at| self.waiting[*at as usize].id));
    }

    /// Room for every place in use, so that a busy tick allocates nothing.
    fn make_room(&mut self, places: usize) {
        self.pairs.reserve(places);
        let places = self.pairs.blocks.len() * LANES;
        self.gone_places.reserve(places);
        self.gone.reserve(places);
        self.keys.reserve(places);
    }

    /// Whoever hurts, or is hurt by, the viewer.
    fn note_contacts(&mut self, scene: &Scene, me: &Body) {
        let until = scene.tick + (rank::CONTACT_S * f32::from(scene.rate)) as u32;
        for contact in &scene.contacts {
            let other = match (contact.by == me.id, contact.target == me.id) {
                (true, false) => contact.target,
                (false, true) => contact.by,
                _ => continue,
            };
            let Some(place) = self.place(scene, other) else { continue };
            self.pairs.judged[place].contact_until = until;
            *self.pairs.flags_mut(place) |= CONTACT;
            let waiting = self.waiting.iter_mut().find(|waiting| waiting.place as usize == place);
            if let (Some(waiting), Some(body)) = (waiting, scene.body(other)) {
                waiting.weight = rank::weight_of(me, body, true);
            }
        }
    }

    /// Renews what is known of one entity.
    fn judge(&mut self, scene: &Scene, settings: &InterestSettings, me: &Body, marks: &Marks, place: usize) {
        let (block, lane) = marks::at(place);
        let (traits, of) = (marks.traits[lane], marks.side[lane]);
        let range = settings.range_m + FAR_SLACK_M;
        let apart = Vec3::new(marks.x[lane], marks.y[lane], marks.z[lane]) - me.shape.position;
        let body = || &scene.bodies[marks.body[lane] as usize];
        let (seen, due) = if traits & OPEN != 0 || is_ours(of, side(me.team, me.owner)) {
            (true, u32::MAX)
        } else if traits & FINITE == 0 || !me.shape.is_finite() {
            (false, scene.tick + 1)
        } else if apart.length_squared() > range * range {
            // Whoever is so many times as far beyond it takes so many times as long.
            let times = ((apart.length() - settings.range_m) / FAR_SLACK_M) as u32;
            (false, scene.tick + ticks(FAR_MS * times.clamp(1, FAR_TIMES_MAX), scene.rate).max(1))
        } else if traits & AREA != 0 && apart.length() < body().area + 1.0 {
            // Whoever stands in it feels it.
            (true, scene.tick + 1)
        } else if self.purse <= self.kept_from(of) {
            self.unsure += 1;
            (true, unpaid(scene, place))
        } else {
            self.judge_sight(scene, me, body(), place)
        };
        let pairs = &mut self.pairs.blocks[block];
        pairs.due[lane] = due;
        let flags = &mut pairs.flags[lane];
        *flags = if seen { *flags | RELEVANT | SEEN } else { *flags & !(RELEVANT | SEEN) };
    }

    /// What must be left when something of a side is judged. What is nobody's comes first in the order of ids, and must leave
    /// something for players and what is theirs.
    fn kept_from(&self, side: u32) -> u32 {
        if marks::owner(side) != 0 { 0 } else { self.purse_max / 2 }
    }

    /// Whether an entity is to be seen within the horizon, and until when that holds.
    fn judge_sight(&mut self, scene: &Scene, me: &Body, body: &Body, place: usize) -> (bool, u32) {
        let judged = &mut self.pairs.judged[place];
        let (mut memory, mut likely) = (judged.memory, u32::from(judged.likely_cost));
        let mut level = (usize::from(judged.level) + 1).min(SLACKS_MS.len() - 1);
        if self.pairs.flags(place) & SEEN != 0 {
            // Most likely it still is.
            level = 0;
        }
        let (mut verdict, mut is_tried) = (Verdict::Unsure, false);
        let mut slack;
        let kept_for_players = self.kept_from(side(body.team, body.owner));
        loop {
            slack = ticks(SLACKS_MS[level], scene.rate);
            if self.purse <= kept_for_players {
                break;
            }
            let seconds = self.horizon_s + (slack + scene.turns() - 1) as f32 / f32::from(scene.rate);
            let (before, cost_max) = (self.purse, cost_max(level, body.kind, likely, self.purse));
            verdict = self.judge_within(scene, me, body, (seconds, level), cost_max, &mut memory);
            if verdict == Verdict::Hidden || level == 0 {
                is_tried = cost_max > 0;
                likely = match verdict {
                    Verdict::Unsure if !is_tried => likely - likely / LIKELY_FADES,
                    _ => before - self.purse,
                };
                break;
            }
            level -= 1;
        }
        self.unsure += u64::from(verdict == Verdict::Unsure);
        let judged = &mut self.pairs.judged[place];
        (judged.memory, judged.level) = (memory, level as u8);
        judged.likely_cost = likely.min(self.purse_max).min(u32::from(u16::MAX)) as u16;
        let held = |ms: u32| ticks(ms, scene.rate).max(1);
        match verdict {
            // It holds for the slack, the tick behind it not included.
            Verdict::Hidden if body.owner == 0 => (false, scene.tick + held(NEUTRAL_HIDDEN_MS).max(slack + 1)),
            Verdict::Hidden => (false, scene.tick + slack + 1),
            Verdict::Unsure if is_tried && body.kind == Kind::Player && self.purse > 0 => (true, scene.tick + 1),
            // It would cost as much again.
            Verdict::Unsure if is_tried && self.purse > kept_for_players => (true, scene.tick + held(THING_SEEN_MS)),
            Verdict::Unsure if !is_tried && self.purse > kept_for_players => (true, scene.tick + LEFT_OUT_TICKS),
            Verdict::Unsure => (true, unpaid(scene, place)),
            Verdict::Seen if body.kind == Kind::Player => (true, scene.tick + held(SEEN_MS)),
            Verdict::Seen => (true, scene.tick + held(THING_SEEN_MS)),
        }
    }

    /// Judges all ways of getting about of both within some seconds.
    fn judge_within(
        &mut self,
        scene: &Scene,
        me: &Body,
        body: &Body,
        (seconds, level): (f32, usize),
        cost_max: u32,
        memory: &mut Memory,
    ) -> Verdict {
        let mut all = Verdict::Hidden;
        for by_dash in 0..=usize::from(body.shape.dashes()) {
            let target = body.shape.body_within(seconds, by_dash == 1);
            for eyes in &self.eyes[level][..=usize::from(me.shape.dashes())] {
                let (verdict, cost) = judge(&scene.statics, eyes, &target, memory, cost_max.min(self.purse));
                self.purse = self.purse.saturating_sub(cost);
                self.cost += u64::from(cost);
                self.judgements += 1;
                match verdict {
                    Verdict::Seen => return verdict,
                    Verdict::Unsure => all = verdict,
                    Verdict::Hidden => {}
                }
            }
        }
        all
    }

    /// Calls `visit` with the place of everything that this client's own eyes see.
    pub fn for_each_seen(&self, scene: &Scene, mut visit: impl FnMut(u32)) {
        for (block, (marks, pairs)) in scene.marks().iter().zip(&self.pairs.blocks).enumerate() {
            let is_seen = |lane: usize| pairs.is_of(marks, lane) && pairs.flags[lane] & SEEN != 0;
            (0..LANES).filter(|lane| is_seen(*lane)).for_each(|lane| visit((block * LANES + lane) as u32));
        }
    }

    /// Who the client was when it looked last: its player, and the team.
    pub(crate) fn identity(&self) -> (StableId, u8) {
        (self.id, self.team)
    }

    /// The team that the client is on; 0 where each plays alone.
    pub fn team(&self) -> u8 {
        self.team
    }
}

fn ticks(ms: u32, rate: u16) -> u32 {
    (ms * u32::from(rate) + 500) / 1_000
}

/// When what could not be paid is tried again.
fn unpaid(scene: &Scene, place: usize) -> u32 {
    let ticks = UNPAID_TICKS * scene.turns();
    scene.tick + ticks + place as u32 % ticks
}

/// What a judgement may cost beside a glance, of what is likely to cost so much.
fn cost_max(level: usize, kind: Kind, likely: u32, purse: u32) -> u32 {
    match (level, kind) {
        // Further ahead than the next look only what a glance shows: what it saves is not worth more.
        (1.., _) => 0,
        // What is begun and cannot be paid to its end is lost, and so is what it leaves for others.
        _ if likely > purse => 0,
        (0, Kind::Player) => COST_MAX,
        (0, _) => THING_COST_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_likely_to_cost_more_than_there_is_is_only_glanced_at_until_it_is_less_likely_to() {
        assert_eq!(cost_max(0, Kind::Player, 900, 900), COST_MAX);
        assert_eq!(cost_max(0, Kind::Prop, 0, 900), THING_COST_MAX);
        assert_eq!(cost_max(1, Kind::Player, 0, 900), 0, "further ahead than the next look");
        let mut likely = COST_MAX;
        let left_out = core::iter::from_fn(|| {
            likely -= likely / LIKELY_FADES;
            Some(cost_max(0, Kind::Player, likely, 200))
        });
        assert!((1..10).contains(&left_out.take_while(|cost| *cost == 0).count()));
    }
}
