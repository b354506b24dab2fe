//! Recordings: any file, and files whose checksums and chain hold although their content is hostile.

use std::io::Cursor;
use std::sync::LazyLock;

use arbiter_recording::block::{self, FRAME_BYTES, PREAMBLE_BYTES};
use arbiter_recording::{
    BlockHeader, End, FORMAT_VERSION, FORMAT_VERSION_MIN, Header, Kind, Mark, Reader, TickBlock, Writer as Recorder,
};

use crate::script::damage;
use crate::{Example, Script, Target, Writer, simulation};

/// A short match as a file, and the checkpoint of tick 0 that its checkpoints build upon.
static HONEST: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let mut simulation = simulation::new();
    let mut tick0 = Vec::new();
    simulation.checkpoint(&mut tick0);
    let header = Header::of(&simulation, 42).expect("a header");
    let mut recorder = Recorder::to(Vec::new(), header, tick0.clone()).expect("begun");
    for tick in 1..=120 {
        let commands = simulation::commands(tick);
        simulation.step(&commands);
        recorder.push_tick(tick, &commands, simulation.hash()).expect("written");
        if tick % 60 == 0 {
            let mut checkpoint = Vec::new();
            simulation.checkpoint(&mut checkpoint);
            recorder.push_checkpoint(tick, &checkpoint).expect("written");
        }
        if tick == 70 {
            recorder.push_mark(Mark::Rebuilt { tick }).expect("written");
            recorder.push_mark(Mark::Blanked { tick: tick + 1 }).expect("written");
        }
    }
    recorder.finish(End::Abandoned).expect("finished");
    (recorder.into_store(), tick0)
});

/// Everything that a reader can be asked.
fn read(bytes: Vec<u8>) {
    let Ok(mut reader) = Reader::from_source(Cursor::new(bytes)) else { return };
    let header = reader.header();
    let _ = (header.settings().is_ok(), header.rules().is_ok(), header.map().is_ok());
    let info = reader.info();
    let _ = reader.damage().expect("bytes in memory can be read");
    let _ = reader.tail();
    let mut ticks = 0_u32;
    for tick in reader.ticks(0).take(4_096) {
        ticks += u32::from(tick.is_ok());
    }
    let (first, last) = info.range.unwrap_or_default();
    for tick in [0, first, first / 2 + last / 2, last, u32::MAX] {
        let at = reader.block_of(tick);
        if let Some(at) = at {
            let _ = reader.block(at);
        }
        let _ = reader.checkpoint_before(tick, &HONEST.1);
        let _ = reader.checkpoint_after(tick, &HONEST.1);
    }
    let _ = (reader.block_count(), ticks);
}

/// A file. The first byte says whether the rest is the file, or damages an honest one.
pub const RECORDING: Target = Target {
    name: "recording",
    what: "recordings: any file, and an honest one damaged as a script says",
    bytes_max: 8_192,
    allocated_max: 256 << 20,
    run: |bytes| {
        let Some((how, rest)) = bytes.split_first() else { return };
        let mut file = if how % 2 == 0 { rest.to_vec() } else { HONEST.0.clone() };
        if how % 2 == 1 {
            damage(&mut Script(rest), &mut file);
        }
        read(file);
    },
    examples: || {
        let honest = &HONEST.0;
        let patch = |how: u8, at: usize, more: &[u8]| {
            let at = u32::try_from(at).expect("a short file").to_le_bytes();
            [&[1, how], &at[..], more].concat()
        };
        let end = honest.len();
        vec![
            ("whole".into(), vec![1]),
            ("preamble".into(), [&[0], &honest[..PREAMBLE_BYTES]].concat()),
            // Read in its own form, and refused in words.
            ("preamble-of-the-oldest".into(), [&[0], &block::preamble(FORMAT_VERSION_MIN)[..]].concat()),
            ("preamble-too-old".into(), [&[0], &block::preamble(FORMAT_VERSION_MIN - 1)[..]].concat()),
            ("preamble-too-new".into(), [&[0], &block::preamble(FORMAT_VERSION + 1)[..]].concat()),
            ("header-only".into(), patch(0, 6_000, &[])),
            ("without-trailer".into(), patch(0, end - 20, &[])),
            ("without-index".into(), patch(0, end - 200, &[])),
            ("flipped".into(), patch(3, end / 2, &[1, 0, 0x55])),
            ("inserted".into(), patch(1, end / 2, &[5, 0, 1, 2, 3, 4, 5])),
            ("removed".into(), patch(2, end / 2, &[9, 0])),
        ]
    },
};

/// The bytes up to the end of the header's block, in a file of some version, and its chain.
fn front(version: u32) -> (Vec<u8>, block::Chain) {
    let honest = &HONEST.0[PREAMBLE_BYTES..];
    let frame = BlockHeader::from_bytes(honest.first_chunk().expect("a frame")).expect("a whole one");
    let payload = &honest[FRAME_BYTES..][..frame.payload_bytes as usize];
    let preamble = block::preamble(version);
    let frame = BlockHeader::seal(frame.kind, 0, 0, 0, payload, &block::first_chain(&preamble));
    ([&preamble[..], &frame.to_bytes(), payload].concat(), frame.chain)
}

/// Blocks of which only the content is hostile: each is framed, checksummed and chained here.
pub const BLOCKS: Target = Target {
    name: "blocks",
    what: "recordings whose checksums hold, with any content in their blocks: header, ticks, checkpoints, index",
    bytes_max: 16_384,
    // Each of a few blocks is read several times, and every time its four groups may unpack to 4 MB each.
    allocated_max: 1 << 30,
    run: |bytes| {
        let mut script = Script(bytes);
        let mut number = 1;
        let first = script.u8();
        // The oldest has another index, and no marks.
        let (mut file, mut chain) = front(if first & 4 == 4 { FORMAT_VERSION_MIN } else { FORMAT_VERSION });
        if first & 1 == 1 {
            // A header of its own.
            file.truncate(PREAMBLE_BYTES);
            chain = block::first_chain(file.first_chunk().expect("a preamble"));
            number = 0;
        }
        let mut last = file.len();
        for _ in 0..8 {
            let Some(what) = script.step() else { break };
            let kind = match what % 5 {
                0 if number == 0 => Kind::Header,
                0 | 1 => Kind::Ticks,
                2 => Kind::Checkpoint,
                3 => Kind::Mark,
                _ => Kind::End,
            };
            let (first_tick, ticks) = (script.u32(), u32::from(script.u16()));
            let payload = script.bytes(16_384);
            if kind == Kind::Ticks
                && let Some(block) = TickBlock::decode(first_tick, ticks as usize, payload)
            {
                let again = block.encode().expect("what was read can be written");
                let again = TickBlock::decode(first_tick, ticks as usize, &again);
                assert!(again.is_some_and(|again| again.ticks().eq(block.ticks())), "it reads the same");
            }
            let frame = BlockHeader::seal(kind, number, first_tick, ticks, payload, &chain);
            last = file.len();
            file.extend_from_slice(&frame.to_bytes());
            file.extend_from_slice(payload);
            chain = frame.chain;
            number += 1;
        }
        if first & 2 == 2 {
            file.extend_from_slice(&block::trailer(last as u64));
        }
        read(file);
    },
    examples: blocks_examples,
};

fn blocks_examples() -> Vec<Example> {
    let honest = &HONEST.0;
    let mut at = PREAMBLE_BYTES;
    let (mut all, mut examples) = (Writer::default().u8(2), Vec::new());
    while let Some(frame) = honest[at..].first_chunk::<FRAME_BYTES>().and_then(BlockHeader::from_bytes) {
        let payload = &honest[at + FRAME_BYTES..][..frame.payload_bytes as usize];
        at += FRAME_BYTES + payload.len();
        let (name, what) = match frame.kind {
            Kind::Header => ("header", 0),
            Kind::Ticks => ("ticks", 1),
            Kind::Checkpoint => ("checkpoint", 2),
            Kind::End => ("end", 4),
            Kind::Mark => ("mark", 3),
        };
        let step = |script: Writer| {
            let tick = frame.first_tick;
            script.u8(what).u16(tick as u16).u16((tick >> 16) as u16).u16(frame.ticks as u16).bytes(payload)
        };
        if payload.len() > 12_000 {
            continue;
        }
        if frame.kind != Kind::Header {
            all = step(all);
        }
        let alone = step(Writer::default().u8(if frame.kind == Kind::Header { 1 } else { 2 }));
        examples.push((format!("{name}-{}", frame.number), alone.0));
    }
    if all.0.len() <= 16_384 {
        let oldest = [&[all.0[0] | 4], &all.0[1..]].concat();
        examples.extend([("all".into(), all.0), ("all-in-the-oldest".into(), oldest)]);
    }
    examples
}
