//! `arbiter replay events`: what a recording tells, beside what the log of domain events has of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Envelope, Event, MatchEventId};
use arbiter_eventlog::disk::Folder;
use arbiter_eventlog::{Log, Options as LogOptions, Reader};
use arbiter_recording::End;
use arbiter_replay::{Assets, Options, Replay};
use arbiter_server::outbox::Story;

use super::Verdict;

/// Bytes of the log that are looked at at a time.
const READ_BYTES: usize = 4 << 20;

/// What the log has of one match.
#[derive(Default)]
struct Logged {
    /// By the id of the log.
    events: BTreeMap<u128, Vec<u8>>,
    /// When tick 0 was.
    began: Option<Duration>,
    /// Who joined, by tick and slot.
    joined: BTreeMap<(u32, u16), u64>,
}

impl Logged {
    fn read(folder: &Path, match_id: u128, tick_rate: u16) -> Result<Self> {
        let open = || -> Result<Reader<Folder>> { Ok(Reader::open(Folder::at(folder)?, None)?) };
        let reader = open().with_context(|| format!("the log of events in {}", folder.display()))?;
        let (mut logged, mut records, mut at) = (Self::default(), Vec::new(), reader.start());
        while at < reader.end() {
            records.clear();
            reader.read(at, READ_BYTES, &mut records)?;
            let Some(last) = records.last() else { break };
            at = last.position + 1;
            for record in records.drain(..) {
                let envelope = Envelope::decode(&record.data)?;
                let Ok(id) = envelope.attributes.id.parse::<MatchEventId>() else { continue };
                if id.match_id != match_id {
                    continue;
                }
                logged.note(id.tick, &envelope, tick_rate);
                logged.events.insert(record.id, record.data);
            }
        }
        Ok(logged)
    }

    fn note(&mut self, tick: u32, envelope: &Envelope, tick_rate: u16) {
        self.began = envelope.attributes.time.checked_sub(Story::since_tick_0(tick, tick_rate));
        if let Event::PlayerJoined(joined) = &envelope.event
            && let Ok(slot) = u16::try_from(joined.slot)
        {
            self.joined.insert((tick, slot), joined.player);
        }
    }
}

/// Compares, and heals if that is wished.
pub(super) fn run(
    file: &Path,
    outbox: &Path,
    heal: bool,
    assets: &dyn Assets,
    options: Options,
    out: &mut dyn Write,
) -> Result<Verdict> {
    let mut replay = Replay::open(file, assets, options)?;
    let (match_id, tick_rate) = (replay.header().match_id, replay.header().tick_rate);
    let logged = Logged::read(outbox, match_id, tick_rate)?;
    let Some(began) = logged.began else {
        bail!("the log in {} has no event of match {match_id:032x}: when it began is not known", outbox.display());
    };
    let told = tell(&mut replay, began, &logged)?;
    let (mut same, mut missing, mut other) = (0_u32, Vec::new(), 0_u32);
    for envelope in &told {
        let (id, bytes) = (log_id(&envelope.attributes.source, &envelope.attributes.id), envelope.encode()?);
        match logged.events.get(&id) {
            Some(logged) if *logged == bytes => same += 1,
            Some(_) => {
                other += 1;
                let (id, name) = (&envelope.attributes.id, envelope.event.type_name());
                writeln!(out, "event {id}, {name}: the log tells it differently")?;
            }
            None => missing.push((id, bytes)),
        }
    }
    let found = logged.events.len() - same as usize - other as usize;
    writeln!(
        out,
        "{}: {} events told again: {same} as in the log, {other} otherwise, {} missing in the log; {found} more are in the log alone",
        file.display(),
        told.len(),
        missing.len()
    )?;
    if heal && !missing.is_empty() {
        let (mut log, _) = Log::open(Folder::at(outbox)?, LogOptions::default())?;
        let mut refused = Ok(());
        log.append_all(missing.iter().map(|(id, bytes)| (*id, &bytes[..])), |error| refused = Err(error))?;
        log.close()?;
        refused?;
        writeln!(out, "{} events were added", missing.len())?;
        missing.clear();
    }
    Ok(Verdict::of(other == 0 && missing.is_empty()))
}

/// Everything that the match tells.
fn tell(replay: &mut Replay<'_>, began: Duration, logged: &Logged) -> Result<Vec<Envelope>> {
    let header = replay.header();
    let mut story = Story::new(header.match_id, began, header.tick_rate);
    let mut told = Vec::new();
    replay.walk(|simulation, commands| match commands {
        Some(commands) => story.before(commands, simulation),
        None => {
            let tick = simulation.tick();
            told.extend(story.after(simulation, |slot| logged.joined.get(&(tick, slot)).copied().unwrap_or(0)));
        }
    })?;
    let ends = |told: &[Envelope]| matches!(told.last(), Some(Envelope { event: Event::MatchEnded(_), .. }));
    if replay.reader().info().end == Some(End::Abandoned) && !ends(&told) {
        told.push(story.abandon(replay.simulation()));
    }
    if let Some(Envelope { event: Event::MatchEnded(ended), .. }) = told.last_mut() {
        ended.recording_hash = replay.reader().chain_at(ended.ticks)?.map_or_else(Vec::new, |chain| chain.to_vec());
    }
    Ok(told)
}
