//! Rules of the match: phases, rounds, score, control points, respawn waves, the end.
//!
//! The built-in modes differ only in what gives points. A studio's own mode is a rule of kind `Custom`: phases, waves and
//! time are the same, and its plugin gives points with [`add_score`] and ends rounds with [`end_round`] in
//! [`ModeSet::Custom`].

use arbiter_schema::{Audience, Predictor, Spec, describe, describe_enum};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::Vec3;

use crate::collide::MoverState;
use crate::event::{DomainEvent, Outcome};
use crate::index::{Identity, Index, Kind, NextId};
use crate::map::Map;
use crate::players::{Life, Tally, Tuning, spawn_player};
use crate::rules::{MatchSettings, Mode, ModeKind, Rules};
use crate::simulation::{BuildError, Events, MapRef, MatchSetup, PLAYERS_MAX, RulesRef, TICK_RATES};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::{Clock, SimRng};

/// Teams that a match may have: as many as a scoreboard shows. Where each plays alone there are no teams.
pub const TEAMS_MAX: usize = 16;
/// Spawns that are compared for each respawn; more would not place players better and cost time in a wave of hundreds.
const SPAWN_CANDIDATES: u32 = 8;
/// A spawn is taken if someone stands this near, in metres.
const SPAWN_CLEARANCE: f32 = 1.0;

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
const SCORE: Spec = Spec::new(-1_000_000.0, 1_000_000.0, 1.0, Predictor::Hold, Audience::Everyone);
const TICKS: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Everyone);
const PART: Spec = Spec::new(0.0, 1.0, 1.0 / 255.0, Predictor::Linear, Audience::Everyone);

describe_enum! {
    /// Where a match is.
    pub enum Phase {
        /// Players gather; nothing counts.
        WarmUp,
        /// A round is on.
        Running,
        /// The time is over but a point is still fought for.
        Overtime,
        /// Between rounds.
        RoundOver,
        /// Over.
        Ended,
    }

    /// How a match ended, as state.
    pub enum Verdict {
        /// Not yet.
        Open,
        /// Someone won.
        Won,
        /// Nobody did.
        Draw,
        /// It was stopped.
        Abandoned,
    }
}

describe! {
    /// The match.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct MatchState {
        /// Where it is.
        pub phase: Phase => SMALL,
        /// Tick at which the phase ends; 0 without limit.
        pub phase_until: u32 => TICKS,
        /// From 1; 0 in the warm-up.
        pub round: u16 => TICKS,
        /// Points of this round by team, from team 1.
        pub scores: [i32; TEAMS_MAX] => SCORE,
        /// Rounds won by team, from team 1.
        pub wins: [u8; TEAMS_MAX] => SMALL,
        /// How it ended.
        pub verdict: Verdict => SMALL,
        /// Who won: team, or slot + 1 where each plays alone.
        pub winner: u16 => TICKS,
    }

    /// A control point.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct ControlPoint {
        /// Its number on the map.
        pub number: u8 => SMALL,
        /// The team that takes it now; 0 nobody.
        pub taking: u8 => SMALL,
        /// How far that is, 0 to 1.
        pub progress: f32 => PART,
        /// Whether two teams stand in it.
        pub contested: bool => SMALL,
        /// Share of a point that its holder has earned since the last whole one.
        pub earned: f32,
    }
}

/// What the settings and the mode's rules come to, or why they cannot be played.
pub fn setup(rules: &Rules, map: &Map, settings: &MatchSettings) -> Result<MatchSetup, BuildError> {
    if !TICK_RATES.contains(&settings.tick_rate) {
        return Err(BuildError::TickRate(settings.tick_rate));
    }
    if !(1..=PLAYERS_MAX).contains(&settings.players_max) {
        return Err(BuildError::Players(settings.players_max));
    }
    let mode = rules.modes.iter().position(|mode| mode.name == settings.mode).ok_or_else(|| BuildError::Mode {
        wanted: settings.mode.clone(),
        known: rules.modes.iter().map(|mode| mode.name.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    let rule = &rules.modes[mode];
    let lacks = |what| BuildError::MapLacks { map: map.name.clone(), what, mode: rule.name.clone() };
    if map.spawns.is_empty() {
        return Err(lacks("spawn"));
    }
    if matches!(rule.kind, ModeKind::ControlPoint { .. }) && map.points.is_empty() {
        return Err(lacks("control point"));
    }
    let wished = if settings.teams == 0 { rule.teams } else { settings.teams };
    let teams = if matches!(rule.kind, ModeKind::FreeForAll) { 0 } else { wished.min(TEAMS_MAX as u8) };
    let rate = u32::from(settings.tick_rate);
    Ok(MatchSetup {
        mode,
        players_max: settings.players_max,
        teams,
        friendly_fire: settings.friendly_fire.map_or(rule.friendly_fire, |on| if on { 1.0 } else { 0.0 }),
        idle_ticks: rule.idle_kick_seconds.saturating_mul(rate),
        pause_allowed: rule.pause,
        round_ticks: rule.round_seconds.saturating_mul(rate),
        match_ticks: settings.match_seconds.unwrap_or(0).saturating_mul(rate),
    })
}

/// Parts of [`TickSet::MatchRules`], in order.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModeSet {
    /// The built-in modes have given their points behind it.
    Count,
    /// Where a studio's plugin gives points and ends rounds in its own mode.
    Custom,
    /// Phases have changed, and who was due is back in the world.
    Advance,
}

/// Phases, points, waves.
pub struct ModesPlugin;

impl Plugin for ModesPlugin {
    fn build(&self, app: &mut App) {
        app.describe::<ControlPoint>()
            .describe_resource::<MatchState>()
            .configure_sets(
                Tick,
                (ModeSet::Count, ModeSet::Custom, ModeSet::Advance).chain().in_set(TickSet::MatchRules),
            )
            .add_systems(Tick, (count_kills, hold_points).chain().in_set(ModeSet::Count))
            .add_systems(Tick, (advance, respawn).chain().in_set(ModeSet::Advance));
    }
}

fn mode(world: &World) -> &Mode {
    &world.resource::<RulesRef>().0.modes[world.resource::<MatchSetup>().mode]
}

/// Makes what the mode needs in the world.
pub fn populate(world: &mut World) {
    let clock = world.resource::<Clock>().clone();
    let warm_up = mode(world).warmup_seconds * u32::from(clock.rate);
    let points = world.resource::<MapRef>().points.len();
    if matches!(mode(world).kind, ModeKind::ControlPoint { .. }) {
        for number in 0..points {
            let identity = world.resource_mut::<NextId>().make(Kind::Point, 0, None);
            world.spawn((identity, ControlPoint { number: number as u8, ..ControlPoint::default() }));
        }
    }
    world.resource_mut::<MatchState>().phase_until = warm_up.max(1);
}

/// How the match ended, once it has.
pub fn outcome(world: &World) -> Option<Outcome> {
    let state = world.resource::<MatchState>();
    match state.verdict {
        Verdict::Open => None,
        Verdict::Won => Some(Outcome::Won(state.winner)),
        Verdict::Draw => Some(Outcome::Draw),
        Verdict::Abandoned => Some(Outcome::Abandoned),
    }
}

/// Gives points to a team, or to slot + 1 where each plays alone. Nobody is ignored.
pub fn add_score(world: &mut World, side: u16, points: i32) {
    if world.resource::<MatchSetup>().teams == 0 {
        let player = side.checked_sub(1).and_then(|slot| world.resource::<Index>().slot(slot));
        if let Some(mut tally) = player.and_then(|player| world.get_mut::<Tally>(player)) {
            tally.score = tally.score.saturating_add(points);
        }
        return;
    }
    let mut state = world.resource_mut::<MatchState>();
    if let Some(score) = usize::from(side).checked_sub(1).and_then(|team| state.scores.get_mut(team)) {
        *score = score.saturating_add(points);
    }
}

/// Ends the match in this tick. The rounds that were played to their end decide; where they do not, the points of this one.
pub fn end_now(world: &mut World) {
    let leader = leader(world).map_or(Outcome::Draw, Outcome::Won);
    let (state, setup) = (world.resource::<MatchState>(), world.resource::<MatchSetup>());
    let (round, teams) = (state.round, setup.teams);
    if matches!(state.phase, Phase::Running | Phase::Overtime) {
        world.resource_mut::<Events>().0.push(DomainEvent::RoundEnded { round, outcome: leader });
    }
    let by_rounds = if teams == 0 { Outcome::Draw } else { most_rounds(world, teams) };
    end_match(world, if by_rounds == Outcome::Draw { leader } else { by_rounds });
}

/// The side with the most points, if it is one alone.
pub fn leader(world: &World) -> Option<u16> {
    let mut best: Option<(i32, u16)> = None;
    let mut tied = false;
    let mut consider = |score: i32, side: u16| match best {
        Some((most, _)) if score < most => {}
        Some((most, _)) if score == most => tied = true,
        _ => {
            best = Some((score, side));
            tied = false;
        }
    };
    let teams = world.resource::<MatchSetup>().teams;
    if teams == 0 {
        for (slot, _, entity) in world.resource::<Index>().players() {
            consider(world.get::<Tally>(entity).map_or(0, |tally| tally.score), slot + 1);
        }
    } else {
        let state = world.resource::<MatchState>();
        for team in 0..teams {
            consider(state.scores[usize::from(team)], u16::from(team) + 1);
        }
    }
    best.filter(|_| !tied).map(|(_, side)| side)
}

fn end_match(world: &mut World, outcome: Outcome) {
    let mut state = world.resource_mut::<MatchState>();
    if state.verdict != Verdict::Open {
        return;
    }
    state.phase = Phase::Ended;
    state.phase_until = 0;
    (state.verdict, state.winner) = match outcome {
        Outcome::Won(side) => (Verdict::Won, side),
        Outcome::Draw => (Verdict::Draw, 0),
        Outcome::Abandoned => (Verdict::Abandoned, 0),
    };
    world.resource_mut::<Clock>().over = true;
    world.resource_mut::<Events>().0.push(DomainEvent::MatchEnded { outcome });
}

fn count_kills(world: &mut World) {
    if !matches!(world.resource::<MatchState>().phase, Phase::Running | Phase::Overtime) {
        return;
    }
    let (per_kill, per_suicide) = (mode(world).kill_points as i32, mode(world).suicide_points as i32);
    // By position, since giving points needs the world.
    for at in 0..world.resource::<Events>().0.len() {
        let DomainEvent::Killed { victim, killer, .. } = world.resource::<Events>().0[at] else { continue };
        let side_of = |slot: u16| {
            let player = world.resource::<Index>().slot(slot)?;
            let team = world.get::<Identity>(player)?.team;
            Some(if team == 0 { slot + 1 } else { u16::from(team) })
        };
        match (side_of(victim), killer.and_then(side_of)) {
            (Some(theirs), Some(ours)) if theirs != ours => add_score(world, ours, per_kill),
            (_, Some(ours)) => add_score(world, ours, -per_suicide),
            (Some(theirs), None) => add_score(world, theirs, -per_suicide),
            (None, None) => {}
        }
    }
}

fn hold_points(world: &mut World) {
    let state = world.resource::<MatchState>();
    if !matches!(state.phase, Phase::Running | Phase::Overtime) || world.resource::<Index>().of(Kind::Point).is_empty()
    {
        return;
    }
    let clock = world.resource::<Clock>().clone();
    let ModeKind::ControlPoint { capture_seconds, helper_share, helpers_max, points_per_second } = mode(world).kind
    else {
        return;
    };
    let step_of = |players: u32| {
        let helpers = players.saturating_sub(1).min(u32::from(helpers_max)) as f32;
        clock.dt / capture_seconds * (1.0 + helpers * helper_share)
    };
    for at in 0..world.resource::<Index>().of(Kind::Point).len() {
        let (_, entity) = world.resource::<Index>().of(Kind::Point)[at];
        let Some((mut point, owner)) =
            world.get::<ControlPoint>(entity).cloned().zip(world.get::<Identity>(entity).map(|it| it.team))
        else {
            continue;
        };
        let volume = world.resource::<MapRef>().points[usize::from(point.number)].volume;
        let mut inside = [0u32; TEAMS_MAX + 1];
        for (_, _, player) in world.resource::<Index>().players() {
            let Ok((identity, life, body)) =
                world.get_entity(player).map(|it| (it.get::<Identity>(), it.get::<Life>(), it.get::<MoverState>()))
            else {
                continue;
            };
            let (Some(identity), Some(life), Some(body)) = (identity, life, body) else { continue };
            if life.alive && volume.contains(body.position) {
                inside[usize::from(identity.team)] += 1;
            }
        }
        let present: arrayvec::ArrayVec<u8, { TEAMS_MAX + 1 }> =
            (1..=TEAMS_MAX as u8).filter(|team| inside[usize::from(*team)] > 0).collect();
        point.contested = present.len() > 1;
        let mut taken = None;
        match present.as_slice() {
            [] => {
                point.progress = (point.progress - step_of(1)).max(0.0);
            }
            &[team] if team == owner => {
                point.progress = (point.progress - step_of(inside[usize::from(team)])).max(0.0);
            }
            &[team] => {
                if point.taking != team {
                    (point.taking, point.progress) = (team, 0.0);
                }
                point.progress += step_of(inside[usize::from(team)]);
                if point.progress >= 1.0 {
                    taken = Some(team);
                    (point.taking, point.progress) = (0, 0.0);
                }
            }
            // Contested: nothing moves.
            _ => {}
        }
        if point.progress == 0.0 {
            point.taking = 0;
        }
        let mut whole = 0;
        if owner != 0 && taken.is_none() {
            point.earned += points_per_second * clock.dt;
            whole = point.earned as i32;
            point.earned -= whole as f32;
        }
        let number = point.number;
        if let Some(mut component) = world.get_mut::<ControlPoint>(entity) {
            *component = point;
        }
        if let Some(team) = taken {
            capture(world, entity, number, team, volume);
        } else if whole > 0 {
            add_score(world, u16::from(owner), whole);
        }
    }
}

fn capture(world: &mut World, point: Entity, number: u8, team: u8, volume: crate::map::Volume) {
    if let Some(mut identity) = world.get_mut::<Identity>(point) {
        identity.team = team;
    }
    world.resource_mut::<Events>().0.push(DomainEvent::PointCaptured { point: number, team });
    for player in world.resource::<Index>().player_entities() {
        let ours = world.get::<Identity>(player).is_some_and(|identity| identity.team == team);
        let inside = world.get::<MoverState>(player).is_some_and(|body| volume.contains(body.position));
        let alive = world.get::<Life>(player).is_some_and(|life| life.alive);
        if let (true, Some(mut tally)) = (ours && inside && alive, world.get_mut::<Tally>(player)) {
            tally.captures = tally.captures.saturating_add(1);
        }
    }
}

fn advance(world: &mut World) {
    let clock = world.resource::<Clock>().clone();
    let setup = world.resource::<MatchSetup>().clone();
    let state = world.resource::<MatchState>();
    let time_is_over = state.phase_until != 0 && clock.tick >= state.phase_until;
    let limit = mode(world).score_limit as i32;
    let overtime = mode(world).overtime_seconds * u32::from(clock.rate);
    match state.phase {
        Phase::WarmUp if time_is_over => {
            world.resource_mut::<Events>().0.push(DomainEvent::MatchStarted);
            start_round(world, 1, &setup, &clock);
        }
        Phase::Running | Phase::Overtime => {
            let best = leader(world);
            let reached = limit > 0 && best.is_some_and(|side| side_score(world, side) >= limit);
            let last_call = setup.match_ticks > 0 && clock.tick >= setup.match_ticks;
            if state.phase == Phase::Running && time_is_over && overtime > 0 && !reached && undecided(world, best) {
                let mut state = world.resource_mut::<MatchState>();
                state.phase = Phase::Overtime;
                state.phase_until = clock.tick + overtime;
                return;
            }
            let settled = state.phase == Phase::Overtime && !undecided(world, best);
            if reached || settled || time_is_over {
                end_round(world, best.map_or(Outcome::Draw, Outcome::Won));
            }
            if last_call {
                end_now(world);
            }
        }
        Phase::RoundOver if time_is_over => {
            let next = state.round + 1;
            start_round(world, next, &setup, &clock);
        }
        _ => {}
    }
}

/// Whether overtime is due: a point is being taken or fought over, or nobody leads.
fn undecided(world: &World, leader: Option<u16>) -> bool {
    let points = world.resource::<Index>().of(Kind::Point);
    if points.is_empty() {
        return leader.is_none();
    }
    points.iter().any(|(_, entity)| {
        world.get::<ControlPoint>(*entity).is_some_and(|point| point.contested || point.progress > 0.0)
    })
}

fn side_score(world: &World, side: u16) -> i32 {
    if world.resource::<MatchSetup>().teams == 0 {
        let player = world.resource::<Index>().slot(side - 1);
        return player.and_then(|player| world.get::<Tally>(player)).map_or(0, |tally| tally.score);
    }
    world.resource::<MatchState>().scores[usize::from(side) - 1]
}

/// Ends the running round; the match too if it was the last or decides it.
pub fn end_round(world: &mut World, outcome: Outcome) {
    let clock = world.resource::<Clock>().clone();
    let (rounds_max, to_win) = (u16::from(mode(world).rounds_max), mode(world).rounds_to_win);
    let pause = (mode(world).break_seconds * u32::from(clock.rate)).max(1);
    let mut state = world.resource_mut::<MatchState>();
    if !matches!(state.phase, Phase::Running | Phase::Overtime) {
        return;
    }
    state.phase = Phase::RoundOver;
    state.phase_until = clock.tick + pause;
    let round = state.round;
    let mut most = 0;
    if let Outcome::Won(side) = outcome
        && let Some(wins) = state.wins.get_mut(usize::from(side).wrapping_sub(1))
    {
        *wins = wins.saturating_add(1);
        most = *wins;
    }
    world.resource_mut::<Events>().0.push(DomainEvent::RoundEnded { round, outcome });
    let teams = world.resource::<MatchSetup>().teams;
    if round >= rounds_max || most >= to_win {
        let decided = if rounds_max == 1 || teams == 0 { outcome } else { most_rounds(world, teams) };
        end_match(world, decided);
    }
}

fn most_rounds(world: &World, teams: u8) -> Outcome {
    let wins = &world.resource::<MatchState>().wins[..usize::from(teams)];
    let most = wins.iter().copied().max().unwrap_or(0);
    let mut best = wins.iter().enumerate().filter(|(_, count)| **count == most);
    match (best.next(), best.next()) {
        (Some((team, _)), None) => Outcome::Won(team as u16 + 1),
        _ => Outcome::Draw,
    }
}

fn start_round(world: &mut World, round: u16, setup: &MatchSetup, clock: &Clock) {
    let mut state = world.resource_mut::<MatchState>();
    state.phase = Phase::Running;
    state.round = round;
    state.phase_until = if setup.round_ticks == 0 { 0 } else { clock.tick + setup.round_ticks };
    state.scores = [0; TEAMS_MAX];
    world.resource_mut::<Events>().0.push(DomainEvent::RoundStarted { round });
    let points: arrayvec::ArrayVec<Entity, 256> =
        world.resource::<Index>().of(Kind::Point).iter().map(|entry| entry.1).take(256).collect();
    for point in points {
        if let Some(mut identity) = world.get_mut::<Identity>(point) {
            identity.team = 0;
        }
        if let Some(mut point) = world.get_mut::<ControlPoint>(point) {
            *point = ControlPoint { number: point.number, ..ControlPoint::default() };
        }
    }
    for player in world.resource::<Index>().player_entities() {
        if let Some(mut tally) = world.get_mut::<Tally>(player) {
            tally.score = 0;
        }
        // Everybody starts the round from a spawn, the living too.
        if let Some(mut life) = world.get_mut::<Life>(player) {
            life.alive = false;
            life.respawn_tick = clock.tick;
        }
    }
}

/// Whether someone who joins now may enter the running round.
pub fn may_enter(world: &World) -> bool {
    mode(world).backfill || world.resource::<MatchState>().phase == Phase::WarmUp
}

fn respawn(world: &mut World) {
    let clock = world.resource::<Clock>().clone();
    let rule = mode(world);
    let wave_ms = rule.respawn_wave_ms as f32 * world.resource::<Tuning>().respawn;
    let wave = clock.ticks(wave_ms as u32);
    let protection = clock.ticks(rule.spawn_protection_ms);
    for player in world.resource::<Index>().player_entities() {
        let Some(mut life) = world.get_mut::<Life>(player) else { continue };
        if life.alive {
            continue;
        }
        if life.died_tick == clock.tick && clock.tick != 0 && life.respawn_tick != clock.tick {
            // The next wave that is at least half a wave away, so that nobody dies into a wave.
            life.respawn_tick = (clock.tick + wave / 2).next_multiple_of(wave.max(1)).max(clock.tick + 1);
        }
        if life.respawn_tick <= clock.tick {
            life.protected_until = clock.tick + protection;
            let (position, yaw) = choose_spawn(world, player);
            spawn_player(world, player, position, yaw);
        }
    }
}

/// The spawn of the player's team, of some drawn by chance, that is farthest from living enemies and not taken.
fn choose_spawn(world: &mut World, player: Entity) -> (Vec3, f32) {
    let map = world.resource::<MapRef>().clone();
    let team = world.get::<Identity>(player).map_or(0, |identity| identity.team);
    let fits = |spawn_team: u8| spawn_team == 0 || team == 0 || spawn_team == team;
    let ours = map.spawns.iter().filter(|spawn| fits(spawn.team)).count() as u32;
    // A map without spawns for this team lets it enter anywhere.
    let any = ours == 0;
    let total = if any { map.spawns.len() as u32 } else { ours };
    let mut best: Option<(f32, Vec3, f32)> = None;
    for _ in 0..SPAWN_CANDIDATES.min(total) {
        let drawn = world.resource_mut::<SimRng>().below(total) as usize;
        let Some(spawn) = map.spawns.iter().filter(|spawn| any || fits(spawn.team)).nth(drawn) else { continue };
        let mut nearest_enemy = 1.0e6f32;
        let mut taken = false;
        for (_, _, other) in world.resource::<Index>().players() {
            if other == player || !world.get::<Life>(other).is_some_and(|life| life.alive) {
                continue;
            }
            let Some(body) = world.get::<MoverState>(other) else { continue };
            let distance = body.position.distance(spawn.position);
            taken |= distance < SPAWN_CLEARANCE;
            let enemy = world.get::<Identity>(other).is_some_and(|identity| team == 0 || identity.team != team);
            if enemy {
                nearest_enemy = nearest_enemy.min(distance);
            }
        }
        let worth = if taken { nearest_enemy - 1.0e6 } else { nearest_enemy };
        if best.is_none_or(|(most, ..)| worth > most) {
            best = Some((worth, spawn.position, spawn.yaw));
        }
    }
    best.map_or((map.spawns[0].position, map.spawns[0].yaw), |(_, position, yaw)| (position, yaw))
}
