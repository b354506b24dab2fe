//! `arbiter bots --report leaks`: bots, hostile ones among them, play over real sockets on a server in this process. What each client
//! held of a tick is put beside the state of that tick, and [`Oracle`] says what it should have held.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use arbiter_headless_client::bots::Bot;
use arbiter_headless_client::bots::cheat::Cheat;
use arbiter_headless_client::runner::{BotsConfig, BotsReport};
use arbiter_headless_client::view::SoundView;
use arbiter_schema::{Audience, ComponentId, StableId};
use arbiter_server::interest::{HORIZON_MS_MAX, HORIZON_SLACK_MS, RANGE_M};
use arbiter_sim::index::Identity;
use arbiter_sim::modes::{MatchState, Phase};
use arbiter_sim::players::Controls;
use arbiter_sim::rules::MatchSettings;
use arbiter_sim::{DomainEvent, Simulation};
use arbiter_snapshot::Frame;

use super::oracle::{Oracle, Reach};
use super::sounds::{Heard, Sounded};
use super::{Leaks, Player, living};
use crate::assets::Assets;
use crate::bots_command::{BotsArgs, link_of, run_until_told};
use crate::host::Play;
use crate::keys::random_seed;
use crate::plugins::Plugins;
use crate::report::{self, Observed};
use crate::stop::Stop;

/// Ticks a second of the match.
const TICK_RATE: u16 = 60;
/// All pairs are judged every so many ticks.
const EVERY: u32 = 12;
/// Ticks until everything that was told of a tick has come.
const SETTLED_TICKS: u32 = 4;

/// The state of some ticks.
#[derive(Default)]
struct Truth {
    moments: Vec<(u32, Vec<u8>)>,
    sounded: Sounded,
    /// By slot.
    kills: BTreeMap<u16, u32>,
}

impl Truth {
    fn note(&mut self, simulation: &Simulation) {
        for event in simulation.events() {
            if let DomainEvent::Killed { killer: Some(killer), .. } = event {
                *self.kills.entry(*killer).or_default() += 1;
            }
        }
        self.sounded.note(simulation);
        let phase = simulation.view().resource::<MatchState>().map(|state| state.phase);
        if simulation.tick().is_multiple_of(EVERY) && matches!(phase, Some(Phase::Running | Phase::Overtime)) {
            let mut bytes = Vec::new();
            simulation.checkpoint(&mut bytes);
            self.moments.push((simulation.tick(), bytes));
        }
    }
}

/// One row as a client holds it.
struct Held {
    id: StableId,
    component: ComponentId,
    lanes: Vec<i32>,
    owner: bool,
    team: bool,
}

/// What clients held of some ticks, by tick and slot.
#[derive(Default)]
struct Holdings {
    held: BTreeMap<(u32, u16), Vec<Held>>,
    /// The last tick that was looked at, by slot.
    looked: BTreeMap<u16, u32>,
    /// What was heard, with the slot, and the input behind which that was noted last.
    heard: Vec<(u16, SoundView)>,
    listened: BTreeMap<u16, u32>,
}

impl Holdings {
    /// Behind a turn of a bot.
    fn note(&mut self, bot: &Bot) {
        let client = &bot.client;
        let (Some(slot), Some(newest)) = (client.welcome().map(|it| it.slot), client.newest().map(Frame::tick)) else {
            return;
        };
        // A view is made with each input.
        if self.listened.insert(slot, bot.last_input()) != Some(bot.last_input()) {
            self.heard.extend(bot.view().sounds.iter().map(|sound| (slot, *sound)));
        }
        let tick = newest.saturating_sub(SETTLED_TICKS) / EVERY * EVERY;
        let looked = self.looked.entry(slot).or_default();
        if tick <= *looked {
            return;
        }
        *looked = tick;
        let Some(frame) = client.frame(tick) else { return };
        let rows = frame.rows().map(|row| Held {
            id: row.id,
            component: row.component,
            lanes: row.lanes.to_vec(),
            owner: row.known.knows(Audience::Owner),
            team: row.known.knows(Audience::Team),
        });
        self.held.insert((tick, slot), rows.collect());
    }
}

/// Fields that are not for everybody.
#[derive(Default)]
struct Fields {
    looked_at: u64,
    forbidden: u64,
}

/// Plays, judges and tells figures.
pub fn run(args: &BotsArgs, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    let play = Play::load(Assets::from_folder(args.assets.clone())?, &args.map, plugins)?;
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let cheat = args.cheat.unwrap_or(Cheat::Wallhack);
    let cheaters = args.cheaters.unwrap_or(1).min(args.count);
    println!("{} bots, {cheaters} with {}, seed {seed}, map {}", args.count, cheat.name(), args.map);
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max: args.count, ..MatchSettings::default() };
    let Observed { host, bots, truth } = report::observe(args, &play, settings.clone(), seed, Truth::note)?;
    let holdings = Arc::new(Mutex::new(Holdings::default()));
    let watched = Arc::clone(&holdings);
    let config = BotsConfig {
        link: link_of(args),
        cheat: Some(cheat),
        cheaters,
        watch: Some(Arc::new(move |_, bot| watched.lock().unwrap_or_else(PoisonError::into_inner).note(bot))),
        ..bots
    };
    let report = run_until_told(&config, stop)?;
    host.close(Duration::from_secs(1), stop);
    for failure in &report.failed {
        eprintln!("{failure}");
    }
    let truth = truth.lock().unwrap_or_else(PoisonError::into_inner);
    let holdings = holdings.lock().unwrap_or_else(PoisonError::into_inner);
    let (leaks, fields, heard) = judge(&play, &settings, &truth, &holdings)?;
    tell(&leaks, &fields, &truth, &report, cheaters);
    figure("sounds_told", heard.told as f64, "count");
    figure("sounds_named", heard.named as f64, "count");
    figure("sounds_forbidden", heard.forbidden as f64, "count");
    figure("sounds_made_up", heard.made_up as f64, "count");
    let is_kept_quiet = heard.forbidden + heard.made_up == 0 && heard.told > 0;
    let kept =
        leaks.hidden > 0 && fields.looked_at > 0 && fields.forbidden == 0 && is_kept_quiet && report.failed.is_empty();
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judge(play: &Play, settings: &MatchSettings, truth: &Truth, holdings: &Holdings) -> Result<(Leaks, Fields, Heard)> {
    let (rules, map) = (Arc::clone(&play.rules), Arc::clone(&play.map));
    let mut simulation = Simulation::with_plugins(rules, map, 0, settings.clone(), &*play.plugins)?;
    let (mut leaks, mut fields) = (Leaks::default(), Fields::default());
    let mut oracles: BTreeMap<u32, Oracle> = BTreeMap::new();
    for (tick, bytes) in &truth.moments {
        simulation.restore(bytes)?;
        let players = players(&simulation);
        let mut reaches: BTreeMap<(StableId, u32), Reach> = BTreeMap::new();
        for (one, horizon) in &players {
            let (Some(held), horizon) = (holdings.held.get(&(*tick, one.slot)), *horizon) else { continue };
            look_at_fields(&simulation, one, held, &mut fields);
            let oracle = oracles.entry(horizon).or_insert_with(|| Oracle::new(&simulation, horizon));
            for (other, _) in players.iter().filter(|(other, _)| one.judges(other, RANGE_M)) {
                for id in [one.id, other.id] {
                    reaches.entry((id, horizon)).or_insert_with(|| oracle.reach(&simulation, id));
                }
                let (from, to) = (&reaches[&(one.id, horizon)], &reaches[&(other.id, horizon)]);
                let told = held.iter().any(|row| row.id == other.id);
                leaks.note(oracle, simulation.rules(), (from, to), told);
            }
        }
    }
    let (mut heard, mut oracle) = (Heard::default(), Oracle::new(&simulation, HORIZON_SLACK_MS));
    for (slot, sound) in &holdings.heard {
        truth.sounded.judge(simulation.rules(), &mut oracle, *slot, sound, &mut heard);
    }
    leaks.rays = oracles.values().map(|oracle| oracle.rays).sum();
    leaks.kills = truth.kills.values().map(|kills| u64::from(*kills)).sum();
    Ok((leaks, fields, heard))
}

/// Who lives, and how many milliseconds ahead of what they see the world may be when they see it.
fn players(simulation: &Simulation) -> Vec<(Player, u32)> {
    let horizon_ms = |player: &Player| {
        let input = simulation.view().get::<Controls>(player.id)?.input;
        let lag_ms = simulation.tick().saturating_sub(input.view_tick) * 1_000 / u32::from(TICK_RATE);
        Some((lag_ms + HORIZON_SLACK_MS).min(HORIZON_MS_MAX))
    };
    living(simulation).into_iter().filter_map(|player| Some((player, horizon_ms(&player)?))).collect()
}

/// Whether a client holds of others what only they, or their team, may know.
fn look_at_fields(simulation: &Simulation, viewer: &Player, held: &[Held], fields: &mut Fields) {
    let view = simulation.view();
    for row in held.iter().filter(|row| row.id.is_some()) {
        // What is gone from the state by now is looked at in another moment.
        let Some(identity) = view.get::<Identity>(row.id) else { continue };
        let own = identity.slot() == Some(viewer.slot);
        let mate = own || (identity.team != 0 && identity.team == viewer.team);
        let lanes = &simulation.registry().components()[usize::from(row.component)].lanes;
        for (lane, value) in lanes.iter().zip(&row.lanes) {
            let (may, has) = match lane.audience {
                Audience::Everyone => continue,
                Audience::Team => (mate, row.team),
                Audience::Owner => (own, row.owner),
            };
            fields.looked_at += u64::from(!may);
            fields.forbidden += u64::from(!may && (has || *value != 0));
        }
    }
}

fn figure(name: &str, value: f64, unit: &str) {
    report::figure("leaks", name, value, unit);
}

fn tell(leaks: &Leaks, fields: &Fields, truth: &Truth, report: &BotsReport, cheaters: u16) {
    println!(
        "{} pairs hidden, {} of them told; {} visible within the horizon, {} of them not told; {} in view, {} of them not told; {} \
         rays; {} kills",
        leaks.hidden,
        leaks.needless,
        leaks.visible,
        leaks.visible_not_sent,
        leaks.in_view,
        leaks.in_view_not_sent,
        leaks.rays,
        leaks.kills
    );
    figure("needless", leaks.needless_percent(), "percent");
    figure("visible_not_sent", leaks.visible_not_sent_percent(), "percent");
    figure("in_view_not_sent", leaks.in_view_not_sent_percent(), "percent");
    figure("fields_withheld", fields.looked_at as f64, "count");
    figure("fields_forbidden", fields.forbidden as f64, "count");
    let kills = |hostile: bool| {
        let slots = report.slots.iter().zip(0..).filter(|(_, number)| (*number < cheaters) == hostile);
        let kills: Vec<u32> =
            slots.filter_map(|(slot, _)| Some(truth.kills.get(&(*slot)?).copied().unwrap_or(0))).collect();
        f64::from(kills.iter().sum::<u32>()) / kills.len().max(1) as f64
    };
    figure("kills_hostile", kills(true), "per_player");
    figure("kills_honest", kills(false), "per_player");
}
