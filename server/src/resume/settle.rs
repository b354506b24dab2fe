//! Matches that do not go on: what of them can be proved is told, and their recordings are closed.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use arbiter_contracts::{Envelope, Event};
use arbiter_recording::{End, ReadError, Reader, Stamp, Writer};
use arbiter_sim::Simulation;

use super::companion::Companion;
use super::{Base, Misfit, Unfinished};
use crate::outbox::Story;
use crate::recorder::{Entry, Recorder};
use crate::{ServerConfig, Shared, StartError};

/// What is left of a match, for the recorder.
pub(crate) struct Remains {
    /// To be closed as abandoned; `None` for a recording that is closed, or that cannot be written to.
    pub writer: Option<Writer>,
    /// To be told, those among them too that were told already.
    pub events: Vec<Envelope>,
    pub companion: Companion,
    /// Whether it is only now that the match is abandoned.
    pub is_abandoned: bool,
}

/// Tells what can be proved of matches that no room goes on with, on a thread of its own.
pub(crate) fn start(
    shared: &Arc<Shared>,
    recorder: &Recorder,
    left: Vec<Unfinished>,
) -> Result<Option<JoinHandle<()>>, StartError> {
    if left.is_empty() {
        return Ok(None);
    }
    let (shared, recorder) = (Arc::clone(shared), recorder.clone());
    let run = move || {
        for unfinished in left {
            let path = unfinished.path.clone();
            match settle(unfinished, &shared.config) {
                Ok(remains) => recorder.hand(0, Entry::Settle(path, Box::new(remains))),
                Err(why) => tracing::error!("{}: nothing of the match can be told: {why}", path.display()),
            }
        }
    };
    std::thread::Builder::new().name("settle".to_owned()).spawn(run).map(Some).map_err(StartError::Thread)
}

/// Simulates what was not told yet again, as far as it comes out as it was recorded.
pub(crate) fn settle(mut unfinished: Unfinished, config: &ServerConfig) -> Result<Remains, Misfit> {
    let mut reader = Reader::open(&unfinished.path)?;
    let mut simulation = build(&reader, config)?;
    let base = unfinished.base(&mut reader, &simulation)?;
    let (mut story, mut events) = match again(&unfinished, &mut reader, &mut simulation, &base, u32::MAX)? {
        Ok(told) => told,
        Err(tick) => {
            tracing::error!("{}: from tick {tick} on it comes out otherwise", unfinished.path.display());
            // It came out as recorded up to there a moment ago.
            again(&unfinished, &mut reader, &mut simulation, &base, tick - 1)?.unwrap_or_default()
        }
    };
    let end = reader.info().end;
    let has_ended = events.iter().any(|it| matches!(it.event, Event::MatchEnded(_))) || simulation.ended().is_some();
    if let Some(story) = &mut story
        && end.is_none_or(|end| end == End::Abandoned)
        && !has_ended
    {
        events.push(story.abandon(&simulation));
    }
    for event in &mut events {
        if let Event::MatchEnded(ended) = &mut event.event {
            ended.recording_hash = reader.chain_at(ended.ticks)?.map_or_else(Vec::new, |chain| chain.to_vec());
        }
    }
    let is_abandoned = end.is_none();
    let writer = if is_abandoned { close(&unfinished, &mut reader, base.tick0) } else { None };
    let companion = unfinished.companion.take().ok_or(Misfit::Taken)?;
    Ok(Remains { writer, events, companion, is_abandoned })
}

/// What was told, and what is to be told; or the first tick that comes out otherwise.
type Told = Result<(Option<Story>, Vec<Envelope>), u32>;

fn again(
    unfinished: &Unfinished,
    reader: &mut Reader<File>,
    simulation: &mut Simulation,
    base: &Base,
    until: u32,
) -> Result<Told, Misfit> {
    simulation.restore(&base.state).map_err(|_| Misfit::Other("build"))?;
    let (mut story, mut events) = (base.story.clone(), Vec::new());
    for tick in reader.ticks(base.tick + 1) {
        // What is behind damage cannot be reached.
        let Ok(tick) = tick else { break };
        if tick.tick != simulation.tick() + 1 || tick.tick > until {
            break;
        }
        if let Some(story) = &mut story {
            story.before(&tick.commands, simulation);
        }
        simulation.step(&tick.commands);
        if simulation.hash() != tick.hash {
            return Ok(Err(tick.tick));
        }
        if let Some(story) = &mut story {
            let joined = &unfinished.notes.joined;
            events.extend(story.after(simulation, |slot| joined.get(&(tick.tick, slot)).copied().unwrap_or(0)));
        }
    }
    Ok(Ok((story, events)))
}

fn close(unfinished: &Unfinished, reader: &mut Reader<File>, tick0: Vec<u8>) -> Option<Writer> {
    let writer = Writer::resume(&unfinished.path, reader, tick0);
    writer.inspect_err(|error| tracing::warn!("{}: left as it is: {error}", unfinished.path.display())).ok()
}

/// The match at tick 0, whatever this server plays.
fn build(reader: &Reader<File>, config: &ServerConfig) -> Result<Simulation, Misfit> {
    let header = reader.header();
    let map = match header.map()? {
        Some(map) => Arc::new(map),
        None if header.map_hash == config.map.hash => Arc::clone(&config.map),
        None => return Err(Misfit::Other("map, and the recording does not have it")),
    };
    let (rules, settings) = (Arc::new(header.rules()?), header.settings()?);
    let simulation = Simulation::with_plugins(rules, map, header.seed, settings, &*config.plugins)?;
    if !header.stamp.differences(&Stamp::of(&simulation)).is_empty() || simulation.hash() != header.tick0_hash {
        return Err(Misfit::Read(ReadError::OtherTick0));
    }
    Ok(simulation)
}
