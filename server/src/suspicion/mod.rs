//! Who plays as nobody honest plays. What the rules forbid is refused by the simulation, whatever a client says; this is about
//! what it lets pass because a very good player might have done it.
//!
//! Detectors gather evidence of each player: [`conduct`] from how inputs come in, [`gaze`] from where players aim. Evidence halves
//! every minute ([`score`]). When there is too much of it, and it is too large a share of what was looked at, that is an
//! [`Anomaly`]: a domain event, a figure and a line in the log for a person to judge, never a verdict. Nothing here changes a
//! match, and none of it is state of the simulation.
//!
//! Bounded: at most [`WATCHED_MAX`] players of a room are watched at a time, by turns of [`TURN_S`]; each costs a look along the
//! list of living players and, only while it aims at one of them, up to six rays a tick.

pub mod conduct;
pub mod gaze;
pub mod score;

use arbiter_contracts::Event;
use arbiter_contracts::v1::AnomalyDetected;
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::{Cue, Simulation};

use gaze::Gaze;
use score::{Limit, Score};

/// Players whose aim is watched at a time.
pub const WATCHED_MAX: usize = 32;

/// Seconds for which a player's aim is watched where not all can be.
pub const TURN_S: u32 = 30;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Inputs for more ticks than go by. In ticks.
    Pace,
    /// More datagrams than ticks. In datagrams.
    Flood,
    /// Other inputs for ticks that already had one. In looks of two seconds.
    Rewrite,
    /// What was seen goes back in time. In looks of two seconds.
    View,
    /// One turn of a tick that ends dead on an enemy. In turns.
    Snap,
    /// Fire at an enemy who had just come into view. In bursts.
    Reaction,
    /// Fire that follows a moving enemy to the centimetre. In shots.
    Precision,
    /// Aim that follows an enemy behind walls, beyond hearing. In milliseconds.
    Hidden,
    /// The same with an enemy of whom the player was not told. In milliseconds.
    Untold,
}

/// How many detectors there are.
pub const DETECTORS: usize = Detector::ALL.len();

impl Detector {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pace,
        Self::Flood,
        Self::Rewrite,
        Self::View,
        Self::Snap,
        Self::Reaction,
        Self::Precision,
        Self::Hidden,
        Self::Untold,
    ];

    /// Its name in events, figures and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pace => "inputs.pace",
            Self::Flood => "inputs.flood",
            Self::Rewrite => "inputs.rewrite",
            Self::View => "inputs.view",
            Self::Snap => "aim.snap",
            Self::Reaction => "aim.reaction",
            Self::Precision => "aim.precision",
            Self::Hidden => "aim.hidden",
            Self::Untold => "aim.untold",
        }
    }

    /// What is too much. How near honest bots come, which press and turn as people do, stands in `docs/cheating.md`.
    fn limit(self) -> Limit {
        match self {
            // A client whose clock jumps once brings half a second at most.
            Self::Pace => Limit { evidence: 90.0, share: 0.0 },
            // Four times the usual for two seconds.
            Self::Flood => Limit { evidence: 240.0, share: 0.0 },
            // Now and then a clock has to start anew, but not in look after look.
            Self::Rewrite => Limit { evidence: 4.5, share: 0.0 },
            Self::View => Limit { evidence: 4.5, share: 0.0 },
            Self::Snap => Limit { evidence: 4.0, share: 0.3 },
            Self::Reaction => Limit { evidence: 5.0, share: 0.35 },
            Self::Precision => Limit { evidence: 20.0, share: 0.65 },
            Self::Hidden => Limit { evidence: 1_000.0, share: 0.0 },
            Self::Untold => Limit { evidence: 700.0, share: 0.0 },
        }
    }
}

/// Evidence of one thing that was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// By whom.
    pub detector: Detector,
    /// How much speaks against the player, in the detector's unit.
    pub evidence: f32,
    /// How much was looked at, in the same unit.
    pub tried: f32,
}

/// Too much evidence against a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly {
    /// The room.
    pub room: u16,
    /// The match.
    pub match_id: [u8; 16],
    /// Behind which tick.
    pub tick: u32,
    /// Whose slot.
    pub slot: u16,
    /// The player of the token; 0 for whoever has no account.
    pub player: u64,
    /// What was found.
    pub detector: Detector,
    /// How much of it within about a minute, in the detector's unit.
    pub amount: i64,
}

impl Anomaly {
    /// As services are told.
    pub fn event(&self) -> Event {
        Event::AnomalyDetected(AnomalyDetected {
            r#match: self.match_id.to_vec(),
            player: self.player,
            kind: self.detector.name().to_owned(),
            amount: self.amount,
        })
    }
}

/// What one player is thought of.
#[derive(Debug, Default)]
struct Suspect {
    scores: [Score; DETECTORS],
    gaze: Gaze,
}

/// All players of a room.
#[derive(Debug)]
pub struct Suspicion {
    suspects: Vec<Suspect>,
    /// By slot, the tick of the last shot, which others may have heard.
    shots: Vec<Option<u32>>,
    rate: u32,
    found: Vec<(u16, Finding)>,
}

impl Suspicion {
    /// Of a fresh match.
    pub fn new(simulation: &Simulation) -> Self {
        let settings = simulation.settings();
        Self {
            suspects: (0..settings.players_max).map(|_| Suspect::default()).collect(),
            shots: vec![None; usize::from(settings.players_max)],
            rate: u32::from(settings.tick_rate).max(1),
            found: Vec::with_capacity(WATCHED_MAX),
        }
    }

    /// Another player has the slot.
    pub fn forget(&mut self, slot: u16) {
        if let Some(suspect) = self.suspects.get_mut(usize::from(slot)) {
            *suspect = Suspect::default();
        }
        if let Some(shot) = self.shots.get_mut(usize::from(slot)) {
            *shot = None;
        }
    }

    /// Looks where players aim behind a tick and calls `tell` with what is too much: slot, detector, amount.
    pub fn look(&mut self, simulation: &Simulation, tell: &mut impl FnMut(u16, Detector, i64)) {
        let view = simulation.view();
        for cue in simulation.cues() {
            let Cue::Fired { by, .. } = cue else { continue };
            let slot = view.get::<Identity>(*by).filter(|it| it.kind == Kind::Player).and_then(Identity::slot);
            if let Some(shot) = slot.and_then(|slot| self.shots.get_mut(usize::from(slot))) {
                *shot = Some(simulation.tick());
            }
        }
        let Some(looked) = gaze::Looked::of(simulation, &view, &self.shots) else { return };
        let slots = self.suspects.len();
        let turn = simulation.tick() / (TURN_S * self.rate);
        let first = if slots > WATCHED_MAX { turn as usize * WATCHED_MAX % slots } else { 0 };
        for at in 0..slots.min(WATCHED_MAX) {
            let slot = (first + at) % slots;
            let found = &mut self.found;
            let mut find = |finding| found.push((slot as u16, finding));
            self.suspects[slot].gaze.look(&looked, slot as u16, &mut find);
        }
        let mut found = core::mem::take(&mut self.found);
        for (slot, finding) in found.drain(..) {
            self.note(slot, finding, simulation.tick(), tell);
        }
        self.found = found;
    }

    /// Adds evidence.
    pub fn note(&mut self, slot: u16, finding: Finding, tick: u32, tell: &mut impl FnMut(u16, Detector, i64)) {
        let Some(suspect) = self.suspects.get_mut(usize::from(slot)) else { return };
        let Finding { detector, evidence, tried } = finding;
        let score = &mut suspect.scores[detector as usize];
        if let Some(amount) = score.add(detector.limit(), evidence, tried, tick, self.rate) {
            tell(slot, detector, amount);
        }
    }

    /// The most evidence against any player, by detector, as a share of what is too much.
    pub fn peaks(&self) -> [f32; DETECTORS] {
        let mut peaks = [0.0_f32; DETECTORS];
        for suspect in &self.suspects {
            for ((peak, score), detector) in peaks.iter_mut().zip(&suspect.scores).zip(Detector::ALL) {
                *peak = peak.max(score.of(detector.limit()));
            }
        }
        peaks
    }

    /// Evidence against a player now, as a share of what is too much.
    pub fn score(&self, slot: u16, detector: Detector) -> f32 {
        let suspect = self.suspects.get(usize::from(slot));
        suspect.map_or(0.0, |suspect| suspect.scores[detector as usize].of(detector.limit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anomaly_is_told_as_the_contract_says() {
        let anomaly =
            Anomaly { room: 1, match_id: [7; 16], tick: 60, slot: 2, player: 99, detector: Detector::Snap, amount: 5 };
        let Event::AnomalyDetected(told) = anomaly.event() else { panic!("another event") };
        assert_eq!((told.r#match, told.player, told.kind.as_str(), told.amount), (vec![7; 16], 99, "aim.snap", 5));
    }

    #[test]
    fn detectors_stand_in_the_order_of_their_numbers_and_have_names_of_their_own() {
        for (at, detector) in Detector::ALL.into_iter().enumerate() {
            assert_eq!(detector as usize, at);
            assert_eq!(Detector::ALL.iter().filter(|other| other.name() == detector.name()).count(), 1);
        }
    }
}
