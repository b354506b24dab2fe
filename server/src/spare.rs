//! Lists that were emptied and are filled again: a warm room allocates nothing for what it hands to other threads.

use crossbeam::queue::ArrayQueue;

/// Emptied lists, from the thread that uses them up back to those that fill them.
pub(crate) struct Spare<T>(ArrayQueue<Vec<T>>);

impl<T> Spare<T> {
    /// Keeps so many lists at most.
    pub fn new(most: usize) -> Self {
        Self(ArrayQueue::new(most))
    }

    /// An empty list, which has its memory already once the server has run for a while.
    pub fn take(&self) -> Vec<T> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes a list back.
    pub fn give(&self, mut list: Vec<T>) {
        list.clear();
        // One too many is none that is missed.
        let _ = self.0.push(list);
    }
}
