//! Contract: a room that panics goes on, on the same connections, as its recording says; a tick that panics with the inputs of
//! players is played without them; one that panics all the same ends the match with the scores of the tick before. What was told
//! of it is what the recording tells again.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arbiter_contracts::{Envelope, Event, MatchEventId, v1};
use arbiter_eventlog::{Folder, Reader as LogReader};
use arbiter_protocol::{MatchMessage, Notice, Outcome, ServerMessage, UserData};
use arbiter_recording::{End, Mark, Reader};
use arbiter_server::outbox::Story;
use arbiter_server::{OnStop, ServerConfig, ServerHandle};
use arbiter_sim::simulation::TickCommands;
use arbiter_sim::tick::{Tick, TickSet};
use arbiter_sim::time::Clock;
use arbiter_sim::{Command, Simulation, button};
use bevy_app::App;
use bevy_ecs::prelude::*;

use common::{Client, config, registry, start, until};

/// The tick that panics.
const TICK: u32 = 90;

/// When the tick that panics does so.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// So often, whatever it is stepped with.
    Times(u32),
    /// Always when a player holds a button.
    Pressed,
}

/// A server that records and tells, whose rooms panic in the midst of a tick.
fn panicking(folder: &Path, when: When) -> ServerConfig {
    let mut config = config();
    config.record_dir = Some(folder.join("recordings"));
    config.outbox_dir = Some(folder.join("outbox"));
    config.intermission = Duration::from_millis(100);
    let left = Arc::new(AtomicU32::new(if let When::Times(times) = when { times } else { u32::MAX }));
    config.plugins = Arc::new(move |app: &mut App| {
        let left = Arc::clone(&left);
        let sabotage = move |clock: Res<'_, Clock>, commands: Res<'_, TickCommands>| {
            let pressed = |command: &Command| matches!(command, Command::Input { input, .. } if input.buttons != 0);
            let due = clock.number == TICK && (when != When::Pressed || commands.0.iter().any(pressed));
            if due && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                panic!("this tick is to panic");
            }
        };
        app.add_systems(Tick, sabotage.after(TickSet::Weapons).before(TickSet::Abilities));
    });
    config
}

fn players(config: &ServerConfig, server: &ServerHandle) -> Vec<Client> {
    let registry = registry(config);
    let client = |player| {
        let user = UserData { player, ..UserData::default() };
        let mut client = Client::of(&user, server.local_address(), &config.key, &registry);
        client.buttons = button::CROUCH;
        client
    };
    [11, 12].into_iter().map(client).collect()
}

/// Simulates a recording again: each tick has the hash that was recorded.
fn verified(path: &Path, config: &ServerConfig) -> Reader {
    let mut reader = Reader::open(path).expect("a recording");
    assert!(reader.damage().expect("reads").damages.is_empty());
    let seed = reader.header().seed;
    // Without what panics, which is no state.
    let plain = (Arc::clone(&config.rules), Arc::clone(&config.map));
    let mut simulation = Simulation::new(plain.0, plain.1, seed, config.settings.clone()).expect("builds");
    for tick in reader.ticks(1) {
        let tick = tick.expect("whole");
        simulation.step(&tick.commands);
        assert_eq!(simulation.hash(), tick.hash, "tick {}", tick.tick);
    }
    reader
}

fn told(folder: &Path) -> Vec<Envelope> {
    let log = LogReader::open(Folder::at(&folder.join("outbox")).expect("a folder"), None).expect("a log");
    let mut records = Vec::new();
    log.read(log.start(), 1 << 20, &mut records).expect("reads");
    records.iter().map(|record| Envelope::decode(&record.data).expect("an event")).collect()
}

fn recovered(events: &[Envelope]) -> Vec<u32> {
    let tick = |envelope: &Envelope| match &envelope.event {
        Event::RoomRecovered(recovered) => Some(recovered.resumed_at_tick),
        _ => None,
    };
    events.iter().filter_map(tick).collect()
}

/// What the simulation of a recording tells, beside what was told: nothing of it differs, and nothing is missing.
fn assert_told_as_recorded(folder: &Path, path: &Path, config: &ServerConfig) {
    let mut reader = Reader::open(path).expect("a recording");
    let (match_id, seed) = (reader.header().match_id, reader.header().seed);
    let source = format!("/matches/{match_id:032x}");
    let log: Vec<Envelope> = told(folder).into_iter().filter(|event| event.attributes.source == source).collect();
    let joined: BTreeMap<(u32, u32), u64> = log
        .iter()
        .filter_map(|envelope| match &envelope.event {
            Event::PlayerJoined(joined) => {
                let id: MatchEventId = envelope.attributes.id.parse().expect("an id");
                Some(((id.tick, joined.slot), joined.player))
            }
            _ => None,
        })
        .collect();
    let rate = config.settings.tick_rate;
    let first: MatchEventId = log[0].attributes.id.parse().expect("an id");
    let mut story = Story::new(match_id, log[0].attributes.time - Story::since_tick_0(first.tick, rate), rate);
    let plain = (Arc::clone(&config.rules), Arc::clone(&config.map));
    let mut simulation = Simulation::new(plain.0, plain.1, seed, config.settings.clone()).expect("builds");
    let mut again = Vec::new();
    for tick in reader.ticks(1) {
        let tick = tick.expect("whole");
        story.before(&tick.commands, &simulation);
        simulation.step(&tick.commands);
        again.extend(story.after(&simulation, |slot| joined[&(tick.tick, u32::from(slot))]));
    }
    again.push(story.abandon(&simulation));
    let plain = |mut envelope: Envelope| {
        if let Event::MatchEnded(ended) = &mut envelope.event {
            // Proved elsewhere.
            ended.recording_hash.clear();
        }
        envelope
    };
    assert_eq!(log.into_iter().map(plain).collect::<Vec<_>>(), again);
}

fn stop(server: ServerHandle) -> arbiter_server::stats::ServerStats {
    server.stop(OnStop::Abandon);
    server.join()
}

/// Plays until well behind the tick that panics, and ends.
fn play_past(config: &ServerConfig) -> (Vec<Client>, arbiter_server::stats::ServerStats) {
    let server = start(config);
    let mut clients = players(config, &server);
    until("both play behind the tick that panics", &mut clients, |clients| {
        clients.iter().all(|client| client.newest().tick() > TICK + 60)
    });
    (clients, stop(server))
}

#[test]
fn a_room_that_panics_goes_on_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = panicking(folder.path(), When::Times(1));
    let (_, stats) = play_past(&config);
    assert_eq!((stats.rooms_failed, stats.recoveries.rebuilt, stats.recoveries.blanked), (0, 1, 0));
    let path = &stats.recordings[0];
    let mut reader = verified(path, &config);
    assert_eq!(reader.info().marks, [Mark::Rebuilt { tick: TICK - 1 }]);
    let tick = reader.ticks(TICK).next().expect("a tick").expect("whole");
    let players_did = |command: &Command| matches!(command, Command::Input { input, .. } if input.buttons != 0);
    assert!(tick.commands.iter().any(players_did), "{:?}", tick.commands);
    assert_told_as_recorded(folder.path(), path, &config);
    assert_eq!(recovered(&told(folder.path())), [TICK - 1]);
}

#[test]
fn clients_keep_their_connection_and_are_told_everything_anew_under_another_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = panicking(folder.path(), When::Times(1));
    let (clients, _) = play_past(&config);
    for client in &clients {
        let [first, second] = &client.welcomes[..] else { panic!("{:?}", client.welcomes) };
        assert_eq!((first.match_id, first.slot, first.player), (second.match_id, second.slot, second.player));
        assert_eq!((second.number, second.tick), ((first.number + 1) % 4, TICK));
        assert!(client.refused.is_none());
    }
}

#[test]
fn nobody_hears_again_what_they_heard_before_the_room_panicked() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = panicking(folder.path(), When::Times(1));
    let server = start(&config);
    let mut clients = players(&config, &server);
    clients.iter_mut().for_each(|client| client.buttons = button::FIRE);
    until("both play behind the tick that panics", &mut clients, |clients| {
        clients.iter().all(|client| client.newest().tick() > TICK + 60)
    });
    stop(server);
    for client in &clients {
        let began = client.welcomes[1].tick;
        let ticks =
            |beginning: usize| client.heard.iter().filter(move |heard| heard.0 == beginning).map(|heard| heard.1);
        assert!(ticks(1).count() > 0 && ticks(2).count() > 0, "{:?}", client.heard);
        assert!(ticks(2).all(|tick| tick >= began), "from tick {began} on: {:?}", client.heard);
    }
}

#[test]
fn a_tick_that_panics_with_what_players_do_is_played_without_and_the_recording_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = panicking(folder.path(), When::Pressed);
    let (_, stats) = play_past(&config);
    assert_eq!((stats.rooms_failed, stats.recoveries.rebuilt, stats.recoveries.blanked), (0, 1, 1));
    let path = &stats.recordings[0];
    let mut reader = verified(path, &config);
    let rebuilt = Mark::Rebuilt { tick: TICK - 1 };
    assert_eq!(reader.info().marks, [rebuilt, rebuilt, Mark::Blanked { tick: TICK }]);
    let tick = reader.ticks(TICK).next().expect("a tick").expect("whole");
    let inputs: Vec<_> = tick.commands.iter().filter(|command| matches!(command, Command::Input { .. })).collect();
    assert!(!inputs.is_empty());
    let is_blank =
        |command: &&Command| matches!(command, Command::Input { input, substituted: true, .. } if input.buttons == 0);
    assert!(inputs.iter().all(is_blank), "{inputs:?}");
    assert_told_as_recorded(folder.path(), path, &config);
}

#[test]
fn a_tick_that_panics_for_ever_ends_the_match_with_the_scores_of_before_and_the_next_one_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = panicking(folder.path(), When::Times(3));
    let server = start(&config);
    let mut clients = players(&config, &server);
    until("both are told, and play the next match", &mut clients, |clients| {
        let is_told = |message: &ServerMessage| {
            let abandoned = Notice::MatchEnded { outcome: Outcome::Abandoned };
            matches!(message, ServerMessage::Match(MatchMessage { notice, .. }) if *notice == abandoned)
        };
        clients.iter().all(|client| {
            let (first, last) = (client.welcomes.first(), client.welcomes.last());
            let is_next = first.map(|it| it.match_id) != last.map(|it| it.match_id);
            client.messages.iter().any(is_told) && is_next && client.newest().tick() > 10
        })
    });
    let stats = stop(server);
    assert_eq!((stats.rooms_failed, stats.recoveries.abandoned), (0, 1));
    let path = &stats.recordings[0];
    let reader = verified(path, &config);
    assert_eq!((reader.info().ticks, reader.info().end), (TICK - 1, Some(End::Abandoned)));
    assert_told_as_recorded(folder.path(), path, &config);
    let events = told(folder.path());
    let match_id = reader.header().match_id.to_be_bytes();
    let results: Vec<_> = events
        .iter()
        .filter_map(|envelope| match &envelope.event {
            Event::MatchEnded(ended) if ended.r#match == match_id => Some(ended),
            _ => None,
        })
        .collect();
    let [ended] = results[..] else { panic!("{results:?}") };
    assert_eq!((ended.outcome(), ended.ticks), (v1::Outcome::Abandoned, TICK - 1));
    let players: Vec<u64> = ended.results.iter().map(|result| result.player).collect();
    assert_eq!((players.len(), players.contains(&11), players.contains(&12)), (2, true, true));
}

#[test]
fn a_room_that_does_nothing_but_panic_gives_its_match_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = panicking(folder.path(), When::Times(0));
    config.observer = Some(Arc::new(|_, simulation| assert!(simulation.tick() < TICK, "this room is to panic")));
    let server = start(&config);
    until("its match is abandoned", &mut [], |_| server.stats().recoveries.abandoned > 0);
    let stats = stop(server);
    assert_eq!(stats.rooms_failed, 0);
    let path = &stats.recordings[0];
    assert!(verified(path, &config).info().ticks > TICK, "it went on for a while");
}

#[test]
fn a_room_recovers_though_it_is_not_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = panicking(folder.path(), When::Times(1));
    (config.record_dir, config.outbox_dir) = (None, None);
    let (_, stats) = play_past(&config);
    assert_eq!((stats.rooms_failed, stats.recoveries.rebuilt), (0, 1));
}
