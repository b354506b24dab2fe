//! The seconds between a tick and its showing, as bytes in one ring that is made once: each tick as its difference to the one
//! before, who was told what in it, what was heard since, and the messages that went to everybody.
//!
//! A tape that is full is not played early. What it loses first is every other thing but who was told what: ticks are left
//! out, which spectators see as a lower rate. Should even that not fit, all of it is thrown away and written anew from now on,
//! and spectators wait for the delay as at the beginning of a match.

use std::collections::VecDeque;

use arbiter_protocol::{SoundList, Welcome};
use arbiter_sim::Row;

use super::rows::{Bytes, Rows, put};
use crate::interest::News;

/// Bytes for the first tick of a match, in full.
const FIRST_BYTES: usize = 256 << 10;

/// The same for each player, with all that they own and were told.
const FIRST_BYTES_OF_PLAYER: usize = 2 << 10;

/// Bytes of a tick: what nobody owns, and messages.
const TICK_BYTES: usize = 512;

/// The same for each player: twice what one takes in a fight.
const TICK_BYTES_OF_PLAYER: usize = 96;

/// The part of a tape beyond which no rows are written: what is left is for who was told what.
const ROWS_SHARE: f64 = 0.9;

/// What a piece costs beside its bytes.
const MARK_BYTES: usize = size_of::<Mark>();

/// What came in a turn of the room.
#[derive(Debug, Clone, Copy)]
struct Mark {
    turn: u64,
    what: What,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Match,
    Tick,
    Message,
}

/// What is due.
#[derive(Debug)]
pub enum Played<'a> {
    /// A match begins.
    Match(Box<Welcome>),
    /// A tick, for [`read_tick`].
    Tick(Bytes<'a>),
    /// A message to everybody, as it goes on the wire.
    Message(&'a [u8]),
}

/// See the module.
#[derive(Debug)]
pub struct Tape {
    capacity: usize,
    bytes: VecDeque<u8>,
    marks: VecDeque<Mark>,
    /// Of the matches that are on the tape.
    welcomes: VecDeque<Box<Welcome>>,
    /// Of the match that is being written.
    welcome: Option<Box<Welcome>>,
    /// The last rows on the tape.
    last: Rows,
    /// Those of the tick that is being written.
    next: Rows,
    /// What was heard since the last tick that was written.
    heard: Vec<u8>,
    /// What is being written, or was read last.
    buffer: Vec<u8>,
    /// All was thrown away: who was told what has to be told again.
    is_torn: bool,
    /// Ticks that found no room.
    left_out: u64,
}

impl Tape {
    /// For so many ticks of so many players.
    pub fn new(ticks: usize, players: usize) -> Self {
        let capacity = Self::capacity(ticks, players);
        Self {
            capacity,
            bytes: VecDeque::with_capacity(capacity),
            marks: VecDeque::with_capacity(ticks + 1),
            welcomes: VecDeque::new(),
            welcome: None,
            last: Rows::default(),
            next: Rows::default(),
            heard: Vec::new(),
            buffer: Vec::new(),
            is_torn: false,
            left_out: 0,
        }
    }

    /// Bytes of such a tape.
    pub fn capacity(ticks: usize, players: usize) -> usize {
        FIRST_BYTES + FIRST_BYTES_OF_PLAYER * players + ticks * (TICK_BYTES + TICK_BYTES_OF_PLAYER * players)
    }

    /// Ticks that were left out so far.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether nothing waits to be shown.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Bytes of all that waits to be shown.
    pub fn used(&self) -> usize {
        self.bytes.len() + self.marks.len() * MARK_BYTES
    }

    fn push(&mut self, turn: u64, what: What) -> bool {
        if self.used() + self.buffer.len() + MARK_BYTES > self.capacity {
            return false;
        }
        self.bytes.extend(&self.buffer);
        self.marks.push_back(Mark { turn, what, bytes: self.buffer.len() });
        true
    }

    /// Begins a match. Its slot and player are those of spectators.
    pub fn begin(&mut self, turn: u64, welcome: Welcome) {
        self.welcome = Some(Box::new(welcome));
        self.begin_again(turn);
    }

    fn begin_again(&mut self, turn: u64) {
        let Some(welcome) = &self.welcome else { return };
        self.last.clear();
        self.heard.clear();
        self.buffer.clear();
        self.welcomes.push_back(welcome.clone());
        if !self.push(turn, What::Match) {
            self.welcomes.pop_back();
            self.tear(turn);
        }
    }

    /// Throws away what was to be shown.
    fn tear(&mut self, turn: u64) {
        tracing::warn!("what waits for spectators takes more memory than is set aside: they are shown a gap");
        self.bytes.clear();
        self.marks.clear();
        self.welcomes.clear();
        self.is_torn = true;
        // An empty tape has room for a match.
        self.begin_again(turn);
    }

    /// Whether everything has to be told again; with the next tick it is.
    pub fn take_torn(&mut self) -> bool {
        core::mem::take(&mut self.is_torn)
    }

    /// A message to everybody; one that finds no room is left out, as its ticks are.
    pub fn message(&mut self, turn: u64, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        self.push(turn, What::Message);
    }

    /// A row of the tick that [`Self::tick`] ends. Rows ascend by id and component.
    pub fn row(&mut self, row: Row<'_>) {
        self.next.push(row);
    }

    /// What whoever watches the player in a slot, or everybody, hears of a tick, which is kept with the next one that is.
    pub fn sounds(&mut self, slot: Option<u16>, tick: u32, list: &SoundList) {
        let (count, bytes) = list.as_bytes();
        if count == 0 {
            return;
        }
        put(slot.map_or(0, |slot| u64::from(slot) + 1), &mut self.heard);
        put(u64::from(tick), &mut self.heard);
        self.heard.extend([count, bytes.len() as u8]);
        self.heard.extend_from_slice(bytes);
    }

    /// Ends a tick, with what was told of since the last one, by slot.
    pub fn tick(&mut self, turn: u64, tick: u32, news: impl Iterator<Item = (u16, News)>) {
        let has_rows = (self.used() as f64) < ROWS_SHARE * self.capacity as f64;
        self.buffer.clear();
        put(u64::from(tick), &mut self.buffer);
        for (slot, news) in news {
            let (what, id) = match news {
                News::Nothing => (NOTHING, 0),
                News::Told(id) => (TOLD, id.0),
                News::Forgotten(id) => (FORGOTTEN, id.0),
            };
            put(u64::from(slot) << 2 | what, &mut self.buffer);
            if what != NOTHING {
                put(u64::from(id), &mut self.buffer);
            }
        }
        put(END, &mut self.buffer);
        put(self.heard.len() as u64, &mut self.buffer);
        self.buffer.append(&mut self.heard);
        self.buffer.push(u8::from(has_rows));
        if has_rows {
            self.next.write(&self.last, &mut self.buffer);
            core::mem::swap(&mut self.last, &mut self.next);
        }
        self.left_out += u64::from(!has_rows);
        self.next.clear();
        if !self.push(turn, What::Tick) {
            self.left_out += u64::from(has_rows);
            self.tear(turn);
        }
    }

    /// The next that came in this turn of the room or before, in the order in which it came.
    pub fn play(&mut self, until: u64) -> Option<Played<'_>> {
        let mark = self.marks.pop_front_if(|mark| mark.turn <= until)?;
        self.buffer.clear();
        self.buffer.extend(self.bytes.drain(..mark.bytes));
        match mark.what {
            What::Match => self.welcomes.pop_front().map(Played::Match),
            What::Tick => Some(Played::Tick(Bytes(&self.buffer))),
            What::Message => Some(Played::Message(&self.buffer)),
        }
    }
}

const END: u64 = 0;
const NOTHING: u64 = 1;
const TOLD: u64 = 2;
const FORGOTTEN: u64 = 3;

/// What was heard of a tick, by those who watch the player in a slot, or everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overheard {
    pub slot: Option<u16>,
    pub tick: u32,
    pub list: SoundList,
}

/// What a tick on the tape says beside its rows.
#[derive(Debug)]
pub enum Said {
    /// What the player in a slot was told of.
    News(u16, News),
    /// What was heard.
    Heard(Overheard),
}

/// Reads a tick: tells who was told what and what was heard, and makes `rows` those of the tick out of those of the one before.
/// Returns the tick, and whether its rows are there.
pub fn read_tick(mut from: Bytes<'_>, rows: &mut Rows, spare: &mut Rows, mut say: impl FnMut(Said)) -> (u32, bool) {
    let mut tell = |slot, news| say(Said::News(slot, news));
    let tick = from.take() as u32;
    loop {
        let head = from.take();
        let slot = (head >> 2) as u16;
        match head & 3 {
            END => break,
            NOTHING => tell(slot, News::Nothing),
            TOLD => tell(slot, News::Told(arbiter_schema::StableId(from.take() as u32))),
            _ => tell(slot, News::Forgotten(arbiter_schema::StableId(from.take() as u32))),
        }
    }
    let len = from.take() as usize;
    let mut heard = from.split(len);
    while !heard.0.is_empty() {
        let (slot, tick) = (heard.take().checked_sub(1).map(|slot| slot as u16), heard.take() as u32);
        let (count, len) = (heard.byte(), heard.byte());
        let list = SoundList::from_bytes(count, heard.split(len.into()).0);
        say(Said::Heard(Overheard { slot, tick, list }));
    }
    let has_rows = from.byte() != 0;
    if has_rows {
        spare.read(rows, &mut from);
        core::mem::swap(rows, spare);
    }
    (tick, has_rows)
}

#[cfg(test)]
mod tests {
    use arbiter_schema::StableId;

    use super::*;

    fn welcome(number: u8) -> Welcome {
        Welcome {
            slot: Welcome::SPECTATOR,
            player: StableId::NONE,
            tick_rate: 60,
            tick: 0,
            match_id: [number; 16],
            number,
            small_parts: false,
            map: String::new(),
            map_hash: [0; 32],
            rules_hash: [0; 32],
            mode: String::new(),
            teams: 0,
            players_max: 4,
        }
    }

    fn write(tape: &mut Tape, turn: u64, lanes: &[i32], news: &[(u16, News)]) {
        let (id, owner) = (StableId(4), Some(1));
        tape.row(Row { id, component: 2, owner, team: 1, lanes });
        tape.tick(turn, turn as u32, news.iter().copied());
    }

    /// What is played until a turn, in words.
    fn played(tape: &mut Tape, rows: &mut Rows, until: u64) -> Vec<String> {
        let (mut said, mut spare) = (Vec::new(), Rows::default());
        while let Some(played) = tape.play(until) {
            match played {
                Played::Match(welcome) => {
                    rows.clear();
                    said.push(format!("match {}", welcome.number));
                }
                Played::Message(bytes) => said.push(format!("message {bytes:?}")),
                Played::Tick(from) => {
                    let mut told = String::new();
                    let (tick, has_rows) = read_tick(from, rows, &mut spare, |said| match said {
                        Said::News(slot, news) => told += &format!(" {slot} {news:?}"),
                        Said::Heard(Overheard { slot, tick, list }) => {
                            told += &format!(" {slot:?} heard {} of {tick}", list.iter().count());
                        }
                    });
                    let lanes: Vec<_> = rows.iter().filter(|_| has_rows).map(|row| row.lanes.to_vec()).collect();
                    said.push(format!("tick {tick} {lanes:?}{told}"));
                }
            }
        }
        said
    }

    #[test]
    fn what_was_written_is_played_in_order_and_not_before_it_is_due() {
        let (mut tape, mut rows) = (Tape::new(10, 4), Rows::default());
        tape.begin(1, welcome(1));
        write(&mut tape, 1, &[5, 6], &[(3, News::Told(StableId(4)))]);
        tape.message(2, &[9, 9]);
        write(&mut tape, 2, &[5, -6], &[(3, News::Forgotten(StableId(4))), (0, News::Nothing)]);
        assert_eq!(played(&mut tape, &mut rows, 0), [""; 0]);
        assert_eq!(played(&mut tape, &mut rows, 1), ["match 1", "tick 1 [[5, 6]] 3 Told(StableId(4))"]);
        let rest = ["message [9, 9]", "tick 2 [[5, -6]] 3 Forgotten(StableId(4)) 0 Nothing"];
        assert_eq!(played(&mut tape, &mut rows, 5), rest);
        assert!(tape.is_empty());
    }

    #[test]
    fn what_was_heard_is_played_with_the_next_tick_that_is_kept() {
        use arbiter_protocol::sound::{Report, Sound, Source};
        let (mut tape, mut rows) = (Tape::new(10, 4), Rows::default());
        tape.begin(1, welcome(1));
        let mut list = SoundList::default();
        assert!(list.push(&Sound::Fired { report: Report::Shot, by: Source::Player(3) }));
        tape.sounds(Some(2), 3, &list);
        tape.sounds(Some(1), 4, &SoundList::default());
        tape.sounds(None, 4, &list);
        write(&mut tape, 4, &[5], &[(0, News::Nothing)]);
        write(&mut tape, 5, &[5], &[]);
        let first = "tick 4 [[5]] 0 Nothing Some(2) heard 1 of 3 None heard 1 of 4";
        assert_eq!(played(&mut tape, &mut rows, 9), ["match 1", first, "tick 5 [[5]]"]);
    }

    #[test]
    fn a_match_follows_another_without_losing_its_end() {
        let (mut tape, mut rows) = (Tape::new(10, 4), Rows::default());
        tape.begin(1, welcome(1));
        write(&mut tape, 1, &[1], &[]);
        tape.begin(2, welcome(2));
        write(&mut tape, 2, &[2], &[]);
        assert_eq!(played(&mut tape, &mut rows, 9), ["match 1", "tick 1 [[1]]", "match 2", "tick 2 [[2]]"]);
    }

    #[test]
    fn a_tape_that_is_full_leaves_ticks_out_and_never_who_was_told_what() {
        let (mut tape, mut rows) = (Tape::new(0, 0), Rows::default());
        tape.begin(0, welcome(1));
        let mut noise = 1_i32;
        let mut lanes = || {
            std::array::from_fn::<i32, 64, _>(|_| {
                noise = noise.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                noise
            })
        };
        let mut turn = 0;
        while tape.left_out() == 0 {
            turn += 1;
            write(&mut tape, turn, &lanes(), &[]);
        }
        write(&mut tape, turn + 1, &lanes(), &[(2, News::Told(StableId(8)))]);
        let capacity = tape.bytes.capacity();
        assert!(tape.used() <= tape.capacity && !tape.take_torn());
        let said = played(&mut tape, &mut rows, u64::MAX);
        assert_eq!(said[said.len() - 1], format!("tick {} [] 2 Told(StableId(8))", turn + 1));
        // There is room again, and what differs is told against what was told last.
        let now = lanes();
        write(&mut tape, turn + 2, &now, &[]);
        assert_eq!(played(&mut tape, &mut rows, u64::MAX), [format!("tick {} [{now:?}]", turn + 2)]);
        assert_eq!(tape.bytes.capacity(), capacity, "it is made once");
    }

    #[test]
    fn a_tape_that_cannot_even_hold_who_was_told_what_begins_anew() {
        let (mut tape, mut rows) = (Tape::new(0, 0), Rows::default());
        tape.begin(0, welcome(3));
        let news = [(2, News::Told(StableId(u32::MAX))); 1_000];
        let mut turn = 0;
        while !tape.take_torn() {
            turn += 1;
            write(&mut tape, turn, &[1], &news);
        }
        write(&mut tape, turn + 1, &[7], &[]);
        let said = played(&mut tape, &mut rows, u64::MAX);
        assert_eq!(said, ["match 3".to_owned(), format!("tick {} [[7]]", turn + 1)]);
    }
}
