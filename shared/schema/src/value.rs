//! What a field may be: numbers, vectors, rotations, options, bounded lists, arrays, and described structs and enums.

use core::fmt;

use arrayvec::ArrayVec;
use glam::{Quat, Vec2, Vec3};

use crate::bytes::{DecodeError, Reader};
use crate::sink::{Show, Sink, Width};

/// A value that can be walked over and read back. `read` takes exactly what `write` pushed into a
/// [`ByteSink`](crate::ByteSink), bit for bit, NaN and negative zero included.
pub trait Value: Sized {
    /// The type's name in documents and in the protocol hash.
    const TYPE: &'static str;
    /// Pushes every leaf, in order.
    fn write<S: Sink>(&self, sink: &mut S);
    /// Reads what `write` pushed.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The identity of an entity for the whole match, the same in every run, recording and snapshot. 0 means none. Stored
/// references are stable ids, never ECS entities, whose numbers follow storage history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StableId(pub u32);

impl StableId {
    /// The absence of an entity.
    pub const NONE: Self = Self(0);

    /// Whether this names an entity.
    pub fn is_some(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Display for StableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_some() { write!(f, "#{}", self.0) } else { f.write_str("none") }
    }
}

macro_rules! integers {
    ($($type:ty, $width:ident, $show:ident, $via:ty);* $(;)?) => {$(
        impl Value for $type {
            const TYPE: &'static str = stringify!($type);
            #[inline(always)]
            fn write<S: Sink>(&self, sink: &mut S) {
                sink.word(*self as $via as u32, Width::$width, Show::$show);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(from.array()?))
            }
        }
    )*};
}

integers! {
    u8, One, Unsigned, u32;
    u16, Two, Unsigned, u32;
    u32, Four, Unsigned, u32;
    i8, One, Signed, i32;
    i16, Two, Signed, i32;
    i32, Four, Signed, i32;
}

impl Value for u64 {
    const TYPE: &'static str = "u64";
    #[inline(always)]
    fn write<S: Sink>(&self, sink: &mut S) {
        sink.long(*self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_le_bytes(from.array()?))
    }
}

impl Value for f32 {
    const TYPE: &'static str = "f32";
    #[inline(always)]
    fn write<S: Sink>(&self, sink: &mut S) {
        sink.word(self.to_bits(), Width::Four, Show::Float);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_le_bytes(from.array()?))
    }
}

impl Value for bool {
    const TYPE: &'static str = "bool";
    #[inline(always)]
    fn write<S: Sink>(&self, sink: &mut S) {
        sink.word(u32::from(*self), Width::One, Show::Bool);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(from.invalid("bool", u64::from(other))),
        }
    }
}

impl Value for StableId {
    const TYPE: &'static str = "StableId";
    #[inline(always)]
    fn write<S: Sink>(&self, sink: &mut S) {
        sink.word(self.0, Width::Four, Show::Id);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(u32::read(from)?))
    }
}

macro_rules! axes {
    ($($type:ident { $($axis:ident),* }),* $(,)?) => {$(
        impl Value for $type {
            const TYPE: &'static str = stringify!($type);
            #[inline(always)]
            fn write<S: Sink>(&self, sink: &mut S) {
                $(sink.enter(stringify!($axis)); self.$axis.write(sink); sink.leave();)*
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                $(let $axis = f32::read(from)?;)*
                Ok(Self::from_array([$($axis),*]))
            }
        }
    )*};
}

axes! { Vec2 { x, y }, Vec3 { x, y, z }, Quat { x, y, z, w } }

impl<T: Value> Value for Option<T> {
    const TYPE: &'static str = "Option";
    fn write<S: Sink>(&self, sink: &mut S) {
        self.is_some().write(sink);
        if let Some(value) = self {
            value.write(sink);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::read(from)? { Some(T::read(from)?) } else { None })
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    const TYPE: &'static str = "array";
    fn write<S: Sink>(&self, sink: &mut S) {
        for (index, item) in self.iter().enumerate() {
            sink.enter_item(index);
            item.write(sink);
            sink.leave();
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut items = ArrayVec::<T, N>::new();
        for _ in 0..N {
            items.push(T::read(from)?);
        }
        items.into_inner().map_err(|_| from.invalid("array", N as u64))
    }
}

fn write_list<T: Value, S: Sink>(items: &[T], sink: &mut S) {
    sink.enter("len");
    (items.len() as u32).write(sink);
    sink.leave();
    for (index, item) in items.iter().enumerate() {
        sink.enter_item(index);
        item.write(sink);
        sink.leave();
    }
}

impl<T: Value, const CAP: usize> Value for ArrayVec<T, CAP> {
    const TYPE: &'static str = "list";
    fn write<S: Sink>(&self, sink: &mut S) {
        write_list(self, sink);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = u32::read(from)?;
        if len as usize > CAP {
            return Err(from.invalid("list length", u64::from(len)));
        }
        (0..len).map(|_| T::read(from)).collect()
    }
}

impl<T: Value> Value for Vec<T> {
    const TYPE: &'static str = "vec";
    fn write<S: Sink>(&self, sink: &mut S) {
        write_list(self, sink);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = u32::read(from)? as usize;
        // A hostile length must not reserve memory: what is not there cannot be read, at a byte an item or more.
        if len > from.remaining() {
            return Err(from.invalid("list length", len as u64));
        }
        (0..len).map(|_| T::read(from)).collect()
    }
}
