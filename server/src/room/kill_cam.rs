//! Whoever was killed is shown the last seconds from the killer's side: on its own connection, beside its own snapshots, for as
//! long as it is dead and there is something to show.
//!
//! It is a delayed spectator of the killer, on a tape and a stage as [`gallery`](super::gallery) has them, but only as long as a
//! kill cam is: what is shown at the moment of a death is as old as the cam is long, and when the death itself is shown it ends.

use arbiter_protocol::{Datagram, KillCamHeader, Sounds, Welcome};
use arbiter_schema::Registry;
use arbiter_sim::players::Life;

use super::gallery::offer;
use super::{Entering, Landed, Room, Seat};
use crate::broadcast::{Eye, Ink, Reel, View};
use crate::{KILL_CAM_MAX, ServerConfig, Shared};

/// Tags of parts of kill cams have this bit, and those of a client's own snapshots do not: so many no match has.
pub(super) const TAGS: u32 = 1 << 31;

/// Numbers of kill cams of one client, which tell them apart on the wire.
const NUMBERS: u8 = 64;

/// One client's.
struct Cam {
    eye: Eye,
    number: u8,
    /// Who killed it, and when.
    kill: Option<(u16, u32)>,
}

/// See the module.
pub(super) struct KillCams {
    pub reel: Reel,
    ladder: u32,
    /// By slot, made with the first death in it.
    cams: Vec<Option<Box<Cam>>>,
    ink: Ink,
    pub snapshot_bytes: u64,
}

impl KillCams {
    /// For a room; `None` if there are none.
    pub fn new(config: &ServerConfig, registry: &Registry, ladder: u32) -> Option<Box<Self>> {
        let length = config.kill_cam.min(KILL_CAM_MAX);
        if length.is_zero() {
            return None;
        }
        Some(Box::new(Self {
            reel: Reel::new(config, registry, length, 0),
            ladder,
            cams: (0..config.settings.players_max).map(|_| None).collect(),
            ink: Ink::default(),
            snapshot_bytes: 0,
        }))
    }

    /// Somebody was killed by somebody else in a tick.
    pub fn start(&mut self, victim: u16, killer: u16, tick: u32) {
        let ladder = self.ladder;
        let Some(cam) = self.cams.get_mut(usize::from(victim)).filter(|_| victim != killer) else { return };
        let cam = cam.get_or_insert_with(|| Box::new(Cam { eye: Eye::new(ladder), number: 0, kill: None }));
        cam.eye.reset();
        cam.number = (cam.number + 1) % NUMBERS;
        cam.kill = Some((killer, tick));
    }

    /// Whoever is in a slot is not shown anything more.
    pub fn stop(&mut self, slot: u16) {
        if let Some(Some(cam)) = self.cams.get_mut(usize::from(slot)) {
            cam.eye.reset();
            cam.kill = None;
        }
    }

    pub fn stop_all(&mut self) {
        (0..self.cams.len() as u16).for_each(|slot| self.stop(slot));
    }

    /// What became of parts.
    pub fn land(&mut self, slot: u16, landed: &Landed) {
        let Some(Some(cam)) = self.cams.get_mut(usize::from(slot)) else { return };
        let own = landed.iter().filter(|(tag, _)| tag & TAGS != 0);
        own.for_each(|(tag, came)| cam.eye.land(tag & !TAGS, *came));
    }

    /// Plays what is due. Whether a tick is to be told.
    fn play(&mut self) -> bool {
        let is_watched = self.cams.iter().flatten().any(|cam| cam.kill.is_some());
        self.reel.play(is_watched, |_| ()) && is_watched
    }

    /// `is_dead` says whether the player in a seat is.
    fn tell(&mut self, seats: &[Option<Seat>], match_number: u8, shared: &Shared, is_dead: impl Fn(&Seat) -> bool) {
        let Self { reel, cams, ink, .. } = self;
        let stage = &reel.stage;
        let Some((tick, Welcome { number, tick_rate, .. })) = stage.welcome() else { return };
        let budget_max = reel.budget_max(&shared.config, *tick_rate);
        for (slot, (cam, seat)) in (0..).zip(cams.iter_mut().zip(seats)) {
            let (Some(cam), Some(seat)) = (cam, seat) else { continue };
            let Some((killer, until)) = cam.kill else { continue };
            if *number != match_number {
                // It is still the match before that is shown.
                continue;
            }
            if tick > until || !is_dead(seat) {
                cam.kill = None;
                continue;
            }
            // One's own snapshots come first, but little happens to the dead.
            let budget_bytes = seat.line.budget().min(budget_max) / 2;
            if budget_bytes == 0 || seat.lost.is_some() || !matches!(seat.entering, Entering::In(_)) {
                continue;
            }
            let header = KillCamHeader { number: cam.number, match_number };
            // Nothing is heard of it: see `Stage::heard`.
            let part = |tag, _: Option<Sounds<'_>>, part: &[u8]| {
                self.snapshot_bytes += (part.len() + KillCamHeader::BYTES) as u64;
                offer(shared, seat.client, tag | TAGS, &Datagram::KillCam(header, part))
            };
            cam.eye.tell(stage, tick, View::Kill { killer, victim: slot }, budget_bytes, ink, part);
        }
    }
}

impl Room {
    /// Ends a turn: shows those who were killed what their killers saw.
    pub(super) fn show_kills(&mut self) {
        let match_number = self.match_number();
        let Some(kill_cams) = &mut self.kill_cams else { return };
        if kill_cams.play() {
            let view = self.simulation.view();
            let is_dead = |seat: &Seat| match seat.entering {
                Entering::In(player) => view.get::<Life>(player).is_some_and(|life| !life.alive),
                _ => false,
            };
            kill_cams.tell(&self.seats, match_number, &self.shared, is_dead);
        }
        kill_cams.reel.turn += 1;
    }
}
