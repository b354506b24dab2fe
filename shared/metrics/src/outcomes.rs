//! Counts of what became of something, by words that are known beforehand.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts by word; the last word stands for all that is none of the others.
#[derive(Debug)]
pub struct Outcomes<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Outcomes<N> {
    /// Of these words.
    pub fn new(words: [&'static str; N]) -> Self {
        Self { words, counts: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Counts one.
    pub fn note(&self, word: &str) {
        self.add(word, 1);
    }

    /// Counts some.
    pub fn add(&self, word: &str, count: u64) {
        let at = self.words.iter().position(|known| *known == word).or(N.checked_sub(1));
        if let Some(counter) = at.and_then(|at| self.counts.get(at)) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// All of them.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.words.iter().zip(&self.counts).map(|(word, count)| (*word, count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_counted_as_other() {
        let outcomes = Outcomes::new(["bought", "other"]);
        for word in ["bought", "lost in the post", "other"] {
            outcomes.note(word);
        }
        assert_eq!(outcomes.each().collect::<Vec<_>>(), [("bought", 1), ("other", 2)]);
    }
}
