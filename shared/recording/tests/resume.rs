//! Contract: a recording whose writer was killed goes on behind its last whole tick, in the same file, as if nobody had been
//! killed; what cannot be cut off without loss is left as it is; and recordings of before there were marks are still read.

mod common;

use std::io::Cursor;
use std::path::Path;

use arbiter_recording::block::{BlockHeader, FRAME_BYTES, PREAMBLE_BYTES, first_chain, preamble, trailer};
use arbiter_recording::{End, Kind, Mark, ReadError, Reader, Writer};
use common::{Players, header, record, tick0};

/// What a killed writer left of a match of 300 ticks with a checkpoint behind each 100.
fn killed(path: &Path) -> Vec<u8> {
    let mut players = Players::new(3, 5);
    let mut writer = Writer::create(path, header(), tick0()).expect("begins");
    for tick in 1..=300 {
        writer.push_tick(tick, &players.commands(tick), tick.into()).expect("takes a tick");
        if tick.is_multiple_of(100) {
            writer.push_checkpoint(tick, &tick0()).expect("takes a checkpoint");
        }
    }
    // 50 ticks more that never left its memory.
    (301..=350).for_each(|tick| writer.push_tick(tick, &[], tick.into()).expect("takes a tick"));
    drop(writer);
    std::fs::read(path).expect("reads")
}

#[test]
fn a_recording_goes_on_behind_its_last_whole_tick() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("match.arbrec");
    killed(&path);
    let mut reader = Reader::open(&path).expect("opens");
    let mut writer = Writer::resume(&path, &mut reader, tick0()).expect("resumes");
    assert_eq!((writer.next_tick(), writer.durable_tick()), (301, 300));
    writer.push_mark(Mark::Resumed { tick: 300 }).expect("takes a mark");
    for tick in 301..=420 {
        writer.push_tick(tick, &[], 7).expect("takes a tick");
    }
    writer.finish(End::Won(2)).expect("finishes");
    let mut reader = Reader::open(&path).expect("opens");
    assert!(reader.damage().expect("reads").damages.is_empty());
    let info = reader.info();
    assert_eq!((info.ticks, info.end, info.indexed), (420, Some(End::Won(2)), true));
    assert_eq!((info.checkpoints, info.marks), (vec![100, 200, 300], vec![Mark::Resumed { tick: 300 }]));
}

#[test]
fn what_a_torn_write_left_is_cut_off_wherever_it_was_torn() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("match.arbrec");
    let whole = killed(&path);
    for cut in (whole.len() / 2..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..cut]).expect("writes");
        let mut reader = Reader::open(&path).expect("opens");
        let last = reader.info().range.map_or(0, |(_, last)| last);
        let mut writer = Writer::resume(&path, &mut reader, tick0()).expect("resumes");
        assert_eq!(writer.next_tick(), last + 1);
        writer.push_tick(last + 1, &[], 1).expect("takes a tick");
        writer.finish(End::Draw).expect("finishes");
        let mut reader = Reader::open(&path).expect("opens");
        assert!(reader.damage().expect("reads").damages.is_empty(), "cut at {cut}");
        assert_eq!(reader.info().ticks, last + 1);
    }
}

#[test]
fn a_recording_that_is_damaged_in_its_midst_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("match.arbrec");
    let mut bytes = killed(&path);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).expect("writes");
    let mut reader = Reader::open(&path).expect("opens");
    let error = Writer::resume(&path, &mut reader, tick0()).expect_err("damaged");
    assert!(matches!(error, ReadError::Damaged(_)), "{error}");
    assert_eq!(std::fs::read(&path).expect("reads"), bytes);
}

#[test]
fn a_finished_recording_does_not_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("match.arbrec");
    std::fs::write(&path, record(2, 50, 20)).expect("writes");
    let mut reader = Reader::open(&path).expect("opens");
    let error = Writer::resume(&path, &mut reader, tick0()).expect_err("finished");
    assert!(matches!(error, ReadError::Finished), "{error}");
}

#[test]
fn marks_stand_in_the_recording_with_and_without_its_index() {
    let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
    (1..=20).for_each(|tick| writer.push_tick(tick, &[], 1).expect("takes a tick"));
    let marks = vec![Mark::Rebuilt { tick: 20 }, Mark::Blanked { tick: 21 }];
    marks.iter().for_each(|mark| writer.push_mark(*mark).expect("takes a mark"));
    writer.push_tick(21, &[], 1).expect("takes a tick");
    writer.finish(End::Draw).expect("finishes");
    let mut bytes = writer.into_store();
    for is_indexed in [true, false] {
        let mut reader = Reader::from_source(Cursor::new(bytes.clone())).expect("opens");
        assert_eq!((reader.info().marks, reader.info().ticks), (marks.clone(), 21));
        assert_eq!(
            (reader.info().indexed, reader.damage().expect("reads").damages.is_empty()),
            (is_indexed, is_indexed)
        );
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    }
}

/// A recording of this version, sealed again as one of version 2.
fn as_version_2(bytes: &[u8]) -> Vec<u8> {
    let mut out = preamble(2).to_vec();
    let mut chain = first_chain(&preamble(2));
    let mut at = PREAMBLE_BYTES;
    loop {
        let frame: &[u8; FRAME_BYTES] = bytes[at..].first_chunk().expect("a frame");
        let frame = BlockHeader::from_bytes(frame).expect("a frame");
        at += FRAME_BYTES;
        let mut payload = &bytes[at..at + frame.payload_bytes as usize];
        at += payload.len();
        if frame.kind == Kind::End {
            // Without the empty list of marks.
            payload = &payload[..payload.len() - 1];
        }
        let end_at = out.len() as u64;
        let sealed = BlockHeader::seal(frame.kind, frame.number, frame.first_tick, frame.ticks, payload, &chain);
        chain = sealed.chain;
        out.extend_from_slice(&sealed.to_bytes());
        out.extend_from_slice(payload);
        if frame.kind == Kind::End {
            out.extend_from_slice(&trailer(end_at));
            return out;
        }
    }
}

#[test]
fn a_recording_of_before_there_were_marks_is_read() {
    let now = record(3, 300, 100);
    let mut reader = Reader::from_source(Cursor::new(as_version_2(&now))).expect("opens");
    assert!(reader.damage().expect("reads").damages.is_empty());
    let old: Vec<_> = reader.ticks(0).map(|tick| tick.expect("whole")).collect();
    let mut expected = Reader::from_source(Cursor::new(now)).expect("opens");
    assert_eq!(old, expected.ticks(0).map(|tick| tick.expect("whole")).collect::<Vec<_>>());
    assert!(reader.info().indexed && reader.info().checkpoints == [100, 200, 300]);
}
