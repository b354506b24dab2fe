//! Every figure that a rule or a panel names is one of docs/operations.md's table, with labels and values that it has
//! there. A name that nothing serves is the commonest fault of an alert, and the one that nobody sees: it never fires.
//! The same holds for the names of settings.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::promql::{self, Named};
use super::{Place, dashboard, files_in, rules};

/// Figures of others, and who serves them.
const FOREIGN: [(&str, &str); 5] = [
    ("up", "Prometheus"),
    ("kube_pod_container_status_restarts_total", "kube-state-metrics"),
    ("kubelet_volume_stats_available_bytes", "the kubelet"),
    ("agones_gameservers_total", "Agones' controller"),
    ("agones_fleet_autoscalers_limited", "Agones' controller"),
];

/// Labels that Prometheus and the chart's PodMonitor give to everything, and that of histograms.
const TARGET_LABELS: [&str; 8] =
    ["job", "instance", "namespace", "pod", "container", "arbiter_dev_track", "arbiter_dev_region", "le"];

/// What the table says of one figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Figure {
    is_histogram: bool,
    /// Labels, and their values where the table lists them.
    labels: BTreeMap<String, BTreeSet<String>>,
}

type Table = BTreeMap<String, Figure>;

pub(super) fn check(place: &Place) -> Result<u64> {
    let settings = settings(place)?;
    let table = table(&place.read("docs/operations.md")?, &outcomes(place)?)?;
    let rules = rules::read(place)?;
    let recorded: BTreeSet<&str> = rules.iter().filter(|rule| !rule.is_alert).map(|rule| rule.name.as_str()).collect();
    let mut expressions: Vec<(String, String)> =
        rules.iter().map(|rule| (format!("{}: {}", rules::FILE, rule.name), rule.expression.clone())).collect();
    expressions.extend(dashboard::expressions(place)?);
    let mut faults = Vec::new();
    let mut count = 0;
    for (origin, expression) in &expressions {
        let names = promql::names(expression);
        count += names.figures.len() as u64;
        let mut known: BTreeSet<String> = TARGET_LABELS.iter().map(ToString::to_string).collect();
        for named in &names.figures {
            match fault(named, &table, &recorded) {
                Some(fault) => faults.push(format!("{origin}: {fault}")),
                None => known.extend(labels_of(&named.figure, &table)),
            }
        }
        // Labels of others are theirs to know.
        let foreign = names.figures.iter().any(|named| !named.figure.starts_with("arbiter"));
        for label in names.labels.iter().filter(|label| !foreign && !known.contains(*label)) {
            faults.push(format!("{origin}: no figure of it has the label {label}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(count + settings)
}

/// Figures of the table, without histograms' endings, that some rule or panel needs: what a running server is asked
/// for.
pub(super) fn needed(place: &Place) -> Result<BTreeSet<String>> {
    let table = table(&place.read("docs/operations.md")?, &outcomes(place)?)?;
    let mut expressions: Vec<String> = rules::read(place)?.into_iter().map(|rule| rule.expression).collect();
    expressions.extend(dashboard::expressions(place)?.into_iter().map(|(_, expression)| expression));
    let named = expressions.iter().flat_map(|expression| promql::names(expression).figures);
    Ok(named.filter_map(|named| base(&named.figure, &table).map(ToOwned::to_owned)).collect())
}

fn labels_of(figure: &str, table: &Table) -> Vec<String> {
    base(figure, table).map(|base| table[base].labels.keys().cloned().collect()).unwrap_or_default()
}

/// A figure's name in the table: a histogram has three that are not.
fn base<'a>(figure: &'a str, table: &Table) -> Option<&'a str> {
    if table.get(figure).is_some_and(|known| !known.is_histogram) {
        return Some(figure);
    }
    let stripped = ["_bucket", "_sum", "_count"].iter().find_map(|ending| figure.strip_suffix(ending))?;
    table.get(stripped).filter(|known| known.is_histogram).map(|_| stripped)
}

fn fault(named: &Named, table: &Table, recorded: &BTreeSet<&str>) -> Option<String> {
    let figure = named.figure.as_str();
    if recorded.contains(figure) || FOREIGN.iter().any(|(name, _)| *name == figure) {
        return None;
    }
    let Some(base) = base(figure, table) else {
        return Some(format!("no figure in docs/operations.md is called {figure}"));
    };
    let known = &table[base];
    for (label, value) in &named.matchers {
        let Some(values) = known.labels.get(label) else {
            if TARGET_LABELS.contains(&label.as_str()) {
                continue;
            }
            return Some(format!("{figure} has no label {label}"));
        };
        let literal = |value: &&str| value.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
        let unknown = value.split('|').filter(literal).find(|value| !values.is_empty() && !values.contains(*value));
        if let Some(value) = unknown {
            return Some(format!("{figure} has no {label} {value:?}"));
        }
    }
    None
}

/// The table of docs/operations.md: `name`, ... | type, unit | `label`: `value`, ... | what it counts.
fn table(text: &str, outcomes: &BTreeSet<String>) -> Result<Table> {
    let mut table = Table::new();
    for line in text.lines().filter(|line| line.starts_with("| `arbiter_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, names, kind, labels, ..] = cells.as_slice() else { continue };
        let words = quoted(labels);
        let mut figure = Figure { is_histogram: kind.starts_with("histogram"), labels: BTreeMap::new() };
        // Several labels stand in a row, and are told in words.
        let several = words.len() > 1 && *labels == format!("`{}`", words.join("`, `"));
        if several {
            figure.labels.extend(words.iter().map(|label| (label.clone(), BTreeSet::new())));
        } else if let Some((label, values)) = words.split_first() {
            // Values that are told in words are anything.
            let listed = *labels == format!("`{label}`: `{}`", values.join("`, `"));
            let values = if label == "outcome" { outcomes.clone() } else { values.iter().cloned().collect() };
            figure.labels.insert(label.clone(), if listed || label == "outcome" { values } else { BTreeSet::new() });
        }
        table.extend(quoted(names).into_iter().map(|name| (name, figure.clone())));
    }
    ensure!(!table.is_empty(), "docs/operations.md has no table of figures");
    Ok(table)
}

/// What the table only points to: the fields of the transport's counters.
fn outcomes(place: &Place) -> Result<BTreeSet<String>> {
    const FILE: &str = "shared/transport/src/netcode/counters.rs";
    let text = place.read(FILE)?;
    let (_, fields) = text.split_once("\n    Counters {").with_context(|| format!("{FILE} has no Counters"))?;
    let fields = fields.lines().map(str::trim).filter_map(|line| line.strip_suffix(','));
    let fields: BTreeSet<String> =
        fields.filter(|it| it.chars().all(|it| it.is_ascii_lowercase() || it == '_')).map(ToOwned::to_owned).collect();
    ensure!(fields.contains("connects"), "{FILE}: its fields were not understood");
    Ok(fields)
}

/// Every setting that a manifest gives to a program is one that the program reads: a wrong one is ignored without a
/// word.
fn settings(place: &Place) -> Result<u64> {
    let mut known = BTreeSet::new();
    for file in files_in(&place.file("cli/src"), "rs")? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        known.extend(
            text.split("env = \"").skip(1).filter_map(|behind| behind.split('"').next()).map(ToOwned::to_owned),
        );
    }
    ensure!(known.contains("ARBITER_BIND"), "cli/src: its settings were not understood");
    let mut files = files_in(&place.file("agones"), "yaml")?;
    files.extend(files_in(&place.file("agones/chart/templates"), "yaml")?);
    let mut count = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        for behind in text.split("name: ARBITER_").skip(1) {
            let end = behind.find(|it: char| !it.is_ascii_uppercase() && it != '_').unwrap_or(behind.len());
            let name = format!("ARBITER_{}", &behind[..end]);
            ensure!(known.contains(&name), "{}: no program reads {name}", file.display());
            count += 1;
        }
    }
    ensure!(count > 0, "no manifest sets anything");
    Ok(count)
}

/// The words between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_lines() -> Table {
        let text = "| `arbiter_rooms` | gauge | | rooms |\n\
            | `arbiter_a_total`, `arbiter_b_total` | counter | | two |\n\
            | `arbiter_tick_seconds` | histogram, s | `tick_rate` | ticks |\n\
            | `arbiter_missed_total` | counter | `how`: `made`, `late` | inputs |\n\
            | `arbiter_state` | gauge | `state`: as others name it; `Starting` is the first | states |\n\
            | `arbiter_requests_total` | counter | `route`, `status` | requests |\n\
            | `arbiter_packets_total` | counter | `outcome` | packets |\n";
        table(text, &BTreeSet::from(["connects".to_owned()])).expect("a table")
    }

    fn fault_of(expression: &str) -> Option<String> {
        let names = promql::names(expression);
        names.figures.iter().find_map(|named| fault(named, &of_lines(), &BTreeSet::from(["arbiter:x"])))
    }

    #[test]
    fn what_the_table_has_is_no_fault() {
        for expression in [
            "arbiter_rooms > arbiter_b_total",
            "rate(arbiter_tick_seconds_bucket{tick_rate=\"60\", le=\"0.016\"}[5m])",
            "arbiter_missed_total{how=~\"made|late\", instance=~\"$instance\"}",
            "arbiter_state{state=\"Ready\"}",
            "sum by (route) (rate(arbiter_requests_total{status=~\"5..\",route!~\"/readyz\"}[5m]))",
            "arbiter:x and up",
        ] {
            assert_eq!(fault_of(expression), None, "{expression}");
        }
    }

    #[test]
    fn a_name_that_nothing_serves_is_a_fault() {
        assert!(fault_of("arbiter_room > 1").is_some());
        assert!(fault_of("arbiter:y > 1").is_some());
        assert!(fault_of("node_load1").is_some());
    }

    #[test]
    fn a_histogram_is_not_a_figure_without_its_ending() {
        assert!(fault_of("arbiter_tick_seconds").is_some());
        assert!(fault_of("arbiter_rooms_count").is_some());
    }

    #[test]
    fn a_label_or_value_that_a_figure_has_not_is_a_fault() {
        assert!(fault_of("arbiter_rooms{how=\"made\"}").is_some());
        assert!(fault_of("arbiter_missed_total{how=\"maed\"}").is_some());
        assert!(fault_of("arbiter_packets_total{outcome=~\"connects|conects\"}").is_some());
    }
}
