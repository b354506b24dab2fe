//! Parts of snapshots, as a client receives them: in any order, from any baseline.

use std::sync::LazyLock;

use arbiter_schema::{Registry, StableId};
use arbiter_snapshot::{Layout, PART_BYTES_MAX, Parts, Received, SnapshotDecoder, SnapshotEncoder, Viewer};

use crate::{Example, Script, Target, Writer, simulation};

static REGISTRY: LazyLock<(Registry, Layout)> = LazyLock::new(|| {
    let registry = simulation::new().registry().clone();
    let layout = Layout::new(&registry);
    (registry, layout)
});

/// Parts.
pub const SNAPSHOT: Target = Target {
    name: "snapshot",
    what: "parts of snapshots of the house's own components, several in a row",
    bytes_max: 16_384,
    allocated_max: 64 << 20,
    run: |bytes| {
        let (registry, layout) = &*REGISTRY;
        let (mut decoder, mut script) = (SnapshotDecoder::new(registry), Script(bytes));
        for _ in 0..256 {
            if script.0.is_empty() {
                break;
            }
            let Ok(Received::Complete(tick)) = decoder.receive(script.bytes(PART_BYTES_MAX + 1)) else { continue };
            let frame = decoder.state(tick).expect("a state that is complete is held");
            let mut last: Option<(StableId, u16)> = None;
            for row in frame.rows() {
                assert!(last.is_none_or(|last| last < (row.id, row.component)), "rows ascend");
                last = Some((row.id, row.component));
                let lanes = layout.lanes(row.component);
                assert_eq!(row.lanes.len(), lanes.len());
                for (value, lane) in row.lanes.iter().zip(lanes) {
                    assert!(u32::try_from(*value).is_ok_and(|value| value <= lane.max), "a lane within its range");
                    assert!(row.known.knows(lane.audience) || *value == 0, "what is not known is 0");
                }
            }
        }
        let _ = (decoder.newest().map(arbiter_snapshot::Frame::len), decoder.ack(), decoder.states().count());
    },
    examples,
};

/// A match of a second, as one player is told of it: full, deltas, and a full one of several parts.
fn examples() -> Vec<Example> {
    let mut simulation = simulation::new();
    let mut encoder = SnapshotEncoder::new(simulation.registry(), 1_000);
    let (mut parts, mut examples) = (Parts::default(), Vec::new());
    let mut deltas = Writer::default();
    for tick in 1..=60 {
        simulation.step(&simulation::commands(tick));
        encoder.begin(tick);
        simulation.view().for_each_row(&mut |row| encoder.row(row.id, row.component, row.owner, row.team, row.lanes));
        let viewer = Viewer { slot: Some(1), team: 1 };
        if tick == 1 || tick == 60 {
            assert!(encoder.encode(None, viewer, &mut parts));
            let full = parts.iter().fold(Writer::default(), |script, part| script.bytes(part));
            if tick == 1 {
                deltas = parts.iter().fold(deltas, |script, part| script.bytes(part));
            }
            examples.push((format!("full-{tick}"), full.0));
        } else if tick % 6 == 1 {
            assert!(encoder.encode(Some(tick - 6), viewer, &mut parts));
            let delta = parts.iter().fold(Writer::default(), |script, part| script.bytes(part));
            deltas = parts.iter().fold(deltas, |script, part| script.bytes(part));
            if tick == 25 {
                examples.push(("delta-without-baseline".into(), delta.0));
            }
        }
        if tick == 13 {
            examples.push(("deltas-2".into(), deltas.0.clone()));
        }
    }
    examples.push(("deltas-9".into(), deltas.0));
    examples
}
