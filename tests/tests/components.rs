//! Contract: `docs/components.md` is the list of components that this build replicates, so that another client can be written
//! from the documents alone. `ARBITER_WRITE_DOCS=1 cargo nextest run -p arbiter-tests --test components` writes it anew.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arbiter_cli::assets::Assets;
use arbiter_sim::index::Kind;
use arbiter_sim::modes::{Phase, Verdict};
use arbiter_sim::projectiles::Origin;
use arbiter_sim::rules::{MatchSettings, Rules};
use arbiter_sim::{Map, Simulation};

const HEAD: &str = "\
# What is replicated

Written by `tests/tests/components.rs`; do not edit. A studio's own components follow with the next numbers, and change the hash.

Lanes stand in the order of the table. A lane is an unsigned number from 0 to its largest value; its width is the bits of that.
What it means, by the type of its field:

| type | lanes | value |
| --- | --- | --- |
| `f32` | 1 | smallest + lane · step |
| `u8`, `u16`, `u32`, `i8`, `i16`, `i32` | 1 | smallest + lane, whatever the step |
| `bool` | 1 | 0 or 1 |
| `StableId` | 1 | the entity; 0: none |
| `Vec2`, `Vec3` | 2, 3 | x, y, z, each as `f32` |
| `Quat` | 4 | x, y, z, w, each as `f32`, w at least 0; to be normalised |
| an enumeration | 1 | the number of the value, as listed below |
| `[T; N]` | N times those of T | one after the other |

*Linear* values may be extrapolated from the last two states, *hold* values stay as they were.

";

/// Types that the head explains, but for lists of them.
const PLAIN: [&str; 12] = ["f32", "u8", "u16", "u32", "i8", "i16", "i32", "bool", "StableId", "Vec2", "Vec3", "Quat"];

/// Enumerations among the replicated fields, with their values by number.
fn enumerations() -> [(&'static str, Vec<&'static str>); 4] {
    [
        ("Kind", Kind::ALL.iter().map(|value| value.name()).collect()),
        ("Origin", Origin::ALL.iter().map(|value| value.name()).collect()),
        ("Phase", Phase::ALL.iter().map(|value| value.name()).collect()),
        ("Verdict", Verdict::ALL.iter().map(|value| value.name()).collect()),
    ]
}

/// Whether a reader of the document can know what a field of this type means.
fn is_explained(name: &str) -> bool {
    let item = name.trim_start_matches('[').split(';').next().unwrap_or_default().trim();
    PLAIN.contains(&item) || enumerations().iter().any(|(known, _)| *known == item)
}

fn document(simulation: &Simulation) -> String {
    let registry = simulation.registry();
    let components = registry.components();
    let mut out = HEAD.to_owned();
    out.push_str("| enumeration | values |\n| --- | --- |\n");
    for (name, values) in enumerations() {
        let values: Vec<String> =
            values.iter().enumerate().map(|(number, value)| format!("{number} {value}")).collect();
        writeln!(out, "| `{name}` | {} |", values.join(", ")).expect("a text");
    }
    let bits = (usize::BITS - (components.len() - 1).leading_zeros()).max(1);
    writeln!(
        out,
        "\nThe hash of the components is `0x{:016x}`; the [protocol hash](snapshot-codec.md#the-protocol-hash) is made from it.\n\
         There are {} components, so that a component's number takes {bits} bits; those that are not listed stay on the server.",
        registry.protocol_hash(),
        components.len()
    )
    .expect("a text");
    for component in components.iter().filter(|component| !component.lanes.is_empty()) {
        write!(
            out,
            "\n## {} {}\n\n| field | type | lanes | smallest | largest | step | largest value of a lane | for | predicted |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            component.id, component.name
        )
        .expect("a text");
        for field in component.fields {
            let Some(spec) = field.spec else { continue };
            assert!(is_explained(field.type_name), "nobody can know what a {} is: list its values", field.type_name);
            let lanes: Vec<_> = component.lanes.iter().filter(|lane| lane.field == field.name).collect();
            let (max, audience) = (lanes[0].max, format!("{:?}", spec.audience).to_lowercase());
            assert!(lanes.iter().all(|lane| lane.max == max), "the table has one largest value for {}", field.name);
            writeln!(
                out,
                "| {} | `{}` | {} | {} | {} | {} | {max} | {audience} | {} |",
                field.name,
                field.type_name,
                lanes.len(),
                spec.min,
                spec.max,
                spec.step,
                format!("{:?}", spec.predictor).to_lowercase()
            )
            .expect("a text");
        }
    }
    out
}

#[test]
fn the_list_of_components_is_what_this_build_replicates() {
    let map: Map = Assets::embedded().map("arena").expect("it is built in");
    let simulation = Simulation::new(Arc::new(Rules::shipped()), Arc::new(map), 0, MatchSettings::default());
    let document = document(&simulation.expect("what is built in plays"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/components.md");
    if std::env::var_os("ARBITER_WRITE_DOCS").is_some() {
        std::fs::write(&path, &document).expect("docs/ can be written");
    }
    let stands = std::fs::read_to_string(&path).expect("docs/components.md is there");
    assert!(
        stands == document,
        "docs/components.md is not of this build; ARBITER_WRITE_DOCS=1 and this test write it anew"
    );
}
