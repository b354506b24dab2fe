//! Contract: what `tests/vectors/snapshots.txt` says a server has is written as the parts that stand there, and these are read
//! as the state that stands there, so that whoever writes another client can check it against the same file. The same for
//! `drifting.txt`. `ARBITER_WRITE_VECTORS=1` writes what is sent, and what the client has then, into both files anew.

use arbiter_schema::{Audience, ComponentDesc, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::codec::Tables;
use arbiter_snapshot::{Cache, Frame, History, Peer, PeerParts, Receiver, Viewer, Wish};

#[path = "../../../tests/vectors/lines.rs"]
mod lines;
use lines::{bytes, hex};

const SNAPSHOTS: &str = include_str!("../../../tests/vectors/snapshots.txt");
const DRIFTING: &str = include_str!("../../../tests/vectors/drifting.txt");

const fn spec(max: f32, audience: Audience) -> Spec {
    predicted(max, Predictor::Hold, audience)
}

const fn predicted(max: f32, predictor: Predictor, audience: Audience) -> Spec {
    Spec::new(0.0, max, 1.0, predictor, audience)
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
    /// All that moves.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Body {
        /// A place.
        pub at: [i32; 3] => predicted(60_000.0, Predictor::Linear, Audience::Everyone),
        /// A rotation.
        pub turn: [u16; 4] => predicted(511.0, Predictor::Rotation, Audience::Everyone),
        /// Another vector.
        pub speed: [i32; 3] => predicted(2_000.0, Predictor::Linear, Audience::Everyone),
        /// A lane that goes on.
        pub phase: u16 => predicted(4_000.0, Predictor::Linear, Audience::Everyone),
        /// A lane that goes on, for the team.
        pub aim: u16 => predicted(65_535.0, Predictor::Linear, Audience::Team),
        /// A lane that stays, for the owner.
        pub rounds: u8 => spec(30.0, Audience::Owner),
    }
}

describe! {
    /// What nothing pushes.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Stone {
        /// A place.
        pub at: [i32; 3] => predicted(6_400.0, Predictor::Drift, Audience::Everyone),
        /// A rotation.
        pub turn: [u16; 4] => predicted(2_047.0, Predictor::Spin, Audience::Everyone),
        /// A lane that stays.
        pub size: u8 => spec(100.0, Audience::Everyone),
    }
    /// A place alone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Spark {
        /// A place.
        pub at: [i32; 3] => predicted(6_400.0, Predictor::Drift, Audience::Everyone),
    }
}

/// As the file describes a component: number, name, and of each field name, lanes, largest value, audience and predictor.
fn described(component: &ComponentDesc) -> String {
    let mut fields: Vec<(&str, usize, String)> = Vec::new();
    for lane in &component.lanes {
        let rest = format!("{} {:?} {:?}", lane.max, lane.audience, lane.predictor).to_lowercase();
        match fields.last_mut().filter(|(field, ..)| *field == lane.field) {
            Some((_, count, _)) => *count += 1,
            None => fields.push((lane.field, 1, rest)),
        }
    }
    let fields: Vec<String> = fields.iter().map(|(field, count, rest)| format!(" {field} {count} {rest}")).collect();
    format!("{} {}{}", component.id, component.name, fields.join(","))
}

/// One client of the file, and the server as it has it.
struct Client {
    viewer: Viewer,
    history: History,
    peer: Peer,
    receiver: Receiver,
    /// Of the tick begun last.
    ids: Vec<StableId>,
    gone: Vec<StableId>,
    is_written: bool,
    written: Vec<(u32, String)>,
    /// Ticks and tags of the parts that nothing has been heard of.
    tags: Vec<(u32, u32)>,
}

impl Client {
    fn new(registry: &Registry, viewer: Viewer) -> Self {
        Self {
            viewer,
            history: History::new(registry),
            peer: Peer::new(1),
            receiver: Receiver::new(registry),
            ids: Vec::new(),
            gone: Vec::new(),
            is_written: true,
            written: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// Tells the tick, once all its rows are there.
    fn write(&mut self) {
        if core::mem::replace(&mut self.is_written, true) {
            return;
        }
        self.history.finish();
        let mut parts = PeerParts::default();
        let wish = Wish { wanted: &self.ids, gone: &self.gone, always: None, budget_bytes: 4_000 };
        self.peer.encode(&self.history, &mut Cache::default(), self.viewer, &wish, &mut parts);
        self.written = parts.iter().map(|(tag, part)| (tag, hex(part))).collect();
        let tick = self.history.tick().expect("it was begun");
        self.tags.extend(parts.iter().map(|(tag, _)| (tick, tag)));
    }

    fn receive(&mut self, part: &[u8]) {
        self.receiver.receive(part).unwrap_or_else(|error| panic!("{}: {error}", hex(part)));
    }

    /// The server hears of the parts of a tick.
    fn land(&mut self, tick: u32, came: bool) {
        for (_, tag) in self.tags.extract_if(.., |(of, _)| *of == tick) {
            if came { self.peer.delivered(tag) } else { self.peer.lost(tag) }
        }
    }

    fn state(&self) -> String {
        let mut frame = Frame::default();
        self.receiver.frame(self.receiver.newest_tick(), &mut frame);
        let rows = frame.rows().map(|row| {
            let known = u8::from(row.known.team) | u8::from(row.known.owner) << 1;
            let lanes: Vec<String> = row.lanes.iter().map(i32::to_string).collect();
            format!(" {}.{} {known} [{}] of {}", row.id.0, row.component, lanes.join(" "), row.tick)
        });
        rows.collect::<Vec<String>>().join(";")
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text == "-" { None } else { Some(text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))) }
}

fn words(text: &str) -> Vec<&str> {
    text.split([' ', '.', '[', ']']).filter(|word| !word.is_empty()).collect()
}

#[test]
fn what_drifts_is_written_and_read_as_the_vectors_say() {
    let mut registry = Registry::default();
    registry.add::<Stone>();
    registry.add::<Spark>();
    let counts = check(&registry, "drifting.txt", DRIFTING);
    assert!(counts.0 >= 60 && counts.1 >= 3, "{counts:?}");
}

#[test]
fn snapshots_are_written_and_read_as_the_vectors_say() {
    let mut registry = Registry::default();
    registry.add::<Place>();
    registry.add::<Secret>();
    registry.add::<Health>();
    registry.add::<Pocket>();
    registry.add::<Stance>();
    registry.add::<Body>();
    let counts = check(&registry, "snapshots.txt", SNAPSHOTS);
    assert!(counts.0 >= 25 && counts.1 >= 15, "{counts:?}");
}

/// Checks a file of vectors, or writes it; how many parts there are, and how many that are refused.
fn check(registry: &Registry, name: &str, file: &str) -> (usize, usize) {
    let writes = std::env::var_os("ARBITER_WRITE_VECTORS").is_some();
    let mut renewed: Vec<String> = Vec::new();
    let mut components = registry.components().iter();
    let mut client = Client::new(registry, Viewer { slot: None, team: 0 });
    let mut counts = (0, 0);
    for line in lines::lines(file) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        if writes {
            let is = match what {
                "tables" => format!("{:016x}", Tables::frozen_hash()),
                "part" | "unheard" => {
                    client.write();
                    let (_, written) = client.written.remove(0);
                    if what == "part" {
                        client.receive(&bytes(&written));
                    }
                    written
                }
                "state" => client.state().trim().to_owned(),
                _ => rest.to_owned(),
            };
            renewed.push(format!("{what} {is}").trim().to_owned());
            if matches!(what, "tables" | "part" | "unheard" | "state") {
                counts.0 += usize::from(what == "part");
                continue;
            }
        }
        match (what, &words(rest)[..]) {
            ("tables", _) => assert_eq!(format!("{:016x}", Tables::frozen_hash()), rest, "other tables: write it anew"),
            ("component", _) => assert_eq!(components.next().map(described).as_deref(), Some(rest)),
            ("viewer", [slot, team]) => {
                let viewer = Viewer { slot: number(slot), team: number(team).expect("a team") };
                client = Client::new(registry, viewer);
            }
            ("tick", [tick]) => {
                assert!(client.written.is_empty(), "more parts are written: {:?}", client.written);
                client.write();
                client.history.begin(number(tick).expect("a tick"));
                (client.ids, client.gone) = (Vec::new(), Vec::new());
                client.is_written = false;
            }
            ("row", [id, component, owner, team, lanes @ ..]) => {
                let lanes: Vec<i32> = lanes.iter().filter_map(|lane| number(lane)).collect();
                let (id, component) = (StableId(number(id).expect("an id")), number(component).expect("a component"));
                client.history.row(id, component, number(owner), number(team).expect("a team"), &lanes);
                if client.ids.last() != Some(&id) {
                    client.ids.push(id);
                }
            }
            ("hidden", [id]) => {
                let id = StableId(number(id).expect("an id"));
                client.ids.retain(|wanted| *wanted != id);
                client.gone.push(id);
            }
            ("part", _) => {
                client.write();
                let (_, written) = client.written.remove(0);
                assert_eq!(written, hex(&bytes(rest)));
                client.receive(&bytes(rest));
                counts.0 += 1;
            }
            ("unheard", _) => {
                client.write();
                let (_, written) = client.written.remove(0);
                assert_eq!(written, hex(&bytes(rest)));
            }
            ("read", _) => client.receive(&bytes(rest)),
            ("acknowledged" | "lost", [tick]) => client.land(number(tick).expect("a tick"), what == "acknowledged"),
            ("nothing", _) => {
                client.write();
                assert!(client.written.is_empty(), "parts are written: {:?}", client.written);
            }
            ("state", _) => {
                assert!(client.written.is_empty(), "more parts are written: {:?}", client.written);
                assert_eq!(client.state().trim(), rest);
            }
            ("refused", _) => {
                let before = client.state();
                assert!(client.receiver.receive(&bytes(rest)).is_err(), "{rest} was taken");
                assert_eq!(client.state(), before);
                counts.1 += 1;
            }
            _ => panic!("not understood: {line}"),
        }
    }
    assert_eq!(components.next(), None, "a component that the file does not describe");
    if writes {
        let mut renewed = renewed.into_iter();
        let anew = file.lines().map(|line| {
            let is_kept = lines::lines(line).next().is_none();
            if is_kept { line.to_owned() } else { renewed.next().unwrap_or_default() }
        });
        let text = anew.collect::<Vec<String>>().join("\n") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/").to_owned() + name;
        std::fs::write(path, text).expect("the vectors can be written");
    }
    counts
}
