//! What is asked over HTTP. Each handler checks who asks, then asks the view at one moment; nothing here writes tables.

mod ask;
mod matches;
mod players;
mod profile;
mod quarantine;

use std::sync::Arc;

use arbiter_web::{Figures, Router, Service, routes};

use crate::persistence::App;

/// All paths, with their readiness.
pub(crate) fn service(app: Arc<App>) -> Service {
    let ready_app = Arc::clone(&app);
    let ready = move || {
        ready_app.status.ready()?;
        profile::ready(&ready_app)
    };
    let figures = figures(&app);
    let router = Router::new()
        .routes(routes!(profile::tell, profile::change, profile::erase))
        .routes(routes!(players::matches))
        .routes(routes!(players::achievements))
        .routes(routes!(players::statistics))
        .routes(routes!(players::history))
        .routes(routes!(matches::one))
        .routes(routes!(matches::history))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::replay))
        .with_state(app);
    Service { name: "persistence", router, ready: Arc::new(ready), figures }
}

fn figures(app: &App) -> Figures {
    let profiles = Arc::clone(&app.profiles_log);
    Figures { logs: vec![("profiles", profiles)], views: vec![("events", app.status.lag())], ..Figures::default() }
}
