//! Parts of snapshots, as a client receives them: in any order, against any states.

use std::sync::LazyLock;

use arbiter_schema::{Registry, StableId};
use arbiter_snapshot::{Cache, Form, Frame, History, Layout, PART_BYTES_MAX, Peer, PeerParts, Receiver, Viewer, Wish};

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
        // The same bytes in either form.
        take(bytes, Form::Shared);
        take(bytes, Form::Small);
    },
    examples,
};

fn take(bytes: &[u8], form: Form) {
    let (registry, layout) = &*REGISTRY;
    let (mut receiver, mut script, mut frame) = (Receiver::new(registry), Script(bytes), Frame::default());
    receiver.set_form(form);
    for _ in 0..256 {
        if script.0.is_empty() {
            break;
        }
        let Ok(tick) = receiver.receive(script.bytes(PART_BYTES_MAX + 1)) else { continue };
        receiver.frame(tick, &mut frame);
        let mut last: Option<(StableId, u16)> = None;
        for row in frame.rows() {
            assert!(last.is_none_or(|last| last < (row.id, row.component)), "rows ascend");
            last = Some((row.id, row.component));
            assert!(row.tick <= tick, "nothing is newer than its frame");
            let lanes = layout.lanes(row.component);
            assert_eq!(row.lanes.len(), lanes.len());
            for (value, lane) in row.lanes.iter().zip(lanes) {
                assert!(u32::try_from(*value).is_ok_and(|value| value <= lane.max), "a lane within its range");
                assert!(row.known.knows(lane.audience) || *value == 0, "what is not known is 0");
            }
        }
    }
}

/// A match of a second, as one player is told of it: in full, and as what changes.
fn examples() -> Vec<Example> {
    let mut simulation = simulation::new();
    let (mut history, mut cache) = (History::new(simulation.registry()), Cache::default());
    let (mut peer, mut parts, mut examples) = (Peer::new(1), PeerParts::default(), Vec::new());
    let (mut all, mut lost) = (Writer::default(), Writer::default());
    for tick in 1..=60 {
        simulation.step(&simulation::commands(tick));
        history.begin(tick);
        let mut wanted = Vec::new();
        simulation.view().for_each_row(&mut |row| {
            if wanted.last() != Some(&row.id) {
                wanted.push(row.id);
            }
            history.row(row.id, row.component, row.owner, row.team, row.lanes);
        });
        history.finish();
        let wish = Wish { wanted: &wanted, gone: &[], always: None, budget_bytes: 1_000 };
        peer.encode(&history, &mut cache, Viewer { slot: Some(1), team: 1 }, &wish, &mut parts);
        for (tag, part) in parts.iter() {
            peer.delivered(tag);
            if tick <= 20 {
                all = all.bytes(part);
            } else if tick > 50 {
                lost = lost.bytes(part);
            }
        }
        match tick {
            1 => examples.push(("full".into(), all.0.clone())),
            6 => examples.push(("changes-6".into(), all.0.clone())),
            20 => examples.push(("changes-20".into(), all.0.clone())),
            _ => {}
        }
    }
    examples.push(("changes-of-what-is-not-held".into(), lost.0));
    examples
}
