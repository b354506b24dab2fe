//! What a client sends each tick: its last inputs, so that a lost datagram costs nothing, and what it could not read.

use arrayvec::ArrayVec;

use crate::codec::{Decoder, Encoder, ProtocolError};

/// Inputs in one datagram. Eight in a row must be lost before one is missing; each further one costs about two bytes.
pub const INPUTS_PER_PACKET_MAX: usize = 8;

/// Bits of [`WireInput::buttons`] that mean something; the others must be 0.
pub const BUTTONS_ALL: u16 = (1 << 12) - 1;

/// Straight up and straight down, in 1/65,536 of a turn.
pub const PITCH_MAX: i16 = 16_384;

/// What one player intends for one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireInput {
    /// The tick that it is meant for.
    pub tick: u32,
    /// Bits of what is held down.
    pub buttons: u16,
    /// Right is positive: 1/127 of full speed. -128 is not allowed.
    pub move_right: i8,
    /// Forward is positive: 1/127 of full speed. -128 is not allowed.
    pub move_forward: i8,
    /// Turn about +y in 1/65,536 of a turn.
    pub yaw: u16,
    /// Up is positive, in 1/65,536 of a turn, within +-[`PITCH_MAX`].
    pub pitch: i16,
    /// The tick whose world the player saw: at most `tick`, and told as at most 65,535 ticks before it.
    pub view_tick: u32,
    /// 1/256 ticks behind `view_tick` towards the next tick.
    pub view_fraction: u8,
}

impl WireInput {
    fn view_lag(&self) -> u16 {
        u16::try_from(self.tick.saturating_sub(self.view_tick)).unwrap_or(u16::MAX)
    }
}

/// What a client sends once a tick.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputPacket {
    /// Newest first, of consecutive ticks: 1 to [`INPUTS_PER_PACKET_MAX`].
    pub inputs: ArrayVec<WireInput, INPUTS_PER_PACKET_MAX>,
    /// Which match of the room they are for, as [`Welcome::number`](crate::Welcome): 0 to 3.
    pub match_number: u8,
    /// Newest tick of which a part came that the client did not keep, because it could not read it or did not know the match
    /// yet, 1 to 255 ticks before the newest input: of what it was told until then it holds nothing for certain. The transport
    /// acknowledges what came, so that only the client can say this. `None` if there is nothing to say.
    pub discarded: Option<u32>,
}

// Bits of the mask that says in which fields an input differs from the one after it.
const BUTTONS: u8 = 1 << 0;
const MOVE: u8 = 1 << 1;
const YAW: u8 = 1 << 2;
const PITCH: u8 = 1 << 3;
const VIEW_LAG: u8 = 1 << 4;
const VIEW_FRACTION: u8 = 1 << 5;
const MASK_ALL: u8 = (1 << 6) - 1;

impl InputPacket {
    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        debug_assert!((1..=INPUTS_PER_PACKET_MAX).contains(&self.inputs.len()), "a packet carries 1 to 8 inputs");
        let count = self.inputs.len().min(INPUTS_PER_PACKET_MAX);
        let Some(newest) = self.inputs.first() else { return };
        to.u8(count as u8 | (self.match_number & 3) << 4);
        // What is ahead of the inputs, or long ago, is told as the nearest that can be: more is told anew then, never less.
        to.u8(self.discarded.map_or(0, |tick| newest.tick.saturating_sub(tick).clamp(1, 255) as u8));
        to.u32(newest.tick);
        let mut after = WireInput { tick: newest.tick, view_tick: newest.tick, ..WireInput::default() };
        for input in &self.inputs[..count] {
            let mut mask = 0;
            mask |= if input.buttons != after.buttons { BUTTONS } else { 0 };
            let moves = (input.move_right, input.move_forward);
            mask |= if moves != (after.move_right, after.move_forward) { MOVE } else { 0 };
            mask |= if input.yaw != after.yaw { YAW } else { 0 };
            mask |= if input.pitch != after.pitch { PITCH } else { 0 };
            mask |= if input.view_lag() != after.view_lag() { VIEW_LAG } else { 0 };
            mask |= if input.view_fraction != after.view_fraction { VIEW_FRACTION } else { 0 };
            to.u8(mask);
            if mask & BUTTONS != 0 {
                to.u16(input.buttons);
            }
            if mask & MOVE != 0 {
                to.u8(input.move_right as u8);
                to.u8(input.move_forward as u8);
            }
            if mask & YAW != 0 {
                to.u16(input.yaw);
            }
            if mask & PITCH != 0 {
                to.u16(input.pitch as u16);
            }
            if mask & VIEW_LAG != 0 {
                to.u16(input.view_lag());
            }
            if mask & VIEW_FRACTION != 0 {
                to.u8(input.view_fraction);
            }
            after = *input;
        }
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let first = from.u8()?;
        let (count, match_number) = (usize::from(first & 15), first >> 4);
        if !(1..=INPUTS_PER_PACKET_MAX).contains(&count) || match_number > 3 {
            return Err(ProtocolError::Invalid { what: "number of inputs", value: u64::from(first) });
        }
        let behind = u32::from(from.u8()?);
        let newest = from.u32()?;
        let discarded = if behind == 0 { None } else { Some(newest.saturating_sub(behind)) };
        let mut inputs = ArrayVec::new();
        let mut fields = WireInput::default();
        let mut view_lag = 0;
        for age in 0..count as u32 {
            let invalid = |what, value| Err(ProtocolError::Invalid { what, value });
            let Some(tick) = newest.checked_sub(age) else { return invalid("tick of an input", u64::from(newest)) };
            let mask = from.u8()?;
            if mask & !MASK_ALL != 0 {
                return invalid("field mask of an input", u64::from(mask));
            }
            if mask & BUTTONS != 0 {
                fields.buttons = from.u16()?;
                if fields.buttons & !BUTTONS_ALL != 0 {
                    return invalid("set of buttons", u64::from(fields.buttons));
                }
            }
            if mask & MOVE != 0 {
                fields.move_right = from.u8()? as i8;
                fields.move_forward = from.u8()? as i8;
                if fields.move_right == i8::MIN || fields.move_forward == i8::MIN {
                    return invalid("movement", 128);
                }
            }
            if mask & YAW != 0 {
                fields.yaw = from.u16()?;
            }
            if mask & PITCH != 0 {
                fields.pitch = from.u16()? as i16;
                if !(-PITCH_MAX..=PITCH_MAX).contains(&fields.pitch) {
                    return invalid("pitch", u64::from(fields.pitch as u16));
                }
            }
            if mask & VIEW_LAG != 0 {
                view_lag = from.u16()?;
            }
            if mask & VIEW_FRACTION != 0 {
                fields.view_fraction = from.u8()?;
            }
            inputs.push(WireInput { tick, view_tick: tick.saturating_sub(u32::from(view_lag)), ..fields });
        }
        Ok(Self { inputs, match_number, discarded })
    }
}
