//! From lanes to what a player knows: components are rebuilt by the types that described them, and those of others are shown
//! between two snapshots. The only file that knows both the simulation's components and [`WorldView`].

use core::time::Duration;
use std::sync::Arc;

use arbiter_protocol::sound::Source;
use arbiter_protocol::{Cause, Sound};
use arbiter_schema::{ComponentId, Describe, Registry, StableId};
use arbiter_sim::Rules;
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::MoverState;
use arbiter_sim::deployables::{AreaState, Turret, Wall, area_of};
use arbiter_sim::effects::{Afflictions, SILENCED, STUNNED};
use arbiter_sim::hitbox::{PlayerBody, TurretBody, WallBody};
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::input::angle_steps;
use arbiter_sim::modes::{ControlPoint, MatchState, Phase};
use arbiter_sim::physics::{Place, Prop};
use arbiter_sim::pickups::PickupState;
use arbiter_sim::players::{Life, Look, Player, PoseSample};
use arbiter_sim::prediction::{Shown, ShownPlayer};
use arbiter_sim::projectiles::{Origin, Projectile};
use arbiter_sim::rules::{Act, Behaviour, Flight, Side};
use arbiter_sim::vitals::Vitals;
use arbiter_sim::weapons::Arsenal;
use arbiter_snapshot::Frame;

use bevy_ecs::entity::Entity;
use glam::Vec3;

use crate::client::ClientCore;
use crate::hearing::HeardSound;
use crate::interpolation::EXTRAPOLATED_MAX_S;
use crate::prediction::OwnHero;
use crate::view::{PlayerView, PointView, SoundOrigin, SoundView, ThingView, WorldView};

/// Metres that nobody walks between two snapshots: whoever did was put somewhere else, and is not drawn out in between.
const JUMP: f32 = 2.0;
/// Without prediction one's own movement is guessed ahead by this many seconds at most.
const GUESS_MAX_S: f32 = 0.15;
const STEP: f32 = core::f32::consts::TAU / 65_536.0;

/// The numbers of the components that are read.
#[derive(Debug)]
pub struct WorldReader {
    rules: Arc<Rules>,
    identity: Option<ComponentId>,
    player: Option<ComponentId>,
    mover: Option<ComponentId>,
    look: Option<ComponentId>,
    life: Option<ComponentId>,
    place: Option<ComponentId>,
    prop: Option<ComponentId>,
    point: Option<ComponentId>,
    game: Option<ComponentId>,
    vitals: Option<ComponentId>,
    arsenal: Option<ComponentId>,
    kit: Option<ComponentId>,
    afflictions: Option<ComponentId>,
    pickup: Option<ComponentId>,
    turret: Option<ComponentId>,
    wall: Option<ComponentId>,
    area: Option<ComponentId>,
    projectile: Option<ComponentId>,
}

/// Where a component stands in the registry; `None` if the registry lacks it or describes another one of this name.
pub fn number<C: Describe>(registry: &Registry) -> Option<ComponentId> {
    let component = registry.find(C::NAME)?;
    (component.lanes == C::lane_descs()).then_some(component.id)
}

/// A component of an entity, of which [`number`] has said where it stands; `None` if it is not told.
pub fn read<C: Describe>(frame: &Frame, id: StableId, component: Option<ComponentId>) -> Option<C> {
    // The frame's rows have as many lanes as the registry says, and `number` has compared those with the type's.
    frame.lanes(id, component?).map(C::from_lanes)
}

impl WorldReader {
    /// For the components of `registry`.
    pub fn new(registry: &Registry, rules: Arc<Rules>) -> Self {
        Self {
            rules,
            identity: number::<Identity>(registry),
            player: number::<Player>(registry),
            mover: number::<MoverState>(registry),
            look: number::<Look>(registry),
            life: number::<Life>(registry),
            place: number::<Place>(registry),
            prop: number::<Prop>(registry),
            point: number::<ControlPoint>(registry),
            game: number::<MatchState>(registry),
            vitals: number::<Vitals>(registry),
            arsenal: number::<Arsenal>(registry),
            kit: number::<Kit>(registry),
            afflictions: number::<Afflictions>(registry),
            pickup: number::<PickupState>(registry),
            turret: number::<Turret>(registry),
            wall: number::<Wall>(registry),
            area: number::<AreaState>(registry),
            projectile: number::<Projectile>(registry),
        }
    }

    /// Fills `view` with what the client knows when it makes the input for `input_tick` at local time `now`. Leaves it as it
    /// was if there is no snapshot yet.
    pub fn read(&self, client: &mut ClientCore, own: &OwnHero, now: Duration, input_tick: u32, view: &mut WorldView) {
        let ticks = client.view_time(now);
        let Some(welcome) = client.welcome() else { return };
        let (slot, me) = (welcome.slot, welcome.player);
        let tick_s = client.clock().tick_s() as f32;
        let (Some(newest), Some((before, after, share))) = (client.newest(), client.around(ticks)) else { return };
        clear(view);
        view.tick = newest.tick();
        view.view_ticks = ticks;
        view.view_tick = ticks as u32;
        view.view_fraction = (ticks.fract() * 256.0) as u8;
        view.view_lag_s = (f64::from(input_tick) - ticks).max(0.0) as f32 * tick_s;
        self.read_match(newest, tick_s, view);
        let mut last = StableId::NONE;
        for row in newest.rows() {
            if row.id == last || !row.id.is_some() {
                continue;
            }
            last = row.id;
            let Some(identity) = read::<Identity>(newest, row.id, self.identity) else { continue };
            let mine = row.id == me || (identity.kind == Kind::Player && identity.slot() == Some(slot));
            match identity.kind {
                Kind::Player if mine && self.read_predicted(newest, own, &identity, row.id, view) => {}
                Kind::Player if mine => {
                    let ahead = (input_tick.saturating_sub(newest.tick()) as f32 * tick_s).min(GUESS_MAX_S);
                    view.me = self
                        .player(newest, &identity, row.id)
                        .map(|me| PlayerView { position: me.position + me.velocity.with_y(0.0) * ahead, ..me });
                    self.read_own(newest, row.id, view);
                }
                Kind::Player => {
                    let around = client.around_entity(row.id, ticks).unwrap_or((before, after, share));
                    view.others.extend(self.player_at(ticks, tick_s, around, &identity, row.id))
                }
                Kind::Point => view.points.extend(self.control_point(newest, &identity, row.id)),
                Kind::Projectile => {
                    let (before, after, _) = client.around_entity(row.id, ticks).unwrap_or((before, after, share));
                    let told = |frame: &Frame| frame.entity(row.id).next().map_or(frame.tick(), |row| row.tick);
                    let seconds = (told(after).saturating_sub(told(before))).max(1) as f32 * tick_s;
                    let flying = self.projectile(newest, (before, after, seconds), &identity, row.id);
                    view.projectiles.extend(flying.map(|flying| as_predicted(flying, own)));
                }
                kind => self.read_thing(newest, kind, &identity, row.id, view),
            }
        }
        while let Some(heard) = client.next_sound(ticks) {
            let sound = self.sound(client, me, heard);
            view.sounds.push(sound);
        }
        view.points.sort_by_key(|point| point.number);
        let running = view.game.running;
        view.points.iter_mut().for_each(|point| point.open &= running);
    }

    fn read_match(&self, frame: &Frame, tick_s: f32, view: &mut WorldView) {
        let Some(state) = read::<MatchState>(frame, StableId::NONE, self.game) else { return };
        view.game.running = matches!(state.phase, Phase::Running | Phase::Overtime);
        view.game.over = state.phase == Phase::Ended;
        view.game.score.extend(state.scores.iter().map(|score| (*score).max(0) as u32));
        view.game.seconds_left = state.phase_until.saturating_sub(frame.tick()) as f32 * tick_s;
    }

    fn player(&self, frame: &Frame, identity: &Identity, id: StableId) -> Option<PlayerView> {
        let body = read::<MoverState>(frame, id, self.mover)?;
        let look = read::<Look>(frame, id, self.look).unwrap_or_default();
        let alive = read::<Life>(frame, id, self.life).is_some_and(|life| life.alive);
        let hero = read::<Player>(frame, id, self.player).map_or(0, |player| player.hero);
        let movement = &self.rules.movement;
        let height = if body.crouched { movement.crouch_height } else { movement.height };
        let vitals = read::<Vitals>(frame, id, self.vitals).unwrap_or_default();
        let weapon = read::<Arsenal>(frame, id, self.arsenal).map_or(0, |arsenal| arsenal.current);
        Some(PlayerView {
            id,
            slot: identity.slot(),
            team: identity.team,
            hero,
            position: body.position,
            velocity: body.velocity,
            eye: height - movement.eye_below_top,
            yaw: f32::from(look.yaw) * STEP,
            pitch: f32::from(look.pitch) * STEP,
            health: vitals.health + vitals.armour + vitals.shield,
            health_max: vitals.health_max + self.rules.hero(hero).armour + vitals.shield_max,
            alive,
            crouching: body.crouched,
            grounded: body.grounded,
            weapon,
        })
    }

    /// Oneself as predicted; `false` while nothing is.
    fn read_predicted(
        &self,
        frame: &Frame,
        own: &OwnHero,
        identity: &Identity,
        id: StableId,
        view: &mut WorldView,
    ) -> bool {
        let Some((body, me)) =
            own.predicted().and_then(|predicted| predicted.own::<MoverState>()).zip(self.player(frame, identity, id))
        else {
            return false;
        };
        let movement = &self.rules.movement;
        let height = if body.crouched { movement.crouch_height } else { movement.height };
        view.me = Some(PlayerView {
            position: body.position + own.offset(),
            velocity: body.velocity,
            eye: height - movement.eye_below_top,
            crouching: body.crouched,
            grounded: body.grounded,
            ..me
        });
        self.read_own(frame, id, view);
        if let Some(predicted) = own.predicted() {
            let (arsenal, kit) = (predicted.own::<Arsenal>(), predicted.own::<Kit>());
            self.note_own(frame, id, view, &arsenal.cloned().unwrap_or_default(), &kit.cloned().unwrap_or_default());
        }
        true
    }

    /// A player at a moment; moved on along their velocity where nothing newer is known, for a little while.
    fn player_at(
        &self,
        ticks: f64,
        tick_s: f32,
        (before, after, share): (&Frame, &Frame, f32),
        identity: &Identity,
        id: StableId,
    ) -> Option<PlayerView> {
        let player = self.player_between(before, after, share, identity, id)?;
        let told = after.entity(id).next().map_or(after.tick(), |row| row.tick);
        let unknown_s = (ticks - f64::from(told)).max(0.0) * f64::from(tick_s);
        let seconds = unknown_s.min(EXTRAPOLATED_MAX_S) as f32;
        Some(PlayerView { position: player.position + player.velocity.with_y(0.0) * seconds, ..player })
    }

    /// Shows the others to one's own shots as `view` shows them, and to one's own feet in `tick` where the server will rewind
    /// them to.
    pub fn show(&self, client: &ClientCore, view: &WorldView, tick: u32, shown: &mut Shown) {
        let rate = client.welcome().map_or(60, |welcome| u32::from(welcome.tick_rate));
        let oldest = f64::from(tick) - f64::from((self.rules.combat.rewind_max_ms * rate).div_ceil(1_000));
        shown.players.clear();
        shown.walls.clear();
        shown.turrets.clear();
        let Some((before, ..)) = client.around(view.view_ticks) else { return };
        for other in view.others.iter().filter(|other| other.alive) {
            let (yaw, _) = angle_steps(other.yaw, 0.0);
            let now = PoseSample { position: other.position, yaw, crouched: other.crouching, alive: true };
            let owner = other.slot.map_or(0, |slot| slot + 1);
            let entity = Entity::PLACEHOLDER;
            let body = PlayerBody { id: other.id, entity, owner, team: other.team, now, shown: true };
            let stands = if oldest > view.view_ticks { self.place_at(client, other.id, oldest) } else { None };
            let drawn = client.around_entity(other.id, view.view_ticks).map_or((0, 0), |(before, after, _)| {
                let told = |frame: &Frame| frame.entity(other.id).next().map_or(frame.tick(), |row| row.tick);
                (told(before), told(after))
            });
            shown.players.push(ShownPlayer { body, stands: stands.unwrap_or(other.position), drawn });
        }
        for row in before.rows().filter(|row| row.id.is_some() && Some(row.component) == self.identity) {
            let identity = Identity { id: row.id, ..Identity::from_lanes(row.lanes) };
            match identity.kind {
                Kind::Shield => shown.walls.extend(self.shown_wall(before, &identity)),
                Kind::Deployable => shown.turrets.extend(self.shown_turret(before, &identity)),
                _ => {}
            }
        }
    }

    /// A sound with its place, as one that came in time is heard now.
    fn sound(&self, client: &ClientCore, me: StableId, HeardSound { tick, sound }: HeardSound) -> SoundView {
        let noise = sound.noise();
        let nothing = SoundView {
            tick,
            noise,
            origin: SoundOrigin::Unknown,
            by: None,
            target: None,
            number: None,
            head: false,
            told: Some(sound),
        };
        // As it was known then: whoever fired may be out of sight by now.
        let then = client.around(f64::from(tick)).map(|(before, ..)| before);
        let whose = |source: Source| match source {
            Source::Thing(id) => Some(id),
            Source::Player(slot) => self.player_in(then?, slot),
        };
        let from = |id: Option<StableId>| {
            id.and_then(|id| self.heard_at(client, id, f64::from(tick))).map_or(SoundOrigin::Unknown, SoundOrigin::At)
        };
        match sound {
            Sound::Around { area, .. } => {
                SoundView { origin: SoundOrigin::Around(Vec3::from_array(area.middle()), area.side()), ..nothing }
            }
            Sound::Burst { at, cause } => {
                let number = match cause {
                    Cause::Weapon(number) | Cause::Ability(number) | Cause::Prop(number) => Some(number),
                    Cause::Effect(_) | Cause::World => None,
                };
                SoundView { origin: SoundOrigin::At(Vec3::from_array(at.place())), number, ..nothing }
            }
            Sound::Fired { by, .. } => {
                let by = whose(by);
                let number = by.and_then(|by| self.weapon_of(then?, by));
                SoundView { origin: from(by), by, number, ..nothing }
            }
            Sound::Used { by, ability } => {
                let by = whose(by);
                SoundView { origin: from(by), by, number: Some(ability), ..nothing }
            }
            Sound::Dealt { target, head } => {
                let target = whose(target);
                SoundView { origin: from(target), by: Some(me), target, head, ..nothing }
            }
            Sound::Taken { by, head } => {
                SoundView { origin: from(Some(me)), by: by.and_then(whose), target: Some(me), head, ..nothing }
            }
        }
    }

    /// The entity of the player in a slot.
    fn player_in(&self, frame: &Frame, slot: u16) -> Option<StableId> {
        let rows = frame.rows().filter(|row| row.id.is_some() && Some(row.component) == self.identity);
        let mut players = rows.map(|row| Identity { id: row.id, ..Identity::from_lanes(row.lanes) });
        players.find(|it| it.kind == Kind::Player && it.slot() == Some(slot)).map(|it| it.id)
    }

    /// The weapon in somebody's hand, or of a turret, by its number in the rules.
    fn weapon_of(&self, frame: &Frame, id: StableId) -> Option<u8> {
        if let Some(turret) = read::<Turret>(frame, id, self.turret) {
            let ability = self.rules.abilities.get(usize::from(turret.ability));
            return ability.and_then(|ability| match &ability.act {
                Act::Deploy(rule) => Some(rule.weapon.number()),
                _ => None,
            });
        }
        let (player, arsenal) = (read::<Player>(frame, id, self.player)?, read::<Arsenal>(frame, id, self.arsenal)?);
        let weapons = &self.rules.hero(player.hero).weapons;
        weapons.get(usize::from(arsenal.current)).map(|link| link.number())
    }

    /// Where somebody or something is heard at a moment: about where shots leave from.
    fn heard_at(&self, client: &ClientCore, id: StableId, ticks: f64) -> Option<Vec3> {
        if let Some(feet) = self.place_at(client, id, ticks) {
            return Some(feet + Vec3::Y * self.rules.movement.height * 0.75);
        }
        let (before, after, _) = client.around_entity(id, ticks)?;
        let place = |frame: &Frame| read::<Place>(frame, id, self.place).map(|place| place.position);
        place(after).or_else(|| place(before))
    }

    /// Where a player was at a moment.
    fn place_at(&self, client: &ClientCore, id: StableId, ticks: f64) -> Option<Vec3> {
        let (before, after, share) = client.around_entity(id, ticks)?;
        let place = |frame: &Frame| read::<MoverState>(frame, id, self.mover).map(|body| body.position);
        let (one, two) = (place(before), place(after));
        one.zip(two).map(|(one, two)| one.lerp(two, share)).or(one).or(two)
    }

    fn shown_wall(&self, frame: &Frame, identity: &Identity) -> Option<WallBody> {
        let place = read::<Place>(frame, identity.id, self.place)?;
        let wall = read::<Wall>(frame, identity.id, self.wall)?;
        Some(WallBody::new(identity.id, identity, &place, &wall, u32::MAX))
    }

    fn shown_turret(&self, frame: &Frame, identity: &Identity) -> Option<TurretBody> {
        let place = read::<Place>(frame, identity.id, self.place)?;
        let turret = read::<Turret>(frame, identity.id, self.turret)?;
        let Act::Deploy(rule) = &self.rules.abilities.get(usize::from(turret.ability))?.act else { return None };
        Some(TurretBody {
            id: identity.id,
            owner: identity.owner,
            team: identity.team,
            foot: place.position,
            radius: rule.radius,
            height: rule.height,
        })
    }

    /// A player between two snapshots; as in either one where the other does not know them.
    fn player_between(
        &self,
        before: &Frame,
        after: &Frame,
        share: f32,
        identity: &Identity,
        id: StableId,
    ) -> Option<PlayerView> {
        let (first, second) = (self.player(before, identity, id), self.player(after, identity, id));
        let (Some(first), Some(second)) = (first, second) else { return first.or(second) };
        if first.alive != second.alive || first.position.distance(second.position) > JUMP {
            return Some(first);
        }
        let turn = crate::bots::aim::turn_between(first.yaw, second.yaw);
        Some(PlayerView {
            position: first.position.lerp(second.position, share),
            velocity: first.velocity.lerp(second.velocity, share),
            yaw: first.yaw + turn * share,
            pitch: first.pitch + (second.pitch - first.pitch) * share,
            // Shots are judged by how one stood then, which changes in a tick and not on the way to it.
            crouching: first.crouching,
            ..second
        })
    }

    fn control_point(&self, frame: &Frame, identity: &Identity, id: StableId) -> Option<PointView> {
        let point = read::<ControlPoint>(frame, id, self.point)?;
        Some(PointView { number: point.number, team: identity.team, progress: point.progress, open: true })
    }

    fn read_own(&self, frame: &Frame, id: StableId, view: &mut WorldView) {
        let arsenal = read::<Arsenal>(frame, id, self.arsenal).unwrap_or_default();
        let kit = read::<Kit>(frame, id, self.kit).unwrap_or_default();
        self.note_own(frame, id, view, &arsenal, &kit);
    }

    fn note_own(&self, frame: &Frame, id: StableId, view: &mut WorldView, arsenal: &Arsenal, kit: &Kit) {
        let hero = self.rules.hero(view.me.map_or(0, |me| me.hero));
        view.me = view.me.map(|me| PlayerView { weapon: arsenal.current, ..me });
        for (at, ammo) in view.own.ammo.iter_mut().enumerate() {
            let weapon = hero.weapons.get(at).and_then(|link| self.rules.weapons.get(link.index()));
            *ammo = weapon.filter(|weapon| weapon.magazine > 0).map(|_| arsenal.rounds[at]);
        }
        view.own.reloading = arsenal.reloading;
        let flags = read::<Afflictions>(frame, id, self.afflictions).map_or(0, |afflictions| afflictions.flags);
        view.own.able = flags & STUNNED == 0;
        view.own.casting = kit.acting != 0;
        view.own.ability_ready = kit.charges.map(|charges| charges > 0 && flags & (STUNNED | SILENCED) == 0);
    }

    /// Something that flies, with its velocity if both of the frames know it.
    fn projectile(
        &self,
        newest: &Frame,
        (before, after, seconds): (&Frame, &Frame, f32),
        identity: &Identity,
        id: StableId,
    ) -> Option<ThingView> {
        let flying = read::<Projectile>(newest, id, self.projectile)?;
        let place = |frame: &Frame| read::<Place>(frame, id, self.place).map(|place| place.position);
        let mut thing = thing(identity, id, place(newest)?);
        if let (Some(first), Some(second)) = (place(before), place(after)) {
            thing.velocity = (second - first) / seconds;
        }
        thing.kind = flying.number;
        thing.harms = true;
        thing.reach = match flying.origin {
            Origin::Weapon => {
                match self.rules.weapons.get(usize::from(flying.number)).map(|weapon| &weapon.behaviour) {
                    Some(Behaviour::Projectile(flight)) => burst(flight),
                    _ => 0.0,
                }
            }
            Origin::Ability => match self.rules.abilities.get(usize::from(flying.number)).map(|ability| &ability.act) {
                Some(Act::Throw(throw)) => {
                    // What heals where it lands is none to run from.
                    thing.harms = throw.area.as_ref().is_none_or(|area| area.side != Side::Friends);
                    burst(&throw.flight).max(throw.area.as_ref().map_or(0.0, |area| area.radius))
                }
                _ => 0.0,
            },
        };
        Some(thing)
    }

    fn read_thing(&self, frame: &Frame, kind: Kind, identity: &Identity, id: StableId, view: &mut WorldView) {
        let Some(place) = read::<Place>(frame, id, self.place) else { return };
        let mut thing = thing(identity, id, place.position);
        match kind {
            Kind::Prop => {
                thing.kind = read::<Prop>(frame, id, self.prop).map_or(0, |prop| prop.kind);
                view.props.push(thing);
            }
            Kind::Pickup => {
                let Some(state) = read::<PickupState>(frame, id, self.pickup) else { return };
                (thing.kind, thing.health) = (state.kind, if state.there { 1.0 } else { 0.0 });
                view.pickups.push(thing);
            }
            Kind::Deployable => {
                let Some(turret) = read::<Turret>(frame, id, self.turret) else { return };
                (thing.kind, thing.health) = (turret.ability, turret.health);
                if let Some(Act::Deploy(rule)) = self.rules.abilities.get(usize::from(turret.ability)).map(|it| &it.act)
                {
                    (thing.height, thing.reach, thing.harms) = (rule.height, rule.range, true);
                }
                view.deployables.push(thing);
            }
            Kind::Shield => {
                thing.health = read::<Wall>(frame, id, self.wall).map_or(0.0, |wall| wall.health);
                view.shields.push(thing);
            }
            Kind::Area => {
                let Some(state) = read::<AreaState>(frame, id, self.area) else { return };
                let harms = |number: usize| self.rules.effects.get(number).is_some_and(|effect| effect.harmful);
                (thing.kind, thing.reach) = (state.ability, state.radius);
                thing.harms = area_of(&self.rules, state.ability)
                    .is_some_and(|area| area.side != Side::Friends && harms(area.effect.index()));
                view.areas.push(thing);
            }
            _ => {}
        }
    }
}

fn thing(identity: &Identity, id: StableId, position: Vec3) -> ThingView {
    ThingView {
        id,
        kind: 0,
        team: identity.team,
        owner: identity.slot(),
        position,
        velocity: Vec3::ZERO,
        height: 0.0,
        reach: 0.0,
        harms: false,
        health: 0.0,
    }
}

/// One's own that flies, where it is predicted: as far ahead as oneself.
fn as_predicted(flying: ThingView, own: &OwnHero) -> ThingView {
    let pair = own.prespawned().pairs().iter().find(|pair| pair.told == flying.id);
    let place = pair.and_then(|pair| own.predicted()?.place_of(pair.made));
    ThingView { position: place.unwrap_or(flying.position), ..flying }
}

/// How far the burst of what flies reaches.
fn burst(flight: &Flight) -> f32 {
    flight.splash.map_or(0.0, |splash| splash.radius)
}

/// Empties a view and keeps its memory.
fn clear(view: &mut WorldView) {
    view.me = None;
    view.others.clear();
    view.projectiles.clear();
    view.pickups.clear();
    view.deployables.clear();
    view.shields.clear();
    view.areas.clear();
    view.props.clear();
    view.points.clear();
    view.sounds.clear();
    view.game.score.clear();
    (view.game.running, view.game.over) = (false, false);
}
