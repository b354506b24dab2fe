//! Each alert names a page of docs/runbooks that exists, and each page belongs to an alert.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::{Place, files_in, rules};

/// What a page says, in this order.
const PARTS: [&str; 4] = ["## What it means", "## What players notice", "## Look", "## Do"];

pub(super) fn check(place: &Place) -> Result<u64> {
    let rules = rules::read(place)?;
    let mut faults = Vec::new();
    let mut alerts = BTreeSet::new();
    for rule in rules.iter().filter(|rule| rule.is_alert) {
        let page = format!("docs/runbooks/{}.md", rule.name);
        if rule.runbook != page {
            faults.push(format!("{}: its runbook_url must be {page}", rule.name));
        }
        alerts.insert(rule.name.clone());
    }
    let pages: BTreeSet<String> = files_in(&place.file("docs/runbooks"), "md")?
        .iter()
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .filter(|name| name != "README")
        .collect();
    faults.extend(alerts.difference(&pages).map(|alert| format!("{alert} has no page docs/runbooks/{alert}.md")));
    faults.extend(pages.difference(&alerts).map(|page| format!("docs/runbooks/{page}.md belongs to no alert")));
    for page in pages.intersection(&alerts) {
        let text = place.read(&format!("docs/runbooks/{page}.md"))?;
        if !text.starts_with(&format!("# {page}\n")) {
            faults.push(format!("docs/runbooks/{page}.md: its first line must be # {page}"));
        }
        let parts: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        if parts != PARTS {
            faults.push(format!("docs/runbooks/{page}.md: its parts must be {}", PARTS.join(", ")));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(alerts.len() as u64)
}
