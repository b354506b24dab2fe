//! From what a client was told of a tick to the picture of it on the terminal.

use arbiter_headless_client::world::{number, read};
use arbiter_protocol as wire;
use arbiter_schema::{ComponentId, Registry, StableId};
use arbiter_sim::collide::MoverState;
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::modes::{ControlPoint, MatchState, Phase};
use arbiter_sim::physics::Place;
use arbiter_sim::players::{Life, Look, Player, Tally};
use arbiter_sim::vitals::Vitals;
use arbiter_sim::{Cause, Outcome, Rules};
use arbiter_snapshot::Frame;
use glam::Vec3;

use crate::demo::model::{Ground, Mark, MarkKind, PlayerView, PointView, Score, ViewModel, callsign};

/// The numbers of the components that are read.
#[derive(Debug)]
pub struct Picture {
    identity: Option<ComponentId>,
    player: Option<ComponentId>,
    mover: Option<ComponentId>,
    look: Option<ComponentId>,
    life: Option<ComponentId>,
    tally: Option<ComponentId>,
    vitals: Option<ComponentId>,
    place: Option<ComponentId>,
    point: Option<ComponentId>,
    game: Option<ComponentId>,
}

fn ground(at: Vec3) -> Ground {
    [at.x, at.z]
}

impl Picture {
    /// For the components of a registry.
    pub fn new(registry: &Registry) -> Self {
        Self {
            identity: number::<Identity>(registry),
            player: number::<Player>(registry),
            mover: number::<MoverState>(registry),
            look: number::<Look>(registry),
            life: number::<Life>(registry),
            tally: number::<Tally>(registry),
            vitals: number::<Vitals>(registry),
            place: number::<Place>(registry),
            point: number::<ControlPoint>(registry),
            game: number::<MatchState>(registry),
        }
    }

    /// Fills what is known at a tick into the model of the screen.
    pub fn fill(&self, frame: &Frame, rules: &Rules, model: &mut ViewModel) {
        let rate = f32::from(model.tick_rate.max(1));
        model.tick = frame.tick();
        model.elapsed_s = frame.tick() as f32 / rate;
        model.players.clear();
        model.marks.clear();
        model.points.clear();
        let mut teams = 0;
        let rows = frame.rows().filter(|row| Some(row.component) == self.identity);
        for (id, identity) in rows.filter_map(|row| Some((row.id, read::<Identity>(frame, row.id, self.identity)?))) {
            match identity.kind {
                Kind::Player => {
                    teams = teams.max(identity.team);
                    model.players.extend(self.player(frame, rules, id, &identity));
                }
                Kind::Point => {
                    let point = read::<ControlPoint>(frame, id, self.point);
                    let spot = point.and_then(|point| model.map.points.get(usize::from(point.number)));
                    model.points.extend(spot.map(|spot| PointView {
                        at: ground(spot.volume.centre),
                        half: ground(spot.volume.half),
                        team: identity.team,
                    }));
                }
                kind => {
                    let mark = mark(kind).zip(read::<Place>(frame, id, self.place));
                    model.marks.extend(mark.map(|(kind, place)| Mark {
                        kind,
                        team: identity.team,
                        at: ground(place.position),
                    }));
                }
            }
        }
        model.players.sort_by_key(|player| player.slot);
        if let Some(state) = read::<MatchState>(frame, StableId::NONE, self.game) {
            // Of teams nobody of whom is known, only those below others are.
            let teams =
                usize::from(teams).max(state.scores.iter().rposition(|points| *points != 0).map_or(0, |at| at + 1));
            model.scores.clear();
            let scores = state.scores.iter().take(teams).zip(1..);
            model.scores.extend(scores.map(|(points, team)| Score { team, points: *points }));
            let until = if state.phase == Phase::WarmUp { 0 } else { state.phase_until };
            model.left_s = (until > 0).then(|| until.saturating_sub(frame.tick()) as f32 / rate);
        }
    }

    fn player(&self, frame: &Frame, rules: &Rules, id: StableId, identity: &Identity) -> Option<PlayerView> {
        let slot = identity.slot()?;
        let hero = rules.hero(read::<Player>(frame, id, self.player)?.hero);
        let tally = read::<Tally>(frame, id, self.tally);
        Some(PlayerView {
            slot,
            name: callsign(slot),
            hero: hero.title.clone(),
            team: identity.team,
            at: ground(read::<MoverState>(frame, id, self.mover)?.position),
            yaw: f32::from(read::<Look>(frame, id, self.look)?.yaw) * (std::f32::consts::TAU / 65_536.0),
            health: read::<Vitals>(frame, id, self.vitals)?.health,
            health_max: hero.health,
            alive: read::<Life>(frame, id, self.life)?.alive,
            kills: tally.as_ref().map_or(0, |tally| u32::from(tally.kills)),
            deaths: tally.as_ref().map_or(0, |tally| u32::from(tally.deaths)),
        })
    }
}

fn mark(kind: Kind) -> Option<MarkKind> {
    Some(match kind {
        Kind::Prop => MarkKind::Prop,
        Kind::Platform => MarkKind::Platform,
        Kind::Pickup => MarkKind::Pickup,
        Kind::Area => MarkKind::Area,
        Kind::Shield => MarkKind::Shield,
        Kind::Deployable => MarkKind::Deployable,
        Kind::Projectile => MarkKind::Projectile,
        Kind::Player | Kind::Point | Kind::Custom => return None,
    })
}

/// What killed somebody, as the simulation calls it.
pub fn cause(cause: wire::Cause) -> Cause {
    match cause {
        wire::Cause::Weapon(number) => Cause::Weapon(number),
        wire::Cause::Ability(number) => Cause::Ability(number),
        wire::Cause::Effect(number) => Cause::Effect(number),
        wire::Cause::Prop(number) => Cause::Prop(number),
        wire::Cause::World => Cause::World,
    }
}

/// How a match ended, as the simulation calls it.
pub fn outcome(outcome: wire::Outcome) -> Outcome {
    match outcome {
        wire::Outcome::Won(team) => Outcome::Won(team),
        wire::Outcome::Draw => Outcome::Draw,
        wire::Outcome::Abandoned => Outcome::Abandoned,
    }
}
