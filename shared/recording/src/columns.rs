//! How the commands and hashes of consecutive ticks become bytes: columns per slot, predicted, split into byte planes,
//! compressed.
//!
//! One player's yaw resembles that player's last yaw, not the next player's, so values are gathered per slot. Yaw and pitch
//! are what is left of a prediction (the last value, or the last value and its change, whichever left less in this block);
//! the view time is predicted to advance by a tick a tick. What remains is small numbers: low bytes and high bytes go to
//! planes of their own, since the high ones are nearly all zero and mixing them would spoil the entropy coder's statistics.
//! A block needs no other block.
//!
//! Order matters to a simulation, so the order of commands within a tick is kept: one byte for a tick whose inputs come from
//! the same slots in the same order as in the tick before, the whole list otherwise. Who was told of whom comes first in a tick
//! and by slot, so that it has a group of its own, of some two bytes for each change, and does not disturb that order.

use arbiter_sim::{Command, Input};

/// Ticks in one block: two seconds at 60 Hz, one at 128. More would compress little better and lose more in a crash.
pub const TICKS_MAX: usize = 128;

/// Commands in one tick: an input from each of 1,000 players with everybody joining and leaving and some administration, and
/// the 8,192 changes of who was told of whom that a room takes into one tick.
pub const TICK_COMMANDS_MAX: usize = 16_384;

/// Commands at which a block is closed early, so that memory for one stays in single megabytes with 1,000 players.
pub const BLOCK_COMMANDS: usize = 65_536;

/// Commands that a block can have: one tick may follow when it is nearly full.
pub const BLOCK_COMMANDS_MAX: usize = BLOCK_COMMANDS + TICK_COMMANDS_MAX;

/// Bytes of one group before compression: at most 25 bytes for a command that is no input, twice that for its neighbours.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Groups of planes with alike statistics, each its own zstd frame.
const GROUPS: usize = 5;
const RARE: usize = 0;
const YAW: usize = 1;
const PITCH: usize = 2;
const VIEW: usize = 3;
const TOLD: usize = 4;

/// Level 9: a tenth smaller than 3; a two-second block of ten players takes well under a millisecond off the tick's thread.
const LEVEL: i32 = 9;

const SAME: u8 = 0;
const INPUTS: u8 = 1;
const MIXED: u8 = 2;

const KIND_INPUT: u8 = 0;
const KIND_OTHER: u8 = 1;

/// Commands and hashes of consecutive ticks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TickBlock {
    /// The first tick.
    pub first_tick: u32,
    hashes: Vec<u64>,
    /// Where the commands of each tick end.
    ends: Vec<u32>,
    commands: Vec<Command>,
}

impl TickBlock {
    /// An empty block that begins with this tick.
    pub fn new(first_tick: u32) -> Self {
        Self { first_tick, ..Self::default() }
    }

    /// Adds the next tick. The caller keeps to the limits.
    pub fn push(&mut self, commands: &[Command], hash: u64) {
        self.commands.extend_from_slice(commands);
        self.ends.push(self.commands.len() as u32);
        self.hashes.push(hash);
    }

    /// How many ticks it holds.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether it should be closed.
    pub fn is_full(&self) -> bool {
        self.len() >= TICKS_MAX || self.commands.len() >= BLOCK_COMMANDS
    }

    /// The tick at a position: its number, its commands, and the hash of the state after it.
    pub fn get(&self, index: usize) -> Option<(u32, &[Command], u64)> {
        let hash = *self.hashes.get(index)?;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Some((self.first_tick + index as u32, &self.commands[start..end], hash))
    }

    /// All of its ticks in order.
    pub fn ticks(&self) -> impl Iterator<Item = (u32, &[Command], u64)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Its bytes.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let mut out = Vec::with_capacity(self.len() * 8 + self.commands.len() * 4);
        for hash in &self.hashes {
            out.extend_from_slice(&hash.to_le_bytes());
        }
        for group in self.planes()? {
            let packed = zstd::bulk::compress(&group, LEVEL).map_err(|error| error.to_string())?;
            let raw = packed.len() >= group.len();
            put(&mut out, group.len() as u64);
            put(&mut out, if raw { 0 } else { packed.len() as u64 });
            out.extend_from_slice(if raw { &group } else { &packed });
        }
        Ok(out)
    }

    fn planes(&self) -> Result<[Vec<u8>; GROUPS], String> {
        let mut groups: [Vec<u8>; GROUPS] = Default::default();
        let mut order: Vec<u16> = Vec::new();
        let mut now: Vec<u16> = Vec::new();
        let mut slots: Vec<SlotColumns> = Vec::new();
        let mut place = Places::default();
        let mut others = Vec::new();
        for (tick, commands, _) in self.ticks() {
            let (told, commands) = commands.split_at(Changes::leading(commands));
            Changes::write(told, &mut groups[TOLD]);
            now.clear();
            for command in commands {
                if let Command::Input { slot, input, substituted } = command {
                    now.push(*slot);
                    let at = place.of(*slot, slots.len());
                    if at == slots.len() {
                        slots.push(SlotColumns::default());
                    }
                    slots[at].push(tick, input, *substituted);
                }
            }
            let rare = &mut groups[RARE];
            if now.len() != commands.len() {
                rare.push(MIXED);
                put(rare, commands.len() as u64);
                for command in commands {
                    match command {
                        Command::Input { slot, .. } => {
                            rare.push(KIND_INPUT);
                            put(rare, u64::from(*slot));
                        }
                        other => {
                            rare.push(KIND_OTHER);
                            let bytes = bincode::serde::encode_to_vec(other, crate::header::config());
                            others.extend(bytes.map_err(|error| error.to_string())?);
                        }
                    }
                }
            } else if now == order {
                rare.push(SAME);
            } else {
                rare.push(INPUTS);
                put(rare, now.len() as u64);
                for slot in &now {
                    put(rare, u64::from(*slot));
                }
            }
            std::mem::swap(&mut order, &mut now);
        }
        groups[RARE].extend_from_slice(&others);
        for slot in &slots {
            slot.write(&mut groups);
        }
        Ok(groups)
    }

    /// Reads what [`TickBlock::encode`] wrote; `None` if these bytes make no sense. Never reserves more than the limits above.
    pub fn decode(first_tick: u32, ticks: usize, bytes: &[u8]) -> Option<Self> {
        if ticks > TICKS_MAX {
            return None;
        }
        let mut at = Cursor(bytes);
        let hashes = at.take(ticks * 8)?.chunks_exact(8).map(|chunk| {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let mut block = Self { first_tick, hashes: hashes.collect(), ..Self::default() };
        let mut groups: [Vec<u8>; GROUPS] = Default::default();
        for group in &mut groups {
            let raw_bytes = usize::try_from(at.number()?).ok()?;
            let packed_bytes = usize::try_from(at.number()?).ok()?;
            if raw_bytes > GROUP_BYTES_MAX {
                return None;
            }
            *group = if packed_bytes == 0 {
                at.take(raw_bytes)?.to_vec()
            } else {
                zstd::bulk::decompress(at.take(packed_bytes)?, raw_bytes).ok()?
            };
            if group.len() != raw_bytes {
                return None;
            }
        }
        at.0.is_empty().then_some(())?;
        block.fill(ticks, &groups)?;
        Some(block)
    }

    fn fill(&mut self, ticks: usize, groups: &[Vec<u8>; GROUPS]) -> Option<()> {
        // First who commands when; then what, slot by slot.
        let mut rare = Cursor(&groups[RARE]);
        let mut told = Cursor(&groups[TOLD]);
        let mut order: Vec<u16> = Vec::new();
        let mut shape: Vec<Option<u16>> = Vec::new();
        let mut others = Others::default();
        for _ in 0..ticks {
            let before = others.told.len();
            Changes::read(&mut told, &mut others.told)?;
            let count = others.told.len() - before;
            shape.extend(core::iter::repeat_n(None, count));
            others.lead.push(count);
            match rare.byte()? {
                SAME => shape.extend(order.iter().map(|slot| Some(*slot))),
                op @ (INPUTS | MIXED) => {
                    let count = rare.number()?;
                    if count > TICK_COMMANDS_MAX as u64 {
                        return None;
                    }
                    order.clear();
                    for _ in 0..count {
                        if op == MIXED && rare.byte()? == KIND_OTHER {
                            shape.push(None);
                        } else {
                            let slot = u16::try_from(rare.number()?).ok()?;
                            order.push(slot);
                            shape.push(Some(slot));
                        }
                    }
                }
                _ => return None,
            }
            if shape.len() > BLOCK_COMMANDS_MAX {
                return None;
            }
            self.ends.push(shape.len() as u32);
        }
        let mut place = Places::default();
        let mut counts: Vec<usize> = Vec::new();
        let mut places: Vec<usize> = Vec::with_capacity(shape.len());
        for slot in &shape {
            let Some(slot) = slot else {
                places.push(usize::MAX);
                continue;
            };
            let at = place.of(*slot, counts.len());
            if at == counts.len() {
                counts.push(0);
            }
            counts[at] += 1;
            places.push(at);
        }
        for _ in 0..shape.iter().filter(|slot| slot.is_none()).count() - others.told.len() {
            let (command, used) =
                bincode::serde::decode_from_slice::<Command, _>(rare.0, crate::header::config()).ok()?;
            rare.take(used)?;
            others.rest.push(command);
        }
        let mut yaw = Cursor(&groups[YAW]);
        let mut pitch = Cursor(&groups[PITCH]);
        let mut view = Cursor(&groups[VIEW]);
        let mut slots = Vec::with_capacity(counts.len());
        for count in counts {
            slots.push(SlotReader::read(count, &mut rare, &mut yaw, &mut pitch, &mut view)?);
        }
        if [rare.0, yaw.0, pitch.0, view.0, told.0].iter().any(|rest| !rest.is_empty()) {
            return None;
        }
        self.commands.reserve_exact(shape.len());
        let Others { told, lead, rest } = others;
        let (mut told, mut rest) = (told.into_iter(), rest.into_iter());
        let mut index = 0;
        for ((offset, end), lead) in self.ends.iter().enumerate().zip(lead) {
            let tick = self.first_tick.wrapping_add(offset as u32);
            let first = index + lead;
            while index < *end as usize {
                self.commands.push(match shape[index] {
                    None if index < first => told.next()?,
                    None => rest.next()?,
                    Some(slot) => {
                        let (input, substituted) = slots[places[index]].next(tick)?;
                        Command::Input { slot, input, substituted }
                    }
                });
                index += 1;
            }
        }
        Some(())
    }
}

/// Commands of a block that are no inputs.
#[derive(Default)]
struct Others {
    /// Those that say who was told of whom, of all ticks.
    told: Vec<Command>,
    /// How many of them each tick begins with.
    lead: Vec<usize>,
    rest: Vec<Command>,
}

/// Who was told of whom: for each tick how many commands, then for each of them how many slots further than the one before, and
/// a number of the group and the bit; behind the number of no bit come the bits when there are several.
struct Changes;

/// Numbers for each group: a bit alone, or several.
const CHANGE_KINDS: u64 = 33;
const SEVERAL: u64 = 32;

impl Changes {
    /// Commands at the head of a tick that are in the order in which a room makes them.
    fn leading(commands: &[Command]) -> usize {
        let mut last = None;
        let goes_on = |command: &&Command| match **command {
            Command::Told { slot, group, toggled } if toggled != 0 && last < Some((slot, group)) => {
                last = Some((slot, group));
                true
            }
            _ => false,
        };
        commands.iter().take_while(goes_on).count()
    }

    fn write(commands: &[Command], out: &mut Vec<u8>) {
        put(out, commands.len() as u64);
        let mut last = 0;
        for command in commands {
            let Command::Told { slot, group, toggled } = *command else { continue };
            put(out, u64::from(slot - last));
            last = slot;
            let alone = toggled.is_power_of_two();
            let kind = if alone { u64::from(toggled.trailing_zeros()) } else { SEVERAL };
            put(out, u64::from(group) * CHANGE_KINDS + kind);
            if !alone {
                out.extend_from_slice(&toggled.to_le_bytes());
            }
        }
    }

    fn read(from: &mut Cursor<'_>, out: &mut Vec<Command>) -> Option<()> {
        let count = from.number()?;
        if count > TICK_COMMANDS_MAX as u64 || out.len() > BLOCK_COMMANDS_MAX {
            return None;
        }
        let mut last = 0_u16;
        for _ in 0..count {
            let slot = last.checked_add(u16::try_from(from.number()?).ok()?)?;
            last = slot;
            let number = from.number()?;
            let group = u8::try_from(number / CHANGE_KINDS).ok()?;
            let toggled = match number % CHANGE_KINDS {
                SEVERAL => u32::from_le_bytes(from.take(4)?.try_into().ok()?),
                bit => 1 << bit,
            };
            out.push(Command::Told { slot, group, toggled });
        }
        Some(())
    }
}

/// Slot number to place in a list, in the order of first appearance.
#[derive(Default)]
struct Places(Vec<u32>);

impl Places {
    fn of(&mut self, slot: u16, next: usize) -> usize {
        let slot = usize::from(slot);
        if self.0.len() <= slot {
            self.0.resize(slot + 1, u32::MAX);
        }
        if self.0[slot] == u32::MAX {
            self.0[slot] = next as u32;
        }
        self.0[slot] as usize
    }
}

/// What one slot did in a block.
#[derive(Default)]
struct SlotColumns {
    substituted: Vec<u8>,
    buttons: Vec<u16>,
    right: Vec<u8>,
    forward: Vec<u8>,
    yaw: Vec<u16>,
    pitch: Vec<u16>,
    view: Vec<u64>,
    last_buttons: u16,
    last_move: (i8, i8),
    last_lag: u64,
}

/// The view time in 1/256 ticks behind the tick's own, as a number that is constant while client and server run evenly.
fn lag(tick: u32, input: &Input) -> u64 {
    let view = (u64::from(input.view_tick) << 8) | u64::from(input.view_fraction);
    (u64::from(tick) << 8).wrapping_sub(view)
}

impl SlotColumns {
    fn push(&mut self, tick: u32, input: &Input, substituted: bool) {
        self.substituted.push(u8::from(substituted));
        self.buttons.push(input.buttons ^ self.last_buttons);
        self.last_buttons = input.buttons;
        self.right.push(input.move_right.wrapping_sub(self.last_move.0) as u8);
        self.forward.push(input.move_forward.wrapping_sub(self.last_move.1) as u8);
        self.last_move = (input.move_right, input.move_forward);
        self.yaw.push(input.yaw);
        self.pitch.push(input.pitch as u16);
        let lag = lag(tick, input);
        self.view.push(zigzag(lag.wrapping_sub(self.last_lag)));
        self.last_lag = lag;
    }

    fn write(&self, groups: &mut [Vec<u8>; GROUPS]) {
        let rare = &mut groups[RARE];
        rare.extend_from_slice(&self.substituted);
        rare.extend(low(&self.buttons));
        rare.extend(high(&self.buttons));
        rare.extend_from_slice(&self.right);
        rare.extend_from_slice(&self.forward);
        for (group, values) in [(YAW, &self.yaw), (PITCH, &self.pitch)] {
            let (slope, left) = predict(values);
            groups[RARE].push(u8::from(slope));
            groups[RARE].extend(high(&left));
            groups[group].extend(low(&left));
        }
        for value in &self.view {
            put(&mut groups[VIEW], *value);
        }
    }
}

fn low(values: &[u16]) -> impl Iterator<Item = u8> + '_ {
    values.iter().map(|value| *value as u8)
}

fn high(values: &[u16]) -> impl Iterator<Item = u8> + '_ {
    values.iter().map(|value| (*value >> 8) as u8)
}

/// What is left of the angles after the better of two predictions: the last value, or (true) also its last change.
fn predict(values: &[u16]) -> (bool, Vec<u16>) {
    let run = |slope: bool| -> (u64, Vec<u16>) {
        let mut state = Angle { slope, ..Angle::default() };
        let mut cost = 0;
        let left = values.iter().map(|value| {
            let left = state.left(*value);
            cost += u64::from(16 - left.leading_zeros());
            left
        });
        let left = left.collect();
        (cost, left)
    };
    let (flat, sloped) = (run(false), run(true));
    if sloped.0 < flat.0 { (true, sloped.1) } else { (false, flat.1) }
}

#[derive(Default)]
struct Angle {
    slope: bool,
    last: u16,
    change: u16,
}

impl Angle {
    fn expected(&self) -> u16 {
        if self.slope { self.last.wrapping_add(self.change) } else { self.last }
    }

    fn left(&mut self, value: u16) -> u16 {
        let left = value.wrapping_sub(self.expected()) as i16;
        self.change = value.wrapping_sub(self.last);
        self.last = value;
        ((left << 1) ^ (left >> 15)) as u16
    }

    fn value(&mut self, left: u16) -> u16 {
        let left = (left >> 1) ^ (left & 1).wrapping_neg();
        let value = self.expected().wrapping_add(left);
        self.change = value.wrapping_sub(self.last);
        self.last = value;
        value
    }
}

fn zigzag(value: u64) -> u64 {
    let value = value as i64;
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// One slot's columns while they are turned back into inputs.
struct SlotReader<'a> {
    at: usize,
    substituted: &'a [u8],
    buttons: (&'a [u8], &'a [u8]),
    right: &'a [u8],
    forward: &'a [u8],
    yaw: (&'a [u8], &'a [u8]),
    pitch: (&'a [u8], &'a [u8]),
    view: Vec<u64>,
    last_buttons: u16,
    last_move: (u8, u8),
    last_yaw: Angle,
    last_pitch: Angle,
    last_lag: u64,
}

impl<'a> SlotReader<'a> {
    fn read(
        count: usize,
        rare: &mut Cursor<'a>,
        yaw: &mut Cursor<'a>,
        pitch: &mut Cursor<'a>,
        view: &mut Cursor<'a>,
    ) -> Option<Self> {
        let substituted = rare.take(count)?;
        let buttons = (rare.take(count)?, rare.take(count)?);
        let right = rare.take(count)?;
        let forward = rare.take(count)?;
        let yaw_slope = rare.flag()?;
        let yaw = (yaw.take(count)?, rare.take(count)?);
        let pitch_slope = rare.flag()?;
        let pitch = (pitch.take(count)?, rare.take(count)?);
        let view = (0..count).map(|_| view.number()).collect::<Option<Vec<u64>>>()?;
        Some(Self {
            at: 0,
            substituted,
            buttons,
            right,
            forward,
            yaw,
            pitch,
            view,
            last_buttons: 0,
            last_move: (0, 0),
            last_yaw: Angle { slope: yaw_slope, ..Angle::default() },
            last_pitch: Angle { slope: pitch_slope, ..Angle::default() },
            last_lag: 0,
        })
    }

    fn next(&mut self, tick: u32) -> Option<(Input, bool)> {
        let at = self.at;
        let join = |planes: (&[u8], &[u8])| u16::from_le_bytes([planes.0[at], planes.1[at]]);
        let substituted = match self.substituted.get(at)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        self.last_buttons ^= join(self.buttons);
        self.last_move.0 = self.last_move.0.wrapping_add(self.right[at]);
        self.last_move.1 = self.last_move.1.wrapping_add(self.forward[at]);
        self.last_lag = self.last_lag.wrapping_add(unzigzag(self.view[at]));
        let view = (u64::from(tick) << 8).wrapping_sub(self.last_lag);
        self.at += 1;
        let input = Input {
            buttons: self.last_buttons,
            move_right: self.last_move.0 as i8,
            move_forward: self.last_move.1 as i8,
            yaw: self.last_yaw.value(join(self.yaw)),
            pitch: self.last_pitch.value(join(self.pitch)) as i16,
            // Only a forged file has more bits than a tick here.
            view_tick: u32::try_from(view >> 8).ok()?,
            view_fraction: view as u8,
        };
        Some((input, substituted))
    }
}

/// Appends a number, seven bits a byte.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that are read from the front, never past the end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
