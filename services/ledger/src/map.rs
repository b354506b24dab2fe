//! A sorted map that is cloned without copying what is in it: a clone shares every node, and whoever changes one of the two copies the
//! nodes on the way to that change, once. That is how all that is kept can be written beside the writer: what is written is a clone, as
//! exact as the moment at which it was taken.
//!
//! A B+ tree. A branch knows for each child a key that divides it from the one before; all entries are in leaves, and all leaves are
//! equally deep. What is added at the end leaves full nodes behind, since keys of requests come nearly in their order. The
//! crates that do this are under a licence that a fork cannot always take (`docs/decisions/ledger.md`).

use std::fmt;
use std::sync::Arc;

/// Entries of a leaf and children of a branch at most. 20 million answers are five levels of these; the copy of a leaf of them is 5 KB.
const WIDTH: usize = 64;

/// A node that has fewer is put together with a neighbour, if both are then not so full that the next entry divides them again.
const THIN: usize = WIDTH / 4;
const TOGETHER: usize = WIDTH / 4 * 3;

/// The map.
#[derive(Clone)]
pub struct Map<K, V> {
    root: Arc<Node<K, V>>,
    len: usize,
}

enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    /// Never empty.
    Branch(Vec<Child<K, V>>),
}

struct Child<K, V> {
    /// No key in it is less, and every key in the children before is. Of the first child it says nothing.
    from: K,
    node: Arc<Node<K, V>>,
}

impl<K: Clone, V> Clone for Child<K, V> {
    fn clone(&self) -> Self {
        Self { from: self.from.clone(), node: Arc::clone(&self.node) }
    }
}

/// What changes next is a copy: with room for it, so that it is not copied again.
impl<K: Clone, V: Clone> Clone for Node<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(entries) => Self::Leaf(copied(entries)),
            Self::Branch(children) => Self::Branch(copied(children)),
        }
    }
}

fn copied<T: Clone>(items: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity((items.len() + 1).min(WIDTH));
    copy.extend_from_slice(items);
    copy
}

impl<K, V> Node<K, V> {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.len(),
        }
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl<K, V> Map<K, V> {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        let mut iter = Iter { above: Vec::new(), leaf: [].iter() };
        iter.descend(&self.root);
        iter
    }

    /// The entry with the least key.
    pub fn first(&self) -> Option<(&K, &V)> {
        let mut node = &self.root;
        while let Node::Branch(children) = &**node {
            node = &children[0].node;
        }
        match &**node {
            Node::Leaf(entries) if !entries.is_empty() => entries.first().map(|(key, value)| (key, value)),
            // A first leaf is hardly ever empty while others are not.
            _ => self.iter().next(),
        }
    }
}

impl<K: Ord, V> Map<K, V> {
    /// What is kept under a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let mut node = &self.root;
        loop {
            match &**node {
                Node::Leaf(entries) => return entries.get(place(entries, key).ok()?).map(|(_, value)| value),
                Node::Branch(children) => node = &children[toward(children, key)].node,
            }
        }
    }

    /// Whether something is kept under a key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The entries from a key on.
    pub fn iter_from(&self, key: &K) -> Iter<'_, K, V> {
        let mut iter = Iter { above: Vec::new(), leaf: [].iter() };
        let mut node = &self.root;
        loop {
            match &**node {
                Node::Leaf(entries) => {
                    let (Ok(at) | Err(at)) = place(entries, key);
                    iter.leaf = entries[at..].iter();
                    return iter;
                }
                Node::Branch(children) => {
                    let at = toward(children, key);
                    iter.above.push(children[at + 1..].iter());
                    node = &children[at].node;
                }
            }
        }
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// What is kept under a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let mut node = &mut self.root;
        loop {
            match Arc::make_mut(node) {
                Node::Leaf(entries) => {
                    let at = place(entries, key).ok()?;
                    return entries.get_mut(at).map(|(_, value)| value);
                }
                Node::Branch(children) => {
                    let at = toward(children, key);
                    node = &mut children[at].node;
                }
            }
        }
    }

    /// Keeps a value under a key; returns the one that was kept there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let inserted = insert(&mut self.root, key, value);
        if let Inserted::Divided(right) = inserted {
            let left = Child { from: right.from.clone(), node: Arc::clone(&self.root) };
            self.root = Arc::new(Node::Branch(vec![left, right]));
            self.len += 1;
            return None;
        }
        let before = if let Inserted::Instead(before) = inserted { Some(before) } else { None };
        self.len += usize::from(before.is_none());
        before
    }

    /// Drops what is kept under a key, and returns it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let removed = remove(&mut self.root, key)?;
        self.len -= 1;
        while let Node::Branch(children) = &*self.root
            && let [only] = &children[..]
        {
            self.root = Arc::clone(&only.node);
        }
        Some(removed)
    }
}

/// Where a key is in a leaf, or belongs.
fn place<K: Ord, V>(entries: &[(K, V)], key: &K) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| other.cmp(key))
}

/// Which child a key is in, if it is in any.
fn toward<K: Ord, V>(children: &[Child<K, V>], key: &K) -> usize {
    children[1..].partition_point(|child| child.from <= *key)
}

enum Inserted<K, V> {
    Added,
    Instead(V),
    /// Added, and this is now the node behind the one that it was added to.
    Divided(Child<K, V>),
}

fn insert<K: Ord + Clone, V: Clone>(node: &mut Arc<Node<K, V>>, key: K, value: V) -> Inserted<K, V> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => match place(entries, &key) {
            Ok(at) => Inserted::Instead(std::mem::replace(&mut entries[at].1, value)),
            Err(at) => match put(entries, at, (key, value)) {
                None => Inserted::Added,
                Some(right) => Inserted::Divided(Child { from: right[0].0.clone(), node: Arc::new(Node::Leaf(right)) }),
            },
        },
        Node::Branch(children) => {
            let at = toward(children, &key);
            let right = match insert(&mut children[at].node, key, value) {
                Inserted::Divided(right) => right,
                other => return other,
            };
            match put(children, at + 1, right) {
                None => Inserted::Added,
                Some(right) => {
                    Inserted::Divided(Child { from: right[0].from.clone(), node: Arc::new(Node::Branch(right)) })
                }
            }
        }
    }
}

/// Puts something in its place among at most [`WIDTH`]; what stands behind them if they were divided.
fn put<T>(items: &mut Vec<T>, at: usize, item: T) -> Option<Vec<T>> {
    if items.len() < WIDTH {
        if items.len() == items.capacity() {
            items.reserve_exact(items.len().clamp(1, WIDTH - items.len()));
        }
        items.insert(at, item);
        return None;
    }
    let mut right = Vec::with_capacity(WIDTH);
    if at == WIDTH {
        right.push(item);
        return Some(right);
    }
    right.extend(items.drain(WIDTH / 2..));
    match at.checked_sub(WIDTH / 2) {
        Some(at) => right.insert(at, item),
        None => items.insert(at, item),
    }
    Some(right)
}

fn remove<K: Ord + Clone, V: Clone>(node: &mut Arc<Node<K, V>>, key: &K) -> Option<V> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => place(entries, key).ok().map(|at| entries.remove(at).1),
        Node::Branch(children) => {
            let at = toward(children, key);
            let removed = remove(&mut children[at].node, key)?;
            mend(children, at);
            Some(removed)
        }
    }
}

/// Puts a child that has become thin together with a neighbour, or drops it if nothing is left of it.
fn mend<K: Clone, V: Clone>(children: &mut Vec<Child<K, V>>, at: usize) {
    let len = children[at].node.len();
    if len == 0 && children.len() > 1 {
        children.remove(at);
        return;
    }
    let fits = |other: usize| children.get(other).is_some_and(|other| other.node.len() + len <= TOGETHER);
    let left = match at.checked_sub(1) {
        _ if len >= THIN => return,
        Some(before) if fits(before) => before,
        _ if fits(at + 1) => at,
        _ => return,
    };
    let right = children.remove(left + 1);
    match (Arc::make_mut(&mut children[left].node), Arc::unwrap_or_clone(right.node)) {
        (Node::Leaf(entries), Node::Leaf(more)) => entries.extend(more),
        (Node::Branch(nodes), Node::Branch(mut more)) => {
            // It is the first no more: what divides it from those before is what divided both nodes.
            more[0].from = right.from;
            nodes.extend(more);
        }
        _ => unreachable!("all leaves are equally deep"),
    }
}

/// The entries of a map in the order of their keys.
pub struct Iter<'a, K, V> {
    above: Vec<std::slice::Iter<'a, Child<K, V>>>,
    leaf: std::slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iter<'a, K, V> {
    /// To the first leaf of a node.
    fn descend(&mut self, mut node: &'a Node<K, V>) {
        loop {
            match node {
                Node::Leaf(entries) => return self.leaf = entries.iter(),
                Node::Branch(children) => {
                    self.above.push(children[1..].iter());
                    node = &children[0].node;
                }
            }
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            match self.above.last_mut()?.next() {
                Some(child) => self.descend(&child.node),
                None => drop(self.above.pop()),
            }
        }
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

/// Entries in any order; of one key the last counts.
impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(key, value)| drop(map.insert(key, value)));
        map
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// A map out of entries that come in the order of their keys: every node is full, and none is looked for.
pub(crate) struct Builder<K, V> {
    leaves: Vec<Child<K, V>>,
    open: Vec<(K, V)>,
}

impl<K: Ord + Clone, V> Builder<K, V> {
    pub fn new() -> Self {
        Self { leaves: Vec::new(), open: Vec::new() }
    }

    /// Adds an entry; `false`, and nothing, if its key is not behind all others.
    pub fn push(&mut self, key: K, value: V) -> bool {
        if self.open.last().is_some_and(|(last, _)| *last >= key) {
            return false;
        }
        if self.open.len() == WIDTH {
            self.close();
        }
        self.open.push((key, value));
        true
    }

    fn close(&mut self) {
        // The next one is as full, but the last.
        let full = std::mem::replace(&mut self.open, Vec::with_capacity(WIDTH));
        if let Some((from, _)) = full.first() {
            self.leaves.push(Child { from: from.clone(), node: Arc::new(Node::Leaf(full)) });
        }
    }

    pub fn finish(mut self) -> Map<K, V> {
        self.close();
        let mut nodes = self.leaves;
        let len = nodes.iter().map(|leaf| leaf.node.len()).sum();
        while nodes.len() > 1 {
            let (mut above, mut rest) = (Vec::with_capacity(nodes.len() / WIDTH + 1), nodes.into_iter().peekable());
            while let Some(from) = rest.peek().map(|child| child.from.clone()) {
                above.push(Child { from, node: Arc::new(Node::Branch(rest.by_ref().take(WIDTH).collect())) });
            }
            nodes = above;
        }
        nodes.pop().map_or_else(Map::default, |root| Map { root: root.node, len })
    }
}
