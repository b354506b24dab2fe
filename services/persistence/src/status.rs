//! How far the service is and what keeps it from its work: what readiness says, and whether questions are answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arbiter_metrics::Lag;
use arbiter_views::Queries;

#[derive(Debug)]
struct State {
    queries: Option<Queries>,
    /// A view that is built again does not answer before it reaches this position.
    until: u64,
    position: u64,
    /// Why the view does not go on.
    stuck: Option<String>,
    /// Somebody met damage in the view's file, and it is not built again yet.
    damaged: bool,
}

/// Shared by the thread that follows and by all who ask.
#[derive(Debug)]
pub(crate) struct Status {
    state: Mutex<State>,
    lag: Arc<Lag>,
}

impl Status {
    pub fn new() -> Self {
        let state = State { queries: None, until: 0, position: 0, stuck: None, damaged: false };
        Self { state: Mutex::new(state), lag: Arc::new(Lag::new(Instant::now())) }
    }

    /// How far the view is behind the log.
    pub fn lag(&self) -> Arc<Lag> {
        Arc::clone(&self.lag)
    }

    /// The log had this end when it was looked at; the view is so far.
    pub fn followed(&self, looked: Instant, position: u64, end: u64) {
        self.lag.note(looked, position, end);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it holds is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view is open; it answers from a position on.
    pub fn opened(&self, queries: Queries, until: u64) {
        let mut state = self.lock();
        (state.position, state.until) = (queries.applied(), until);
        state.queries = Some(queries);
    }

    /// The view is built again up to a position.
    pub fn building(&self, until: u64) {
        let mut state = self.lock();
        (state.position, state.until, state.damaged) = (0, until, false);
    }

    /// How far the view is.
    pub fn applied(&self, position: u64) {
        self.lock().position = position;
    }

    /// Whether the view goes on.
    pub fn note(&self, goes_on: Result<(), String>) {
        let mut state = self.lock();
        let stuck = goes_on.err();
        if state.stuck != stuck {
            if let Some(why) = &stuck {
                tracing::error!(why, "the view of events does not go on");
            } else if state.stuck.is_some() {
                tracing::info!("the view of events goes on");
            }
        }
        state.stuck = stuck;
    }

    /// Somebody met damage in the view's file: nobody asks it any more before it is built again.
    pub fn note_damage(&self) {
        self.lock().damaged = true;
    }

    /// Whether somebody met damage since the view was last built.
    pub fn is_damaged(&self) -> bool {
        self.lock().damaged
    }

    /// For asking the view; why not now, otherwise.
    pub fn queries(&self) -> Result<Queries, String> {
        let state = self.lock();
        match &state.queries {
            None => Err("there is no log of events yet".to_owned()),
            Some(_) if state.damaged => Err("the view of events is damaged, and built again".to_owned()),
            Some(_) if state.position < state.until => {
                Err(format!("the view of events is being built: {} of {}", state.position, state.until))
            }
            Some(queries) => Ok(queries.clone()),
        }
    }

    /// Whether all is well; what is not, otherwise.
    pub fn ready(&self) -> Result<(), String> {
        if let Some(why) = self.lock().stuck.clone() {
            return Err(why);
        }
        self.queries().map(drop)
    }
}
