//! Contract: what `tests/vectors/snapshots.txt` says a server has is written as the parts that stand there, and these are read
//! as the state that stands there, so that whoever writes another client can check it against the same file.

use arbiter_schema::{Audience, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::{Parts, SnapshotDecoder, SnapshotEncoder, Viewer};

#[path = "../../../tests/vectors/lines.rs"]
mod lines;
use lines::{bytes, hex};

const SNAPSHOTS: &str = include_str!("../../../tests/vectors/snapshots.txt");

const fn spec(max: f32, audience: Audience) -> Spec {
    Spec::new(0.0, max, 1.0, Predictor::Hold, audience)
}

describe! {
    /// For everyone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Place {
        /// A wide lane.
        pub x: u16 => spec(60_000.0, Audience::Everyone),
        /// A wide lane.
        pub y: u16 => spec(60_000.0, Audience::Everyone),
        /// A lane of one bit.
        pub up: bool => spec(1.0, Audience::Everyone),
    }
    /// Not replicated.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Secret {
        /// A value.
        pub seed: u32,
    }
    /// Mixed.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Health {
        /// For everyone.
        pub shown: u8 => spec(100.0, Audience::Everyone),
        /// For the team.
        pub exact: u16 => spec(1_000.0, Audience::Team),
        /// For the owner.
        pub wound: u32 => spec(1_000_000.0, Audience::Owner),
    }
    /// For the owner alone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Pocket {
        /// A value.
        pub coins: u32 => spec(1_000_000.0, Audience::Owner),
    }
    /// A narrow lane and the widest.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Stance {
        /// A lane of three bits.
        pub stance: u8 => spec(5.0, Audience::Everyone),
        /// A lane of 31 bits.
        pub target: StableId => spec(0.0, Audience::Everyone),
    }
}

/// One client of the file.
struct Client {
    viewer: Viewer,
    encoder: SnapshotEncoder,
    decoder: SnapshotDecoder,
    baseline: Option<u32>,
    written: Vec<String>,
}

impl Client {
    fn new(registry: &Registry, viewer: Viewer) -> Self {
        let (encoder, decoder) = (SnapshotEncoder::new(registry, 1_100), SnapshotDecoder::new(registry));
        Self { viewer, encoder, decoder, baseline: None, written: Vec::new() }
    }

    fn receive(&mut self, part: &[u8]) {
        self.decoder.receive(part).unwrap_or_else(|error| panic!("{}: {error}", hex(part)));
    }

    fn state(&self) -> String {
        let rows = self.decoder.newest().into_iter().flat_map(|frame| frame.rows());
        let rows: Vec<String> = rows
            .map(|row| {
                let known = u8::from(row.known.team) | u8::from(row.known.owner) << 1;
                let lanes: Vec<String> = row.lanes.iter().map(i32::to_string).collect();
                format!(" {}.{} {known} [{}]", row.id.0, row.component, lanes.join(" "))
            })
            .collect();
        rows.join(";")
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text == "-" { None } else { Some(text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))) }
}

fn words(text: &str) -> Vec<&str> {
    text.split([' ', '.', '[', ']']).filter(|word| !word.is_empty()).collect()
}

#[test]
fn snapshots_are_written_and_read_as_the_vectors_say() {
    let mut registry = Registry::default();
    registry.add::<Place>();
    registry.add::<Secret>();
    registry.add::<Health>();
    registry.add::<Pocket>();
    registry.add::<Stance>();
    let mut client = Client::new(&registry, Viewer { slot: None, team: 0 });
    let mut counts = (0, 0);
    for line in lines::lines(SNAPSHOTS) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (what, &words(rest)[..]) {
            ("viewer", [slot, team]) => {
                let viewer = Viewer { slot: number(slot), team: number(team).expect("a team") };
                client = Client::new(&registry, viewer);
            }
            ("tick", [tick, "baseline", baseline]) => {
                client.encoder.begin(number(tick).expect("a tick"));
                client.baseline = number(baseline);
                client.written.clear();
            }
            ("row", [id, component, owner, team, lanes @ ..]) => {
                let lanes: Vec<i32> = lanes.iter().filter_map(|lane| number(lane)).collect();
                let (id, component) = (StableId(number(id).expect("an id")), number(component).expect("a component"));
                client.encoder.row(id, component, number(owner), number(team).expect("a team"), &lanes);
            }
            ("part", _) => {
                if client.written.is_empty() {
                    let mut parts = Parts::default();
                    assert!(client.encoder.encode(client.baseline, client.viewer, &mut parts));
                    client.written = parts.iter().map(hex).collect();
                }
                assert_eq!(client.written.remove(0), hex(&bytes(rest)));
                client.receive(&bytes(rest));
                counts.0 += 1;
            }
            ("read", _) => client.receive(&bytes(rest)),
            ("state", _) => {
                assert!(client.written.is_empty(), "more parts are written: {:?}", client.written);
                assert_eq!(client.state().trim(), rest);
            }
            ("refused", _) => {
                let before = client.state();
                assert!(client.decoder.receive(&bytes(rest)).is_err(), "{rest} was taken");
                assert_eq!(client.state(), before);
                counts.1 += 1;
            }
            _ => panic!("not understood: {line}"),
        }
    }
    assert!(counts.0 >= 7 && counts.1 >= 10, "{counts:?}");
}
