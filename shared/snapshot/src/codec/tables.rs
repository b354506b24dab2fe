//! The trained file: coefficients of the guesses, decision trees, and how often each symbol came in each leaf.
//!
//! Text, so that a change of it can be read. A line each:
//!
//! ```text
//! arbiter-codec VERSION
//! fit NAME                  followed by a line of coefficients for each key, in 1/2^SHIFT of the fit
//! tree TIER NAME            followed by its nodes, the root first and each split before its two sides:
//! s FEATURE THRESHOLD       goes to the first side if the feature is at most the threshold
//! l COUNT...                how often each symbol came, out of 16,384
//! ```

use std::sync::OnceLock;

use arbiter_schema::sink::{HashSink, Show, Sink, Width};

use super::numbers::{STEPS, SYMBOLS};
use super::prefix::Code;

/// The version of the frozen tables. Two ends with different ones do not understand each other: part of the protocol hash.
pub const VERSION: u32 = 4;

/// Frequencies of a leaf add up to this.
pub const TOTAL: u32 = 1 << 14;

/// Largest coefficient, and largest input of a fit: no sum of them leaves 64 bits, whatever a hostile packet said.
const WEIGHT_MAX: i32 = 1 << 21;
const INPUT_MAX: i64 = 1 << 38;

/// Nodes of a tree: a bound for the reader of the file.
const NODES_MAX: usize = 4_096;

const FROZEN: &str = include_str!("../../../../assets/codec/tables.txt");

/// What is guessed by a weighted sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// How far an axis goes.
    Axis,
    /// How a rotation goes on.
    Turn,
    /// How it goes on further than that, by what the place missed its guess.
    Rolled,
    /// How far an axis misses its guess, by what neighbours missed theirs.
    Contact,
}

impl Fit {
    /// All of them: name, keys, inputs, binary digits of a coefficient's fraction.
    pub const ALL: [(Self, &'static str, usize, usize, u32); 4] = [
        (Self::Axis, "axis", 272, 3, 8),
        (Self::Turn, "turn", 221, 2, 8),
        (Self::Rolled, "rolled", 100, 4, 20),
        (Self::Contact, "contact", 256, 3, 8),
    ];
}

/// What a symbol tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The difference of an axis to its guess.
    Axis,
    /// The difference of a component of a rotation.
    Turn,
    /// The difference of a lane that stands for itself.
    Lane,
    /// Of an entity that does not go on as expected: 0 it is as it was, 1 its groups follow.
    Mask,
    /// How many groups at rest stay as they were before one that does not.
    Skip,
    /// Which component of a rotation is left out, by size of the guess.
    Rank,
    /// Whether an entity in motion does not go on as expected.
    Odd,
    /// Whether an entity at rest changes.
    Wakes,
    /// Entities in motion up to the next one that does not go on as expected.
    OddGap,
    /// Entities at rest up to the next one that changes.
    WakeGap,
    /// Which lanes of what drifts and spins the guess rounds the wrong way, or that they are told one by one.
    Glide,
    /// The difference of a lane of what drifts or spins.
    Free,
    /// In front of each entity of a part: 0 the next id against the part's bases, 1 another one, 2 none.
    Head,
    /// Of an entity of a part that does not follow: how large the step to its id is.
    Step,
    /// How it is told.
    How,
}

impl Model {
    /// All of them: name, symbols.
    pub const ALL: [(Self, &'static str, u32); 15] = [
        (Self::Axis, "axis", SYMBOLS),
        (Self::Turn, "turn", SYMBOLS),
        (Self::Lane, "lane", SYMBOLS),
        (Self::Mask, "mask", 2),
        (Self::Skip, "skip", SYMBOLS),
        (Self::Rank, "rank", 4),
        (Self::Odd, "odd", 2),
        (Self::Wakes, "wakes", 2),
        (Self::OddGap, "odd-gap", SYMBOLS),
        (Self::WakeGap, "wake-gap", SYMBOLS),
        (Self::Glide, "glide", super::glide::SYMBOLS),
        (Self::Free, "free", SYMBOLS),
        (Self::Head, "head", 3),
        (Self::Step, "step", STEPS.len() as u32),
        (Self::How, "how", 4),
    ];
}

/// Which of the forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Prefix codes from the entity alone.
    Shared,
    /// A range coder that sees neighbours, for whole packets.
    Small,
    /// The same for parts of a snapshot; what it has no tree for is told by those of the shared form.
    Near,
}

impl Tier {
    /// All, with their names.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Shared, "shared"), (Self::Small, "small"), (Self::Near, "near")];
}

/// Why a file of tables was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("codec tables, line {line}: expected {expected}; train them again")]
pub struct BadTables {
    line: usize,
    expected: &'static str,
}

/// Eight bytes: one walks a dozen of them for each symbol.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The feature that decides, or [`LEAF`].
    feature: u16,
    /// Where features above the threshold lead to; all others lead to the next node.
    above: u16,
    /// The threshold; the number of a leaf.
    value: i32,
}

/// In place of a feature.
const LEAF: u16 = u16::MAX;

impl Node {
    fn leaf(number: usize) -> Self {
        Self { feature: LEAF, above: 0, value: number as i32 }
    }
}

/// How the symbols of one leaf are coded.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Where each symbol's share of [`TOTAL`] begins, and [`TOTAL`] itself.
    pub starts: Vec<u16>,
    /// The prefix code.
    pub code: Code,
}

/// A decision tree over features.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
}

impl Tree {
    /// The leaf for `features`; a feature that is not there counts as 0.
    #[inline]
    pub fn leaf(&self, features: &[i32]) -> &Leaf {
        let mut at = 0;
        loop {
            let node = self.nodes[at];
            if node.feature == LEAF {
                return &self.leaves[node.value as usize];
            }
            let feature = features.get(usize::from(node.feature)).copied().unwrap_or(0);
            at = if feature <= node.value { at + 1 } else { usize::from(node.above) };
        }
    }
}

/// Everything trained.
#[derive(Debug, Clone)]
pub struct Tables {
    fits: [Vec<i32>; 4],
    trees: [[Tree; Model::ALL.len()]; 3],
}

impl Default for Tables {
    /// Untrained: everything goes on at its mean pace, and all symbols are alike.
    fn default() -> Self {
        let mut fits = Fit::ALL.map(|(_, _, keys, inputs, _)| vec![0; keys * inputs]);
        fits[Fit::Axis as usize].chunks_mut(3).for_each(|fit| fit[1] = 256);
        fits[Fit::Turn as usize].chunks_mut(2).for_each(|fit| fit[1] = 256);
        let trees = Model::ALL.map(|(_, _, symbols)| Tree {
            nodes: vec![Node::leaf(0)],
            leaves: vec![Leaf::new(&vec![1; symbols as usize])],
        });
        Self { fits, trees: [trees.clone(), trees.clone(), trees] }
    }
}

impl Tables {
    /// The tables that both ends share.
    ///
    /// # Panics
    /// If the file that was built in is malformed: it never is, a test reads it.
    pub fn frozen() -> &'static Self {
        static TABLES: OnceLock<Tables> = OnceLock::new();
        TABLES.get_or_init(|| Self::read(FROZEN).expect("the tables that were built in are well formed"))
    }

    /// A hash of the frozen file, for both ends to compare before they speak.
    pub fn frozen_hash() -> u64 {
        let mut hash = HashSink::default();
        FROZEN.bytes().for_each(|byte| hash.word(u32::from(byte), Width::One, Show::Unsigned));
        hash.finish()
    }

    /// From the text of a file; what it does not name stays untrained.
    pub fn read(text: &str) -> Result<Self, BadTables> {
        let mut tables = Self::default();
        let mut near = [false; Model::ALL.len()];
        let mut lines = Lines { lines: text.lines().enumerate().peekable(), line: 0 };
        let head = lines.next("arbiter-codec and the version of this program")?;
        if head.strip_prefix("arbiter-codec ") != Some(&VERSION.to_string()) {
            return Err(lines.bad("arbiter-codec and the version of this program"));
        }
        while lines.lines.peek().is_some() {
            let words: Vec<&str> = lines.next("a section")?.split(' ').collect();
            match words[..] {
                ["fit", name] => {
                    let found = Fit::ALL.iter().find(|fit| fit.1 == name);
                    let (fit, _, keys, inputs, _) = found.ok_or_else(|| lines.bad("a known fit"))?;
                    let mut read = Vec::with_capacity(keys * inputs);
                    for _ in 0..*keys {
                        let values = lines.numbers::<i32>("coefficients", "")?;
                        if values.len() != *inputs
                            || values.iter().any(|value| value.unsigned_abs() > WEIGHT_MAX as u32)
                        {
                            return Err(lines.bad("a coefficient of at most 2^21 for each input"));
                        }
                        read.extend(values);
                    }
                    tables.fits[*fit as usize] = read;
                }
                ["tree", tier, name] => {
                    let tier = Tier::ALL.iter().find(|it| it.1 == tier).ok_or_else(|| lines.bad("a known tier"))?;
                    let model = Model::ALL.iter().find(|it| it.1 == name).ok_or_else(|| lines.bad("a known model"))?;
                    tables.trees[tier.0 as usize][model.0 as usize] = lines.tree(model.2)?;
                    near[model.0 as usize] |= tier.0 == Tier::Near;
                }
                _ => return Err(lines.bad("fit or tree")),
            }
        }
        let [shared, _, parts] = &mut tables.trees;
        for (at, _) in near.iter().enumerate().filter(|(_, has)| !**has) {
            parts[at] = shared[at].clone();
        }
        Ok(tables)
    }

    /// The leaf that codes a symbol.
    #[inline]
    pub fn leaf(&self, tier: Tier, model: Model, features: &[i32]) -> &Leaf {
        self.trees[tier as usize][model as usize].leaf(features)
    }

    /// The weighted sum of a fit's inputs, rounded.
    #[inline]
    pub fn fit(&self, fit: Fit, key: usize, inputs: &[i64]) -> i64 {
        let shift = Fit::ALL[fit as usize].4;
        let weights = &self.fits[fit as usize][key * inputs.len()..][..inputs.len()];
        let sum: i64 = weights
            .iter()
            .zip(inputs)
            .map(|(weight, input)| i64::from(*weight) * (*input).clamp(-INPUT_MAX, INPUT_MAX))
            .sum();
        (sum + (1 << (shift - 1))) >> shift
    }
}

impl Leaf {
    /// From how often each symbol came. No symbol gets less than a share of 1: what never came in training may come.
    pub fn new(counts: &[u32]) -> Self {
        let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum::<u64>().max(1);
        let free = u64::from(TOTAL) - counts.len() as u64;
        let mut shares: Vec<u32> = counts.iter().map(|count| 1 + (u64::from(*count) * free / sum) as u32).collect();
        let given: u32 = shares.iter().sum();
        let largest = (0..shares.len()).max_by_key(|at| (shares[*at], usize::MAX - at)).unwrap_or(0);
        shares[largest] += TOTAL - given;
        let mut starts = vec![0];
        starts.extend(shares.iter().scan(0, |sum, share| {
            *sum += *share;
            Some(*sum as u16)
        }));
        Self { starts, code: Code::new(&shares) }
    }
}

struct Lines<'a> {
    lines: core::iter::Peekable<core::iter::Enumerate<core::str::Lines<'a>>>,
    line: usize,
}

impl<'a> Lines<'a> {
    fn bad(&self, expected: &'static str) -> BadTables {
        BadTables { line: self.line, expected }
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, BadTables> {
        let (at, line) = self.lines.next().ok_or(BadTables { line: self.line + 1, expected })?;
        self.line = at + 1;
        Ok(line)
    }

    fn numbers<T: core::str::FromStr>(&mut self, expected: &'static str, mark: &str) -> Result<Vec<T>, BadTables> {
        let line = self.next(expected)?;
        let rest = line.strip_prefix(mark).ok_or_else(|| self.bad(expected))?;
        rest.split_whitespace().map(|word| word.parse().map_err(|_| self.bad(expected))).collect()
    }

    fn tree(&mut self, symbols: u32) -> Result<Tree, BadTables> {
        let mut tree = Tree::default();
        // Splits whose first side has been read, but not where the second begins.
        let mut open = Vec::new();
        loop {
            let splits = self.lines.peek().is_some_and(|(_, line)| line.starts_with('s'));
            if tree.nodes.len() == NODES_MAX {
                return Err(self.bad("a smaller tree"));
            }
            if splits {
                let numbers = self.numbers::<i32>("a split", "s ")?;
                let [feature, threshold] = numbers[..] else { return Err(self.bad("a feature and a threshold")) };
                let feature = u16::try_from(feature).ok().filter(|feature| *feature != LEAF);
                let feature = feature.ok_or_else(|| self.bad("a feature"))?;
                open.push(tree.nodes.len());
                tree.nodes.push(Node { feature, above: 0, value: threshold });
                continue;
            }
            let mut counts = self.numbers::<u32>("a leaf", "l ")?;
            if counts.len() > symbols as usize {
                return Err(self.bad("no more counts than symbols"));
            }
            counts.resize(symbols as usize, 0);
            tree.nodes.push(Node::leaf(tree.leaves.len()));
            tree.leaves.push(Leaf::new(&counts));
            let Some(split) = open.pop() else { return Ok(tree) };
            tree.nodes[split].above = tree.nodes.len() as u16;
        }
    }
}
