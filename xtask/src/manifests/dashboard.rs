//! The dashboard's source: rows of panels, from which Grafana's JSON is made. Add a panel here and run `cargo xtask
//! manifests --write`; places and numbers of panels follow.
//!
//! From above to below it goes from what players notice to why: whoever is woken by an alert reads the first row and
//! knows which next.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Place;

/// Where it stands; the chart makes a ConfigMap of it.
const FILE: &str = "agones/chart/dashboards/arbiter.json";

/// Grafana's grid: 24 columns, of which a panel takes so many, and rows of some 30 pixels.
const COLUMNS: usize = 24;
const WIDTH: usize = 8;
const HEIGHT: usize = 8;

struct Panel {
    title: &'static str,
    /// What is good and what is not.
    about: &'static str,
    /// Grafana's name of a unit.
    unit: &'static str,
    /// Legends and expressions, in which `{..}` selects the servers that are chosen at the top of the page, and `[..]`
    /// is a range that fits the screen.
    lines: &'static [(&'static str, &'static str)],
}

const ROWS: [(&str, &[Panel]); 6] = [
    (
        "What players notice",
        &[
            Panel {
                title: "Players and spectators",
                about: "Players in matches, who watches, and connections; more connections than both are players between matches.",
                unit: "short",
                lines: &[
                    ("players", "sum(arbiter_players{..})"),
                    ("spectators", "sum(arbiter_spectators{..})"),
                    ("connections", "sum(arbiter_clients{..})"),
                ],
            },
            Panel {
                title: "Ticks left out",
                about: "Objective: 99.9 % on time, so 0.1 % here. 1.44 % wakes somebody.",
                unit: "percentunit",
                lines: &[
                    ("5 minutes", "arbiter:ticks_late:ratio_rate5m"),
                    ("1 hour", "arbiter:ticks_late:ratio_rate1h"),
                    ("6 hours", "arbiter:ticks_late:ratio_rate6h"),
                ],
            },
            Panel {
                title: "Joins that fail",
                about: "Objective: 99.5 % succeed, so 0.5 % here. 7.2 % wakes somebody. Nothing is shown when nobody joins.",
                unit: "percentunit",
                lines: &[
                    ("5 minutes", "arbiter:joins_failed:ratio_rate5m"),
                    ("1 hour", "arbiter:joins_failed:ratio_rate1h"),
                    ("6 hours", "arbiter:joins_failed:ratio_rate6h"),
                ],
            },
            Panel {
                title: "Servers whose results wait longer than 30 s",
                about: "Objective: none for 99.9 % of the time. 1.44 % wakes somebody.",
                unit: "percentunit",
                lines: &[
                    ("now", "arbiter:results_late:ratio"),
                    ("1 hour", "arbiter:results_late:ratio_avg1h"),
                    ("6 hours", "arbiter:results_late:ratio_avg6h"),
                ],
            },
            Panel {
                title: "Round trips",
                about: "Half of clients, and all but one in twenty, are below.",
                unit: "s",
                lines: &[
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(arbiter_round_trip_seconds_bucket{..}[..])))",
                    ),
                    ("95 %", "histogram_quantile(0.95, sum by (le) (rate(arbiter_round_trip_seconds_bucket{..}[..])))"),
                ],
            },
            Panel {
                title: "Matches and servers",
                about: "Rooms that have not ended, matches that begin and end an hour, servers that answer.",
                unit: "short",
                lines: &[
                    ("rooms", "sum(arbiter_rooms{..})"),
                    ("begun an hour", "sum(increase(arbiter_matches_started_total{..}[1h]))"),
                    ("ended an hour", "sum(increase(arbiter_matches_ended_total{..}[1h]))"),
                    ("servers", "sum(up{job=\"arbiter-server\"})"),
                ],
            },
        ],
    ),
    (
        "Ticks",
        &[
            Panel {
                title: "CPU time of a tick",
                about: "A tick of 60 Hz has 16.7 ms, of a thread that several rooms share.",
                unit: "s",
                lines: &[
                    (
                        "median at {{tick_rate}} Hz",
                        "histogram_quantile(0.5, sum by (le, tick_rate) (rate(arbiter_tick_seconds_bucket{..}[..])))",
                    ),
                    (
                        "99 % at {{tick_rate}} Hz",
                        "histogram_quantile(0.99, sum by (le, tick_rate) (rate(arbiter_tick_seconds_bucket{..}[..])))",
                    ),
                ],
            },
            Panel {
                title: "Ticks left out, by server",
                about: "One server alone: its node, or one room. All at once: a build, or a map.",
                unit: "ops",
                lines: &[("{{instance}}", "topk(10, rate(arbiter_tick_overruns_total{..}[..]))")],
            },
            Panel {
                title: "Inputs made up or late",
                about: "Substituted: none was there in time, which is the network's loss or a client's clock. Late: came after all.",
                unit: "ops",
                lines: &[("{{how}}", "sum by (how) (rate(arbiter_inputs_missed_total{..}[..]))")],
            },
            Panel {
                title: "Where a tick's time goes",
                about: "By the clock on the wall, in seconds a second over all rooms.",
                unit: "short",
                lines: &[("{{phase}}", "sum by (phase) (rate(arbiter_tick_phase_seconds_total{..}[..]))")],
            },
            Panel {
                title: "Load and shedding",
                about: "Share of their time that ticks take; above 0.85 load is shed, below 0.7 it is not. Step: 1 and 2 spectators, 3 far detail, 4 and 5 rate.",
                unit: "short",
                lines: &[
                    ("load of {{instance}}", "topk(5, arbiter_tick_load_ratio{..})"),
                    ("step of {{instance}}", "topk(5, arbiter_shedding_step{..} > 0)"),
                ],
            },
            Panel {
                title: "What is left out",
                about: "Nothing, while there is time for everything. Snapshots are what players notice.",
                unit: "ops",
                lines: &[("{{what}}", "sum by (what) (rate(arbiter_shed_total{..}[..]))")],
            },
            Panel {
                title: "Inputs that wait, and pictures that are old",
                about: "How long 95 % of inputs wait at most for their tick, and how old the newest state is at most that a client has.",
                unit: "s",
                lines: &[
                    (
                        "inputs",
                        "histogram_quantile(0.95, sum by (le) (rate(arbiter_input_delay_seconds_bucket{..}[..])))",
                    ),
                    (
                        "states",
                        "histogram_quantile(0.95, sum by (le) (rate(arbiter_snapshot_staleness_seconds_bucket{..}[..])))",
                    ),
                ],
            },
            Panel {
                title: "Inputs lost",
                about: "Made up, of all that ticks were stepped with. 1 % is a bad link, 10 % is a bad server.",
                unit: "percentunit",
                lines: &[(
                    "made up",
                    "sum(rate(arbiter_inputs_missed_total{how=\"substituted\"}[..])) / (sum(rate(arbiter_inputs_total[..])) > 0)",
                )],
            },
        ],
    ),
    (
        "Network",
        &[
            Panel {
                title: "Bytes",
                about: "With IP and UDP headers.",
                unit: "Bps",
                lines: &[
                    ("sent", "sum(rate(arbiter_sent_bytes_total{..}[..]))"),
                    ("received", "sum(rate(arbiter_received_bytes_total{..}[..]))"),
                    ("snapshots", "sum(rate(arbiter_snapshot_bytes_total{..}[..]))"),
                ],
            },
            Panel {
                title: "Dropped",
                about: "A server that keeps up drops nothing. receive_buffer without an attack: raise --socket-buffer.",
                unit: "ops",
                lines: &[("{{reason}}", "sum by (reason) (rate(arbiter_dropped_total{..}[..]))")],
            },
            Panel {
                title: "What became of packets that are no payload",
                about: "forged_tokens, malformed, strangers and *_limited are an attack or a scanner; expired are clocks.",
                unit: "ops",
                lines: &[(
                    "{{outcome}}",
                    "topk(8, sum by (outcome) (rate(arbiter_packets_total{..,outcome!~\"received|payloads|keep_alives\"}[..])))",
                )],
            },
            Panel {
                title: "Snapshots",
                about: "Held back: a client's link carries no more.",
                unit: "ops",
                lines: &[
                    ("handed over", "sum(rate(arbiter_snapshots_total{..}[..]))"),
                    ("held back", "sum(rate(arbiter_snapshots_held_back_total{..}[..]))"),
                ],
            },
            Panel {
                title: "Socket threads' CPU",
                about: "Cores. One thread is one core at most.",
                unit: "short",
                lines: &[("{{instance}}", "topk(10, rate(arbiter_socket_cpu_seconds_total{..}[..]))")],
            },
            Panel {
                title: "Thrown out, and anomalies",
                about: "Clients who broke the transport's rules, and players who did what nobody honest does.",
                unit: "ops",
                lines: &[
                    ("violations", "sum(rate(arbiter_violations_total{..}[..]))"),
                    ("{{detector}}", "sum by (detector) (rate(arbiter_anomalies_total{..}[..]))"),
                ],
            },
        ],
    ),
    (
        "Outbox and services",
        &[
            Panel {
                title: "Domain events",
                about: "Durable in the outbox, acknowledged by the services, and left out, which should be none.",
                unit: "ops",
                lines: &[
                    ("durable", "sum(rate(arbiter_outbox_events_total{..}[..]))"),
                    ("acknowledged", "sum(rate(arbiter_services_events_total{..}[..]))"),
                    ("left out", "sum(rate(arbiter_outbox_events_left_out_total{..}[..]))"),
                ],
            },
            Panel {
                title: "Events that wait",
                about: "For the outbox, and for the services. The second grows while the services are away; nothing is lost meanwhile.",
                unit: "short",
                lines: &[
                    ("for the outbox", "sum(arbiter_outbox_waiting{..})"),
                    ("for the services", "sum(arbiter_services_lag_events{..})"),
                ],
            },
            Panel {
                title: "Calls outside that are stopped",
                about: "Servers whose calls to a part failed four times in a row: one is tried from time to time. Matches go on.",
                unit: "short",
                lines: &[("{{part}}", "sum by (part) (arbiter_outside_circuit{..} > bool 0)")],
            },
            Panel {
                title: "Servers in trouble",
                about: "Outboxes that take nothing, servers that reach no service, and servers that nobody is sent to.",
                unit: "short",
                lines: &[
                    ("outbox stuck", "sum(arbiter_outbox_stuck{..})"),
                    ("services broken", "sum(arbiter_services_broken{..})"),
                    ("not registered", "sum(1 - arbiter_services_registered{..})"),
                    ("failed calls a minute", "sum(increase(arbiter_services_failures_total{..}[1m]))"),
                    (
                        "failed registrations a minute",
                        "sum(increase(arbiter_services_register_failures_total{..}[1m]))",
                    ),
                ],
            },
        ],
    ),
    (
        "Services",
        &[
            Panel {
                title: "Requests",
                about: "By route. What probes and Prometheus ask is not here.",
                unit: "reqps",
                lines: &[(
                    "{{route}}",
                    "topk(10, sum by (route) (rate(arbiter_requests_total{route!~\"/readyz|/healthz\"}[..])))",
                )],
            },
            Panel {
                title: "Requests that fail",
                about: "Statuses of 5xx are ours, 429 is a caller that asks too much.",
                unit: "reqps",
                lines: &[(
                    "{{status}} {{route}}",
                    "topk(10, sum by (route, status) (rate(arbiter_requests_total{status=~\"5..|429\"}[..])))",
                )],
            },
            Panel {
                title: "Time until an answer",
                about: "One in a hundred is slower than this. Purchases wait for the disk.",
                unit: "s",
                lines: &[(
                    "{{route}}",
                    "topk(10, histogram_quantile(0.99, sum by (route, le) (rate(arbiter_request_seconds_bucket[..]))))",
                )],
            },
            Panel {
                title: "Commits of logs",
                about: "One write and one fdatasync: the slowest of a hundred. 0.2 s for 15 minutes is a ticket.",
                unit: "s",
                lines: &[(
                    "{{log}}",
                    "histogram_quantile(0.99, sum by (log, le) (rate(arbiter_log_commit_seconds_bucket[..])))",
                )],
            },
            Panel {
                title: "Age of what views do not know",
                about: "Below a second while they keep up; 30 s is a ticket.",
                unit: "s",
                lines: &[("{{view}}", "max by (view) (arbiter_view_lag_seconds)")],
            },
            Panel {
                title: "Records that wait for views",
                about: "Falling is catching up, rising is too slow, flat is held up.",
                unit: "short",
                lines: &[("{{view}}", "max by (view) (arbiter_view_lag_records)")],
            },
            Panel {
                title: "What is waited for",
                about: "Queues of game servers, of the intake and of the economy's desk. Full ones refuse.",
                unit: "short",
                lines: &[("{{queue}}", "sum by (queue) (arbiter_queue_depth)")],
            },
            Panel {
                title: "Purchases, grants, logins and joins",
                about: "By what became of them.",
                unit: "cps",
                lines: &[
                    ("purchase {{outcome}}", "sum by (outcome) (rate(arbiter_purchases_total[..]))"),
                    ("grant {{outcome}}", "sum by (outcome) (rate(arbiter_grants_total[..]))"),
                    ("login {{outcome}}", "sum by (outcome) (rate(arbiter_logins_total[..]))"),
                    ("join {{outcome}}", "sum by (outcome) (rate(arbiter_joins_total[..]))"),
                ],
            },
            Panel {
                title: "A turn at the desk",
                about: "Deciding, one commit, answering: half are faster, one in a hundred is slower.",
                unit: "s",
                lines: &[
                    ("half", "histogram_quantile(0.5, sum by (le) (rate(arbiter_desk_turn_seconds_bucket[..])))"),
                    ("99 %", "histogram_quantile(0.99, sum by (le) (rate(arbiter_desk_turn_seconds_bucket[..])))"),
                ],
            },
        ],
    ),
    (
        "Failure and recovery",
        &[
            Panel {
                title: "Rooms that failed, and what became of them",
                about: "Each failure is a bug with a recording that shows it.",
                unit: "short",
                lines: &[
                    ("failed", "sum(increase(arbiter_rooms_failed_total{..}[15m]))"),
                    ("stuck", "sum(increase(arbiter_rooms_stuck_total{..}[15m]))"),
                    ("{{how}}", "sum by (how) (increase(arbiter_room_recoveries_total{..}[15m]))"),
                ],
            },
            Panel {
                title: "Recordings that are not what was played",
                about: "Anything but 0 is a full or a failing disk, or a simulation that is not deterministic.",
                unit: "short",
                lines: &[("{{instance}}", "arbiter_recordings_unwritten{..} > 0")],
            },
            Panel {
                title: "Servers that drain, and without Agones",
                about: "Why no match begins there any more, and servers that Agones' sidecar tells nothing.",
                unit: "short",
                lines: &[
                    ("{{reason}}", "sum by (reason) (arbiter_draining{..})"),
                    ("without Agones", "sum(1 - arbiter_agones_connected{..})"),
                ],
            },
            Panel {
                title: "Log lines",
                about: "Left out are lines of a kind that had written ten in that second; lost are those that nobody read in time.",
                unit: "cps",
                lines: &[("{{fate}}", "sum by (fate) (rate(arbiter_log_lines_total[..]))")],
            },
            Panel {
                title: "Restarts and Unhealthy",
                about: "Containers that were restarted, and game servers that Agones gave up, in 15 minutes.",
                unit: "short",
                lines: &[
                    (
                        "{{pod}}",
                        "increase(kube_pod_container_status_restarts_total{container=~\"server|services\"}[15m]) > 0",
                    ),
                    (
                        "Unhealthy in {{fleet_name}}",
                        "sum by (fleet_name) (increase(agones_gameservers_total{type=\"Unhealthy\"}[15m]))",
                    ),
                ],
            },
        ],
    ),
];

pub(super) fn check(place: &Place) -> Result<u64> {
    let written: Value = serde_json::from_str(&place.read(FILE)?).context(FILE)?;
    ensure!(written == dashboard(), "{FILE} is not what its source makes: cargo xtask manifests --write");
    Ok(ROWS.iter().map(|(_, panels)| panels.len() as u64).sum())
}

pub(super) fn write(place: &Place) -> Result<()> {
    let text = serde_json::to_string_pretty(&dashboard())? + "\n";
    std::fs::write(place.file(FILE), text).context(FILE)
}

/// Where each expression stands, and the expression, as the file has them.
pub(super) fn expressions(place: &Place) -> Result<Vec<(String, String)>> {
    let written: Value = serde_json::from_str(&place.read(FILE)?).context(FILE)?;
    let panels = written["panels"].as_array().context("the dashboard has no panels")?;
    let expressions: Vec<(String, String)> = panels
        .iter()
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap_or_default();
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            targets
                .into_iter()
                .map(move |target| (format!("{FILE}: {title}"), target["expr"].as_str().unwrap_or_default().to_owned()))
        })
        .collect();
    ensure!(!expressions.is_empty(), "the dashboard asks for nothing");
    Ok(expressions)
}

fn dashboard() -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, of_row) in &ROWS {
        let id = panels.len() + 1;
        let place = json!({ "x": 0, "y": y, "w": COLUMNS, "h": 1 });
        panels.push(
            json!({ "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": [] }),
        );
        y += 1;
        let in_line = COLUMNS / WIDTH;
        for (index, panel) in of_row.iter().enumerate() {
            let (x, y) = (index % in_line * WIDTH, y + index / in_line * HEIGHT);
            panels.push(of_panel(
                panel,
                panels.len() + 1,
                &json!({ "x": x, "y": y, "w": WIDTH, "h": HEIGHT }),
                &source,
            ));
        }
        y += of_row.len().div_ceil(in_line) * HEIGHT;
    }
    json!({
        "uid": "arbiter",
        "title": "Arbiter",
        "description": "Made by xtask/src/manifests/dashboard.rs: change it there.",
        "tags": ["arbiter"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "",
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus" },
            {
                "name": "instance", "type": "query", "label": "Server", "datasource": source,
                "query": { "query": "label_values(arbiter_rooms, instance)", "refId": "instance" },
                "definition": "label_values(arbiter_rooms, instance)",
                "includeAll": true, "allValue": ".*", "multi": true, "refresh": 2, "sort": 1,
                "current": { "selected": true, "text": "All", "value": "$__all" },
            },
        ] },
        "panels": panels,
    })
}

/// An expression as Grafana has it.
fn spelled(expression: &str) -> String {
    expression.replace("{..", "{instance=~\"$instance\"").replace("[..]", "[$__rate_interval]")
}

fn of_panel(panel: &Panel, id: usize, place: &Value, source: &Value) -> Value {
    let targets: Vec<Value> = panel
        .lines
        .iter()
        .zip('A'..)
        .map(|((legend, expression), name)| {
            json!({
                "refId": name, "expr": spelled(expression), "legendFormat": legend,
                "datasource": source, "editorMode": "code", "range": true,
            })
        })
        .collect();
    json!({
        "id": id,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {
            "defaults": { "unit": panel.unit, "min": 0, "custom": { "fillOpacity": 10, "lineWidth": 1 } },
            "overrides": [],
        },
        "options": {
            "legend": { "displayMode": "list", "placement": "bottom" },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": targets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_do_not_lie_on_each_other() {
        let dashboard = dashboard();
        let mut taken = std::collections::BTreeSet::new();
        for panel in dashboard["panels"].as_array().expect("panels") {
            let at = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(x < COLUMNS as u64 && taken.insert((x, y)), "{}", panel["title"]);
                }
            }
        }
    }
}
