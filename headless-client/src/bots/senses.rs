//! What a bot has seen and heard: enemies in sight, and where those were that it lost sight of. The server tells a client
//! of everyone who is relevant; a bot uses only those that a person on that screen would have noticed.

use arbiter_schema::StableId;
use glam::Vec3;

use crate::view::{PlayerView, SoundOrigin, ThingView, WorldView};

/// Whether the map lets one look from one place to another.
pub trait Sight {
    /// Whether nothing that never moves stands between.
    fn clear(&self, from: Vec3, to: Vec3) -> bool;
}

/// What was noticed is forgotten after this many seconds: the other has gone elsewhere by then.
const MEMORY_S: f32 = 6.0;
/// A look at each other player is renewed this often, in seconds: a ray costs microseconds, and nobody notices faster.
const LOOK_EVERY_S: f32 = 0.1;
/// Half of what is seen: cosine of 65 degrees, a usual field of view and a little for turning the head.
const FIELD_OF_VIEW_COSINE: f32 = 0.42;
/// Steps are heard this far, in metres, whichever way one looks.
const HEARING: f32 = 14.0;
/// Metres a second from which steps are heard.
const LOUD: f32 = 2.5;
/// What was only heard is forgotten after this many seconds.
const HEARD_S: f32 = 4.0;
/// At most this many players are looked at, the nearest ones: a bot in a field of a thousand has no more eyes than a person.
const LOOKED_AT_MAX: usize = 12;
/// A longer look than this many metres sees nobody.
const SIGHT_MAX: f32 = 120.0;
/// A turret is small: from further away than this many metres nobody bothers.
const THING_SIGHT_MAX: f32 = 50.0;
/// At most this many enemy things are looked at, the nearest ones.
const THINGS_LOOKED_AT_MAX: usize = 3;

/// What is remembered of another player.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    /// Who.
    pub id: StableId,
    /// Whether they are in sight now.
    pub visible: bool,
    /// Seconds since they were last noticed.
    pub age_s: f32,
    /// Where they were then: the feet.
    pub position: Vec3,
    looked_s: f32,
}

/// A sound of somebody who is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hearsay {
    /// When.
    pub tick: u32,
    /// About where.
    pub place: Vec3,
    age_s: f32,
}

/// A bot's memory of the others.
#[derive(Debug, Default)]
pub struct Senses {
    sightings: Vec<Sighting>,
    heard: Option<Hearsay>,
    near: Vec<(f32, usize)>,
    thing: Option<StableId>,
    thing_looked_s: f32,
}

impl Senses {
    /// Forgets everybody.
    pub fn forget(&mut self) {
        self.sightings.clear();
        (self.heard, self.thing) = (None, None);
    }

    /// What was heard last of somebody who is not known.
    pub fn heard(&self) -> Option<Hearsay> {
        self.heard
    }

    /// Listens for `dt` seconds: of what sounds at once the nearest is remembered, as it is told first.
    fn listen(&mut self, view: &WorldView, dt: f32) {
        let older = self.heard.map(|heard| Hearsay { age_s: heard.age_s + dt, ..heard });
        self.heard = older.filter(|heard| heard.age_s < HEARD_S);
        for sound in &view.sounds {
            let SoundOrigin::Around(place, _) = sound.origin else { continue };
            if self.heard.is_none_or(|heard| heard.tick < sound.tick) {
                self.heard = Some(Hearsay { tick: sound.tick, place, age_s: 0.0 });
            }
        }
    }

    /// What is remembered, in no order that matters.
    pub fn sightings(&self) -> &[Sighting] {
        &self.sightings
    }

    /// What is remembered of one player.
    pub fn of(&self, id: StableId) -> Option<&Sighting> {
        self.sightings.iter().find(|sighting| sighting.id == id)
    }

    /// Whether a player is in sight.
    pub fn sees(&self, id: StableId) -> bool {
        self.of(id).is_some_and(|sighting| sighting.visible)
    }

    /// Who hurt one is known at once, as the mark on the screen tells the direction.
    pub fn felt(&mut self, id: StableId, position: Vec3) {
        self.notice(id, position, false);
    }

    /// Looks around for `dt` seconds from the eyes of `me` along `look`.
    pub fn look(&mut self, view: &WorldView, me: &PlayerView, look: Vec3, sight: &dyn Sight, dt: f32) {
        self.listen(view, dt);
        for sighting in &mut self.sightings {
            sighting.age_s += dt;
            sighting.looked_s += dt;
        }
        self.near.clear();
        let apart = |player: &PlayerView| player.position.distance_squared(me.position);
        let living = view.others.iter().enumerate().filter(|(_, other)| other.alive);
        self.near.extend(living.map(|(index, other)| (apart(other), index)));
        self.near.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.near.truncate(LOOKED_AT_MAX);
        for at in 0..self.near.len() {
            let (apart_squared, index) = self.near[at];
            let other = &view.others[index];
            let known = self.of(other.id).copied();
            if let Some(known) = known.filter(|known| known.looked_s < LOOK_EVERY_S) {
                if known.visible {
                    self.notice(other.id, other.position, true);
                }
                continue;
            }
            let heard = apart_squared < HEARING * HEARING && other.velocity.length_squared() > LOUD * LOUD;
            let visible = apart_squared < SIGHT_MAX * SIGHT_MAX && in_view(me, look, other) && seen(me, other, sight);
            if visible || heard {
                self.notice(other.id, other.position, visible);
            } else if let Some(known) = self.sightings.iter_mut().find(|known| known.id == other.id) {
                known.visible = false;
            }
            if let Some(known) = self.sightings.iter_mut().find(|known| known.id == other.id) {
                known.looked_s = 0.0;
            }
        }
        let there = |id: StableId| view.others.iter().any(|other| other.id == id && other.alive);
        // Who is told of no more is out of sight; who died is nobody's enemy.
        self.sightings.retain_mut(|sighting| {
            sighting.visible &= sighting.looked_s < 2.0 * LOOK_EVERY_S;
            let gone = view.others.iter().any(|other| other.id == sighting.id && !other.alive);
            sighting.visible &= there(sighting.id);
            sighting.age_s < MEMORY_S && !gone
        });
    }

    /// The nearest thing of an enemy that stands and can be shot, of those in sight. Looked for now and then, for `dt`
    /// seconds more.
    pub fn look_for_thing<'a>(
        &mut self,
        view: &'a WorldView,
        me: &PlayerView,
        look: Vec3,
        sight: &dyn Sight,
        dt: f32,
    ) -> Option<&'a ThingView> {
        self.thing_looked_s += dt;
        let known = self.thing;
        if self.thing_looked_s >= LOOK_EVERY_S {
            self.thing_looked_s = 0.0;
            self.near.clear();
            let apart = |thing: &ThingView| thing.position.distance_squared(me.position);
            let things = view.deployables.iter().enumerate();
            let hostile = things.filter(|(_, thing)| view.hostile_thing(thing) && thing.health > 0.0);
            self.near.extend(hostile.map(|(index, thing)| (apart(thing), index)));
            self.near.retain(|(apart, _)| *apart < THING_SIGHT_MAX * THING_SIGHT_MAX);
            self.near.sort_by(|a, b| a.0.total_cmp(&b.0));
            let nearest = self.near.iter().take(THINGS_LOOKED_AT_MAX).map(|(_, index)| &view.deployables[*index]);
            let top = |thing: &ThingView| thing.position + Vec3::Y * (thing.height * 0.8);
            let mut seen = nearest.filter(|thing| {
                // Whoever has seen it knows where it stands.
                let ahead = Some(thing.id) == known || towards(me, look, top(thing));
                ahead && sight.clear(me.eyes(), top(thing))
            });
            self.thing = seen.next().map(|thing| thing.id);
        }
        view.deployables.iter().find(|thing| Some(thing.id) == self.thing && thing.health > 0.0)
    }

    fn notice(&mut self, id: StableId, position: Vec3, visible: bool) {
        match self.sightings.iter_mut().find(|sighting| sighting.id == id) {
            Some(known) => {
                known.position = position;
                known.age_s = 0.0;
                known.visible = visible;
            }
            None => self.sightings.push(Sighting { id, visible, age_s: 0.0, position, looked_s: LOOK_EVERY_S }),
        }
    }
}

fn in_view(me: &PlayerView, look: Vec3, other: &PlayerView) -> bool {
    towards(me, look, other.middle())
}

fn towards(me: &PlayerView, look: Vec3, place: Vec3) -> bool {
    let way = place - me.eyes();
    // What stands right next to one is noticed whichever way one looks.
    way.length_squared() < 9.0 || look.dot(way.normalize_or_zero()) > FIELD_OF_VIEW_COSINE
}

/// The trunk or the head is enough.
fn seen(me: &PlayerView, other: &PlayerView, sight: &dyn Sight) -> bool {
    sight.clear(me.eyes(), other.middle()) || sight.clear(me.eyes(), other.eyes())
}
