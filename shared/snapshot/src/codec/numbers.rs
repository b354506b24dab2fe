//! Classes of magnitudes, and whole-number roots and products of rotations.

use super::{Coder, Damaged, Model};

/// 1 in the fixed point that rotations are calculated in.
pub const ONE: i64 = 1 << 14;

/// 1 over the root of 2, in the same fixed point: the largest value of a component that is told.
pub const HALF_ROOT: i64 = 11_585;

/// Symbols of a difference: 0, both signs of 29 classes of magnitude, and one for everything larger.
pub const SYMBOLS: u32 = 60;

const ESCAPE: u32 = SYMBOLS - 1;

/// Ids between one entity and the next of a part: the bits of each class. The last one holds all that is larger, as it is.
pub const STEPS: [u32; 5] = [0, 3, 6, 12, 32];

/// The class of a step, and the first step of it.
#[inline]
pub fn step_class(step: u32) -> (usize, u32) {
    let mut first = 0;
    for (class, bits) in STEPS[..STEPS.len() - 1].iter().enumerate() {
        if step - first < 1 << bits {
            return (class, first);
        }
        first += 1 << bits;
    }
    (STEPS.len() - 1, 0)
}

/// The first step of a class.
#[inline]
pub fn first_step(class: usize) -> u32 {
    if class + 1 < STEPS.len() { STEPS[..class].iter().map(|bits| 1 << bits).sum() } else { 0 }
}

/// The magnitude in half octaves: 0 to 4 as they are, then two steps for each doubling.
#[inline]
pub fn scale(value: i64) -> i32 {
    let value = value.unsigned_abs();
    if value < 4 {
        return value as i32;
    }
    let octave = value.ilog2();
    (2 * octave + (value >> (octave - 1) & 1) as u32) as i32
}

/// Magnitude class below 1,024: one value each below 8, then quarter octaves, from 128 on half octaves.
#[inline]
fn class(magnitude: u32) -> u32 {
    match magnitude.checked_ilog2().unwrap_or(0) {
        0..=2 => magnitude,
        octave @ 3..=6 => 8 + 4 * (octave - 3) + (magnitude >> (octave - 2) & 3),
        octave => 24 + 2 * (octave - 7) + (magnitude >> (octave - 1) & 1),
    }
}

/// The first magnitude of a class, and its bits.
#[inline]
fn first(class: u32) -> (u32, u32) {
    match class {
        0..8 => (class, 0),
        8..24 => {
            let octave = 3 + (class - 8) / 4;
            ((4 + (class - 8) % 4) << (octave - 2), octave - 2)
        }
        _ => {
            let octave = 7 + (class - 24) / 2;
            ((2 + (class - 24) % 2) << (octave - 1), octave - 1)
        }
    }
}

/// A difference of two lanes: below 2^31 in magnitude.
#[inline]
pub fn difference<C: Coder>(coder: &mut C, model: Model, features: &[i32], value: i64) -> Result<i64, Damaged> {
    let magnitude = value.unsigned_abs() as u32;
    let symbol = if magnitude < 1 << 10 { 2 * class(magnitude) - u32::from(value > 0) } else { ESCAPE };
    let symbol = coder.symbol(model, features, symbol)?;
    if symbol == ESCAPE {
        let octave = coder.raw(magnitude.checked_ilog2().unwrap_or(0), 5)?.min(30);
        let negative = coder.raw(u32::from(value < 0), 1)? != 0;
        let rest = coder.raw(magnitude & ((1 << octave) - 1), octave)?;
        let magnitude = i64::from(1 << octave | rest);
        return Ok(if negative { -magnitude } else { magnitude });
    }
    let (start, bits) = first(symbol.div_ceil(2));
    let magnitude = i64::from(start + coder.raw(magnitude & ((1 << bits) - 1), bits)?);
    Ok(if symbol % 2 == 1 { magnitude } else { -magnitude })
}

/// The whole root, rounded down.
#[inline]
pub fn root(value: i64) -> i64 {
    // Exact, and the same everywhere: a double holds such values, and the nearest root of one is never the next whole number.
    if (0..1 << 50).contains(&value) { (value as f64).sqrt() as i64 } else { slow_root(value) }
}

/// Apart from the rest, so that that is small enough to stand where it is called.
#[cold]
fn slow_root(value: i64) -> i64 {
    value.max(0).isqrt()
}

/// `a / b` of a divisor above 0, rounded towards 0. Whole numbers of 64 bits take a processor several times as long to divide.
#[inline]
pub fn quotient(a: i64, b: i64) -> i64 {
    // Exact, and the same everywhere: doubles hold both, and the nearest one of a quotient is never the next whole number,
    // which lies at least 1/b above it, while doubles of its size are less than 2^-52 of it apart.
    const HELD: u64 = 1 << 51;
    if a.unsigned_abs() < HELD && b.unsigned_abs() < HELD { (a as f64 / b as f64) as i64 } else { slow_quotient(a, b) }
}

#[cold]
fn slow_quotient(a: i64, b: i64) -> i64 {
    a / b
}

/// Four components of a rotation in fixed point, x, y, z, w.
pub type Turn = [i64; 4];

/// Scalar product, in fixed point.
#[inline]
pub fn dot(a: &Turn, b: &Turn) -> i64 {
    (a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]) / ONE
}

/// Of length 1 again, or no rotation if there is nothing left of it.
#[inline]
pub fn normal(turn: Turn) -> Turn {
    let length = root(turn.iter().map(|part| part * part).sum());
    if length == 0 {
        return [0, 0, 0, ONE];
    }
    let mut normal = turn;
    for part in &mut normal {
        *part = quotient(*part * ONE, length);
    }
    normal
}

/// The product of a vector, as a rotation without a scalar part, and a rotation.
#[inline]
pub fn spin(v: [i64; 3], q: &Turn) -> Turn {
    [
        v[0] * q[3] + v[1] * q[2] - v[2] * q[1],
        v[1] * q[3] + v[2] * q[0] - v[0] * q[2],
        v[2] * q[3] + v[0] * q[1] - v[1] * q[0],
        -v[0] * q[0] - v[1] * q[1] - v[2] * q[2],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_towards_0_next_to_every_whole_one() {
        let near = |power: u32| (-2..3).map(move |by| (1_i64 << power) + by);
        for b in (1..200).chain([16_383, 16_384, 46_340]).chain((10..63).flat_map(near)).filter(|b| *b > 0) {
            let wholes = (0..100).chain((8..62).flat_map(near)).filter_map(|whole| whole.checked_mul(b));
            for a in wholes.flat_map(|a| [a.saturating_sub(1), a, a.saturating_add(1)]) {
                assert_eq!([quotient(a, b), quotient(-a, b)], [a / b, -a / b], "{a} / {b}");
            }
        }
    }

    #[test]
    fn roots_are_rounded_down_next_to_every_square() {
        let sides = (0..4_000).chain((25 - 12..=25).flat_map(|power| (-3..4).map(move |by| (1 << power) + by)));
        for side in sides {
            for value in [side * side - 1, side * side, side * side + 1, side * side + 2 * side] {
                assert_eq!(root(value), value.max(0).isqrt(), "{value}");
            }
        }
        assert_eq!(root((1 << 50) - 1), ((1_i64 << 50) - 1).isqrt());
        assert_eq!([root(i64::MAX), root(i64::MIN)], [i64::MAX.isqrt(), 0]);
    }
}
