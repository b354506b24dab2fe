//! Who hears what. A sound tells where somebody is, so that it is told only as well as a loudspeaker would play it: whoever was
//! told of its source is told all of it; whoever is near enough hears what kind of sound it was and roughly from where, and not
//! who it was; nobody else is told anything. Why so much and no more: docs/decisions/hearing.md.
//!
//! [`Noises::gather`] takes in what sounded in a tick, once for all clients, in the room's thread; [`Ears::hear`] says what one
//! client hears of it, on any thread. Nothing that a client hears of whom it does not know rests on more than the cube in which
//! that one was at some moment of the last second, so that no listener who walks to and fro can find out more.

use arbiter_protocol::Noise;
use arbiter_protocol::sound::{Area, Report, Sound, SoundList, Source, Spot};
use arbiter_schema::StableId;
use arbiter_sim::index::Kind;
use arbiter_sim::rules::{Behaviour, Rules};
use arbiter_sim::{Cause, Cue, Part, Simulation};
use arrayvec::ArrayVec;
use glam::Vec3;

use super::scene::{Body, Scene};
use super::watcher::Watcher;
use crate::convert;

/// Metres that a shot or a launch is heard where its source is not known.
pub const SHOT_M: f32 = 60.0;
/// Metres that an ability is heard.
pub const ABILITY_M: f32 = 25.0;
/// Metres that a hit, a blow or a beam is heard.
pub const HIT_M: f32 = 15.0;
/// Metres that a burst is heard beyond what it reaches.
pub const BURST_M: f32 = 80.0;
/// Metres that steps are heard of somebody who runs.
pub const STEPS_M: f32 = 18.0;
/// In sight a sound carries so many times as far: what is not seen is behind walls.
pub const OPEN: f32 = 2.0;
/// What is further away than this many metres is told by cubes twice as long. Nearer, a cube is wider than ears are uncertain
/// (some ten degrees); further away it would be narrower.
pub const WIDE_FROM_M: f32 = 32.0;
/// Milliseconds for which the cube of whoever made a sound is told again as it was: when one leaves a cube says where its side is.
pub const HOLD_MS: u32 = 1_000;
/// Milliseconds between two times that a client hears who runs near by.
pub const STEPS_MS: u32 = 400;
/// Sounds of a tick that one client is told, the nearest: ears tell no more apart within some milliseconds, and in a battle of
/// a thousand it is what bounds the bytes.
pub const SOUNDS_MAX: usize = 8;
/// What a player does itself in a tick that those who watch it hear.
const OWN_MAX: usize = 4;
/// Rays of a client and tick to bursts, to find out whether they are in sight: some microseconds.
const BURST_RAYS_MAX: usize = 2;
/// Metres in front of a burst at which a ray may end: it bursts on what it met.
const BURST_OFF_M: f32 = 0.3;
/// Metres above the feet that one hears and is heard: no floor is told for the one below it.
const EAR_M: f32 = 1.2;
/// Sounds of a tick without an allocation in a room that is warm.
const NOISES_USUAL: usize = 256;
/// Sounds of a tick that are looked at; what is beyond is lost in the din.
const NOISES_MAX: usize = 1_024;
/// Bodies for which room is made at once.
const HELD_STEP: usize = 256;

/// Whoever made a sound, or was hurt.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Party {
    id: StableId,
    place: u32,
    source: Source,
}

impl Party {
    fn of(body: &Body) -> Self {
        let source = match body.owner.checked_sub(1) {
            Some(slot) if body.kind == Kind::Player => Source::Player(slot),
            _ => Source::Thing(body.id),
        };
        Self { id: body.id, place: body.place, source }
    }

    fn is_known(&self, watcher: &Watcher) -> bool {
        watcher.knows(self.place, self.id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Fired(Report),
    Used(u8),
    Hit { by: Option<Party>, head: bool },
    Burst { at: Vec3, cause: Cause },
}

/// Something that sounded.
#[derive(Debug, Clone, Copy)]
struct Sounded {
    what: What,
    /// Who made it or was hurt; `None` for bursts, and for who is gone by now.
    source: Option<Party>,
    /// Where the source is.
    at: Vec3,
    /// The cube that it is in, or was.
    area: Area,
    /// Metres that it is heard where the source is not known.
    reach: f32,
}

/// The cube that somebody is taken to be in.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: StableId,
    area: Area,
    until: u32,
}

const NOWHERE: Held = Held { id: StableId::NONE, area: Area { cell: [0; 3], wide: false }, until: 0 };

/// What sounded in a tick.
#[derive(Debug)]
pub struct Noises {
    all: Vec<Sounded>,
    /// By place in the scene.
    held: Vec<Held>,
}

impl Default for Noises {
    fn default() -> Self {
        Self { all: Vec::with_capacity(NOISES_USUAL), held: Vec::new() }
    }
}

impl Noises {
    /// Takes in what sounded in the tick that `scene` has looked at.
    pub fn gather(&mut self, scene: &Scene, simulation: &Simulation) {
        self.all.clear();
        if self.held.len() < scene.places() {
            self.held.resize(scene.places().next_multiple_of(HELD_STEP), NOWHERE);
        }
        for cue in simulation.cues() {
            if self.all.len() == NOISES_MAX {
                break;
            }
            let sounded = self.sounded(scene, simulation.rules(), cue);
            self.all.extend(sounded);
        }
        // Where those are who run is settled here, as clients are served on many threads.
        for at in scene.players.iter().flatten() {
            let body = &scene.bodies[*at as usize];
            if body.steps {
                self.hold(scene, body);
            }
        }
    }

    fn sounded(&mut self, scene: &Scene, rules: &Rules, cue: &Cue) -> Option<Sounded> {
        Some(match *cue {
            Cue::Fired { by, weapon, from, .. } => {
                let report = report(rules, weapon);
                let reach = if matches!(report, Report::Shot | Report::Launch) { SHOT_M } else { HIT_M };
                let body = scene.body(by);
                let area = body.map_or(area(from), |body| self.hold(scene, body));
                Sounded { what: What::Fired(report), source: body.map(Party::of), at: from, area, reach }
            }
            Cue::AbilityUsed { by, ability } => self.of_body(scene, by, What::Used(ability), ABILITY_M)?,
            Cue::Hit { target, by, amount, part, cause } => {
                if amount <= 0.0 || !is_blow(rules, cause) {
                    return None;
                }
                let by = scene.body(by).map(Party::of);
                self.of_body(scene, target, What::Hit { by, head: part == Part::Head }, HIT_M)?
            }
            Cue::Exploded { at, radius, cause } => {
                Sounded { what: What::Burst { at, cause }, source: None, at, area: area(at), reach: BURST_M + radius }
            }
        })
    }

    fn of_body(&mut self, scene: &Scene, id: StableId, what: What, reach: f32) -> Option<Sounded> {
        let body = scene.body(id).filter(|body| body.placed)?;
        let area = self.hold(scene, body);
        Some(Sounded { what, source: Some(Party::of(body)), at: ear(body), area, reach })
    }

    /// The cube that a body is told to be in.
    fn hold(&mut self, scene: &Scene, body: &Body) -> Area {
        let now = Held { id: body.id, area: area(ear(body)), until: scene.tick + ticks(HOLD_MS, scene.rate) };
        let Some(held) = self.held.get_mut(body.place as usize) else { return now.area };
        if held.id != body.id || scene.tick >= held.until {
            *held = now;
        }
        held.area
    }

    /// The cube of somebody who runs.
    fn held(&self, body: &Body) -> Option<Area> {
        self.held.get(body.place as usize).filter(|held| held.id == body.id).map(|held| held.area)
    }

    /// Everything, as it is told to those who watch everybody. Who hurt whom shows in their health.
    fn tell_all(&self, list: &mut SoundList) {
        for sounded in &self.all {
            let sound = match (sounded.what, sounded.source) {
                (What::Hit { .. }, _) => continue,
                (what, Some(party)) => known(what, party.source),
                (What::Burst { at, cause }, None) => Some(burst(at, cause)),
                (what, None) => Some(Sound::Around { noise: noise(what), area: sounded.area }),
            };
            if sound.is_some_and(|sound| !list.push(&sound)) {
                break;
            }
        }
    }
}

/// What clients hear with.
#[derive(Debug, Clone, Copy)]
pub struct Ears<'a> {
    pub(super) scene: &'a Scene,
    pub(super) noises: &'a Noises,
}

/// What one client hears of a tick.
#[derive(Debug, Default)]
pub struct Heard {
    /// What its player did; the client knows that before the server does.
    own: ArrayVec<Sound, OWN_MAX>,
    /// The rest with how far away it is, nearest first. What is as far stands in the order of what is told, so that nothing
    /// rests on who it was.
    others: ArrayVec<(f32, Sound), SOUNDS_MAX>,
}

impl Heard {
    /// Whether it hears nothing.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// What it is told.
    pub fn list(&self) -> SoundList {
        list_of(self.others.iter().map(|(_, sound)| sound))
    }

    /// What those hear who watch it.
    pub fn watched(&self) -> SoundList {
        list_of(self.own.iter().chain(self.others.iter().map(|(_, sound)| sound)))
    }

    fn add(&mut self, apart: f32, sound: Sound) {
        let before = |entry: &(f32, Sound)| entry.0.total_cmp(&apart).then(entry.1.cmp(&sound)).is_lt();
        let at = self.others.partition_point(before);
        // Two that one cannot tell apart are one.
        let is_there = self.others.get(at).is_some_and(|entry| entry.1 == sound);
        if is_there || at == SOUNDS_MAX {
            return;
        }
        if self.others.is_full() {
            self.others.pop();
        }
        self.others.insert(at, (apart, sound));
    }
}

impl Ears<'_> {
    /// What the client in a slot, which `watcher` sees for, hears of this tick. Asked for in every tick, whether or not the
    /// client is told of it at once.
    pub fn hear(&self, watcher: &Watcher, slot: u16, heard: &mut Heard) {
        heard.own.clear();
        heard.others.clear();
        let Some(me) = self.scene.player(slot).filter(|me| me.shape.is_finite()) else { return };
        let from = ear(me);
        let mut rays = BURST_RAYS_MAX;
        for sounded in &self.noises.all {
            self.hear_one(watcher, (me, from), sounded, &mut rays, heard);
        }
        let every = ticks(STEPS_MS, self.scene.rate).max(1);
        if (self.scene.tick + u32::from(slot)).is_multiple_of(every) {
            self.hear_steps(watcher, (me, from), heard);
        }
    }

    /// Everything that sounded, for those who watch everybody.
    pub fn hear_all(&self, list: &mut SoundList) {
        self.noises.tell_all(list);
    }

    fn hear_one(
        &self,
        watcher: &Watcher,
        (me, from): (&Body, Vec3),
        sounded: &Sounded,
        rays: &mut usize,
        heard: &mut Heard,
    ) {
        match (sounded.what, sounded.source) {
            (What::Hit { by, head }, Some(target)) => {
                let by_me = by.is_some_and(|by| by.id == me.id);
                let known_by = by.filter(|by| by.id != target.id && by.is_known(watcher));
                if target.id == me.id {
                    heard.add(0.0, Sound::Taken { by: known_by.map(|by| by.source), head });
                    return;
                }
                if target.is_known(watcher) {
                    // Of others it shows in their health.
                    if by_me {
                        heard.add(0.0, Sound::Dealt { target: target.source, head });
                    }
                    return;
                }
            }
            (what, Some(party)) if party.id == me.id => {
                if let Some(sound) = known(what, party.source) {
                    // What is beyond is lost to those who watch, and to nobody who plays.
                    let _ = heard.own.try_push(sound);
                }
                return;
            }
            (what, Some(party)) if party.is_known(watcher) => {
                let apart = sounded.at.distance(from);
                if let Some(sound) = known(what, party.source).filter(|_| apart <= sounded.reach * OPEN) {
                    heard.add(apart, sound);
                }
                return;
            }
            (What::Burst { at, cause }, _) => {
                let apart = at.distance(from);
                if apart <= sounded.reach * OPEN && *rays > 0 {
                    *rays -= 1;
                    if self.sees(me, at) {
                        return heard.add(apart, burst(at, cause));
                    }
                }
            }
            _ => {}
        }
        hear_around(from, noise(sounded.what), sounded.area, sounded.reach, heard);
    }

    /// Those who run near by and are not known; of the others one sees how they move.
    fn hear_steps(&self, watcher: &Watcher, (me, from): (&Body, Vec3), heard: &mut Heard) {
        // A cube whose middle is near enough may hold somebody who is further away.
        let near = STEPS_M + Area::around([0.0; 3], true).side();
        self.scene.grid.near(me.shape.position, near, |at| {
            let body = &self.scene.bodies[at];
            if !body.steps || body.id == me.id || Party::of(body).is_known(watcher) {
                return;
            }
            if let Some(area) = self.noises.held(body) {
                hear_around(from, Noise::Steps, area, STEPS_M, heard);
            }
        });
    }

    fn sees(&self, me: &Body, at: Vec3) -> bool {
        let from = me.shape.position + Vec3::Y * me.shape.eyes[1];
        let (way, apart) = ((at - from).normalize_or_zero(), at.distance(from));
        self.scene.statics.clearance(from, way, apart) >= apart - BURST_OFF_M
    }
}

/// Adds what is only heard. Everything here follows from what is told: from which distance the narrow cube is told follows from the
/// wide one, and how far it is heard from the cube that is told.
fn hear_around(from: Vec3, noise: Noise, area: Area, reach: f32, heard: &mut Heard) {
    let apart = |area: Area| Vec3::from_array(area.middle()).distance(from);
    let wide = area.widened();
    let (area, apart) = if apart(wide) > WIDE_FROM_M { (wide, apart(wide)) } else { (area, apart(area)) };
    if apart <= reach {
        heard.add(apart, Sound::Around { noise, area });
    }
}

/// As many as fit, the first first.
fn list_of<'a>(sounds: impl Iterator<Item = &'a Sound>) -> SoundList {
    let mut list = SoundList::default();
    for sound in sounds {
        if !list.push(sound) {
            break;
        }
    }
    list
}

/// A sound of whom one knows; `None` for a hit, of which is told otherwise.
fn known(what: What, by: Source) -> Option<Sound> {
    Some(match what {
        What::Fired(report) => Sound::Fired { report, by },
        What::Used(ability) => Sound::Used { by, ability },
        What::Burst { at, cause } => burst(at, cause),
        What::Hit { .. } => return None,
    })
}

fn burst(at: Vec3, cause: Cause) -> Sound {
    Sound::Burst { at: Spot::at(at.to_array()), cause: convert::cause(cause) }
}

fn noise(what: What) -> Noise {
    match what {
        What::Fired(report) => report.into(),
        What::Used(_) => Noise::Ability,
        What::Hit { .. } => Noise::Hit,
        What::Burst { .. } => Noise::Burst,
    }
}

/// What a weapon sounds like. A studio's own is taken for a shot, which is heard furthest.
pub fn report(rules: &Rules, weapon: u8) -> Report {
    match rules.weapons.get(usize::from(weapon)).map(|weapon| &weapon.behaviour) {
        Some(Behaviour::Projectile(_)) => Report::Launch,
        Some(Behaviour::Melee(_)) => Report::Swing,
        Some(Behaviour::Beam(_)) => Report::Beam,
        Some(Behaviour::Hitscan(_) | Behaviour::Custom(_)) | None => Report::Shot,
    }
}

/// Whether it sounds when somebody is hurt so: not what goes on in every tick, as beams and effects do.
fn is_blow(rules: &Rules, cause: Cause) -> bool {
    match cause {
        Cause::Weapon(weapon) => report(rules, weapon) != Report::Beam,
        Cause::Ability(_) | Cause::Prop(_) => true,
        Cause::Effect(_) | Cause::World => false,
    }
}

/// Where somebody hears and is heard.
fn ear(body: &Body) -> Vec3 {
    let above = if body.kind == Kind::Player { EAR_M } else { 0.0 };
    body.shape.position + Vec3::Y * above
}

fn area(at: Vec3) -> Area {
    Area::around(at.to_array(), false)
}

fn ticks(ms: u32, rate: u16) -> u32 {
    ms * u32::from(rate) / 1_000
}
