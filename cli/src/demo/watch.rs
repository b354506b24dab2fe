//! Watching a running match from inside its room: counts every tick, and keeps a picture of it for the terminal.
//!
//! [`Watch::ticked`] runs on the room's thread behind each tick, so it does little there: the picture is made anew only
//! [`PICTURES_PER_SECOND`] times a second.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arbiter_schema::StableId;
use arbiter_sim::collide::MoverState;
use arbiter_sim::index::{Identity, Index, Kind};
use arbiter_sim::modes::{ControlPoint, MatchState, Phase};
use arbiter_sim::physics::Place;
use arbiter_sim::players::{self, Life, Look, Player};
use arbiter_sim::rules::Rules;
use arbiter_sim::simulation::MatchSetup;
use arbiter_sim::vitals::Vitals;
use arbiter_sim::{Cause, Cue, DomainEvent, Simulation};
use glam::Vec3;

use super::model::{
    Burst, FEED_MAX, FeedLine, Ground, Mark, MarkKind, PlayerView, PointView, Score, Shot, ViewModel, callsign,
};
use super::tally::Tally;

/// As often as the terminal is drawn.
pub const PICTURES_PER_SECOND: u16 = 20;
/// Seconds that the way of a shot is seen.
const SHOT_S: f32 = 0.25;
/// Seconds that a burst is seen.
const BURST_S: f32 = 0.5;
/// Shots and bursts that are remembered; in a battle of a thousand the oldest of them go unseen.
const TRACES_MAX: usize = 256;

/// A window into a match.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    tally: Tally,
    picture: Picture,
    shots: VecDeque<(u32, Shot)>,
    bursts: VecDeque<(u32, Burst)>,
    feed: VecDeque<FeedLine>,
}

#[derive(Debug, Clone, Default)]
struct Picture {
    tick: u32,
    left_s: Option<f32>,
    players: Vec<PlayerView>,
    marks: Vec<Mark>,
    points: Vec<PointView>,
    scores: Vec<Score>,
    teams: bool,
}

fn ground(at: Vec3) -> Ground {
    [at.x, at.z]
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What a panic left half-written is a picture of a match: the next tick draws it anew.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a match behind one of its ticks.
    pub fn ticked(&self, simulation: &Simulation) {
        let mut seen = self.seen();
        seen.tally.note(simulation);
        seen.note_traces(simulation);
        seen.note_kills(simulation);
        let every = u32::from((simulation.settings().tick_rate / PICTURES_PER_SECOND).max(1));
        if simulation.tick().is_multiple_of(every) || simulation.ended().is_some() {
            picture(simulation, &mut seen.picture);
        }
    }

    /// What has been counted.
    pub fn tally(&self) -> Tally {
        self.seen().tally.clone()
    }

    /// Whether there are teams.
    pub fn teams(&self) -> bool {
        self.seen().picture.teams
    }

    /// Fills what is known of the match into the model of the screen.
    pub fn fill(&self, model: &mut ViewModel) {
        let seen = self.seen();
        let rate = f32::from(model.tick_rate.max(1));
        let now = seen.tally.ticks;
        model.tick = now;
        model.elapsed_s = now as f32 / rate;
        model.left_s = seen.picture.left_s;
        model.players.clone_from(&seen.picture.players);
        model.marks.clone_from(&seen.picture.marks);
        model.points.clone_from(&seen.picture.points);
        model.scores.clone_from(&seen.picture.scores);
        model.feed.clone_from(&seen.feed);
        let age = |tick: u32, life_s: f32| now.saturating_sub(tick) as f32 / rate / life_s;
        let shots = seen.shots.iter().map(|(tick, shot)| Shot { age: age(*tick, SHOT_S), ..*shot });
        model.shots.clear();
        model.shots.extend(shots.filter(|shot| shot.age < 1.0));
        let bursts = seen.bursts.iter().map(|(tick, burst)| Burst { age: age(*tick, BURST_S), ..*burst });
        model.bursts.clear();
        model.bursts.extend(bursts.filter(|burst| burst.age < 1.0));
    }
}

impl Seen {
    fn note_traces(&mut self, simulation: &Simulation) {
        let (tick, view) = (simulation.tick(), simulation.view());
        for cue in simulation.cues() {
            match cue {
                Cue::Fired { by, from, to, .. } => {
                    let team = view.get::<Identity>(*by).map_or(0, |identity| identity.team);
                    self.shots.push_back((tick, Shot { from: ground(*from), to: ground(*to), team, age: 0.0 }));
                }
                Cue::Exploded { at, radius, .. } => {
                    self.bursts.push_back((tick, Burst { at: ground(*at), radius: *radius, age: 0.0 }));
                }
                Cue::AbilityUsed { .. } | Cue::Hit { .. } => {}
            }
        }
        let (shots, bursts) = (self.shots.len(), self.bursts.len());
        self.shots.drain(..shots.saturating_sub(TRACES_MAX));
        self.bursts.drain(..bursts.saturating_sub(TRACES_MAX));
    }

    fn note_kills(&mut self, simulation: &Simulation) {
        let view = simulation.view();
        let person = |slot: u16| {
            let identity = view.player(slot).and_then(|id| view.get::<Identity>(id));
            (callsign(slot), identity.map_or(0, |identity| identity.team))
        };
        let at_s = simulation.tick() as f32 / f32::from(simulation.settings().tick_rate);
        for event in simulation.events() {
            if let DomainEvent::Killed { victim, killer, cause, headshot, .. } = *event {
                self.feed.push_front(FeedLine {
                    at_s,
                    killer: killer.map(person),
                    victim: person(victim),
                    cause: cause_for_people(simulation.rules(), cause),
                    headshot,
                });
            }
        }
        self.feed.truncate(FEED_MAX);
    }
}

/// What killed somebody, for people.
pub fn cause_for_people(rules: &Rules, cause: Cause) -> String {
    let name = match cause {
        Cause::Weapon(number) => rules.weapons.get(usize::from(number)).map(|it| &it.title),
        Cause::Ability(number) => rules.abilities.get(usize::from(number)).map(|it| &it.title),
        Cause::Effect(number) => rules.effects.get(usize::from(number)).map(|it| &it.title),
        Cause::Prop(number) => rules.props.get(usize::from(number)).map(|it| &it.title),
        Cause::World => None,
    };
    name.cloned().unwrap_or_else(|| "fell".to_owned())
}

fn picture(simulation: &Simulation, picture: &mut Picture) {
    let view = simulation.view();
    picture.tick = simulation.tick();
    picture.players.clear();
    for slot in view.slots() {
        let Some(player) = view.player(slot).and_then(|id| player(simulation, slot, id)) else { continue };
        picture.players.push(player);
    }
    picture.marks.clear();
    picture.points.clear();
    let Some(index) = view.resource::<Index>() else { return };
    let kinds = [
        (Kind::Prop, MarkKind::Prop),
        (Kind::Platform, MarkKind::Platform),
        (Kind::Pickup, MarkKind::Pickup),
        (Kind::Area, MarkKind::Area),
        (Kind::Shield, MarkKind::Shield),
        (Kind::Deployable, MarkKind::Deployable),
        (Kind::Projectile, MarkKind::Projectile),
    ];
    for (of, kind) in kinds {
        for &(id, _) in index.of(of) {
            let (Some(place), Some(identity)) = (view.get::<Place>(id), view.get::<Identity>(id)) else { continue };
            picture.marks.push(Mark { kind, team: identity.team, at: ground(place.position) });
        }
    }
    for &(id, _) in index.of(Kind::Point) {
        let (Some(point), Some(identity)) = (view.get::<ControlPoint>(id), view.get::<Identity>(id)) else { continue };
        let Some(spot) = simulation.map().points.get(usize::from(point.number)) else { continue };
        let (at, half) = (ground(spot.volume.centre), ground(spot.volume.half));
        picture.points.push(PointView { at, half, team: identity.team });
    }
    let Some(setup) = view.resource::<MatchSetup>() else { return };
    let teams = setup.teams;
    picture.teams = teams > 0;
    if let Some(state) = view.resource::<MatchState>() {
        let scores = state.scores.iter().take(usize::from(teams)).zip(1..);
        picture.scores.clear();
        picture.scores.extend(scores.map(|(points, team)| Score { team, points: *points }));
        // The round may end before the match and the match before the round; a limit of 0 is none.
        let ends = [if state.phase == Phase::WarmUp { 0 } else { state.phase_until }, setup.match_ticks];
        let end = ends.into_iter().filter(|end| *end > 0).min();
        picture.left_s =
            end.map(|end| end.saturating_sub(picture.tick) as f32 / f32::from(simulation.settings().tick_rate));
    }
}

fn player(simulation: &Simulation, slot: u16, id: StableId) -> Option<PlayerView> {
    let view = simulation.view();
    let tally = view.get::<players::Tally>(id);
    let vitals = view.get::<Vitals>(id)?;
    let hero = simulation.rules().hero(view.get::<Player>(id)?.hero);
    Some(PlayerView {
        slot,
        name: callsign(slot),
        hero: hero.title.clone(),
        team: view.get::<Identity>(id)?.team,
        at: ground(view.get::<MoverState>(id)?.position),
        yaw: f32::from(view.get::<Look>(id)?.yaw) * (std::f32::consts::TAU / 65_536.0),
        health: vitals.health,
        health_max: hero.health,
        alive: view.get::<Life>(id)?.alive,
        kills: tally.map_or(0, |tally| u32::from(tally.kills)),
        deaths: tally.map_or(0, |tally| u32::from(tally.deaths)),
    })
}
