//! Evidence that fades, and when it is too much.

/// Seconds in which evidence halves.
pub const HALF_LIFE_S: f32 = 60.0;

/// Seconds for which a detector that has told of a player keeps quiet about that player.
pub const QUIET_S: u32 = 60;

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// This much evidence.
    pub evidence: f32,
    /// And this share of what was looked at.
    pub share: f32,
}

/// One detector's evidence against one player.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    evidence: f32,
    tried: f32,
    tick: u32,
    told: Option<u32>,
}

impl Score {
    /// Adds evidence at a tick; the whole of it, rounded, if that is too much and was not just told.
    pub fn add(&mut self, limit: Limit, evidence: f32, tried: f32, tick: u32, rate: u32) -> Option<i64> {
        let seconds = tick.saturating_sub(self.tick) as f32 / rate.max(1) as f32;
        let kept = libm::exp2f(-seconds / HALF_LIFE_S);
        self.tick = tick;
        self.evidence = self.evidence * kept + evidence;
        self.tried = self.tried * kept + tried;
        let quiet = self.told.is_some_and(|told| tick.saturating_sub(told) < QUIET_S * rate);
        if quiet || self.of(limit) < 1.0 {
            return None;
        }
        self.told = Some(tick);
        Some(self.evidence.round() as i64)
    }

    /// As a share of what is too much: from 1 on there is enough of it, and it is enough of what was looked at.
    pub fn of(&self, limit: Limit) -> f32 {
        let whole = self.evidence / limit.evidence;
        let least = limit.share * self.tried;
        if least > 0.0 { whole.min(self.evidence / least) } else { whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { evidence: 10.0, share: 0.5 };

    #[test]
    fn enough_evidence_is_told_once_a_minute() {
        let mut score = Score::default();
        assert_eq!(score.add(LIMIT, 9.0, 9.0, 1, 60), None);
        assert_eq!(score.add(LIMIT, 1.5, 1.5, 2, 60), Some(10));
        assert_eq!(score.add(LIMIT, 50.0, 50.0, 100, 60), None);
        assert!(score.add(LIMIT, 1.0, 1.0, 2 + 60 * 60, 60).is_some());
    }

    #[test]
    fn evidence_that_is_a_small_share_of_what_was_looked_at_is_not_told() {
        let mut score = Score::default();
        assert_eq!(score.add(LIMIT, 100.0, 300.0, 1, 60), None);
        assert!(score.of(LIMIT) < 1.0);
    }

    #[test]
    fn evidence_halves_in_a_minute() {
        let mut score = Score::default();
        score.add(LIMIT, 8.0, 8.0, 1, 60);
        score.add(LIMIT, 0.0, 0.0, 1 + 60 * 60, 60);
        assert!((score.of(LIMIT) - 0.4).abs() < 1e-4);
    }
}
