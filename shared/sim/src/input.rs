//! What enters a simulation, and nothing else does: the commands of a tick. Recordings hold exactly these.

use arbiter_schema::{describe, describe_enum};
use glam::Vec3;
use serde::{Deserialize, Serialize};

/// Bits of [`Input::buttons`].
pub mod button {
    /// Jump.
    pub const JUMP: u16 = 1 << 0;
    /// Crouch while held.
    pub const CROUCH: u16 = 1 << 1;
    /// Fire while held.
    pub const FIRE: u16 = 1 << 2;
    /// Reload.
    pub const RELOAD: u16 = 1 << 3;
    /// Abilities 1 to 4.
    pub const ABILITY: [u16; 4] = [1 << 4, 1 << 5, 1 << 6, 1 << 7];
    /// Weapons 1 to 3.
    pub const WEAPON: [u16; 3] = [1 << 8, 1 << 9, 1 << 10];
    /// Use: opens, picks up.
    pub const USE: u16 = 1 << 11;
    /// Every bit that means something; the others must be 0 on the wire.
    pub const ALL: u16 = (1 << 12) - 1;
}

describe! {
    /// What one player intends for one tick. Angles are whole steps, so that client and server aim alike bit for bit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Input {
        /// Bits of [`button`].
        pub buttons: u16,
        /// Right is positive: 1/127 of full speed.
        pub move_right: i8,
        /// Forward is positive: 1/127 of full speed.
        pub move_forward: i8,
        /// Turn about +y in 1/65,536 of a turn; 0 looks along -z, a quarter turn along -x.
        pub yaw: u16,
        /// Up is positive, in 1/65,536 of a turn, within +-16,384 (straight up and down).
        pub pitch: i16,
        /// The tick whose world the player saw, as the server clamped it.
        pub view_tick: u32,
        /// 1/256 ticks behind `view_tick` towards the next tick.
        pub view_fraction: u8,
    }
}

impl Input {
    /// The unit vector that the player looks along.
    pub fn look(&self) -> Vec3 {
        let (yaw, pitch) = (self.yaw_radians(), self.pitch_radians());
        let (sin_yaw, cos_yaw) = libm::sincosf(yaw);
        let (sin_pitch, cos_pitch) = libm::sincosf(pitch);
        Vec3::new(-sin_yaw * cos_pitch, sin_pitch, -cos_yaw * cos_pitch)
    }

    /// Yaw in radians, 0 to 2 pi.
    pub fn yaw_radians(&self) -> f32 {
        f32::from(self.yaw) * (core::f32::consts::TAU / 65_536.0)
    }

    /// Pitch in radians, clamped to straight up and down.
    pub fn pitch_radians(&self) -> f32 {
        f32::from(self.pitch.clamp(-16_384, 16_384)) * (core::f32::consts::TAU / 65_536.0)
    }

    /// Whether any of `bits` is held.
    pub fn holds(&self, bits: u16) -> bool {
        self.buttons & bits != 0
    }
}

/// The steps nearest to a yaw and a pitch in radians, for bots and tools.
pub fn angle_steps(yaw: f32, pitch: f32) -> (u16, i16) {
    let steps = |radians: f32| libm::roundf(radians * (65_536.0 / core::f32::consts::TAU));
    let yaw = steps(yaw) as i64 as u16;
    (yaw, steps(pitch).clamp(-16_384.0, 16_384.0) as i16)
}

/// What a player brings into a match. Numbers are positions in the rules' lists; what does not exist falls back to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Loadout {
    /// Which hero.
    pub hero: u8,
    /// Wished team from 1; 0 lets the rules balance.
    pub team: u8,
}

describe_enum! {
    /// Why a player left.
    #[derive(Serialize, Deserialize)]
    pub enum LeaveReason {
        /// Said so.
        Quit,
        /// Was heard of no more.
        TimedOut,
        /// Idle for longer than the rules allow.
        Idle,
        /// Removed by an administrator or for breaking the protocol.
        Kicked,
    }
}

/// What an administrator may do to a running match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admin {
    /// Stops the clock of the match and all that moves.
    Pause,
    /// Lets it go on.
    Resume,
    /// Ends the match at once: for who has won most rounds, else for who leads in this one, else as a draw.
    End,
    /// Gives a team points, negative ones too.
    AddScore {
        /// Team from 1, or slot + 1 where each plays alone.
        team: u16,
        /// How many.
        points: i32,
    },
}

/// One thing that happens to a simulation at the start of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A player takes a slot. Ignored if the slot is taken or out of range.
    Join {
        /// Which slot.
        slot: u16,
        /// What they bring.
        loadout: Loadout,
    },
    /// A player leaves. Ignored if the slot is empty.
    Leave {
        /// Which slot.
        slot: u16,
        /// Why.
        reason: LeaveReason,
    },
    /// What a player intends for this tick. A player without one keeps still this tick.
    Input {
        /// Which slot.
        slot: u16,
        /// As it was applied.
        input: Input,
        /// Whether the server made it up because the player's did not arrive in time.
        substituted: bool,
    },
    /// What a player was told of other players has changed. Rooms put these first in a tick; see [`crate::told`].
    Told {
        /// Whose knowledge.
        slot: u16,
        /// Which 32 slots it is about: from `group * 32`.
        group: u8,
        /// A bit for each of them that was told and may not be hit any more, or was not and may.
        toggled: u32,
    },
    /// Administration.
    Admin(Admin),
    /// Changes one number of the rules from this tick on.
    Retune {
        /// Which.
        knob: Knob,
        /// To what; clamped to what the rules allow.
        value: f32,
    },
}

describe_enum! {
    /// Numbers of the rules that may change in a running match.
    #[derive(Serialize, Deserialize)]
    pub enum Knob {
        /// All damage is multiplied by this, 0 to 10.
        DamageScale,
        /// All healing is multiplied by this, 0 to 10.
        HealScale,
        /// Speed of all players is multiplied by this, 0.1 to 4.
        SpeedScale,
        /// Gravity is multiplied by this, 0.1 to 4.
        GravityScale,
        /// Seconds between respawn waves are multiplied by this, 0 to 10.
        RespawnScale,
    }
}
