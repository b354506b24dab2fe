//! Writes the two maps of the house as binary glTF, and a picture of each for `docs/maps.md`.
//!
//! The maps are drawn by code so that a field for 1,000 players needs no editor; the result is an ordinary scene, which
//! opens in Blender and can be taken further there. Same code, same bytes: the only randomness is [`SEED`].

use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Where the field's cover lies. Another number gives another field; its tests say whether it is a good one.
const SEED: u64 = 0x00a1_b17e;

/// Writes the maps and their pictures.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fail if the committed files differ from what would be written, and write nothing.
    #[arg(long)]
    check: bool,
}

/// Writes `assets/maps/*.glb` and `docs/maps/*.svg`, or compares them.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, scene) in [("arena", arena()), ("field", field())] {
        let files =
            [(format!("assets/maps/{name}.glb"), scene.glb()?), (format!("docs/maps/{name}.svg"), scene.svg().into())];
        for (path, bytes) in files {
            let full = root.join(&path);
            if args.check {
                let found = std::fs::read(&full).with_context(|| format!("reading {path}; run cargo xtask maps"))?;
                anyhow::ensure!(
                    found == bytes,
                    "{path} is not what the generator writes; run cargo xtask maps and commit it"
                );
            } else {
                if let Some(folder) = full.parent() {
                    std::fs::create_dir_all(folder).with_context(|| format!("making the folder of {path}"))?;
                }
                std::fs::write(&full, &bytes).with_context(|| format!("writing {path}"))?;
            }
            println!("{path}: {} bytes", bytes.len());
        }
    }
    Ok(())
}

/// The unit meshes that every node scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mesh {
    /// 1 m each way from the centre.
    Cube,
    /// A ramp in the same cube: low at -z, high at +z.
    Wedge,
    /// A cylinder in the same cube.
    Cylinder,
    /// A hill in the same cube: its top is a third as wide as its foot.
    Hill,
}

impl Mesh {
    fn geometry(self) -> (Vec<[f32; 3]>, Vec<[u16; 3]>) {
        let frustum = |top: f32| {
            let ring = |y: f32, r: f32| [[-r, y, -r], [r, y, -r], [r, y, r], [-r, y, r]];
            let points: Vec<_> = ring(-1.0, 1.0).into_iter().chain(ring(1.0, top)).collect();
            let sides = (0..4u16).flat_map(|a| {
                let b = (a + 1) % 4;
                [[a, a + 4, b + 4], [a, b + 4, b]]
            });
            let caps = [[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]];
            (points, sides.chain(caps).collect())
        };
        match self {
            Mesh::Cube => frustum(1.0),
            Mesh::Hill => frustum(1.0 / 3.0),
            Mesh::Wedge => (
                vec![
                    [-1.0, -1.0, -1.0],
                    [1.0, -1.0, -1.0],
                    [1.0, -1.0, 1.0],
                    [-1.0, -1.0, 1.0],
                    [1.0, 1.0, 1.0],
                    [-1.0, 1.0, 1.0],
                ],
                vec![[0, 1, 2], [0, 2, 3], [3, 2, 4], [3, 4, 5], [0, 5, 4], [0, 4, 1], [1, 4, 2], [0, 3, 5]],
            ),
            Mesh::Cylinder => {
                const SIDES: u16 = 16;
                let mut points = Vec::new();
                for y in [-1.0, 1.0] {
                    for side in 0..SIDES {
                        let (sin, cos) = turn(f64::from(side) * 360.0 / f64::from(SIDES));
                        points.push([cos as f32, y, sin as f32]);
                    }
                }
                let mut faces = Vec::new();
                for a in 0..SIDES {
                    let b = (a + 1) % SIDES;
                    faces.extend([[a, a + SIDES, b + SIDES], [a, b + SIDES, b]]);
                    if (1..SIDES - 1).contains(&a) {
                        faces.extend([[0, a, b], [SIDES, b + SIDES, a + SIDES]]);
                    }
                }
                (points, faces)
            }
        }
    }
}

/// Sine and cosine of degrees, rounded so that every platform's maths library writes the same bytes.
fn turn(degrees: f64) -> (f64, f64) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let round = |x: f64| (x * 1e6).round() / 1e6;
    (round(sin), round(cos))
}

/// Name and RGB of a material.
type Paint = (&'static str, [f64; 3]);
const GROUND: Paint = ("ground", [0.36, 0.40, 0.33]);
const STONE: Paint = ("stone", [0.55, 0.55, 0.58]);
const COVER: Paint = ("cover", [0.44, 0.36, 0.27]);
const RAMP: Paint = ("ramp", [0.50, 0.48, 0.40]);
const MOVING: Paint = ("moving", [0.20, 0.45, 0.70]);
const DOOR: Paint = ("door", [0.45, 0.22, 0.12]);
const CRATE: Paint = ("crate", [0.72, 0.55, 0.28]);
const BARREL: Paint = ("barrel", [0.75, 0.20, 0.15]);
const ZONE: Paint = ("zone", [0.95, 0.80, 0.20]);
const PAD: Paint = ("pad", [0.25, 0.80, 0.75]);
const DEADLY: Paint = ("deadly", [0.85, 0.10, 0.35]);

/// What stands in a scene; the fields that most nodes do not use have defaults.
#[derive(Debug, Clone, Default)]
struct Node {
    name: String,
    at: [f64; 3],
    yaw_deg: f64,
    half: Option<[f64; 3]>,
    mesh: Option<(Mesh, Paint)>,
    extras: Option<Value>,
    children: Vec<Node>,
}

#[derive(Debug, Default)]
struct Scene {
    nodes: Vec<Node>,
    half: [f64; 2],
}

impl Scene {
    fn mesh(&mut self, name: impl Into<String>, mesh: Mesh, paint: Paint, at: [f64; 3], half: [f64; 3], yaw_deg: f64) {
        let (mesh, half) = (Some((mesh, paint)), Some(half));
        self.nodes.push(Node { name: name.into(), at, half, mesh, yaw_deg, ..Node::default() });
    }

    /// A box from its lowest to its highest corner.
    fn block(&mut self, name: impl Into<String>, paint: Paint, low: [f64; 3], high: [f64; 3]) {
        let at = std::array::from_fn(|i| (low[i] + high[i]) / 2.0);
        let half = std::array::from_fn(|i| (high[i] - low[i]) / 2.0);
        self.mesh(format!("solid_{}_box", name.into()), Mesh::Cube, paint, at, half, 0.0);
    }

    fn volume(&mut self, name: &str, paint: Paint, at: [f64; 3], half: [f64; 3]) -> &mut Node {
        self.mesh(name, Mesh::Cube, paint, at, half, 0.0);
        let last = self.nodes.len() - 1;
        &mut self.nodes[last]
    }

    fn empty(&mut self, name: impl Into<String>, at: [f64; 3], yaw_deg: f64) {
        self.nodes.push(Node { name: name.into(), at, yaw_deg, ..Node::default() });
    }

    fn prop(&mut self, kind: &str, number: usize, x: f64, floor: f64, z: f64, yaw_deg: f64) {
        // The sizes are those of assets/rules/props.ron; the mesh is for people, only its centre counts.
        let (mesh, paint, half) = match kind {
            "barrel" => (Mesh::Cylinder, BARREL, [0.35, 0.5, 0.35]),
            "small_crate" => (Mesh::Cube, CRATE, [0.3, 0.3, 0.3]),
            _ => (Mesh::Cube, CRATE, [0.5, 0.5, 0.5]),
        };
        self.mesh(format!("prop_{kind}_{number:02}"), mesh, paint, [x, floor + half[1], z], half, yaw_deg);
    }

    /// How near a place is to the edge of a solid that stands on the ground, and the height of its top if inside. `None`
    /// if the place is unfit for feet: within `room` of an edge, or in something that one cannot stand on.
    fn feet(&self, x: f64, z: f64, room: f64) -> Option<f64> {
        let mut floor: Option<f64> = None;
        let higher = |floor: Option<f64>, top: f64| Some(floor.map_or(top, |other| other.max(top)));
        for node in &self.nodes {
            let (Some(half), Some((mesh, _))) = (node.half, node.mesh) else { continue };
            let prop = node.name.starts_with("prop_") || node.name.starts_with("door_");
            if !(prop || node.name.starts_with("solid_")) || node.at[1] - half[1] > 1.8 {
                continue;
            }
            let (sin, cos) = turn(-node.yaw_deg);
            let (dx, dz) = (x - node.at[0], z - node.at[2]);
            let (u, v) = ((dx * cos + dz * sin).abs() - half[0], (dz * cos - dx * sin).abs() - half[2]);
            let outside = u.max(v);
            let top = node.at[1] + half[1];
            if top < 0.01 {
                // Ground: near its edge is an abyss only if no other piece goes on there, which linking finds out.
                floor = if outside < 0.0 { higher(floor, top) } else { floor };
            } else if mesh == Mesh::Hill && outside < 0.0 {
                // Slopes of the three hill sizes are walked; their height goes from the foot to a third of it.
                let part = (half[0] + u.max(v)).max(0.0) / half[0];
                let rise = ((1.0 - part) * 1.5).min(1.0) * 2.0 - 1.0;
                floor = higher(floor, rise * half[1] + node.at[1]);
            } else if outside < room && outside > -room || outside <= -room && (top > 0.8 || prop) {
                return None;
            } else if outside <= -room {
                floor = higher(floor, top);
            }
        }
        floor
    }

    fn glb(&self) -> anyhow::Result<Vec<u8>> {
        let mut bin: Vec<u8> = Vec::new();
        let (mut views, mut accessors, mut meshes, mut materials, mut nodes) = (vec![], vec![], vec![], vec![], vec![]);
        let mut shapes: BTreeMap<Mesh, usize> = BTreeMap::new();
        let mut paints: BTreeMap<&str, usize> = BTreeMap::new();
        let mut pairs: BTreeMap<(Mesh, &str), usize> = BTreeMap::new();
        let mut all = Vec::new();
        fn flatten<'a>(node: &'a Node, all: &mut Vec<&'a Node>) {
            all.push(node);
            node.children.iter().for_each(|child| flatten(child, all));
        }
        self.nodes.iter().for_each(|node| flatten(node, &mut all));
        for &node in &all {
            let Some((mesh, paint)) = node.mesh else { continue };
            if pairs.contains_key(&(mesh, paint.0)) {
                continue;
            }
            let first = *shapes.entry(mesh).or_insert_with(|| {
                let (points, faces) = mesh.geometry();
                let start = bin.len();
                points.iter().flatten().for_each(|lane| bin.extend(lane.to_le_bytes()));
                let middle = bin.len();
                faces.iter().flatten().for_each(|index| bin.extend(index.to_le_bytes()));
                let end = bin.len();
                bin.resize(end.next_multiple_of(4), 0);
                let (view, accessor) = (views.len(), accessors.len());
                views.push(json!({"buffer": 0, "byteOffset": start, "byteLength": middle - start, "target": 34962}));
                views.push(json!({"buffer": 0, "byteOffset": middle, "byteLength": end - middle, "target": 34963}));
                accessors
                    .push(json!({"bufferView": view, "componentType": 5126, "count": points.len(), "type": "VEC3",
                    "min": [-1.0, -1.0, -1.0], "max": [1.0, 1.0, 1.0]}));
                accessors.push(
                    json!({"bufferView": view + 1, "componentType": 5123, "count": faces.len() * 3, "type": "SCALAR"}),
                );
                accessor
            });
            let material = *paints.entry(paint.0).or_insert_with(|| {
                let alpha = if [ZONE.0, DEADLY.0, PAD.0].contains(&paint.0) { 0.25 } else { 1.0 };
                let [r, g, b] = paint.1;
                let mut material = json!({"name": paint.0, "pbrMetallicRoughness":
                    {"baseColorFactor": [r, g, b, alpha], "metallicFactor": 0.0, "roughnessFactor": 0.9}});
                if alpha < 1.0 {
                    material["alphaMode"] = json!("BLEND");
                }
                materials.push(material);
                materials.len() - 1
            });
            pairs.insert((mesh, paint.0), meshes.len());
            let name = format!("{mesh:?} {}", paint.0).to_lowercase();
            meshes.push(json!({"name": name, "primitives":
                [{"attributes": {"POSITION": first}, "indices": first + 1, "material": material}]}));
        }
        let mut next = 0;
        let mut roots = Vec::new();
        fn write(
            node: &Node,
            next: &mut usize,
            nodes: &mut Vec<Value>,
            pairs: &BTreeMap<(Mesh, &str), usize>,
        ) -> usize {
            let index = *next;
            *next += 1;
            nodes.push(Value::Null);
            let children: Vec<usize> = node.children.iter().map(|child| write(child, next, nodes, pairs)).collect();
            let short = |x: f64| (x * 1e4).round() / 1e4;
            let mut out = json!({"name": node.name});
            if node.at != [0.0; 3] {
                out["translation"] = json!(node.at.map(short));
            }
            if node.yaw_deg != 0.0 {
                let (sin, cos) = turn(node.yaw_deg / 2.0);
                out["rotation"] = json!([0.0, sin, 0.0, cos]);
            }
            if let Some(half) = node.half {
                out["scale"] = json!(half.map(short));
            }
            if let Some((mesh, paint)) = node.mesh {
                out["mesh"] = json!(pairs[&(mesh, paint.0)]);
            }
            if let Some(extras) = &node.extras {
                out["extras"] = extras.clone();
            }
            if !children.is_empty() {
                out["children"] = json!(children);
            }
            nodes[index] = out;
            index
        }
        for node in &self.nodes {
            roots.push(write(node, &mut next, &mut nodes, &pairs));
        }
        let root = json!({
            "asset": {"version": "2.0", "generator": "cargo xtask maps"},
            "scene": 0, "scenes": [{"nodes": roots}], "nodes": nodes, "meshes": meshes, "materials": materials,
            "accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": bin.len()}],
        });
        let mut text = serde_json::to_vec(&root)?;
        text.resize(text.len().next_multiple_of(4), b' ');
        let mut out = Vec::new();
        out.extend(b"glTF");
        out.extend(2u32.to_le_bytes());
        out.extend(u32::try_from(12 + 8 + text.len() + 8 + bin.len())?.to_le_bytes());
        for (kind, chunk) in [(b"JSON", &text), (b"BIN\0", &bin)] {
            out.extend(u32::try_from(chunk.len())?.to_le_bytes());
            out.extend(kind);
            out.extend(chunk);
        }
        Ok(out)
    }

    /// The map from above, -z at the top.
    fn svg(&self) -> String {
        let [w, h] = self.half;
        let unit = w / 30.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{} {} {} {}\" width=\"900\" font-family=\"sans-serif\" \
             font-size=\"{:.1}\">\n<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#1b1d1a\"/>\n",
            -w,
            -h,
            w * 2.0,
            h * 2.0,
            unit * 1.2,
            -w,
            -h,
            w * 2.0,
            h * 2.0
        );
        let mut order: Vec<&Node> =
            self.nodes.iter().filter(|node| node.name != "bounds" && node.name != "kill_below").collect();
        let flat = |node: &Node| ["point_", "kill_", "trigger_"].iter().any(|prefix| node.name.starts_with(prefix));
        let top =
            |node: &Node| node.at[1] + node.half.map_or(0.0, |half| half[1]) + if flat(node) { 100.0 } else { 0.0 };
        order.sort_by(|a, b| top(a).total_cmp(&top(b)));
        let round = |x: f64| (x * 100.0).round() / 100.0;
        for node in order {
            let (x, z) = (round(node.at[0]), round(node.at[2]));
            if let (Some(half), Some((mesh, paint))) = (node.half, node.mesh) {
                // Higher is lighter, so that floors, cover and decks can be told apart.
                let shade = 0.75 + 0.12 * (node.at[1] + half[1]).clamp(0.0, 5.0);
                let [r, g, b] = paint.1.map(|part| (part * shade * 255.0).min(255.0) as u8);
                let opacity = if flat(node) { 0.35 } else { 1.0 };
                let _ = match mesh {
                    Mesh::Cylinder => writeln!(
                        out,
                        "<circle cx=\"{x}\" cy=\"{z}\" r=\"{}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>",
                        half[0]
                    ),
                    _ => writeln!(
                        out,
                        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" transform=\"translate({x} {z}) rotate({})\" \
                         fill=\"#{r:02x}{g:02x}{b:02x}\" opacity=\"{opacity}\" stroke=\"#000\" stroke-opacity=\".35\" stroke-width=\"{:.2}\"/>",
                        round(-half[0]),
                        round(-half[2]),
                        round(half[0] * 2.0),
                        round(half[2] * 2.0),
                        -node.yaw_deg,
                        unit * 0.04
                    ),
                };
                if let Some(name) = node.name.strip_prefix("point_") {
                    let _ =
                        writeln!(out, "<text x=\"{x}\" y=\"{z}\" text-anchor=\"middle\" fill=\"#fff\">{name}</text>");
                }
                continue;
            }
            let colour = match node.name.split('_').nth(1).unwrap_or_default() {
                _ if node.name.starts_with("waypoint") => "#7fd4ff",
                _ if node.name.starts_with("pickup") => "#8f6",
                "any" => "#ddd",
                "team1" | "team3" | "team5" | "team7" => "#f96",
                _ => "#69f",
            };
            let size = if node.name.starts_with("waypoint") { 0.12 } else { 0.3 };
            let _ = writeln!(out, "<circle cx=\"{x}\" cy=\"{z}\" r=\"{:.2}\" fill=\"{colour}\"/>", unit * size);
        }
        out.push_str("</svg>\n");
        out
    }
}

/// Both sides of the arena: as given, and mirrored to the other team's side.
fn sides() -> [(&'static str, f64); 2] {
    [("e", 1.0), ("w", -1.0)]
}

/// A box of the eastern side, mirrored if `side` is -1.
fn mirrored(scene: &mut Scene, name: String, paint: Paint, side: f64, low: [f64; 3], high: [f64; 3]) {
    let (a, b) = (low[0] * side, high[0] * side);
    scene.block(name, paint, [a.min(b), low[1], low[2]], [a.max(b), high[1], high[2]]);
}

/// The arena: 60 by 44 m, mirrored between two teams. Team 1 starts in the west. North (-z) has the bridge and the pit
/// with the moving platform, the middle has B, the south has A and C on their steps, a plank and a tunnel to creep through.
fn arena() -> Scene {
    let mut scene = Scene { half: [31.5, 23.5], ..Scene::default() };
    scene.volume("bounds", ZONE, [0.0, 6.0, 0.0], [32.0, 16.0, 24.0]);
    // The ground leaves two pits open.
    for (name, low, high) in [
        ("floor_north", [-30.0, -17.0 - 5.0], [30.0, -17.0]),
        ("floor_north_w", [-30.0, -17.0], [-4.0, -12.0]),
        ("floor_north_e", [4.0, -17.0], [30.0, -12.0]),
        ("floor_middle", [-30.0, -12.0], [30.0, 12.0]),
        ("floor_south_w", [-30.0, 12.0], [-3.0, 17.0]),
        ("floor_south_e", [3.0, 12.0], [30.0, 17.0]),
        ("floor_south", [-30.0, 17.0], [30.0, 22.0]),
    ] {
        scene.block(name, GROUND, [low[0], -1.0, low[1]], [high[0], 0.0, high[1]]);
    }
    scene.block("plank", RAMP, [-3.0, -0.3, 13.75], [3.0, 0.0, 15.25]);
    scene.volume("kill_north", DEADLY, [0.0, -3.5, -14.5], [4.5, 1.0, 3.0]);
    scene.volume("kill_south", DEADLY, [0.0, -3.5, 14.5], [3.5, 1.0, 3.0]);
    scene.volume("kill_below", DEADLY, [0.0, -7.5, 0.0], [32.0, 2.0, 24.0]);
    for (name, low, high) in [
        ("wall_north", [-31.0, -23.0], [31.0, -22.0]),
        ("wall_south", [-31.0, 22.0], [31.0, 23.0]),
        ("wall_west", [-31.0, -22.0], [-30.0, 22.0]),
        ("wall_east", [30.0, -22.0], [31.0, 22.0]),
    ] {
        scene.block(name, STONE, [low[0], -1.0, low[1]], [high[0], 6.0, high[1]]);
    }
    // The bridge: a deck 3.2 m up with a ramp at either end.
    scene.block("deck", RAMP, [-12.0, 2.8, -9.0], [12.0, 3.2, -5.0]);
    scene.block("cover_north", COVER, [-1.5, 0.0, -11.2], [1.5, 2.2, -10.4]);
    scene.block("cover_south", COVER, [-2.0, 0.0, 8.5], [2.0, 1.1, 9.5]);
    scene.block("tunnel_north", STONE, [-6.0, 0.0, 18.2], [6.0, 1.45, 18.7]);
    scene.block("tunnel_roof", STONE, [-6.0, 1.45, 18.2], [6.0, 1.95, 22.0]);
    let mut platform = Node {
        name: "platform_ferry_box".into(),
        at: [-2.7, -0.2, -14.5],
        half: Some([1.3, 0.2, 1.5]),
        mesh: Some((Mesh::Cube, MOVING)),
        extras: Some(json!({"speed": 1.5, "pause": 1.5})),
        ..Node::default()
    };
    // Children are placed in the platform's scaled frame.
    for (name, x) in [("path_0", 0.0), ("path_1", 5.4 / 1.3)] {
        platform.children.push(Node { name: name.into(), at: [x, 0.0, 0.0], ..Node::default() });
    }
    scene.nodes.push(platform);
    for (letter, at, half) in [
        ("A", [-18.0, 2.0, 8.0], [4.0, 2.0, 3.0]),
        ("B", [0.0, 2.0, 2.0], [4.0, 2.0, 4.0]),
        ("C", [18.0, 2.0, 8.0], [4.0, 2.0, 3.0]),
    ] {
        scene.volume(&format!("point_{letter}"), ZONE, at, half);
    }
    for (s, x) in sides() {
        scene.mesh(
            format!("solid_ramp_{s}_hull"),
            Mesh::Wedge,
            RAMP,
            [16.0 * x, 1.6, -7.0],
            [2.0, 1.6, 4.0],
            -90.0 * x,
        );
        for (row, z) in [("n", -8.4), ("s", -5.6)] {
            let name = format!("solid_pillar_{s}{row}_cyl");
            scene.mesh(name, Mesh::Cylinder, STONE, [6.0 * x, 1.4, z], [0.4, 1.4, 0.4], 0.0);
        }
        // A and C stand on three low steps.
        for (step, (low, high, top)) in
            [(14.0, 22.0, 0.75), (13.5, 14.0, 0.5), (13.0, 13.5, 0.25), (22.0, 22.5, 0.5), (22.5, 23.0, 0.25)]
                .into_iter()
                .enumerate()
        {
            mirrored(&mut scene, format!("steps_{s}{step}"), STONE, x, [low, 0.0, 5.0], [high, top, 11.0]);
        }
        // The base has two wide openings and a door.
        for (part, (low, high)) in [(-22.0, -16.5), (-11.0, -1.0), (1.0, 10.5), (16.5, 22.0)].into_iter().enumerate() {
            mirrored(&mut scene, format!("base_{s}{part}"), STONE, x, [23.8, 0.0, low], [24.2, 3.6, high]);
        }
        mirrored(&mut scene, format!("base_{s}_lintel"), STONE, x, [23.8, 2.5, -1.0], [24.2, 3.6, 1.0]);
        scene.nodes.push(Node {
            name: format!("door_base_{s}"),
            at: [24.0 * x, 1.22, 0.0],
            half: Some([0.06, 1.18, 0.95]),
            mesh: Some((Mesh::Cube, DOOR)),
            extras: Some(json!({"swing": 100.0})),
            children: vec![Node {
                name: format!("hinge.00{}", if x > 0.0 { 1 } else { 2 }),
                at: [0.0, 0.0, -1.0],
                ..Node::default()
            }],
            ..Node::default()
        });
        for (number, (cx, cz, w, h, d)) in [
            (8.0, 8.5, 2.0, 1.2, 1.0),
            (10.0, 3.0, 1.0, 2.2, 3.0),
            (17.0, -14.5, 3.0, 2.2, 1.2),
            (10.0, -19.0, 1.2, 1.2, 3.0),
            (7.5, -11.5, 1.6, 1.1, 1.6),
            (10.0, 13.5, 1.6, 2.2, 3.0),
            (17.0, 16.6, 3.0, 1.1, 1.0),
            (20.0, -2.0, 1.2, 2.2, 3.2),
            (15.0, -1.5, 1.6, 1.1, 1.6),
            (13.0, 18.5, 1.2, 2.2, 2.4),
            (26.0, 8.0, 1.0, 1.2, 2.4),
        ]
        .into_iter()
        .enumerate()
        {
            let (low, high) = ([cx - w / 2.0, 0.0, cz - d / 2.0], [cx + w / 2.0, h, cz + d / 2.0]);
            mirrored(&mut scene, format!("cover_{s}{number:02}"), COVER, x, low, high);
        }
        // Slanted cover breaks the lines of sight along the walls.
        for (number, (cx, cz, yaw)) in [(20.0, 19.0, 30.0), (20.0, -19.0, -35.0)].into_iter().enumerate() {
            let name = format!("solid_slant_{s}{number}_box");
            scene.mesh(name, Mesh::Cube, COVER, [cx * x, 1.1, cz], [1.6, 1.1, 0.4], yaw * x);
        }
        scene.volume(&format!("trigger_launch_bridge_{s}"), PAD, [8.0 * x, 0.5, -2.0], [0.8, 0.5, 0.8]).children =
            // 13 m/s up and 5 towards the bridge, in the scaled frame of the pad.
            vec![Node { name: format!("velocity.00{}", if x > 0.0 { 1 } else { 2 }), at: [0.0, 13.0 / 0.5, -5.0 / 0.8], ..Node::default() }];
        let team = if x < 0.0 { 1 } else { 2 };
        for (number, z) in [-17.5, -13.5, -9.0, -5.0, 4.0, 12.0, 16.0].into_iter().enumerate() {
            for (column, cx) in [27.0, 28.8].into_iter().enumerate() {
                scene.empty(format!("spawn_team{team}_{:02}", number * 2 + column), [cx * x, 0.0, z], 90.0 * x);
            }
        }
        for (number, (cx, cz, yaw)) in
            [(12.0, 9.5, 60.0), (8.0, -15.0, 120.0), (5.5, 11.0, 0.0), (19.0, -11.0, 90.0), (16.0, 3.0, 45.0)]
                .into_iter()
                .enumerate()
        {
            scene.empty(format!("spawn_any_{s}{number}"), [cx * x, 0.0, cz], yaw * x);
        }
        let first = if x > 0.0 { 0 } else { 10 };
        for (number, (kind, cx, cz, yaw)) in [
            ("crate", 12.5, -12.6, 10.0),
            ("crate", 13.8, -12.4, 0.0),
            ("crate", 6.0, 4.5, 20.0),
            ("crate", 22.0, 13.4, 0.0),
            ("crate", 5.2, -3.8, 45.0),
            ("small_crate", 6.6, 5.8, 15.0),
            ("small_crate", 16.2, 12.4, 5.0),
            ("barrel", 11.0, 15.9, 0.0),
            ("barrel", 15.0, -17.0, 0.0),
            ("barrel", 18.6, 0.6, 0.0),
        ]
        .into_iter()
        .enumerate()
        {
            scene.prop(kind, first + number, cx * x, 0.0, cz, yaw * x);
        }
        for (kind, cx, y, cz) in [("health", 21.0, 0.0, -8.0), ("ammo", 12.0, 0.0, 6.5), ("health", 14.0, 0.0, 20.5)] {
            let number = if x > 0.0 { 0 } else { 5 } + usize::from(cz > 19.0);
            scene.empty(format!("pickup_{kind}_{number}"), [cx * x, y + 0.5, cz], 0.0);
        }
    }
    // What is worth a detour: the deck, the plank's end and the tunnel.
    scene.empty("pickup_damage_boost_0", [0.0, 3.7, -7.0], 0.0);
    scene.empty("pickup_haste_1", [0.0, 0.5, 20.5], 0.0);
    scene.empty("pickup_armour_2", [0.0, 0.5, -19.5], 0.0);
    for (row, z) in (-4..=4).map(|row| (row + 4, f64::from(row) * 5.0)) {
        for (column, x) in (0..12).map(|column| (column, f64::from(column) * 5.0 - 27.5)) {
            // Doors are for people who know what they do: bots go round, because a door may be blocked by a body.
            let door = x.abs() > 27.0 && z == 0.0;
            let pad = (x.abs() - 8.0).abs() < 1.5 && (z + 2.0).abs() < 1.5;
            if let Some(floor) = scene.feet(x, z, 0.6).filter(|_| !door && !pad) {
                scene.empty(format!("waypoint_g{row}_{column:02}"), [x, floor, z], 0.0);
            }
        }
    }
    for column in -2..=2 {
        scene.empty(format!("waypoint_deck_{}", column + 2), [f64::from(column) * 5.5, 3.2, -7.0], 0.0);
    }
    for (s, x) in sides() {
        scene.empty(format!("waypoint_ramp_{s}0"), [16.0 * x, 1.6, -7.0], 0.0);
        scene.empty(format!("waypoint_ramp_{s}1"), [21.0 * x, 0.0, -7.0], 0.0);
        scene.empty(format!("waypoint_point_{s}"), [18.0 * x, 0.75, 8.0], 0.0);
        scene.empty(format!("waypoint_step_{s}"), [12.2 * x, 0.0, 8.0], 0.0);
        scene.empty(format!("waypoint_plank_{s}"), [4.5 * x, 0.0, 14.5], 0.0);
        scene.empty(format!("waypoint_pad_{s}"), [8.0 * x, 0.0, -2.0], 0.0);
        let pad = scene.nodes.len() - 1;
        scene.nodes[pad].extras = Some(json!({"one_way": if x > 0.0 { "deck_3" } else { "deck_1" }}));
    }
    scene.empty("waypoint_point_m", [0.0, 0.0, 2.0], 0.0);
    scene.nodes[0].extras = Some(json!({"link_range": 7.5}));
    scene
}

/// SplitMix64: the shortest generator that is good enough to scatter boxes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        // Centimetres, so that a person reads round numbers in the editor.
        ((low + self.next() * (high - low)) * 100.0).round() / 100.0
    }
}

/// A place turned by quarter turns about the middle, and the yaw that goes with it.
fn quarter(turns: usize, x: f64, z: f64) -> (f64, f64, f64) {
    match turns % 4 {
        0 => (x, z, 0.0),
        1 => (z, -x, 90.0),
        2 => (-x, -z, 180.0),
        _ => (-z, x, 270.0),
    }
}

/// The field: 400 by 400 m, one quarter of it scattered and turned four times, so that each of four corners (and of eight
/// teams, two in a quarter) finds the same.
fn field() -> Scene {
    const HALF: f64 = 200.0;
    let mut random = Random(SEED);
    let mut scene = Scene { half: [HALF + 3.0, HALF + 3.0], ..Scene::default() };
    scene.volume("bounds", ZONE, [0.0, 14.0, 0.0], [HALF + 2.0, 26.0, HALF + 2.0]);
    scene.nodes[0].extras = Some(json!({"link_range": 30.0}));
    scene.volume("kill_below", DEADLY, [0.0, -9.0, 0.0], [HALF + 2.0, 3.0, HALF + 2.0]);
    // Four slabs, because a box of 400 m would be near everything.
    for turns in 0..4 {
        let (x, z, _) = quarter(turns, HALF / 2.0, HALF / 2.0);
        scene.mesh(
            format!("solid_ground_{turns}_box"),
            Mesh::Cube,
            GROUND,
            [x, -1.0, z],
            [HALF / 2.0, 1.0, HALF / 2.0],
            0.0,
        );
        let (x, z, yaw) = quarter(turns, 0.0, HALF + 0.5);
        scene.mesh(format!("solid_wall_{turns}_box"), Mesh::Cube, STONE, [x, 3.0, z], [HALF + 1.0, 4.0, 0.5], yaw);
    }
    // (x, z, radius) of what is already there in the first quarter: bases and points first, since they must lie free.
    let mut taken: Vec<(f64, f64, f64)> = vec![(0.0, 0.0, 14.0), (95.0, 95.0, 12.0)];
    let bases: [(f64, f64); 2] = [(160.0, 66.0), (66.0, 160.0)];
    taken.extend(bases.map(|(x, z)| (x, z, 15.0)));
    let mut place = |random: &mut Random, radius: f64, gap: f64| {
        for _ in 0..400 {
            let (x, z) = (random.between(radius, HALF - radius - 3.0), random.between(radius, HALF - radius - 3.0));
            if taken.iter().all(|(ox, oz, other)| (x - ox).hypot(z - oz) > radius + other + gap) {
                taken.push((x, z, radius));
                return Some((x, z));
            }
        }
        None
    };
    let at = |turns: usize, x: f64, z: f64| quarter(turns, x, z);
    for hill in 0..5 {
        let (half, height) = [(22.0, 5.0), (18.0, 4.0), (15.0, 3.5), (20.0, 4.5), (14.0, 3.0)][hill];
        let Some((x, z)) = place(&mut random, half * 1.42, 0.0) else { continue };
        for turns in 0..4 {
            let (x, z, yaw) = at(turns, x, z);
            let name = format!("solid_hill_{turns}{hill}_hull");
            scene.mesh(name, Mesh::Hill, GROUND, [x, height / 2.0, z], [half, height / 2.0, half], yaw);
        }
    }
    let mut ramps = Vec::new();
    for fort in 0..8 {
        let Some((x, z)) = place(&mut random, 9.0, 1.0) else { continue };
        let top = [2.0, 2.6, 1.6][fort % 3];
        let facing = (random.next() * 4.0) as usize;
        for turns in 0..4 {
            let (x, z, _) = at(turns, x, z);
            let (dx, dz, yaw) = quarter(turns + facing, 0.0, 1.0);
            scene.mesh(
                format!("solid_fort_{turns}{fort}_box"),
                Mesh::Cube,
                STONE,
                [x, top / 2.0, z],
                [3.0, top / 2.0, 3.0],
                yaw,
            );
            // Twice as long as high: 27 degrees.
            let away = 3.0 + top;
            let ramp = [x - dx * away, top / 2.0, z - dz * away];
            scene.mesh(format!("solid_ramp_{turns}{fort}_hull"), Mesh::Wedge, RAMP, ramp, [1.5, top / 2.0, top], yaw);
            ramps.push((turns, fort, [x, top, z], [x - dx * (away + top + 1.0), z - dz * (away + top + 1.0)]));
        }
    }
    for silo in 0..10 {
        let Some((x, z)) = place(&mut random, 2.0, 2.0) else { continue };
        let (radius, half) = (random.between(1.0, 2.0), random.between(1.0, 2.5));
        for turns in 0..4 {
            let (x, z, _) = at(turns, x, z);
            scene.mesh(
                format!("solid_silo_{turns}{silo}_cyl"),
                Mesh::Cylinder,
                STONE,
                [x, half, z],
                [radius, half, radius],
                0.0,
            );
        }
    }
    for cover in 0..115 {
        let half = [random.between(0.6, 2.4), [0.55, 1.1, 1.3][cover % 3], random.between(0.4, 1.2)];
        let Some((x, z)) = place(&mut random, half[0].hypot(half[2]), 1.6) else { continue };
        let turned = if cover % 4 == 0 { random.between(0.0, 90.0).round() } else { 0.0 };
        for turns in 0..4 {
            let (x, z, yaw) = at(turns, x, z);
            scene.mesh(
                format!("solid_cover_{turns}{cover:03}_box"),
                Mesh::Cube,
                COVER,
                [x, half[1], z],
                half,
                yaw + turned,
            );
        }
    }
    for prop in 0..16 {
        let Some((x, z)) = place(&mut random, 1.0, 0.8) else { continue };
        for turns in 0..4 {
            let (x, z, _) = at(turns, x, z);
            scene.prop(["crate", "barrel", "crate", "small_crate"][prop % 4], turns * 16 + prop, x, 0.0, z, 0.0);
        }
    }
    for pickup in 0..8 {
        let Some((x, z)) = place(&mut random, 0.6, 0.6) else { continue };
        for turns in 0..4 {
            let (x, z, _) = at(turns, x, z);
            let kind =
                ["health", "ammo", "armour", "health_small", "ammo", "haste", "health", "damage_boost"][pickup % 8];
            scene.empty(format!("pickup_{kind}_{}", turns * 10 + pickup), [x, 0.5, z], 0.0);
        }
    }
    // B is in the middle, because that is where one point is contested first.
    scene.volume("point_B", ZONE, [0.0, 3.0, 0.0], [10.0, 3.0, 10.0]);
    for (turns, letter) in ["A", "C", "D", "E"].into_iter().enumerate() {
        let (x, z, _) = at(turns, 95.0, 95.0);
        scene.volume(&format!("point_{letter}"), ZONE, [x, 3.0, z], [8.0, 3.0, 8.0]);
    }
    // 64 spawns for each of eight teams, in squares that look at the middle. Teams 1 and 2 start opposite each other.
    for (team, (turns, base)) in
        [(0, 0), (2, 0), (1, 0), (3, 0), (0, 1), (2, 1), (1, 1), (3, 1)].into_iter().enumerate()
    {
        let (x, z) = bases[base];
        let (x, z, _) = at(turns, x, z);
        // Forward is (-sin yaw, -cos yaw): towards the middle.
        let yaw = x.atan2(z).to_degrees().round();
        for spot in 0..64 {
            let (dx, dz) = (f64::from(spot % 8) * 2.4 - 8.4, f64::from(spot / 8) * 2.4 - 8.4);
            scene.empty(format!("spawn_team{}_{spot:02}", team + 1), [x + dx, 0.0, z + dz], yaw);
        }
    }
    let mut spots = 0;
    while spots < 130 {
        let (x, z) = (random.between(6.0, HALF - 6.0), random.between(6.0, HALF - 6.0));
        if scene.feet(x, z, 1.0) == Some(0.0) {
            for turns in 0..4 {
                let (x, z, _) = at(turns, x, z);
                scene.empty(format!("spawn_any_{turns}{spots:03}"), [x, 0.0, z], x.atan2(z).to_degrees().round());
            }
            spots += 1;
        }
    }
    for row in -9..=9 {
        for column in -9..=9 {
            let (x, z) = (f64::from(column) * 20.5, f64::from(row) * 20.5);
            // A waypoint steps aside for what stands on its place.
            let aside =
                [(0.0, 0.0), (2.5, 0.0), (-2.5, 0.0), (0.0, 2.5), (0.0, -2.5), (3.0, 3.0), (-3.0, -3.0), (5.0, 0.0)];
            let free = aside.into_iter().find_map(|(dx, dz)| Some((x + dx, scene.feet(x + dx, z + dz, 0.8)?, z + dz)));
            if let Some((x, floor, z)) = free {
                scene.empty(format!("waypoint_g{:02}_{:02}", row + 9, column + 9), [x, floor, z], 0.0);
            }
        }
    }
    for (turns, fort, top, foot) in ramps {
        scene.empty(format!("waypoint_fort_{turns}{fort}t"), top, 0.0);
        scene.empty(format!("waypoint_fort_{turns}{fort}f"), [foot[0], 0.0, foot[1]], 0.0);
    }
    scene
}
