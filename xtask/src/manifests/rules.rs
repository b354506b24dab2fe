//! Recording rules and alerts: checked and tested by promtool, and read for those who look at their names.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Place, kinds};
use crate::{shell, tools};

/// Where they stand.
pub(super) const FILE: &str = "agones/chart/rules/arbiter.yaml";
const TESTS: &str = "agones/monitoring/arbiter_test.yaml";

/// A rule of either kind.
pub(super) struct Rule {
    /// What it is called: of an alert, or of what is recorded.
    pub name: String,
    pub is_alert: bool,
    pub expression: String,
    /// Where its page is; of alerts.
    pub runbook: String,
}

pub(super) fn check(place: &Place) -> Result<u64> {
    let promtool = tools::promtool()?;
    shell::output(shell::program(&promtool).args(["check", "rules"]).arg(place.file(FILE)))?;
    shell::output(shell::program(&promtool).args(["test", "rules"]).arg(place.file(TESTS)))?;
    let tests = kinds::documents(&place.file(TESTS))?;
    let tested = tests.iter().flat_map(|file| list(&file["tests"])).flat_map(|test| list(&test["alert_rule_test"]));
    // A test that only wants silence proves nothing of an alert.
    let tested: Vec<&str> = tested
        .filter(|test| !list(&test["exp_alerts"]).is_empty())
        .filter_map(|test| test["alertname"].as_str())
        .collect();
    let rules = read(place)?;
    for rule in rules.iter().filter(|rule| rule.is_alert) {
        ensure!(tested.contains(&rule.name.as_str()), "{TESTS}: no test sees {} fire", rule.name);
    }
    Ok(rules.len() as u64)
}

/// All rules of the file.
pub(super) fn read(place: &Place) -> Result<Vec<Rule>> {
    let documents = kinds::documents(&place.file(FILE))?;
    let groups = documents.first().map(|document| list(&document["groups"])).unwrap_or_default();
    let rules = groups.iter().flat_map(|group| list(&group["rules"])).map(|rule| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = rule["alert"].as_str().or(rule["record"].as_str()).context("a rule without a name")?;
        Ok(Rule {
            name: name.to_owned(),
            is_alert: rule["alert"].is_string(),
            expression: text(&rule["expr"]),
            runbook: text(&rule["annotations"]["runbook_url"]),
        })
    });
    let rules: Vec<Rule> = rules.collect::<Result<_>>().context(FILE)?;
    ensure!(!rules.is_empty(), "{FILE} has no rules");
    Ok(rules)
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map(|values| values.iter().collect()).unwrap_or_default()
}
