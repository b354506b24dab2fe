//! Checkpoints inside a recording: compressed against the checkpoint of tick 0.
//!
//! Most of a state never changes (the colliders of the map), so tick 0 serves as the dictionary. It is not in the file:
//! whoever has the header can build it. Its digest is in the header, so that a build which makes another tick 0 is told so
//! instead of reading rubbish.

use std::io;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, DParameter};

use crate::block::{Chain, digest};

/// Bytes that a checkpoint may have: 1,000 awake props make 9.9 MB (measured), and this leaves room for six times that.
pub const CHECKPOINT_BYTES_MAX: usize = 64 << 20;

/// Raw length and digest before the compressed bytes.
const PREFIX_BYTES: usize = 20;

/// Level 6: a tenth smaller than 3 on the arena's checkpoints and still off the tick's thread.
const LEVEL: i32 = 6;

/// The largest window, so that matches reach the dictionary from the end of the largest checkpoint.
const WINDOW_LOG_MAX: u32 = 27;

/// Compresses a checkpoint. The dictionary is used by content; an empty one is no dictionary.
pub fn pack(raw: &[u8], tick0: &[u8]) -> io::Result<Vec<u8>> {
    let mut context = CCtx::create();
    // The window must span dictionary and content, or the far end of a long checkpoint finds nothing to match.
    let span = (raw.len() + tick0.len()).max(1 << 10).next_power_of_two().trailing_zeros();
    for parameter in [
        CParameter::CompressionLevel(LEVEL),
        CParameter::WindowLog(span.clamp(17, WINDOW_LOG_MAX)),
        CParameter::EnableLongDistanceMatching(true),
    ] {
        context.set_parameter(parameter).map_err(fault)?;
    }
    context.ref_prefix(tick0).map_err(fault)?;
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(raw.len()));
    context.compress2(&mut packed, raw).map_err(fault)?;
    let mut out = Vec::with_capacity(PREFIX_BYTES + packed.len());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(&digest(raw));
    out.extend_from_slice(&packed);
    Ok(out)
}

/// What [`pack`] was given, or `None` if these bytes do not come from it with this dictionary.
pub fn unpack(payload: &[u8], tick0: &[u8]) -> Option<Vec<u8>> {
    let (prefix, packed) = payload.split_at_checked(PREFIX_BYTES)?;
    let raw_bytes = crate::block::word(prefix, 0) as usize;
    if raw_bytes > CHECKPOINT_BYTES_MAX {
        return None;
    }
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).ok()?;
    context.ref_prefix(tick0).ok()?;
    let mut raw = Vec::with_capacity(raw_bytes);
    context.decompress(&mut raw, packed).ok()?;
    let mut wanted: Chain = [0; 16];
    wanted.copy_from_slice(&prefix[4..]);
    (raw.len() == raw_bytes && digest(&raw) == wanted).then_some(raw)
}

fn fault(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, mut seed: u32) -> Vec<u8> {
        (0..len)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn a_long_checkpoint_is_small_against_a_tick_0_that_it_mostly_equals() {
        let tick0 = noise(1_500_000, 1);
        let mut state = tick0.clone();
        for at in (0..state.len()).step_by(30_000) {
            state[at] ^= 0x55;
        }
        let packed = pack(&state, &tick0).expect("packs");
        assert!(packed.len() < 8_000, "{} bytes", packed.len());
        assert_eq!(unpack(&packed, &tick0), Some(state));
    }

    #[test]
    fn another_tick_0_is_noticed() {
        let tick0 = noise(10_000, 1);
        let packed = pack(&noise(10_000, 1), &tick0).expect("packs");
        assert_eq!(unpack(&packed, &noise(10_000, 2)), None);
        assert_eq!(unpack(&packed[..10], &tick0), None);
    }
}
