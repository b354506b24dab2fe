//! Contract: whatever happened to a file, reading it never panics, says where it is damaged, and gives what is whole.

mod common;

use std::io::Cursor;

use arbiter_recording::{Damage, Reader, RecordedTick};
use common::{record, tick0};

type Memory = Cursor<Vec<u8>>;

fn read_all(reader: &mut Reader<Memory>) -> (Vec<RecordedTick>, usize) {
    let (mut ticks, mut errors) = (Vec::new(), 0);
    for tick in reader.ticks(0) {
        match tick {
            Ok(tick) => ticks.push(tick),
            Err(_) => errors += 1,
        }
    }
    (ticks, errors)
}

fn small() -> Vec<u8> {
    record(2, 300, 60)
}

#[test]
fn a_file_cut_anywhere_reads_up_to_its_last_whole_block() {
    let whole = small();
    let mut reader = Reader::from_source(Cursor::new(whole.clone())).expect("opens");
    let (expected, _) = read_all(&mut reader);
    let mut longest = 0;
    for cut in 0..whole.len() {
        let Ok(mut reader) = Reader::from_source(Cursor::new(whole[..cut].to_vec())) else {
            assert_eq!(longest, 0, "cut at {cut}: a longer file read less");
            continue;
        };
        let (ticks, errors) = read_all(&mut reader);
        assert_eq!(errors, 0, "cut at {cut}");
        assert_eq!(ticks, expected[..ticks.len()], "cut at {cut}");
        assert!(ticks.len() >= longest, "cut at {cut}: a longer file read less");
        longest = ticks.len();
        let damages = reader.damage().expect("reads").damages;
        assert!(damages.len() <= 1, "cut at {cut}: {damages:?}");
    }
    assert_eq!(longest, expected.len());
}

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let whole = small();
    let mut reader = Reader::from_source(Cursor::new(whole.clone())).expect("opens");
    assert_eq!(reader.damage().expect("reads").damages, []);
    let (expected, _) = read_all(&mut reader);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let mut reader = match Reader::from_source(Cursor::new(bytes)) {
            Ok(reader) => reader,
            Err(error) => {
                // Only preamble and header cost the whole file, and the message says which.
                let message = error.to_string();
                assert!(message.contains("header") || message.contains("not a recording"), "byte {at}: {message}");
                continue;
            }
        };
        let damages = reader.damage().expect("reads").damages;
        let covers = |damage: &Damage| (damage.offset..damage.offset + damage.length).contains(&(at as u64));
        assert!(damages.iter().any(covers), "byte {at} of {}: {damages:?}", whole.len());
        assert_eq!(damages.len(), 1, "byte {at}: {damages:?}");
        let (ticks, _) = read_all(&mut reader);
        let lost = |tick: u32| damages.iter().any(|damage| damage.ticks.contains(&tick));
        let kept: Vec<_> = expected.iter().filter(|tick| !lost(tick.tick)).cloned().collect();
        assert_eq!(ticks, kept, "byte {at}: {damages:?}");
        reader.checkpoint_before(u32::MAX, &tick0()).expect("a damaged checkpoint is passed over");
    }
}

#[test]
fn a_block_that_was_cut_out_is_missed() {
    let whole = small();
    let marks: Vec<usize> =
        (0..whole.len() - 4).filter(|at| whole[*at..*at + 4] == arbiter_recording::block::MARKER).collect();
    let (from, to) = (marks[2], marks[3]);
    let cut: Vec<u8> = whole[..from].iter().chain(&whole[to..]).copied().collect();
    let mut reader = Reader::from_source(Cursor::new(cut)).expect("opens");
    let damages = reader.damage().expect("reads").damages;
    assert!(damages[0].to_string().contains("does not follow"), "{damages:?}");
    assert_eq!(damages[0].offset, from as u64);
}

#[test]
fn the_index_is_rebuilt_when_it_is_gone() {
    let whole = small();
    let indexed = Reader::from_source(Cursor::new(whole.clone())).expect("opens");
    let mut bytes = whole.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let rebuilt = Reader::from_source(Cursor::new(bytes)).expect("opens");
    assert!(indexed.info().indexed && !rebuilt.info().indexed);
    let mut expected = indexed.info();
    expected.indexed = false;
    assert_eq!(rebuilt.info(), expected);
}

#[test]
fn another_format_version_is_named_and_so_is_what_to_do() {
    let mut bytes = small();
    bytes[..16].copy_from_slice(&arbiter_recording::block::preamble(1));
    let error = Reader::from_source(Cursor::new(bytes)).expect_err("another version").to_string();
    assert!(
        error.contains("version 1") && error.contains("versions 2 to 3") && error.contains("use the release"),
        "{error}"
    );
}

#[test]
fn another_build_is_named_by_what_differs() {
    let reader = Reader::from_source(Cursor::new(small())).expect("opens");
    let mut build = reader.header().stamp.clone();
    assert_eq!(reader.header().stamp.differences(&build), Vec::<String>::new());
    build.rapier = "9.9.9".to_owned();
    assert_eq!(reader.header().stamp.differences(&build), ["rapier: the recording has `0.36.1`, this build `9.9.9`"]);
}

#[test]
fn rubbish_is_no_recording() {
    for bytes in [Vec::new(), b"hello".to_vec(), vec![0; 1_000]] {
        let error = Reader::from_source(Cursor::new(bytes)).expect_err("rubbish").to_string();
        assert!(error.contains("not a recording"), "{error}");
    }
}
