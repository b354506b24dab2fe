//! What one hears: sounds of single ticks, in front of a part of a snapshot.
//!
//! A [`SoundList`] is what one client hears of one tick, encoded once; it is told as a whole, and told again as a whole when
//! what carried it is lost. [`Sounds`] is what stands in one body: the lists of one or several ticks. What a sound says of whom
//! is decided by the room (`docs/decisions/hearing.md`); here is how it is written.

use arbiter_schema::StableId;
use arrayvec::ArrayVec;

use crate::codec::{Decoder, Encoder, ProtocolError};
use crate::notice::Cause;

/// Sounds of one tick for one client that can be told: more than ears tell apart in a moment.
pub const SOUNDS_PER_TICK_MAX: usize = 16;

/// Bytes of all sounds in a body: what the largest part of a snapshot leaves of a datagram.
pub const SOUND_BYTES_MAX: usize = 48;

/// Bytes of one sound at most.
const SOUND_BYTES: usize = 8;

/// Bytes of the sounds of one tick, behind what stands in front of them.
const LIST_BYTES_MAX: usize = SOUND_BYTES_MAX - 2;

/// Metres of a cell's side, in which the place of what is only heard is told: a room, not a place in it.
pub const CELL_M: f32 = 8.0;

/// The lowest corner of the grid of cells, in metres along each axis: as far out as anything is told.
pub const CELLS_FROM_M: f32 = -1_024.0;

/// Places of bursts that are seen are told in steps of so many metres.
pub const STEP_M: f32 = 0.031_25;

/// What something sounds like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noise {
    /// A weapon that hits at once.
    Shot,
    /// A weapon that sends something that flies.
    Launch,
    /// A blow.
    Swing,
    /// A beam begins.
    Beam,
    /// An ability.
    Ability,
    /// Somebody is hurt.
    Hit,
    /// Something bursts.
    Burst,
    /// Somebody runs.
    Steps,
}

impl Noise {
    /// All of them, by number.
    pub const ALL: [Self; 8] =
        [Self::Shot, Self::Launch, Self::Swing, Self::Beam, Self::Ability, Self::Hit, Self::Burst, Self::Steps];
}

/// What a weapon sounds like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Report {
    /// It hits at once.
    Shot,
    /// It sends something that flies.
    Launch,
    /// It is swung.
    Swing,
    /// Its beam begins.
    Beam,
}

impl From<Report> for Noise {
    fn from(report: Report) -> Self {
        match report {
            Report::Shot => Self::Shot,
            Report::Launch => Self::Launch,
            Report::Swing => Self::Swing,
            Report::Beam => Self::Beam,
        }
    }
}

/// Who makes a sound: somebody or something of whom the client is told, so that where it is need not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The player in a slot.
    Player(u16),
    /// What is no player, such as a turret.
    Thing(StableId),
}

impl Source {
    /// Slots below this stand in the first byte of a sound.
    const SHORT: u64 = 15;

    fn number(self) -> u64 {
        match self {
            Self::Player(slot) => u64::from(slot) << 1,
            Self::Thing(id) => u64::from(id.0) << 1 | 1,
        }
    }

    fn of(number: u64) -> Result<Self, ProtocolError> {
        let beyond = || ProtocolError::Invalid { what: "source of a sound", value: number };
        Ok(match (number >> 1, number & 1) {
            (slot, 0) => Self::Player(u16::try_from(slot).map_err(|_| beyond())?),
            (id, _) => Self::Thing(StableId(u32::try_from(id).map_err(|_| beyond())?)),
        })
    }

    /// Its four bits of a first byte, and what follows behind that.
    fn short(self) -> (u8, Option<Self>) {
        match self {
            Self::Player(slot) if u64::from(slot) < Self::SHORT => (slot as u8, None),
            other => (Self::SHORT as u8, Some(other)),
        }
    }

    fn read_short(low: u8, from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        if u64::from(low) < Self::SHORT {
            return Ok(Self::Player(u16::from(low)));
        }
        match Self::of(read_number(from)?)? {
            // It has a place in the first byte, and there is one way to write each.
            Self::Player(slot) if u64::from(slot) < Self::SHORT => {
                Err(ProtocolError::Invalid { what: "source of a sound", value: slot.into() })
            }
            source => Ok(source),
        }
    }
}

/// Where what is only heard is: a cube of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area {
    /// Cells from [`CELLS_FROM_M`] along each axis; even where it is `wide`.
    pub cell: [u8; 3],
    /// Whether it is two cells long along each axis.
    pub wide: bool,
}

impl Area {
    /// The one that a place is in.
    pub fn around(place: [f32; 3], wide: bool) -> Self {
        // A cast takes what is outside of the grid to its edge.
        let cell = place.map(|metres| ((metres - CELLS_FROM_M) / CELL_M) as u8);
        Self { cell: if wide { cell.map(|cell| cell & !1) } else { cell }, wide }
    }

    /// The same twice as long.
    pub fn widened(self) -> Self {
        Self { cell: self.cell.map(|cell| cell & !1), wide: true }
    }

    /// Metres of its side.
    pub fn side(self) -> f32 {
        if self.wide { 2.0 * CELL_M } else { CELL_M }
    }

    /// Its middle.
    pub fn middle(self) -> [f32; 3] {
        self.cell.map(|cell| CELLS_FROM_M + f32::from(cell) * CELL_M + 0.5 * self.side())
    }
}

/// Where a burst is, in steps of [`STEP_M`] from [`CELLS_FROM_M`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot(pub [u16; 3]);

impl Spot {
    /// The nearest to a place.
    pub fn at(place: [f32; 3]) -> Self {
        Self(place.map(|metres| ((metres - CELLS_FROM_M) / STEP_M + 0.5) as u16))
    }

    /// In metres.
    pub fn place(self) -> [f32; 3] {
        self.0.map(|steps| CELLS_FROM_M + f32::from(steps) * STEP_M)
    }
}

/// One sound, as far as the client may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sound {
    /// A weapon of somebody whom the client knows. Which one, and where it is, says what is told of its owner.
    Fired {
        /// What it sounds like.
        report: Report,
        /// Whose.
        by: Source,
    },
    /// An ability of somebody whom the client knows.
    Used {
        /// Whose.
        by: Source,
        /// Number in the rules.
        ability: u8,
    },
    /// The client's player hurt somebody.
    Dealt {
        /// Whom.
        target: Source,
        /// On the head.
        head: bool,
    },
    /// The client's player was hurt.
    Taken {
        /// By whom, if the client knows them.
        by: Option<Source>,
        /// On the head.
        head: bool,
    },
    /// Something burst in sight.
    Burst {
        /// Where.
        at: Spot,
        /// What: how far it reaches stands in the rules.
        cause: Cause,
    },
    /// Only heard: what kind of sound, and roughly where.
    Around {
        /// What it sounds like.
        noise: Noise,
        /// Where.
        area: Area,
    },
}

// Bits of the first byte of a sound. The lowest three are the noise.
const ONLY_HEARD: u8 = 1 << 3;
const WIDE: u8 = 1 << 4;
const TAKEN: u8 = 1 << 4;
const HEAD: u8 = 1 << 5;
const BY_KNOWN: u8 = 1 << 6;

type Bytes = ArrayVec<u8, SOUND_BYTES>;

impl Sound {
    /// What it sounds like.
    pub fn noise(&self) -> Noise {
        match *self {
            Self::Fired { report, .. } => report.into(),
            Self::Used { .. } => Noise::Ability,
            Self::Dealt { .. } | Self::Taken { .. } => Noise::Hit,
            Self::Burst { .. } => Noise::Burst,
            Self::Around { noise, .. } => noise,
        }
    }

    fn encode(&self) -> Bytes {
        let mut to = Bytes::new();
        let noise = self.noise() as u8;
        match *self {
            Self::Fired { by, .. } => {
                let (low, rest) = by.short();
                to.push(noise | low << 4);
                rest.into_iter().for_each(|rest| put_number(&mut to, rest.number()));
            }
            Self::Used { by, ability } => {
                let (low, rest) = by.short();
                to.push(noise | low << 4);
                rest.into_iter().for_each(|rest| put_number(&mut to, rest.number()));
                to.push(ability);
            }
            Self::Dealt { target, head } => {
                to.push(noise | if head { HEAD } else { 0 } | BY_KNOWN);
                put_number(&mut to, target.number());
            }
            Self::Taken { by, head } => {
                to.push(noise | TAKEN | if head { HEAD } else { 0 } | if by.is_some() { BY_KNOWN } else { 0 });
                by.into_iter().for_each(|by| put_number(&mut to, by.number()));
            }
            Self::Burst { at, cause } => {
                let (kind, number) = cause.numbers();
                to.push(noise | kind << 4);
                to.push(number);
                at.0.into_iter().flat_map(u16::to_le_bytes).for_each(|byte| to.push(byte));
            }
            Self::Around { area: Area { cell, wide }, .. } => {
                to.push(noise | ONLY_HEARD | if wide { WIDE } else { 0 });
                cell.into_iter().for_each(|cell| to.push(if wide { cell & !1 } else { cell }));
            }
        }
        to
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let first = from.u8()?;
        let (noise, low) = (Noise::ALL[usize::from(first & 7)], first >> 4);
        if first & ONLY_HEARD != 0 {
            let wide = first & WIDE != 0;
            let cell = from.array()?;
            if low > 1 || (wide && cell.iter().any(|cell| cell & 1 != 0)) {
                return invalid("sound that is only heard", first);
            }
            return Ok(Self::Around { noise, area: Area { cell, wide } });
        }
        let report = match noise {
            Noise::Shot => Report::Shot,
            Noise::Launch => Report::Launch,
            Noise::Swing => Report::Swing,
            Noise::Beam => Report::Beam,
            Noise::Ability => {
                let by = Source::read_short(low, from)?;
                return Ok(Self::Used { by, ability: from.u8()? });
            }
            Noise::Hit => return Self::decode_hit(first, from),
            Noise::Burst => {
                let number = from.u8()?;
                let cause = Cause::of(low, number).filter(|cause| cause.numbers() == (low, number));
                let Some(cause) = cause else { return invalid("cause of a burst", low) };
                return Ok(Self::Burst { at: Spot([from.u16()?, from.u16()?, from.u16()?]), cause });
            }
            Noise::Steps => return invalid("sound", first),
        };
        Ok(Self::Fired { report, by: Source::read_short(low, from)? })
    }

    fn decode_hit(first: u8, from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let (taken, head, is_known) = (first & TAKEN != 0, first & HEAD != 0, first & BY_KNOWN != 0);
        if first >> 7 != 0 {
            return invalid("sound of a hit", first);
        }
        let other = if is_known { Some(Source::of(read_number(from)?)?) } else { None };
        match (taken, other) {
            (true, by) => Ok(Self::Taken { by, head }),
            (false, Some(target)) => Ok(Self::Dealt { target, head }),
            (false, None) => invalid("sound of a hit", first),
        }
    }
}

fn invalid<T>(what: &'static str, value: u8) -> Result<T, ProtocolError> {
    Err(ProtocolError::Invalid { what, value: u64::from(value) })
}

/// Seven bits to a byte, the lowest first; the highest bit says that more follow. At most 33 bits.
fn put_number(to: &mut Bytes, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn read_number(from: &mut Decoder<'_>) -> Result<u64, ProtocolError> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let byte = from.u8()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            // There is one way to write a number.
            return if byte == 0 && shift > 0 { invalid("number of a sound", byte) } else { Ok(number) };
        }
    }
    invalid("number of a sound", u8::MAX)
}

/// What one client hears of one tick.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SoundList {
    count: u8,
    bytes: ArrayVec<u8, LIST_BYTES_MAX>,
}

impl SoundList {
    /// Adds a sound; false if there is no room for it.
    pub fn push(&mut self, sound: &Sound) -> bool {
        let has_room = usize::from(self.count) < SOUNDS_PER_TICK_MAX;
        let is_taken = has_room && self.bytes.try_extend_from_slice(&sound.encode()).is_ok();
        self.count += u8::from(is_taken);
        is_taken
    }

    /// Whether nothing sounded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that it takes in a body, so many ticks after it sounded.
    pub fn len(&self, age: u8) -> usize {
        1 + usize::from(age > 0) + self.bytes.len()
    }

    /// Its bytes, for [`Self::from_bytes`].
    pub fn as_bytes(&self) -> (u8, &[u8]) {
        (self.count, &self.bytes)
    }

    /// From what [`Self::as_bytes`] gave; empty if that is not what these are.
    pub fn from_bytes(count: u8, bytes: &[u8]) -> Self {
        let mut list = Self { count, ..Self::default() };
        if list.bytes.try_extend_from_slice(bytes).is_err() {
            list = Self::default();
        }
        list
    }

    /// The sounds.
    pub fn iter(&self) -> impl Iterator<Item = Sound> + '_ {
        let mut from = Decoder::new(&self.bytes);
        (0..self.count).map_while(move |_| Sound::decode(&mut from).ok())
    }
}

// Bits of the byte in front of the sounds of a tick. The lowest four are their number less one.
const MORE_TICKS: u8 = 1 << 4;
const OLDER: u8 = 1 << 5;
const HEAD_RESERVED: u8 = 3 << 6;

/// Appends lists with their ages in ticks, oldest first: the sounds of one body.
pub fn write_sounds<'a>(lists: impl Iterator<Item = (u8, &'a SoundList)>, out: &mut Vec<u8>) {
    let mut lists = lists.filter(|(_, list)| !list.is_empty()).peekable();
    while let Some((age, list)) = lists.next() {
        let more = if lists.peek().is_some() { MORE_TICKS } else { 0 };
        out.push((list.count - 1) | more | if age > 0 { OLDER } else { 0 });
        if age > 0 {
            out.push(age);
        }
        out.extend_from_slice(&list.bytes);
    }
}

/// The sounds of one body, read once and found sound: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sounds<'a>(&'a [u8]);

impl<'a> Sounds<'a> {
    /// What [`write_sounds`] wrote.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut from = Decoder::new(bytes);
        let sounds = Self::decode(&mut from)?;
        from.finish()?;
        Ok(sounds)
    }

    /// As they stand on the wire.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        to.bytes(self.0);
    }

    /// Reads up to where the sounds end, which they say themselves.
    pub(crate) fn decode(from: &mut Decoder<'a>) -> Result<Self, ProtocolError> {
        let mut reader = Reader { from: from.clone(), left: 0, age: 256, more: true };
        let mut len = 0;
        while reader.next_sound()?.is_some() {
            len = reader.from.offset() - from.offset();
            if len > SOUND_BYTES_MAX {
                return Err(ProtocolError::TooLong { what: "sounds of a body", len, max: SOUND_BYTES_MAX });
            }
        }
        Ok(Self(from.take(len)?))
    }

    /// Each sound with how many ticks before the part it sounded; oldest first, those of a tick together.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Sound)> + use<'a> {
        let mut reader = Reader { from: Decoder::new(self.0), left: 0, age: 256, more: true };
        core::iter::from_fn(move || reader.next_sound().ok().flatten())
    }
}

/// Walks over the sounds of a body.
struct Reader<'a> {
    from: Decoder<'a>,
    /// Of the tick that is read.
    left: u8,
    /// Of that tick; above all ages before the first.
    age: u16,
    /// Another tick follows.
    more: bool,
}

impl Reader<'_> {
    fn next_sound(&mut self) -> Result<Option<(u8, Sound)>, ProtocolError> {
        if self.left == 0 {
            if !self.more {
                return Ok(None);
            }
            let head = self.from.u8()?;
            let age = if head & OLDER != 0 { self.from.u8()? } else { 0 };
            // Older ones first, each once, and zero is not written.
            let is_wrong = u16::from(age) >= self.age || (age == 0 && head & OLDER != 0) || head & HEAD_RESERVED != 0;
            if is_wrong {
                return invalid("head of the sounds of a tick", head);
            }
            (self.left, self.age, self.more) = ((head & 15) + 1, age.into(), head & MORE_TICKS != 0);
        }
        self.left -= 1;
        Ok(Some((self.age as u8, Sound::decode(&mut self.from)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_heard_is_told_by_the_cube_that_it_is_in() {
        let fine = Area::around([3.0, 1.2, -70.0], false);
        assert_eq!(fine.middle(), [4.0, 4.0, -68.0]);
        let wide = Area::around([3.0, 1.2, -70.0], true);
        assert_eq!((wide, wide.middle(), wide.side()), (fine.widened(), [8.0, 8.0, -72.0], 16.0));
        assert_eq!(Area::around([-5_000.0, f32::NAN, 5_000.0], false).cell, [0, 0, 255]);
    }

    #[test]
    fn a_shot_of_whom_one_knows_takes_two_bytes_and_one_that_is_only_heard_five() {
        let mut list = SoundList::default();
        assert!(list.push(&Sound::Fired { report: Report::Shot, by: Source::Player(9) }));
        assert_eq!(list.len(0), 2);
        let mut list = SoundList::default();
        assert!(list.push(&Sound::Around { noise: Noise::Shot, area: Area { cell: [1, 2, 3], wide: false } }));
        assert_eq!((list.len(0), list.len(3)), (5, 6));
    }

    #[test]
    fn a_list_takes_no_more_than_fits_into_a_body() {
        let burst = Sound::Burst { at: Spot([1, 2, 3]), cause: Cause::Prop(1) };
        let mut list = SoundList::default();
        while list.push(&burst) {}
        assert!(list.len(1) <= SOUND_BYTES_MAX && list.len(1) + SOUND_BYTES > SOUND_BYTES_MAX);
        assert!(list.iter().all(|sound| sound == burst));
        let steps = Sound::Fired { report: Report::Swing, by: Source::Player(0) };
        let mut list = SoundList::default();
        while list.push(&steps) {}
        assert_eq!(list.iter().count(), SOUNDS_PER_TICK_MAX);
    }

    #[test]
    fn the_largest_part_has_room_for_sounds_beside_it() {
        const { assert!(1 + SOUND_BYTES_MAX + 1_100 <= crate::DATAGRAM_BYTES_MAX) };
    }
}
