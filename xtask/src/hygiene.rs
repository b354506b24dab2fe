//! What a reader must not find in the repository: paths of somebody's machine, addresses of registries, unfinished code,
//! modules without a head, arrows between rooms that the plan of the house does not have.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Which rooms a room may import. Who is not listed may import anything, and nothing may import it.
const ARROWS: &[(&str, &[&str])] = &[
    ("shared/schema", &[]),
    ("shared/protocol", &["schema"]),
    ("shared/sim", &["schema"]),
    ("shared/snapshot", &["schema"]),
    ("shared/transport", &[]),
    ("shared/contracts", &[]),
    ("shared/recording", &["sim"]),
    ("shared/eventlog", &[]),
    ("replay", &["schema", "sim", "recording"]),
    ("server", &["schema", "sim", "protocol", "snapshot", "transport", "contracts", "recording", "eventlog"]),
    ("headless-client", &["schema", "sim", "protocol", "snapshot", "transport"]),
    ("services/ledger", &[]),
    ("services/web", &[]),
    ("services/views", &["eventlog"]),
    ("services/intake", &["contracts", "eventlog", "web"]),
    ("services/economy", &["contracts", "eventlog", "ledger", "views", "web"]),
