//! [`describe!`](macro@crate::describe) and [`describe_enum!`](macro@crate::describe_enum): a struct or enum with everything
//! that others need to know of it.

use crate::lanes::{LaneDesc, Spec};
use crate::value::Value;

/// One field of a described struct.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldDesc {
    /// Its name.
    pub name: &'static str,
    /// Its type as written.
    pub type_name: &'static str,
    /// What is replicated of it; `None` stays on the server.
    pub spec: Option<Spec>,
}

/// A struct made with [`describe!`](macro@crate::describe).
pub trait Describe: Value + Default + 'static {
    /// Its name, unique in a registry.
    const NAME: &'static str;
    /// Its fields in order.
    const FIELDS: &'static [FieldDesc];
    /// The lanes of its replicated fields, in order; empty for a component that stays on the server.
    fn lane_descs() -> Vec<LaneDesc>;
    /// Appends the lanes of all replicated fields, whatever their audience.
    fn to_lanes(&self, out: &mut Vec<i32>);
    /// A component with these lanes and defaults elsewhere. `lanes` holds one value for each of `lane_descs`.
    fn from_lanes(lanes: &[i32]) -> Self;
}

/// Defines a struct and describes it. A field followed by `=> Spec` is replicated:
///
/// ```
/// use arbiter_schema::{describe, Audience, Describe, Predictor, Spec};
///
/// describe! {
///     /// How hurt something is.
///     #[derive(Debug, Clone, PartialEq)]
///     pub struct Vitals {
///         /// Hit points.
///         pub health: f32 => Spec::new(0.0, 1000.0, 0.5, Predictor::Hold, Audience::Everyone),
///         /// Tick of the last hit; stays on the server.
///         pub hit_tick: u32,
///     }
/// }
/// assert_eq!(Vitals::lane_descs().len(), 1);
/// ```
///
/// The struct gets [`Value`], [`Describe`] and `Default` (each field's own default).
#[macro_export]
macro_rules! describe {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $type:ty $(=> $spec:expr)? ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Default)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $crate::Value for $name {
            const TYPE: &'static str = stringify!($name);
            #[inline]
            fn write<S: $crate::Sink>(&self, sink: &mut S) {
                $(
                    sink.enter(stringify!($field));
                    $crate::Value::write(&self.$field, sink);
                    sink.leave();
                )*
                let _ = sink;
            }
            fn read(from: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                $( let $field = <$type as $crate::Value>::read(from)?; )*
                let _ = from;
                Ok(Self { $($field),* })
            }
        }

        impl $crate::Describe for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [$crate::FieldDesc] = &[$(
                $crate::FieldDesc {
                    name: stringify!($field),
                    type_name: stringify!($type),
                    spec: $crate::describe!(@spec $($spec)?),
                }
            ),*];
            fn lane_descs() -> Vec<$crate::LaneDesc> {
                #[allow(unused_mut, reason = "a component without replicated fields")]
                let mut lanes = Vec::new();
                $($(
                    let spec: $crate::Spec = $spec;
                    for lane in 0..<$type as $crate::Replicate>::LANES {
                        lanes.push($crate::LaneDesc {
                            field: stringify!($field),
                            max: <$type as $crate::Replicate>::lane_max(&spec, lane),
                            predictor: spec.predictor,
                            audience: spec.audience,
                        });
                    }
                )?)*
                lanes
            }
            fn to_lanes(&self, out: &mut Vec<i32>) {
                $($(
                    const _: $crate::Spec = $spec;
                    $crate::Replicate::to_lanes(&self.$field, &$spec, out);
                )?)*
                let _ = out;
            }
            #[allow(unused_variables, unused_mut, unused_assignments, reason = "a component without replicated fields")]
            fn from_lanes(lanes: &[i32]) -> Self {
                let mut at = 0;
                let mut made = Self::default();
                $($(
                    let count = <$type as $crate::Replicate>::LANES;
                    let spec: $crate::Spec = $spec;
                    made.$field = <$type as $crate::Replicate>::from_lanes(&spec, &lanes[at..at + count]);
                    at += count;
                )?)*
                made
            }
        }
    )*};
    (@spec) => { None };
    (@spec $spec:expr) => { Some($spec) };
}

/// Defines a fieldless enum of at most 256 values and describes it. The first value is the default. Numbers follow the order,
/// so new values go to the end.
#[macro_export]
macro_rules! describe_enum {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$value_meta:meta])* $value:ident ),* $(,)? }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $( $(#[$value_meta])* $value ),* }

        impl $name {
            /// All values in order.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// The name as written.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => stringify!($value)),* }
            }

            /// The value with this number.
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl $crate::Value for $name {
            const TYPE: &'static str = stringify!($name);
            #[inline(always)]
            fn write<S: $crate::Sink>(&self, sink: &mut S) {
                sink.name(self.name());
                sink.word(u32::from(*self as u8), $crate::sink::Width::One, $crate::sink::Show::Unsigned);
            }
            fn read(from: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                let number = <u8 as $crate::Value>::read(from)?;
                Self::from_number(number).ok_or_else(|| from.invalid(stringify!($name), u64::from(number)))
            }
        }

        impl $crate::Replicate for $name {
            const LANES: usize = 1;
            fn lane_max(_spec: &$crate::Spec, _lane: usize) -> u32 {
                Self::ALL.len() as u32 - 1
            }
            fn to_lanes(&self, _spec: &$crate::Spec, out: &mut Vec<i32>) {
                out.push(i32::from(*self as u8));
            }
            fn from_lanes(_spec: &$crate::Spec, lanes: &[i32]) -> Self {
                u8::try_from(lanes[0]).ok().and_then(Self::from_number).unwrap_or_default()
            }
        }
    )*};
}
