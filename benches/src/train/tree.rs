//! Decision trees that leave the least entropy: the best split of all leaves is made again and again.

use std::fmt::Write;

/// Most thresholds that are tried of a feature.
const THRESHOLDS: usize = 40;

/// Fewest samples of a leaf: fewer say nothing of a trace that was not trained on.
const LEAF_SAMPLES: f64 = 150.0;

/// Bits that a split has to save in all: below, it fits noise.
const GAIN_BITS: f64 = 60.0;

/// Symbols and what was known when each was coded.
#[derive(Default)]
pub struct Samples {
    width: usize,
    features: Vec<i32>,
    symbols: Vec<u8>,
}

impl Samples {
    pub fn add(&mut self, features: &[i32], symbol: u8) {
        self.width = features.len();
        self.features.extend_from_slice(features);
        self.symbols.push(symbol);
    }

    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    fn thresholds(&self, feature: usize) -> Vec<i32> {
        let step = (self.len() / 200_000).max(1);
        let mut values: Vec<i32> = self.features.iter().skip(feature).step_by(self.width * step).copied().collect();
        values.sort_unstable();
        let mut distinct = values.clone();
        distinct.dedup();
        if distinct.len() > THRESHOLDS {
            distinct =
                (1..=THRESHOLDS).map(|part| values[(part * values.len() / THRESHOLDS).min(values.len() - 1)]).collect();
            distinct.dedup();
        }
        distinct.pop();
        distinct
    }
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    bin: usize,
}

enum Node {
    Split { feature: usize, threshold: i32, sides: [usize; 2] },
    Leaf { samples: Vec<u32>, counts: Vec<f64>, best: Option<Split> },
}

struct Grower<'a> {
    samples: &'a Samples,
    symbols: usize,
    thresholds: Vec<Vec<i32>>,
    bins: Vec<u8>,
}

fn entropy(counts: &[f64]) -> f64 {
    let sum: f64 = counts.iter().sum();
    counts.iter().filter(|count| **count > 0.0).map(|count| -count * (count / sum).log2()).sum()
}

impl Grower<'_> {
    fn leaf(&self, samples: Vec<u32>) -> Node {
        let mut counts = vec![0.0; self.symbols];
        samples.iter().for_each(|at| counts[usize::from(self.samples.symbols[*at as usize])] += 1.0);
        let best = self.best(&samples, &counts);
        Node::Leaf { samples, counts, best }
    }

    fn best(&self, samples: &[u32], counts: &[f64]) -> Option<Split> {
        let (width, before) = (self.samples.width, entropy(counts));
        let mut best: Option<Split> = None;
        for (feature, thresholds) in self.thresholds.iter().enumerate() {
            let mut bins = vec![0.0; (thresholds.len() + 1) * self.symbols];
            for at in samples {
                let bin = usize::from(self.bins[*at as usize * width + feature]);
                bins[bin * self.symbols + usize::from(self.samples.symbols[*at as usize])] += 1.0;
            }
            let (mut low, mut high) = (vec![0.0; self.symbols], counts.to_vec());
            for bin in 0..thresholds.len() {
                for symbol in 0..self.symbols {
                    low[symbol] += bins[bin * self.symbols + symbol];
                    high[symbol] -= bins[bin * self.symbols + symbol];
                }
                let enough = [&low, &high].iter().all(|side| side.iter().sum::<f64>() >= LEAF_SAMPLES);
                if !enough {
                    continue;
                }
                let gain = before - entropy(&low) - entropy(&high);
                if gain > best.map_or(GAIN_BITS, |best| best.gain) {
                    best = Some(Split { gain, feature, bin });
                }
            }
        }
        best
    }
}

/// Grows a tree of at most `leaves` leaves and appends it as lines of a file. Returns the bits that all symbols take.
pub fn grow(samples: &Samples, symbols: usize, leaves: usize, text: &mut String) -> f64 {
    let thresholds: Vec<Vec<i32>> = (0..samples.width).map(|feature| samples.thresholds(feature)).collect();
    let bin = |(at, value): (usize, &i32)| {
        thresholds[at % samples.width].partition_point(|threshold| threshold < value) as u8
    };
    let bins = samples.features.iter().enumerate().map(bin).collect();
    let grower = Grower { samples, symbols, thresholds: thresholds.clone(), bins };
    let mut nodes = vec![grower.leaf((0..samples.len() as u32).collect())];
    for _ in 1..leaves {
        let gain = |node: &Node| match node {
            Node::Leaf { best: Some(best), .. } => best.gain,
            _ => 0.0,
        };
        let Some(at) = (0..nodes.len()).max_by(|a, b| gain(&nodes[*a]).total_cmp(&gain(&nodes[*b]))) else { break };
        let Node::Leaf { samples: held, best: Some(split), .. } = &mut nodes[at] else { break };
        let (held, Split { feature, bin, .. }) = (std::mem::take(held), *split);
        let below = |sample: &u32| usize::from(grower.bins[*sample as usize * samples.width + feature]) <= bin;
        let (low, high) = held.iter().partition(|sample| below(sample));
        let sides = [nodes.len(), nodes.len() + 1];
        nodes.push(grower.leaf(low));
        nodes.push(grower.leaf(high));
        nodes[at] = Node::Split { feature, threshold: grower.thresholds[feature][bin], sides };
    }
    let mut all = vec![0.0; symbols];
    samples.symbols.iter().for_each(|symbol| all[usize::from(*symbol)] += 1.0);
    write(&nodes, 0, &all, text)
}

/// Shares of a leaf in the file.
const SHARES: f64 = 16_384.0;

/// A leaf counts as if it had seen so many samples more, spread as in the whole tree.
const PRIOR: f64 = 8.0;

fn write(nodes: &[Node], at: usize, all: &[f64], text: &mut String) -> f64 {
    match &nodes[at] {
        Node::Split { feature, threshold, sides } => {
            writeln!(text, "s {feature} {threshold}").expect("text grows");
            sides.iter().map(|side| write(nodes, *side, all, text)).sum()
        }
        Node::Leaf { counts, .. } => {
            let (sum, of_all) = (counts.iter().sum::<f64>(), all.iter().sum::<f64>());
            let share = |(count, all): (&f64, &f64)| (count + PRIOR * all / of_all) / (sum + PRIOR) * SHARES;
            let mut shares: Vec<u32> = counts.iter().zip(all).map(|it| share(it).round() as u32).collect();
            while shares.last() == Some(&0) {
                shares.pop();
            }
            text.push('l');
            shares.iter().for_each(|share| write!(text, " {share}").expect("text grows"));
            text.push('\n');
            entropy(counts)
        }
    }
}
