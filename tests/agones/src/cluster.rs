//! What Kubernetes holds of the one game server, and what an allocation does to it. It outlives the sidecar.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// A counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// How many there are.
    pub count: i64,
    /// How many there may be.
    pub capacity: i64,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// How many there may be.
    pub capacity: i64,
    /// What there is.
    pub values: Vec<String>,
}

/// What a `GameServerAllocation` selects by, and what it writes.
#[derive(Debug, Clone, Default)]
pub struct Allocation {
    /// The state that the game server must have; `Ready` if it is empty.
    pub state: String,
    /// Counters of which so much must be available.
    pub min_available: Vec<(String, i64)>,
    /// A list, and a value that must be in it.
    pub contains: Option<(String, String)>,
    /// Counters to count up by so much.
    pub increments: Vec<(String, i64)>,
    /// Annotations to set.
    pub annotations: Vec<(String, String)>,
}

/// See the module.
#[derive(Debug)]
pub struct Cluster {
    /// As Agones names it.
    pub state: String,
    /// When it began to be deleted, in seconds since 1970; 0 if it is not.
    pub deleted: i64,
    /// The port of its node that players use.
    pub port: u16,
    /// Labels, with their prefixes.
    pub labels: BTreeMap<String, String>,
    /// Annotations, with their prefixes.
    pub annotations: BTreeMap<String, String>,
    /// Counters that the spec declares.
    pub counters: BTreeMap<String, Counter>,
    /// Lists that the spec declares.
    pub lists: BTreeMap<String, List>,
    /// Pings since the last count, and counts without any.
    pub(crate) pinged: bool,
    pub(crate) missing: u32,
    /// Which ask of a state is the last: those before it do nothing any more. A sidecar that is started again forgets all.
    pub(crate) asked: u64,
    allocations: u64,
}

impl Cluster {
    /// A game server that was scheduled, with the counters and lists that the house's fleets declare.
    pub(crate) fn new() -> Self {
        let counter = |name: &str| (name.to_owned(), Counter { count: 0, capacity: 1_000 });
        let list = |name: &str| (name.to_owned(), List { capacity: 1_000, values: Vec::new() });
        Self {
            state: "Scheduled".to_owned(),
            deleted: 0,
            port: 7_777,
            labels: BTreeMap::from([("agones.dev/fleet".to_owned(), "arbiter".to_owned())]),
            annotations: BTreeMap::new(),
            counters: ["rooms", "players"].map(counter).into(),
            lists: ["matches", "players"].map(list).into(),
            pinged: false,
            missing: 0,
            asked: 0,
            allocations: 0,
        }
    }

    /// The sidecar is gone, with what it had not done and what it had counted.
    pub(crate) fn forget(&mut self) {
        self.asked += 1;
        (self.pinged, self.missing) = (false, 0);
    }

    /// Changes the state, unless it is one that stays.
    pub(crate) fn become_state(&mut self, state: &str) {
        if self.state == "Unhealthy" || self.state == "Shutdown" {
            return;
        }
        if state == "Allocated" {
            self.stamp();
        }
        state.clone_into(&mut self.state);
    }

    /// Another time than any before.
    fn stamp(&mut self) {
        self.allocations += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.annotations.insert("agones.dev/last-allocated".to_owned(), format!("{now}.{}", self.allocations));
    }

    pub(crate) fn allocate(&mut self, allocation: &Allocation) -> bool {
        let wanted = if allocation.state.is_empty() { "Ready" } else { &allocation.state };
        let available = |(name, least): &(String, i64)| {
            self.counters.get(name).is_some_and(|counter| counter.capacity - counter.count >= *least)
        };
        let contains =
            |(name, value): &(String, String)| self.lists.get(name).is_some_and(|list| list.values.contains(value));
        let chosen = self.state == wanted
            && self.deleted == 0
            && allocation.min_available.iter().all(available)
            && allocation.contains.as_ref().is_none_or(contains);
        if !chosen {
            return false;
        }
        self.annotations.extend(allocation.annotations.iter().cloned());
        for (name, by) in &allocation.increments {
            if let Some(counter) = self.counters.get_mut(name) {
                counter.count = (counter.count + by).clamp(0, counter.capacity);
            }
        }
        self.become_state("Allocated");
        true
    }

    /// As the gateway writes it.
    pub(crate) fn json(&self) -> Value {
        let counters = self.counters.iter().map(|(name, counter)| (name.clone(), counter.json(None)));
        let lists = self.lists.iter().map(|(name, list)| (name.clone(), list.json(None)));
        json!({
            "object_meta": {
                "name": "arbiter-0", "namespace": "default", "uid": "1234", "resource_version": "1", "generation": "1",
                "creation_timestamp": "1531795395", "deletion_timestamp": self.deleted.to_string(),
                "annotations": self.annotations, "labels": self.labels,
            },
            "spec": { "health": { "disabled": false, "period_seconds": 5, "failure_threshold": 3, "initial_delay_seconds": 5 } },
            "status": {
                "state": self.state, "address": "127.0.0.1", "ports": [{ "name": "game", "port": self.port }], "players": null,
                "counters": counters.collect::<Map<_, _>>(), "lists": lists.collect::<Map<_, _>>(),
            },
        })
    }
}

impl Counter {
    pub(crate) fn json(self, name: Option<&str>) -> Value {
        named(name, json!({ "count": self.count.to_string(), "capacity": self.capacity.to_string() }))
    }
}

impl List {
    pub(crate) fn json(&self, name: Option<&str>) -> Value {
        named(name, json!({ "capacity": self.capacity.to_string(), "values": self.values }))
    }
}

fn named(name: Option<&str>, mut value: Value) -> Value {
    if let Some(name) = name {
        value["name"] = Value::from(name);
    }
    value
}
