//! Contract: what was pushed comes back, in order and bit for bit, whatever it was; and it is small.

mod common;

use std::io::{self, Cursor, Write};
use std::time::Duration;

use arbiter_recording::{End, Reader, Store, WriteError, Writer};
use arbiter_sim::{Admin, Command, Input, Knob, LeaveReason, Loadout};
use common::{Players, Random, header, record, tick0};
use proptest::prelude::*;

fn command() -> impl Strategy<Value = Command> {
    let input = (any::<u16>(), any::<i8>(), any::<i8>(), any::<u16>(), any::<i16>(), any::<u32>(), any::<u8>())
        .prop_map(|(buttons, move_right, move_forward, yaw, pitch, view_tick, view_fraction)| Input {
            buttons,
            move_right,
            move_forward,
            yaw,
            pitch,
            view_tick,
            view_fraction,
        });
    let slot = prop_oneof![4 => 0..4_u16, 1 => any::<u16>()];
    prop_oneof![
        8 => (slot.clone(), input, any::<bool>())
            .prop_map(|(slot, input, substituted)| Command::Input { slot, input, substituted }),
        1 => (slot.clone(), any::<u8>(), any::<u8>())
            .prop_map(|(slot, hero, team)| Command::Join { slot, loadout: Loadout { hero, team } }),
        // In whatever order: what a room never does must come back as well.
        3 => (slot.clone(), 0..3_u8, prop_oneof![Just(0_u32), (0..32_u32).prop_map(|bit| 1 << bit), any::<u32>()])
            .prop_map(|(slot, group, toggled)| Command::Told { slot, group, toggled }),
        1 => slot.prop_map(|slot| Command::Leave { slot, reason: LeaveReason::Kicked }),
        1 => (any::<u16>(), any::<i32>())
            .prop_map(|(team, points)| Command::Admin(Admin::AddScore { team, points })),
        1 => (-10.0_f32..10.0).prop_map(|value| Command::Retune { knob: Knob::SpeedScale, value }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_commands_in_any_order_come_back(
        ticks in prop::collection::vec((prop::collection::vec(command(), 0..12), any::<u64>()), 0..300),
        flushes in prop::collection::vec(1_u32..300, 0..4),
    ) {
        let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
        for (index, (commands, hash)) in ticks.iter().enumerate() {
            let tick = index as u32 + 1;
            writer.push_tick(tick, commands, *hash).expect("takes a tick");
            if flushes.contains(&tick) {
                writer.flush().expect("flushes");
            }
        }
        writer.finish(End::Draw).expect("finishes");
        let mut reader = Reader::from_source(Cursor::new(writer.into_store())).expect("opens");
        let back: Vec<_> = reader.ticks(0).map(|tick| tick.expect("whole")).collect();
        prop_assert_eq!(back.len(), ticks.len());
        for (index, (tick, (commands, hash))) in back.iter().zip(&ticks).enumerate() {
            prop_assert_eq!(tick.tick, index as u32 + 1);
            prop_assert_eq!(&tick.commands, commands);
            prop_assert_eq!(tick.hash, *hash);
        }
    }
}

#[test]
fn a_checkpoint_is_found_by_tick_and_comes_back_whole() {
    let mut reader = Reader::from_source(Cursor::new(record(3, 500, 100))).expect("opens");
    assert_eq!(reader.info().checkpoints, [100, 200, 300, 400, 500]);
    assert_eq!(reader.info().range, Some((1, 500)));
    assert_eq!(reader.info().end, Some(End::Won(1)));
    assert!(reader.info().indexed);
    assert_eq!(reader.checkpoint_before(99, &tick0()).expect("reads"), None);
    let (tick, state) = reader.checkpoint_before(299, &tick0()).expect("reads").expect("has one");
    let mut expected = tick0();
    expected[200] ^= 1;
    assert_eq!((tick, state), (200, expected));
    assert_eq!(reader.checkpoint_after(201, &tick0()).expect("reads").map(|(tick, _)| tick), Some(300));
    let error = reader.checkpoint_before(299, b"other").expect_err("another tick 0");
    assert!(error.to_string().contains("tick 0"), "{error}");
}

#[test]
fn the_chain_behind_the_last_tick_is_the_same_for_writer_and_reader_whatever_follows_it() {
    for checkpoint in [false, true] {
        let (mut players, mut random) = (Players::new(2, 5), Random(3));
        let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
        for tick in 1..=300 {
            writer.push_tick(tick, &players.commands(tick), random.next()).expect("takes a tick");
        }
        if checkpoint {
            writer.push_checkpoint(300, &tick0()).expect("takes a checkpoint");
        }
        writer.flush().expect("takes the rest");
        let chain = writer.ticks_chain();
        writer.finish(End::Abandoned).expect("finishes");
        let mut reader = Reader::from_source(Cursor::new(writer.into_store())).expect("opens");
        assert_eq!(reader.chain_at(300).expect("reads"), Some(chain), "checkpoint: {checkpoint}");
        assert_eq!(reader.chain_at(301).expect("reads"), None);
    }
}

#[test]
fn reading_can_begin_at_any_tick() {
    let mut reader = Reader::from_source(Cursor::new(record(2, 300, 1_000))).expect("opens");
    let all: Vec<_> = reader.ticks(0).map(|tick| tick.expect("whole")).collect();
    for from in [1, 2, 128, 129, 130, 299, 300] {
        let some: Vec<_> = reader.ticks(from).map(|tick| tick.expect("whole")).collect();
        assert_eq!(some, all[from as usize - 1..], "from {from}");
    }
    assert_eq!(reader.ticks(301).count(), 0);
}

#[test]
fn a_minute_of_ten_trembling_players_takes_less_than_200_kb_with_hashes() {
    let mut players = Players::new(10, 5);
    let mut random = Random(3);
    let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
    for tick in 1..=3_600 {
        writer.push_tick(tick, &players.commands(tick), random.next()).expect("takes a tick");
    }
    writer.finish(End::Draw).expect("finishes");
    println!("figure recording.synthetic_minute {:.1} KB", writer.bytes() as f64 / 1_000.0);
    assert!(writer.bytes() < 200_000, "{} bytes", writer.bytes());
}

#[test]
fn ticks_out_of_order_and_lists_too_long_are_refused_and_change_nothing() {
    let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
    writer.push_tick(1, &[], 1).expect("takes a tick");
    assert!(matches!(writer.push_tick(3, &[], 1), Err(WriteError::Order { expected: 2, found: 3 })));
    assert!(matches!(writer.push_checkpoint(2, &[]), Err(WriteError::Order { expected: 1, found: 2 })));
    let many = vec![Command::Admin(Admin::Pause); 20_000];
    assert!(matches!(writer.push_tick(2, &many, 1), Err(WriteError::TooMuch { .. })));
    writer.push_tick(2, &[], 2).expect("takes a tick");
    writer.finish(End::Draw).expect("finishes");
    assert!(matches!(writer.push_tick(3, &[], 1), Err(WriteError::Finished)));
    let mut reader = Reader::from_source(Cursor::new(writer.into_store())).expect("opens");
    assert_eq!(reader.ticks(0).count(), 2);
}

/// A disk that takes `room` bytes, a few at a time, until it is given more.
struct Disk {
    bytes: Vec<u8>,
    room: std::rc::Rc<std::cell::Cell<usize>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.room.get().saturating_sub(self.bytes.len());
        if left == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let count = bytes.len().min(left).min(1_000);
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Store for Disk {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_was_full_for_a_while_leaves_no_hole() {
    let room = std::rc::Rc::new(std::cell::Cell::new(6_000));
    let disk = Disk { bytes: Vec::new(), room: room.clone() };
    let mut players = Players::new(10, 5);
    let mut writer = Writer::to(disk, header(), tick0()).expect("begins");
    let mut refused = 0;
    for tick in 1..=1_000 {
        if tick == 600 {
            room.set(usize::MAX);
        }
        match writer.push_tick(tick, &players.commands(tick), u64::from(tick)) {
            Ok(()) => {}
            Err(WriteError::Io(error, _)) if error.kind() == io::ErrorKind::StorageFull => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
    writer.finish(End::Draw).expect("finishes");
    let mut reader = Reader::from_source(Cursor::new(writer.into_store().bytes)).expect("opens");
    assert_eq!(reader.damage().expect("reads").damages, []);
    assert_eq!(reader.ticks(0).filter(Result::is_ok).count(), 1_000);
}

#[test]
fn a_flush_to_disk_is_no_more_frequent_than_its_period_and_tells_what_is_safe() {
    let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
    for tick in 1..=3 {
        writer.push_tick(tick, &[], 0).expect("takes a tick");
    }
    writer.flush().expect("flushes");
    assert_eq!(writer.durable_tick(), 0);
    writer.sync(Duration::from_millis(50)).expect("syncs");
    assert_eq!(writer.durable_tick(), 3);
    writer.push_tick(4, &[], 0).expect("takes a tick");
    writer.flush().expect("flushes");
    writer.sync(Duration::from_millis(149)).expect("waits");
    assert_eq!(writer.durable_tick(), 3);
    writer.sync(Duration::from_millis(150)).expect("syncs");
    assert_eq!(writer.durable_tick(), 4);
}
