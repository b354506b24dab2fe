//! Bytes of entries and checkpoints: little endian, lists and names with their length before them, one way to write each
//! thing. Nothing read reserves memory before the bytes for it are there.

use crate::entry::{Booking, Cause, Effect, Entry, FORMAT, Outcome, Receipt};
use crate::key::Key;
use crate::map::{Builder, Map};
use crate::name::{NAME_BYTES_MAX, Name};
use crate::refusal::{Broken, Refusal, Why};
use crate::state::{Asset, Hold, Kept};
use crate::{Account, Balance, Time};

/// Something with one string of bytes.
pub trait Wire: Sized {
    /// Appends the bytes.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads them.
    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken>;
}

/// Bytes that are read.
#[derive(Debug)]
pub struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// From the beginning.
    pub fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// What is wrong here.
    pub fn broken(&self) -> Broken {
        Broken::Bytes(self.at)
    }

    /// Fails unless all was read.
    pub fn end(&self) -> Result<(), Broken> {
        if self.at == self.all.len() { Ok(()) } else { Err(self.broken()) }
    }

    fn slice(&mut self, bytes: usize) -> Result<&'a [u8], Broken> {
        let to = self.at.checked_add(bytes).ok_or_else(|| self.broken())?;
        let slice = self.all.get(self.at..to).ok_or_else(|| self.broken())?;
        self.at = to;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(N)?);
        Ok(out)
    }

    /// A number of things, each of which has at least one byte.
    fn count(&mut self) -> Result<usize, Broken> {
        let count = u32::take(self)? as usize;
        if count <= self.all.len() - self.at { Ok(count) } else { Err(self.broken()) }
    }
}

/// Room for most entries, so that none of them is copied while it grows.
const ROOM_BYTES: usize = 512;

/// Bytes of a thing with the format before them.
pub fn to_bytes(thing: &impl Wire) -> Vec<u8> {
    let mut out = Vec::with_capacity(ROOM_BYTES);
    out.push(FORMAT);
    thing.put(&mut out);
    out
}

/// Reads what [`to_bytes`] wrote, and nothing behind it.
pub fn from_bytes<T: Wire>(bytes: &[u8]) -> Result<T, Broken> {
    let mut from = Bytes::new(bytes);
    if u8::take(&mut from)? != FORMAT {
        return Err(Broken::Bytes(0));
    }
    let thing = T::take(&mut from)?;
    from.end()?;
    Ok(thing)
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                from.array().map(Self::from_le_bytes)
            }
        })*
    };
}

numbers!(u8, u32, u64, i64, u128);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(from.broken()),
        }
    }
}

impl Wire for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        from.array()
    }
}

impl Wire for Time {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        u64::take(from).map(Time)
    }
}

impl Wire for Name {
    fn put(&self, out: &mut Vec<u8>) {
        // A name has at most 40 bytes.
        out.push(self.as_str().len() as u8);
        out.extend_from_slice(self.as_str().as_bytes());
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let bytes = usize::from(u8::take(from)?);
        if bytes > NAME_BYTES_MAX {
            return Err(from.broken());
        }
        let text = std::str::from_utf8(from.slice(bytes)?).map_err(|_| from.broken())?;
        text.parse().map_err(|_| from.broken())
    }
}

impl Wire for Key {
    fn put(&self, out: &mut Vec<u8>) {
        self.uuid().put(out);
        self.owner().put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let uuid = u128::take(from)?;
        let owner = u64::take(from)?;
        Key::new(owner, uuid).ok_or_else(|| from.broken())
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(thing) = self {
            thing.put(out);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        if bool::take(from)? { T::take(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ok().put(out);
        match self {
            Ok(thing) => thing.put(out),
            Err(error) => error.put(out),
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        if bool::take(from)? { T::take(from).map(Ok) } else { E::take(from).map(Err) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        self.iter().for_each(|thing| thing.put(out));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let count = from.count()?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

/// Maps in their order, each key once: one map has one string of bytes.
impl<K: Wire + Ord + Clone, V: Wire> Wire for Map<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let mut map = Builder::new();
        for _ in 0..from.count()? {
            if !map.push(K::take(from)?, V::take(from)?) {
                return Err(from.broken());
            }
        }
        Ok(map.finish())
    }
}

/// Bytes that are written in parts, so that what may be gigabytes is never held as a whole.
pub struct Parts<'a, E> {
    open: Vec<u8>,
    part_bytes: usize,
    sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>,
}

impl<'a, E> Parts<'a, E> {
    /// Gives `sink` parts of at least so many bytes, and the last.
    pub fn new(part_bytes: usize, sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>) -> Self {
        Self { open: Vec::new(), part_bytes, sink }
    }

    /// Adds a thing, which is held as a whole.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn put(&mut self, thing: &impl Wire) -> Result<(), E> {
        thing.put(&mut self.open);
        if self.open.len() < self.part_bytes {
            return Ok(());
        }
        let given = (self.sink)(&self.open);
        self.open.clear();
        given
    }

    /// Adds a map, entry by entry.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn put_map<K: Wire + Ord + Clone, V: Wire>(&mut self, map: &Map<K, V>) -> Result<(), E> {
        self.put(&(map.len() as u32))?;
        for (key, value) in map {
            key.put(&mut self.open);
            self.put(value)?;
        }
        Ok(())
    }

    /// Gives the rest.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn end(self) -> Result<(), E> {
        if self.open.is_empty() { Ok(()) } else { (self.sink)(&self.open) }
    }
}

macro_rules! structs {
    ($($type:ident { $($field:ident),* })*) => {
        $(impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                Ok(Self { $($field: Wire::take(from)?),* })
            }
        })*
    };
}

macro_rules! enums {
    ($($type:ident { $($number:literal $variant:ident { $($field:ident),* })* })*) => {
        $(impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($type::$variant { $($field),* } => {
                        out.push($number);
                        $($field.put(out);)*
                    })*
                }
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                match u8::take(from)? {
                    $($number => Ok($type::$variant { $($field: Wire::take(from)?),* }),)*
                    _ => Err(from.broken()),
                }
            }
        })*
    };
}

structs! {
    Account { owner, asset, bucket }
    Balance { amount, returning, limit, frozen }
    Asset { supply }
    Hold { from, to, amount, until }
    Kept { request, answer }
    Receipt { transfer, first_hold, holds }
    Refusal { step, why }
    Booking { transfer, reason, effects }
    Outcome { subject, result }
    Entry { number, before, time, cause, released, orders }
}

enums! {
    Cause {
        0 Consumed { source, position }
        1 Amended { source, position, subject }
        2 Requested { key, request }
        3 Elapsed {}
    }
    Effect {
        0 Registered { asset, supply }
        1 Moved { account, amount, balance }
        2 Held { number, hold }
        3 Closed { number, posted }
        4 Limited { account, limit }
        5 Frozen { account, frozen }
        6 Claimed { key, until }
        7 Noted { bytes }
    }
    Why {
        0 Aside {}
        1 Claimed {}
        2 ClaimOver {}
        3 UnknownAsset {}
        4 AssetExists {}
        5 Amount {}
        6 SameAccount {}
        7 AssetsDiffer {}
        8 Bucket {}
        9 NotEnough {}
        10 Limit {}
        11 Supply {}
        12 Frozen {}
        13 UnknownHold {}
        14 HoldOver {}
        15 MoreThanHeld {}
        16 HoldTime {}
        17 TooManyHolds {}
        18 NoteSize {}
        19 TooManyPostings {}
    }
}
