//! What designers make: maps and rules. Not an attacker's usual door, but a map may come from a workshop.

use std::sync::{Arc, LazyLock};

use arbiter_sim::Rules;
use arbiter_sim::assets::map::load;

use crate::script::damage;
use crate::simulation::{self, ARENA};
use crate::{Example, Script, Target};

const RULES_FILES: [(&str, &str); 10] = [
    ("abilities", include_str!("../../../assets/rules/abilities.ron")),
    ("body", include_str!("../../../assets/rules/body.ron")),
    ("combat", include_str!("../../../assets/rules/combat.ron")),
    ("effects", include_str!("../../../assets/rules/effects.ron")),
    ("heroes", include_str!("../../../assets/rules/heroes.ron")),
    ("modes", include_str!("../../../assets/rules/modes.ron")),
    ("movement", include_str!("../../../assets/rules/movement.ron")),
    ("pickups", include_str!("../../../assets/rules/pickups.ron")),
    ("props", include_str!("../../../assets/rules/props.ron")),
    ("weapons", include_str!("../../../assets/rules/weapons.ron")),
];

/// The two chunks of the arena: its JSON and its geometry.
static CHUNKS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let word = |at: usize| u32::from_le_bytes(ARENA[at..at + 4].try_into().expect("four bytes")) as usize;
    let json = word(12);
    (ARENA[20..20 + json].to_vec(), ARENA[28 + json..28 + json + word(20 + json)].to_vec())
});

/// A container with correct lengths around a JSON and a binary chunk.
fn container(mut json: Vec<u8>, binary: &[u8]) -> Vec<u8> {
    json.resize(json.len().next_multiple_of(4), b' ');
    let length = 12 + 8 + json.len() + 8 + binary.len();
    let mut out = Vec::with_capacity(length);
    for word in [2, length as u32, json.len() as u32] {
        if out.is_empty() {
            out.extend_from_slice(b"glTF");
        }
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(b"JSON");
    out.extend_from_slice(&json);
    out.extend_from_slice(&(binary.len() as u32).to_le_bytes());
    out.extend_from_slice(b"BIN\0");
    out.extend_from_slice(binary);
    out
}

/// A map. The first byte chooses: a file, the arena with damage, a JSON chunk around the arena's geometry, or the arena's JSON
/// with damage in a container whose lengths are right.
pub const MAP: Target = Target {
    name: "map",
    what: "maps in glTF: any file, the arena damaged, and any JSON in a whole container",
    bytes_max: 16_384,
    allocated_max: 128 << 20,
    run: |bytes| {
        let Some((how, rest)) = bytes.split_first() else { return };
        let file = match how % 4 {
            0 => rest.to_vec(),
            1 => {
                let mut file = ARENA.to_vec();
                damage(&mut Script(rest), &mut file);
                file
            }
            2 => container(rest.to_vec(), &CHUNKS.1),
            _ => {
                let mut json = CHUNKS.0.clone();
                damage(&mut Script(rest), &mut json);
                container(json, &CHUNKS.1)
            }
        };
        match load("fuzz", &file) {
            Ok(map) => {
                let _ = map.references().count();
            }
            Err(errors) => assert!(!errors.is_empty(), "a refusal has a reason"),
        }
    },
    examples: map_examples,
};

fn map_examples() -> Vec<Example> {
    let patch = |how: u8, at: u32, text: &[u8]| {
        [&[how, 3], &at.to_le_bytes()[..], &(text.len() as u16).to_le_bytes(), text].concat()
    };
    let mut examples = vec![
        ("arena".into(), vec![1]),
        ("arena-json".into(), vec![3]),
        ("arena-cut".into(), vec![1, 0, 0, 9, 0, 0]),
        ("arena-patched".into(), patch(1, 30_000, &[255, 255, 127, 127])),
        ("json-patched".into(), patch(3, 900, b"1e9")),
    ];
    // The smallest scenes: some of the arena's nodes with all that they need.
    let mut root: serde_json::Value = serde_json::from_slice(&CHUNKS.0).expect("the arena's JSON");
    let nodes = root["nodes"].as_array().cloned().unwrap_or_default();
    let meshes = root["meshes"].as_array().cloned().unwrap_or_default();
    let mut kinds = std::collections::BTreeMap::new();
    for node in nodes {
        let name = node["name"].as_str().unwrap_or_default();
        kinds.entry(name.split('_').next().unwrap_or_default().to_owned()).or_insert(node);
    }
    for (kind, mut node) in kinds {
        let kept = node["mesh"].as_u64().map(|at| meshes[at as usize].clone());
        if kept.is_some() {
            node["mesh"] = 0.into();
        }
        root["nodes"] = vec![node].into();
        root["scenes"] = serde_json::json!([{ "nodes": [0] }]);
        match kept {
            Some(mesh) => root["meshes"] = vec![mesh].into(),
            None => drop(root.as_object_mut().map(|root| root.remove("meshes"))),
        }
        // All accessors stay: their numbers are the geometry's.
        let json = root.to_string();
        if json.len() < 12_000 {
            examples.push((format!("node-{kind}"), [&[2], json.as_bytes()].concat()));
        }
        root["meshes"] = meshes.clone().into();
    }
    examples
}

/// Rules: one file in place of the house's own. What passes all checks must make a match that can be played.
pub const RULES: Target = Target {
    name: "rules",
    what: "rules in RON: one file of them is the input; what is accepted is played for some ticks",
    bytes_max: 16_384,
    allocated_max: 512 << 20,
    run: |bytes| {
        let Some((which, text)) = bytes.split_first() else { return };
        let Ok(text) = core::str::from_utf8(text) else { return };
        let mut files = RULES_FILES;
        files[usize::from(*which) % RULES_FILES.len()].1 = "";
        let at = usize::from(*which) % RULES_FILES.len();
        let files: Vec<(&str, &str)> = files
            .iter()
            .enumerate()
            .map(|(index, (name, own))| (*name, if index == at { text } else { *own }))
            .collect();
        match Rules::from_ron(&files) {
            Err(errors) => assert!(!errors.is_empty(), "a refusal has a reason"),
            Ok(rules) => {
                let Some(mut simulation) = simulation::of(Arc::new(rules)) else { return };
                (1..=12).for_each(|tick| simulation.step(&simulation::commands(tick)));
            }
        }
    },
    examples: || {
        let file =
            |(at, (name, text)): (usize, &(&str, &str))| ((*name).to_owned(), [&[at as u8], text.as_bytes()].concat());
        RULES_FILES.iter().enumerate().map(file).collect()
    },
};
