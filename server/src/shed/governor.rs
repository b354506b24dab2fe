//! When a step is taken, and when it is given back: by the load alone, with times that are passed in.
//!
//! One step up at a time, and one down. Up is quick, since ticks are about to be late; down is slow, since what is given back costs
//! again what it cost. A step that had to be taken again soon after it was given back was given back too early: the next time it is
//! kept for twice as long, so that a load that lies between two steps does not move it to and fro.

use core::time::Duration;
use std::time::Instant;

use super::Step;

/// Above this share of their time that ticks take, the next step is taken: the slowest ticks take some more than the mean.
pub const UP_ABOVE: f32 = 0.85;

/// Below this one the last step is given back. A process that is filled to more than this for long has no reserve.
pub const DOWN_BELOW: f32 = 0.7;

/// A step stands at least for so long before the next is taken: what it saves shows within this time.
pub const UP_DWELL: Duration = Duration::from_millis(500);

/// A step stands at least for so long before it is given back, and the load must have been low for as long.
pub const DOWN_DWELL: Duration = Duration::from_secs(5);

/// A step that is taken again within this time was given back too early.
pub const SOON: Duration = Duration::from_secs(30);

/// The longest time that a step is kept for once the load is low, however often it was given back too early.
pub const DOWN_DWELL_MAX: Duration = Duration::from_secs(160);

/// The load is smoothed over about so long: several looks, and two thirds of a dwell.
const SMOOTHING_S: f32 = 0.35;

/// See the module.
#[derive(Debug, Clone)]
pub struct Governor {
    step: Step,
    load: f32,
    /// When the step was last taken or given back to.
    changed: Option<Instant>,
    /// When a step was last given back.
    given_back: Option<Instant>,
    /// Since when the load is low.
    low: Option<Instant>,
    down_dwell: Duration,
    /// That of a step that was not given back too early.
    down_dwell_min: Duration,
}

impl Default for Governor {
    fn default() -> Self {
        Self::new(DOWN_DWELL)
    }
}

impl Governor {
    /// One that gives back after another time than [`DOWN_DWELL`].
    pub fn new(down_dwell_min: Duration) -> Self {
        Self {
            step: Step::Nothing,
            load: 0.0,
            changed: None,
            given_back: None,
            low: None,
            down_dwell: down_dwell_min,
            down_dwell_min,
        }
    }

    /// The load, smoothed.
    pub fn load(&self) -> f32 {
        self.load
    }

    /// Takes the load of the time that has `passed` until `now`, and says which step is right. Steps that would leave out nothing, since
    /// nobody watches, are not waited for.
    pub fn decide(&mut self, now: Instant, passed: Duration, load: f32, is_watched: bool) -> Step {
        let share = 1.0 - libm::expf(-passed.as_secs_f32() / SMOOTHING_S);
        self.load += (load - self.load) * share;
        if self.load < DOWN_BELOW {
            self.low.get_or_insert(now);
        } else {
            self.low = None;
        }
        let stands =
            |dwell: Duration| self.changed.is_none_or(|changed| now.saturating_duration_since(changed) >= dwell);
        let saves_nothing = !is_watched && matches!(self.step, Step::SpectatorsRarer | Step::SpectatorsGone);
        let is_low = self.low.is_some_and(|low| now.saturating_duration_since(low) >= self.down_dwell);
        if self.load > UP_ABOVE && (stands(UP_DWELL) || saves_nothing) {
            self.up(now);
        } else if is_low && stands(self.down_dwell) {
            self.down(now);
        }
        self.step
    }

    fn up(&mut self, now: Instant) {
        let next = Step::of(self.step.number() + 1);
        // Beyond the last there is none.
        if next == Step::Nothing {
            return;
        }
        if self.given_back.take().is_some_and(|at| now.saturating_duration_since(at) < SOON) {
            self.down_dwell = (self.down_dwell * 2).min(DOWN_DWELL_MAX);
        }
        (self.step, self.changed) = (next, Some(now));
    }

    fn down(&mut self, now: Instant) {
        let Some(before) = self.step.number().checked_sub(1) else {
            // All is well for long: what was learnt of this load is over.
            self.down_dwell = self.down_dwell_min;
            return;
        };
        (self.step, self.changed, self.given_back) = (Step::of(before), Some(now), Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(200);

    struct Clock {
        governor: Governor,
        start: Instant,
        now: Instant,
        is_watched: bool,
    }

    impl Clock {
        fn new() -> Self {
            let now = Instant::now();
            Self { governor: Governor::default(), start: now, now, is_watched: true }
        }

        fn look(&mut self, load: f32) -> Step {
            self.now += LOOK;
            self.governor.decide(self.now, LOOK, load, self.is_watched)
        }

        /// Seconds after which each further step was reached under a load.
        fn steps(&mut self, load: impl Fn(Step) -> f32, seconds: u64) -> Vec<(Step, f32)> {
            let (mut steps, mut last) = (Vec::new(), self.governor.step);
            while self.now < self.start + Duration::from_secs(seconds) {
                let step = self.look(load(last));
                if step != last {
                    steps.push((step, self.now.duration_since(self.start).as_secs_f32()));
                    last = step;
                }
            }
            steps
        }
    }

    #[test]
    fn steps_are_taken_one_by_one_in_their_order_and_given_back_in_the_reverse() {
        let mut clock = Clock::new();
        let up = clock.steps(|_| 1.3, 10);
        assert_eq!(up.iter().map(|it| it.0).collect::<Vec<_>>(), Step::ALL[1..]);
        let apart = up.windows(2).all(|pair| pair[1].1 - pair[0].1 >= UP_DWELL.as_secs_f32() - 1e-3);
        assert!(apart && up[0].1 < 1.0 && up[4].1 < 4.0, "{up:?}");
        let down = clock.steps(|_| 0.3, 60);
        let back: Vec<Step> = Step::ALL[..5].iter().rev().copied().collect();
        assert_eq!(down.iter().map(|it| it.0).collect::<Vec<_>>(), back);
        let apart = down.windows(2).all(|pair| pair[1].1 - pair[0].1 >= DOWN_DWELL.as_secs_f32() - 1e-3);
        assert!(apart, "{down:?}");
    }

    #[test]
    fn a_moment_of_load_sheds_nothing() {
        let mut clock = Clock::new();
        for _ in 0..50 {
            assert_eq!(clock.look(0.5), Step::Nothing);
        }
        assert_eq!(clock.look(1.2), Step::Nothing, "one look");
        assert_eq!(clock.look(0.5), Step::Nothing);
    }

    #[test]
    fn between_the_two_limits_nothing_moves() {
        let mut clock = Clock::new();
        clock.steps(|step| if step < Step::SpectatorsGone { 1.0 } else { 0.78 }, 3);
        assert_eq!(clock.steps(|_| 0.78, 600), []);
    }

    #[test]
    fn where_nobody_watches_spectators_are_not_waited_for() {
        let mut clock = Clock::new();
        clock.is_watched = false;
        let up = clock.steps(|_| 1.3, 5);
        assert!(up[2].1 - up[0].1 <= 2.0 * LOOK.as_secs_f32() + 1e-3, "{up:?}");
    }

    #[test]
    fn a_load_that_lies_between_two_steps_moves_them_ever_more_rarely() {
        let mut clock = Clock::new();
        // What far detail saves brings it below the lower limit, and without it is above the upper one.
        let changes = clock.steps(|step| if step < Step::FarDetail { 0.95 } else { 0.6 }, 1_200);
        let apart: Vec<f32> = changes.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
        let longest = apart.iter().fold(0.0_f32, |longest, it| longest.max(*it));
        assert!(changes.len() < 40 && longest >= DOWN_DWELL_MAX.as_secs_f32(), "{changes:?}");
    }

    #[test]
    fn the_last_step_is_the_last() {
        let mut clock = Clock::new();
        clock.steps(|_| 3.0, 60);
        assert_eq!(clock.governor.step, Step::ThirdRate);
    }
}
