//! Which state this server wants of Agones, and when to ask for it. No calls and no clock of its own: `keeper` has both.
//!
//! | this server | Agones |
//! | --- | --- |
//! | can be joined for the first time | Ready |
//! | has players, or a match that was ordered waits for them | Allocated: no rollout deletes it |
//! | was allocated from outside, and nobody has come yet | stays Allocated for [`ALLOCATION_WAIT`] |
//! | is kept for a party that was announced | Reserved |
//! | has been empty for [`EMPTY_FOR`] | Ready again |
//! | is unhealthy or deleted | asks for nothing any more; it drains |
//!
//! Agones does what it is asked to some time later, or never: an ask that the watch does not confirm is asked again.

use core::time::Duration;
use std::time::Instant;

use super::sidecar::{GameServer, State};

/// Whoever was sent to a server that was allocated should be there by then: a connect token lives 30 s, and a map takes its time.
pub const ALLOCATION_WAIT: Duration = Duration::from_secs(60);

/// So long nobody has to be there before the server may be deleted: who goes from one match to the next is not gone.
pub const EMPTY_FOR: Duration = Duration::from_secs(3);

/// An ask that was not confirmed for so long is asked again: the sidecar writes once a second, and may have been started again.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// Where Agones writes when it was allocated last.
pub const LAST_ALLOCATED: &str = "agones.dev/last-allocated";

/// What is asked of Agones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To be allocatable.
    Ready,
    /// To be left alone.
    Allocate,
    /// To be kept for so many seconds.
    Reserve(u32),
}

impl Ask {
    fn is_answered(self, state: State) -> bool {
        match self {
            Self::Ready => state == State::Ready,
            Self::Allocate => state == State::Allocated,
            Self::Reserve(_) => state == State::Reserved,
        }
    }
}

/// What this server knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// When that was.
    pub now: Instant,
    /// Whether players may come.
    pub open: bool,
    /// Whether there are players, or a match waits for them.
    pub in_use: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// What Agones says.
    state: Option<State>,
    /// What was asked and not confirmed, and when.
    asked: Option<(Ask, Instant)>,
    /// When Agones says that it allocated this server, and when we heard of it.
    allocated: Option<(String, Instant)>,
    /// Since when nobody is there.
    empty_since: Option<Instant>,
    /// Until when the server is kept.
    reserved_until: Option<Instant>,
}

impl Lifecycle {
    /// What Agones says, as far as that was heard.
    pub fn state(&self) -> Option<State> {
        self.state
    }

    /// Takes what the watch tells; true if somebody else has allocated this server since.
    pub fn hear(&mut self, told: &GameServer, now: Instant) -> bool {
        let own = matches!(self.asked, Some((Ask::Allocate, _)));
        self.state = Some(told.state);
        if self.asked.is_some_and(|(ask, _)| ask.is_answered(told.state)) {
            self.asked = None;
        }
        let Some(at) = told.annotations.get(LAST_ALLOCATED) else { return false };
        if self.allocated.as_ref().is_some_and(|(known, _)| known == at) {
            return false;
        }
        self.allocated = Some((at.clone(), now));
        !own
    }

    /// The sidecar is another one, which knows nothing of what was asked.
    pub fn forget_asks(&mut self) {
        self.asked = None;
    }

    /// Keeps the server for so many seconds from now, unless it has players.
    pub fn reserve(&mut self, seconds: u32, now: Instant) {
        self.reserved_until = Some(now + Duration::from_secs(seconds.into()));
    }

    /// What to ask now, if anything.
    pub fn next(&mut self, facts: &Facts) -> Option<Ask> {
        let now = facts.now;
        if facts.in_use {
            // Whoever the server was kept for is there.
            (self.empty_since, self.reserved_until) = (None, None);
        } else {
            self.empty_since.get_or_insert(now);
        }
        self.reserved_until = self.reserved_until.filter(|until| now < *until);
        let ask = self.wish(facts)?;
        let again = |(asked, at): (Ask, Instant)| {
            core::mem::discriminant(&asked) != core::mem::discriminant(&ask)
                || now.saturating_duration_since(at) >= CONFIRM_WITHIN
        };
        if !self.asked.is_none_or(again) {
            return None;
        }
        self.asked = Some((ask, now));
        Some(ask)
    }

    fn wish(&self, facts: &Facts) -> Option<Ask> {
        let now = facts.now;
        let passed = |since: Instant, wait| now.saturating_duration_since(since) >= wait;
        match self.state? {
            State::Shutdown | State::Unhealthy | State::Error => None,
            State::Starting | State::RequestReady => facts.open.then_some(Ask::Ready),
            State::Ready | State::Reserved if facts.in_use => Some(Ask::Allocate),
            State::Allocated if facts.in_use => None,
            state => {
                if let Some(until) = self.reserved_until {
                    let seconds = until.saturating_duration_since(now).as_millis().div_ceil(1_000) as u32;
                    return (state != State::Reserved).then_some(Ask::Reserve(seconds));
                }
                let waits = self.allocated.as_ref().is_some_and(|(_, at)| !passed(*at, ALLOCATION_WAIT));
                let empty = self.empty_since.is_some_and(|since| passed(since, EMPTY_FOR));
                // Whoever was allocated and had players need not wait for others.
                let had_players = self.had_players_since_allocated();
                let free = state == State::Reserved || empty && (!waits || had_players);
                (state != State::Ready && facts.open && free).then_some(Ask::Ready)
            }
        }
    }

    /// Whether the server has become empty since it was allocated.
    fn had_players_since_allocated(&self) -> bool {
        matches!((&self.allocated, self.empty_since), (Some((_, at)), Some(since)) if since > *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock {
        lifecycle: Lifecycle,
        now: Instant,
    }

    impl Clock {
        fn new() -> Self {
            Self { lifecycle: Lifecycle::default(), now: Instant::now() }
        }

        fn hears(&mut self, state: State, allocated: &str) -> bool {
            let annotations = [(LAST_ALLOCATED.to_owned(), allocated.to_owned())];
            let told = GameServer {
                name: String::new(),
                uid: String::new(),
                creation_timestamp: String::new(),
                state,
                address: String::new(),
                ports: Vec::new(),
                deleted: false,
                labels: Default::default(),
                annotations: annotations.into_iter().filter(|(_, at)| !at.is_empty()).collect(),
            };
            self.lifecycle.hear(&told, self.now)
        }

        fn asks(&mut self, open: bool, in_use: bool) -> Option<Ask> {
            self.lifecycle.next(&Facts { now: self.now, open, in_use })
        }

        fn passes(&mut self, time: Duration) {
            self.now += time;
        }
    }

    #[test]
    fn nothing_is_asked_before_the_watch_has_told_anything() {
        assert_eq!(Clock::new().asks(true, false), None);
    }

    #[test]
    fn ready_is_asked_once_players_may_come() {
        let mut clock = Clock::new();
        clock.hears(State::Starting, "");
        assert_eq!(clock.asks(false, false), None);
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
    }

    #[test]
    fn an_ask_is_repeated_until_it_is_confirmed() {
        let mut clock = Clock::new();
        clock.hears(State::Starting, "");
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
        clock.hears(State::RequestReady, "");
        assert_eq!(clock.asks(true, false), None);
        clock.passes(CONFIRM_WITHIN);
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
        clock.hears(State::Ready, "");
        clock.passes(CONFIRM_WITHIN);
        assert_eq!(clock.asks(true, false), None);
    }

    #[test]
    fn an_ask_that_a_sidecar_took_to_its_grave_is_asked_of_the_next_at_once() {
        let mut clock = Clock::new();
        clock.hears(State::Starting, "");
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
        clock.lifecycle.forget_asks();
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
    }

    #[test]
    fn players_make_it_allocated_and_an_empty_server_is_ready_again() {
        let mut clock = Clock::new();
        clock.hears(State::Ready, "");
        assert_eq!(clock.asks(true, true), Some(Ask::Allocate));
        assert!(!clock.hears(State::Allocated, "1"), "that was this server itself");
        clock.passes(Duration::from_secs(1));
        assert_eq!(clock.asks(true, false), None);
        clock.passes(EMPTY_FOR);
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
    }

    #[test]
    fn who_was_allocated_from_outside_waits_for_its_players() {
        let mut clock = Clock::new();
        clock.hears(State::Ready, "");
        assert_eq!(clock.asks(true, false), None);
        assert!(clock.hears(State::Allocated, "1"));
        clock.passes(ALLOCATION_WAIT - Duration::from_secs(1));
        assert_eq!(clock.asks(true, false), None);
        clock.passes(Duration::from_secs(1));
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
    }

    #[test]
    fn a_second_allocation_of_an_allocated_server_is_noticed() {
        let mut clock = Clock::new();
        assert!(clock.hears(State::Allocated, "1"));
        assert!(!clock.hears(State::Allocated, "1"));
        assert!(clock.hears(State::Allocated, "2"));
    }

    #[test]
    fn a_reservation_holds_until_its_time_is_over_or_players_come() {
        let mut clock = Clock::new();
        clock.hears(State::Ready, "");
        clock.lifecycle.reserve(10, clock.now);
        assert_eq!(clock.asks(true, false), Some(Ask::Reserve(10)));
        clock.hears(State::Reserved, "");
        clock.passes(Duration::from_secs(9));
        assert_eq!(clock.asks(true, false), None);
        clock.passes(Duration::from_secs(2));
        assert_eq!(clock.asks(true, false), Some(Ask::Ready));
        clock.hears(State::Ready, "");
        clock.lifecycle.reserve(10, clock.now);
        assert_eq!(clock.asks(true, true), Some(Ask::Allocate));
    }

    #[test]
    fn nothing_is_asked_of_what_is_unhealthy() {
        let mut clock = Clock::new();
        clock.hears(State::Unhealthy, "");
        assert_eq!(clock.asks(true, true), None);
    }

    #[test]
    fn a_server_that_drains_is_not_ready_again() {
        let mut clock = Clock::new();
        clock.hears(State::Allocated, "");
        clock.asks(false, true);
        clock.passes(ALLOCATION_WAIT);
        assert_eq!(clock.asks(false, false), None);
    }
}
