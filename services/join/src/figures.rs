//! What joining tells of how it does.

use std::sync::Arc;

use arbiter_metrics::Outcomes;
use arbiter_web::{Figures, Own, Problem};

use crate::Shared;

/// Counted by those who ask.
#[derive(Debug)]
pub(crate) struct JoinFigures {
    logins: Outcomes<7>,
    joins: Outcomes<6>,
}

impl Default for JoinFigures {
    fn default() -> Self {
        let logins =
            ["logged_in", "login-refused", "provider-off", "not-issuing", "unavailable", "bad-request", "other"];
        let joins = ["sent", "no-place", "no-such-match", "protocol-mismatch", "unavailable", "other"];
        Self { logins: Outcomes::new(logins), joins: Outcomes::new(joins) }
    }
}

impl JoinFigures {
    /// Somebody wanted to log in.
    pub fn logged_in<T>(&self, result: &Result<T, Problem>) {
        self.logins.note(result.as_ref().map_or_else(Problem::word, |_| "logged_in"));
    }

    /// Somebody wanted to play or to watch.
    pub fn joined<T>(&self, result: &Result<T, Problem>) {
        self.joins.note(result.as_ref().map_or_else(Problem::word, |_| "sent"));
    }
}

/// What is told of all of it.
pub(crate) fn of(shared: &Arc<Shared>) -> Figures {
    let shared = Arc::clone(shared);
    let own: Own = Arc::new(move |to| {
        to.counters("logins", "Who wanted to log in", "outcome", shared.figures.logins.each())?;
        to.counters("joins", "Who wanted to play or to watch", "outcome", shared.figures.joins.each())?;
        let (mut registry, now) = shared.registry();
        to.gauge("servers_registered", "Game servers that can be heard", registry.list(now).len() as u64)
    });
    Figures { own: vec![own], ..Figures::default() }
}
