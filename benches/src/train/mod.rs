//! Training of the snapshot codec's tables: the walks that write a packet are walked with a `Recorder` in place of a writer,
//! so that what is trained is what is coded. The fits and the small tier learn from a trace of bodies that push each other, the
//! trees of the shared form from matches as well, and those of what drifts from bodies that do. The small form of parts learns from
//! all three, as they are told in parts.

mod drift;
mod fit;
mod game;
mod tree;

use std::fmt::Write;

use arbiter_snapshot::codec::near::{Context, Head};
use arbiter_snapshot::codec::packet::{Held, Scratch, shared, small};
use arbiter_snapshot::codec::tables::VERSION;
use arbiter_snapshot::codec::{Coder, Damaged, Fit, Model, Tables, Tier};

use crate::cubes::{AGE, Bases, Trace, plan};
use fit::Sums;
use tree::Samples;

/// Leaves of the trees of differences: more of them gained nothing on traces that were not trained on.
const LEAVES: usize = 160;

/// The same for what learns from bodies and from matches.
const LEAVES_SHARED: usize = 256;

/// The same for the small form of parts: servers with few players keep the larger trees in their caches.
const LEAVES_NEAR: usize = 384;

/// Leaves of all other trees.
const LEAVES_OF_FLAGS: usize = 24;

/// Collects what a writer would write.
struct Recorder {
    samples: Option<Vec<Samples>>,
    sums: Vec<Sums>,
}

impl Recorder {
    fn new(samples: bool) -> Self {
        Self {
            samples: samples.then(|| Model::ALL.iter().map(|_| Samples::default()).collect()),
            sums: Fit::ALL.iter().map(|(_, _, keys, inputs, _)| Sums::new(*keys, *inputs)).collect(),
        }
    }
}

impl Coder for Recorder {
    const OBSERVES: bool = true;

    fn symbol(&mut self, model: Model, features: &[i32], symbol: u32) -> Result<u32, Damaged> {
        if let Some(samples) = &mut self.samples {
            samples[model as usize].add(features, symbol as u8);
        }
        Ok(symbol)
    }

    fn raw(&mut self, value: u32, _bits: u32) -> Result<u32, Damaged> {
        Ok(value)
    }

    fn observe(&mut self, fit: Fit, key: usize, inputs: &[i64], actual: i64) {
        if self.samples.is_none() {
            self.sums[fit as usize].add(fit, key, inputs, actual);
        }
    }
}

fn record(trace: &Trace, tables: &Tables, tier: Tier, samples: bool) -> Recorder {
    let mut recorder = Recorder::new(samples);
    let (plan, mut pasts, mut scratch) = (plan(), Vec::new(), Scratch::default());
    for frame in AGE..trace.frames() {
        Bases::of(frame).pasts(frame, |at| trace.frame(at), &mut pasts);
        let (held, mut now) = (Held { plan: &plan, pasts: &pasts }, trace.frame(frame).to_vec());
        let walked = match tier {
            Tier::Shared => shared(&mut recorder, tables, &held, &mut scratch, true, &mut now),
            Tier::Small | Tier::Near => small(&mut recorder, tables, &held, Some(0), &mut scratch, true, &mut now),
        };
        walked.expect("a recorder does not fail");
    }
    recorder
}

/// Walks a trace as parts in the small form: what changed, by number; the first is what the receiver drives.
fn walk_parts(trace: &Trace, tables: &Tables, coder: &mut impl Coder) {
    let (plan, mut pasts, mut context) = (plan(), Vec::new(), Context::default());
    for frame in AGE..trace.frames() {
        Bases::of(frame).pasts(frame, |at| trace.frame(at), &mut pasts);
        let (before, now) = (trace.frame(frame - 1), trace.frame(frame));
        context.clear();
        let mut next = 0;
        for (at, past) in pasts.iter().enumerate() {
            let lanes = at * plan.lanes..(at + 1) * plan.lanes;
            if before[lanes.clone()] == now[lanes.clone()] && past.states[0] == &now[lanes.clone()] {
                continue;
            }
            tell_in_part(&mut context, coder, (at - next) as u32, 0);
            let changed = context.change(coder, tables, &plan, past, at == 0, true, &mut now[lanes].to_vec());
            changed.expect("a recorder does not fail");
            next = at + 1;
        }
        context.head(coder, Head::End).expect("a recorder does not fail");
    }
}

/// What stands in front of an entity of a part that is told so.
fn tell_in_part(context: &mut Context, coder: &mut impl Coder, step: u32, how: u32) {
    let head = if step == 0 && how == 0 { Head::Follows } else { Head::Other };
    context.head(coder, head).expect("a recorder does not fail");
    if head == Head::Other {
        context.other(coder, step, how).expect("a recorder does not fail");
    }
}

/// The text of a file of tables, trained on `trace`.
pub fn train(trace: &Trace) -> String {
    let mut text = format!("arbiter-codec {VERSION}\n");
    // Each fit is taken with those before it in place.
    for (tier, fits) in
        [(Tier::Shared, &[Fit::Axis, Fit::Turn][..]), (Tier::Shared, &[Fit::Rolled]), (Tier::Small, &[Fit::Contact])]
    {
        let recorder = record(trace, &read(&text), tier, false);
        for fit in fits {
            let (_, name, _, _, shift) = Fit::ALL[*fit as usize];
            writeln!(text, "fit {name}").expect("text grows");
            text += &recorder.sums[*fit as usize].solve(*fit, shift);
        }
        eprintln!("fitted {fits:?}");
    }
    let mut trees = String::new();
    for tier in [Tier::Shared, Tier::Small] {
        let tables = read(&text);
        let mut recorder = record(trace, &tables, tier, true);
        if tier == Tier::Shared {
            game::walk(&tables, &mut recorder);
        }
        recorder.grow(tier, false, &mut trees);
    }
    more(trace, &(text + &trees))
}

/// The text of a file with its trees of what drifts and those of the small form of parts trained anew: what else the shared form
/// and the small tier use stays as it is.
pub fn more(trace: &Trace, text: &str) -> String {
    let is_late = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ["tree", tier, model] = words[..] else { return false };
        let tier = Tier::ALL.iter().find(|(_, name)| *name == tier);
        let model = Model::ALL.iter().find(|(_, name, _)| *name == model);
        tier.zip(model).is_some_and(|(tier, model)| is_late(tier.0, model.0))
    };
    let (mut kept, mut keeps) = (String::new(), true);
    for line in text.lines() {
        if line.starts_with("fit") || line.starts_with("tree") {
            keeps = !is_late(line);
        }
        if keeps {
            kept += line;
            kept.push('\n');
        }
    }
    let tables = read(&kept);
    let mut trees = String::new();
    for tier in [Tier::Shared, Tier::Near] {
        let mut recorder = Recorder::new(true);
        drift::walk(&tables, &mut recorder, tier);
        if tier == Tier::Near {
            game::walk_parts(&tables, &mut recorder);
            walk_parts(trace, &tables, &mut recorder);
        }
        recorder.grow(tier, true, &mut trees);
    }
    kept + &trees
}

/// Whether a tree is trained behind the others, by [`more`].
fn is_late(tier: Tier, model: Model) -> bool {
    tier == Tier::Near || matches!(model, Model::Glide | Model::Free)
}

impl Recorder {
    /// Appends a tree for each model that something was told with, of those that are trained late or of the others.
    fn grow(self, tier: Tier, late: bool, trees: &mut String) {
        let tier_name = Tier::ALL[tier as usize].1;
        for (number, samples) in self.samples.unwrap_or_default().iter().enumerate() {
            let (model, name, symbols) = Model::ALL[number];
            if samples.is_empty() || is_late(tier, model) != late {
                continue;
            }
            let leaves = match tier {
                _ if symbols <= 4 => LEAVES_OF_FLAGS,
                Tier::Small => LEAVES,
                Tier::Shared => LEAVES_SHARED,
                Tier::Near => LEAVES_NEAR,
            };
            writeln!(trees, "tree {tier_name} {name}").expect("text grows");
            let bits = tree::grow(samples, symbols as usize, leaves, trees);
            eprintln!("{tier_name} {name}: {} symbols, {:.2} bits each", samples.len(), bits / samples.len() as f64);
        }
    }
}

fn read(text: &str) -> Tables {
    Tables::read(text).expect("what is trained is well formed")
}
