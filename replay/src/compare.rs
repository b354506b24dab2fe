//! What differs: between two states, leaf by leaf, and between two recordings, tick by tick.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;

use arbiter_recording::RecordedTick;
use arbiter_schema::{Leaf, StableId};
use arbiter_sim::EntityDump;

use crate::replay::{Assets, Options, Replay, ReplayError};

/// One leaf of state that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which entity; [`StableId::NONE`] for a singleton.
    pub id: StableId,
    /// What the entity is.
    pub kind: &'static str,
    /// Which component; empty if the whole entity is missing on one side.
    pub component: &'static str,
    /// Which field; empty if the whole component is missing on one side.
    pub field: String,
    /// The value on the left, the recorded side; `None` if it is not there.
    pub left: Option<String>,
    /// The value on the right, the simulated side; `None` if it is not there.
    pub right: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id.is_some() {
            write!(f, "{} {}", self.kind, self.id)?;
        } else {
            f.write_str(self.kind)?;
        }
        for (before, name) in [(" ", self.component), (".", self.field.as_str())] {
            if !name.is_empty() {
                write!(f, "{before}{name}")?;
            }
        }
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(not there)".to_owned());
        write!(f, ": {} | {}", side(&self.left), side(&self.right))
    }
}

/// Everything that differs between two states, in order of entity, component, field.
pub fn differences(left: &[EntityDump], right: &[EntityDump]) -> Vec<Difference> {
    let mut out = Vec::new();
    let there = || Some("(there)".to_owned());
    let (mut l, mut r) = (0, 0);
    // Dumps are ordered by (id, kind): a merge finds what only one side has.
    while l < left.len() || r < right.len() {
        let order = match (left.get(l), right.get(r)) {
            (Some(a), Some(b)) => (a.id, a.kind).cmp(&(b.id, b.kind)),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let whole = |entity: &EntityDump, left: Option<String>, right: Option<String>| Difference {
            id: entity.id,
            kind: entity.kind,
            component: "",
            field: String::new(),
            left,
            right,
        };
        match order {
            Ordering::Less => {
                out.push(whole(&left[l], there(), None));
                l += 1;
            }
            Ordering::Greater => {
                out.push(whole(&right[r], None, there()));
                r += 1;
            }
            Ordering::Equal => {
                compare_entities(&left[l], &right[r], &mut out);
                l += 1;
                r += 1;
            }
        }
    }
    out
}

fn compare_entities(left: &EntityDump, right: &EntityDump, out: &mut Vec<Difference>) {
    let mut push = |component: &'static str, field: String, left_text: Option<String>, right_text: Option<String>| {
        let (id, kind) = (left.id, left.kind);
        out.push(Difference { id, kind, component, field, left: left_text, right: right_text });
    };
    let there = || Some("(there)".to_owned());
    for (name, leaves) in &left.components {
        let Some((_, others)) = right.components.iter().find(|(other, _)| other == name) else {
            push(name, String::new(), there(), None);
            continue;
        };
        // Lists of different lengths shift what follows, so leaves are matched by path where order does not match.
        for (at, leaf) in leaves.iter().enumerate() {
            let other = others.get(at).filter(|other| other.path == leaf.path);
            let other = other.or_else(|| others.iter().find(|other| other.path == leaf.path));
            if other.map(|other| other.bits) != Some(leaf.bits) {
                push(name, leaf.path.clone(), Some(text(leaf, other)), other.map(|other| text(other, Some(leaf))));
            }
        }
        for leaf in others.iter().filter(|leaf| !leaves.iter().any(|other| other.path == leaf.path)) {
            push(name, leaf.path.clone(), None, Some(text(leaf, None)));
        }
    }
    for (name, _) in &right.components {
        if !left.components.iter().any(|(other, _)| other == name) {
            push(name, String::new(), None, there());
        }
    }
}

/// The text of a leaf, with its bits where the text alone does not tell two apart (NaN, negative zero).
fn text(leaf: &Leaf, other: Option<&Leaf>) -> String {
    match other {
        Some(other) if other.text == leaf.text => format!("{} (0x{:08x})", leaf.text, leaf.bits),
        _ => leaf.text.clone(),
    }
}

/// What differs between two recordings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordingDiff {
    /// What differs before tick 1: seed, rules, map, settings, build.
    pub headers: Vec<String>,
    /// Ticks of either.
    pub ticks: (u32, u32),
    /// The first tick that was stepped with other commands, as text on either side.
    pub commands: Option<(u32, Vec<String>)>,
    /// The first tick whose states have different hashes.
    pub state: Option<u32>,
    /// What differs in the states of that tick, left as in the first recording.
    pub differences: Vec<Difference>,
}

impl RecordingDiff {
    /// Whether both tell the same match.
    pub fn is_same(&self) -> bool {
        self.headers.is_empty() && self.ticks.0 == self.ticks.1 && self.commands.is_none() && self.state.is_none()
    }
}

/// Compares two recordings: headers, commands, hashes; then the states at the first tick whose hashes differ.
pub fn diff(left: &Path, right: &Path, assets: &dyn Assets, options: Options) -> Result<RecordingDiff, ReplayError> {
    let mut a = Replay::open(left, assets, options)?;
    let mut b = Replay::open(right, assets, options)?;
    let mut out = RecordingDiff { headers: headers(&a, &b), ..RecordingDiff::default() };
    out.ticks = (a.reader.info().ticks, b.reader.info().ticks);
    if a.header().tick0_hash != b.header().tick0_hash {
        out.state = Some(0);
    }
    let failed_a = |error| ReplayError::Read { path: left.to_owned(), error };
    let failed_b = |error| ReplayError::Read { path: right.to_owned(), error };
    for (one, other) in a.reader.ticks(0).zip(b.reader.ticks(0)) {
        let (one, other) = (one.map_err(failed_a)?, other.map_err(failed_b)?);
        if out.commands.is_none() && one.commands != other.commands {
            out.commands = Some((one.tick, command_lines(&one, &other)));
        }
        if out.state.is_none() && one.hash != other.hash {
            out.state = Some(one.tick);
        }
        if out.state.is_some() {
            break;
        }
    }
    if let Some(tick) = out.state {
        out.differences = differences(&a.dump(tick, None)?, &b.dump(tick, None)?);
    }
    Ok(out)
}

fn headers(a: &Replay<'_>, b: &Replay<'_>) -> Vec<String> {
    let (one, other) = (a.header(), b.header());
    let mut out = Vec::new();
    if one.seed != other.seed {
        out.push(format!("seed: {} | {}", one.seed, other.seed));
    }
    if one.rules_hash != other.rules_hash {
        out.push("rules: their hashes differ".to_owned());
    }
    if one.map_hash != other.map_hash {
        out.push(format!("map: {} | {} (their hashes differ)", one.map_name, other.map_name));
    }
    if one.settings != other.settings {
        let (one, other) = (a.simulation().settings(), b.simulation().settings());
        out.push(format!("settings: {one:?} | {other:?}"));
    }
    out.extend(one.stamp.differences(&other.stamp).into_iter().map(|line| format!("build: {line}")));
    out
}

fn command_lines(one: &RecordedTick, other: &RecordedTick) -> Vec<String> {
    let count = one.commands.len().max(other.commands.len());
    let text = |tick: &RecordedTick, at: usize| tick.commands.get(at).map_or("(none)".to_owned(), |c| format!("{c:?}"));
    let differ = (0..count).filter(|at| one.commands.get(*at) != other.commands.get(*at));
    differ.map(|at| format!("{} | {}", text(one, at), text(other, at))).collect()
}
