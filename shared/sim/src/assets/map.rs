//! A map from binary glTF, by the naming convention of `docs/maps.md`.
//!
//! [`load`] takes bytes and gives a [`Map`] or every error it found; bad input is never a panic. Names that refer to the
//! rules (prop, pickup and effect kinds) are not checked here, because a map does not know the rules:
//! [`Map::references`] lists them for whoever holds both.

use super::glb::{Geometry, Glb};
use super::ground::{Ground, LINKS_MAX};
use crate::map::{
    Door, Map, PickupSpot, Platform, Point, PropSpot, Shape, Solid, Spawn, Trigger, TriggerAction, Volume, Waypoint,
};
use glam::{Mat3, Mat4, Quat, Vec3};
use rapier3d::parry::transformation::try_convex_hull;
use serde_json::Value;
use std::collections::BTreeMap;

/// Nodes in a scene: 1,000 players' map has 1,600; each costs a name and a matrix while loading.
pub const NODES_MAX: usize = 16_384;
/// How deep nodes may be nested: editors rarely pass 10, and the walk keeps a frame for each level.
pub const DEPTH_MAX: usize = 32;
/// Bytes in a node's name: it goes into error messages and logs.
pub const NAME_BYTES_MAX: usize = 64;
/// Static solids: every one is a collider in each checkpoint (about 300 bytes each before compression).
pub const SOLIDS_MAX: usize = 2_048;
/// Triangles of all `_mesh` solids together: a mover walks the ones near it, and a room keeps them all in memory.
pub const TRIANGLES_MAX: usize = 100_000;
/// Vertices of the mesh of anything that is not a `_mesh` solid; only its extent or hull matters.
const SHAPE_TRIANGLES_MAX: usize = 4_096;
/// Spawns: twice the players of the largest match.
pub const SPAWNS_MAX: usize = 2_048;
/// Pickups: each is an entity that is looked at every tick.
pub const PICKUPS_MAX: usize = 512;
/// Control points: as many as letters.
pub const POINTS_MAX: usize = 26;
/// Platforms: each moves every tick.
pub const PLATFORMS_MAX: usize = 128;
/// Stops on a platform's path.
pub const PATH_MAX: usize = 64;
/// Props: an awake prop costs a step 3 to 11 us.
pub const PROPS_MAX: usize = 512;
/// Doors: each is a dynamic body on a joint.
pub const DOORS_MAX: usize = 128;
/// Triggers: each is compared with each player in every tick.
pub const TRIGGERS_MAX: usize = 256;
/// Kill volumes: each is compared with each player in every tick.
pub const KILL_VOLUMES_MAX: usize = 128;
/// Waypoints: links are u16, and linking compares every two.
pub const WAYPOINTS_MAX: usize = 2_048;
/// Errors that are reported at once: more than anyone mends in one go.
pub const ERRORS_MAX: usize = 50;
/// Farthest coordinate in metres: an f32 still resolves a quarter of a millimetre there.
pub const COORDINATE_MAX: f32 = 4_096.0;
/// Thinnest solid in metres: Rapier's own skins are about as thick.
pub const THICKNESS_MIN: f32 = 0.01;
/// Fastest platform in m/s: faster ones throw their riders through walls.
pub const SPEED_MAX: f32 = 20.0;
/// Fastest launch in m/s: 200 ms at it cross a hall.
pub const LAUNCH_MAX: f32 = 100.0;
/// Metres within which waypoints link by themselves, unless `bounds` says otherwise.
pub const LINK_RANGE_DEFAULT: f32 = 12.0;
/// Longest automatic link in metres: the floor under it is sampled every 25 cm.
pub const LINK_RANGE_MAX: f32 = 64.0;

/// How far a vertex may be from the shape that its name claims, in metres.
const FIT_M: f32 = 0.02;

/// One thing that is wrong with a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {}{problem}; {remedy}", if node.is_empty() { String::new() } else { format!("node \"{node}\": ") })]
pub struct MapError {
    /// The file.
    pub file: String,
    /// The node, or empty if it is about the whole file.
    pub node: String,
    /// What was expected and what was found.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// Which list of the rules a name in a map refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// A dynamic prop.
    Prop,
    /// A pickup.
    Pickup,
    /// An effect.
    Effect,
}

/// A name in a map that the rules must define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Which list of the rules has it.
    pub kind: ReferenceKind,
    /// The name to look for.
    pub name: &'a str,
    /// The node that says it, for people.
    pub node: String,
}

impl Map {
    /// Every name that the rules must define, in the order of the map's lists.
    pub fn references(&self) -> impl Iterator<Item = Reference<'_>> {
        let spot =
            |prefix: &str, kind: &str, at: Vec3| format!("{prefix}_{kind} at ({:.1}, {:.1}, {:.1})", at.x, at.y, at.z);
        let props = self.props.iter().map(move |prop| Reference {
            kind: ReferenceKind::Prop,
            name: &prop.kind,
            node: spot("prop", &prop.kind, prop.position),
        });
        let pickups = self.pickups.iter().map(move |pickup| Reference {
            kind: ReferenceKind::Pickup,
            name: &pickup.kind,
            node: spot("pickup", &pickup.kind, pickup.position),
        });
        let effects = self.triggers.iter().filter_map(|trigger| match &trigger.action {
            TriggerAction::Effect(name) => {
                Some(Reference { kind: ReferenceKind::Effect, name, node: trigger.name.clone() })
            }
            TriggerAction::Launch(_) | TriggerAction::Teleport(_) => None,
        });
        props.chain(pickups).chain(effects)
    }
}

/// Makes a map from the bytes of `<name>.glb`, or says everything that is wrong with it.
pub fn load(name: &str, glb: &[u8]) -> Result<Map, Vec<MapError>> {
    let mut loader =
        Loader { file: format!("{name}.glb"), errors: Vec::new(), glb: None, triangles_left: TRIANGLES_MAX };
    match Glb::parse(glb) {
        Ok(parsed) => loader.glb = Some(parsed),
        Err(cause) => {
            loader.fail("", cause.problem, cause.remedy);
            return Err(loader.errors);
        }
    }
    let map = loader.map(name, *blake3::hash(glb).as_bytes());
    match map {
        Some(map) if loader.errors.is_empty() => Ok(map),
        _ => Err(loader.errors),
    }
}

/// A node with its place in the world, its scale already taken apart.
struct Node {
    name: String,
    position: Vec3,
    rotation: Quat,
    scale: Vec3,
    mesh: Option<usize>,
    extras: Value,
    children: Vec<Node>,
}

impl Node {
    fn place(&self, local: Vec3) -> Vec3 {
        self.position + self.rotation * (self.scale * local)
    }

    fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| stem(&child.name) == name)
    }

    fn yaw(&self) -> f32 {
        let forward = self.rotation * Vec3::NEG_Z;
        libm::atan2f(-forward.x, -forward.z)
    }
}

/// A name without the ".001" that editors add to copies.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((head, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => name,
    }
}

/// A kind without the number that tells its copies apart: `big_health_02` is `big_health`.
fn kind(rest: &str) -> &str {
    match rest.rsplit_once('_') {
        Some((head, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => rest,
    }
}

/// Prefixes that mean something, for the remedy of a wrong name.
const PREFIXES: &str = "bounds, solid_, spawn_, pickup_, point_, platform_, prop_, door_, trigger_, kill_, waypoint_, group_ or \
                        scenery_";

struct Loader {
    file: String,
    errors: Vec<MapError>,
    glb: Option<Glb>,
    triangles_left: usize,
}

impl Loader {
    fn fail(&mut self, node: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            let mut shown = node.to_owned();
            while shown.len() > NAME_BYTES_MAX {
                shown.pop();
            }
            let (problem, remedy) = (problem.into(), remedy.into());
            self.errors.push(MapError { file: self.file.clone(), node: shown, problem, remedy });
        }
    }

    fn map(&mut self, name: &str, hash: [u8; 32]) -> Option<Map> {
        let mut nodes = self.nodes()?;
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        for pair in nodes.windows(2) {
            if pair[0].name == pair[1].name {
                self.fail(&pair[0].name, "expected names that differ, found two nodes with this one", "rename one");
            }
        }
        let nothing = Volume { centre: Vec3::ZERO, half: Vec3::ZERO };
        let mut map = Map { hash, ..Map::empty(name, nothing) };
        for node in &nodes {
            self.node(node, &mut map);
        }
        let bounds: Vec<&Node> = nodes.iter().filter(|node| stem(&node.name) == "bounds").collect();
        match bounds.as_slice() {
            [one] => {
                map.bounds = self.volume(one).unwrap_or(nothing);
                self.limits(&map);
                self.inside(&map);
                self.waypoints(&nodes, one, &mut map);
            }
            other => self.fail(
                "",
                format!("expected one node named bounds, found {}", other.len()),
                "add a box around everything that players can reach and name it bounds",
            ),
        }
        if map.spawns.is_empty() {
            self.fail("", "expected at least one spawn, found none", "add an empty named spawn_any_1");
        }
        Some(map)
    }

    /// Walks the scene and hands out the nodes that mean something, with their own children below them.
    fn nodes(&mut self) -> Option<Vec<Node>> {
        let glb = self.glb.take()?;
        let document = &glb.document;
        let mut out = Vec::new();
        if document.nodes().len() > NODES_MAX {
            self.fail(
                "",
                format!("expected at most {NODES_MAX} nodes, found {}", document.nodes().len()),
                "join meshes that are only scenery",
            );
        } else if let Some(scene) = document.default_scene().or_else(|| document.scenes().next()) {
            let mut seen = vec![false; document.nodes().len()];
            for root in scene.nodes() {
                if let Some(node) = self.walk(&root, Mat4::IDENTITY, 0, &mut seen) {
                    out.push(node);
                }
            }
        } else {
            self.fail("", "expected a scene, found none", "export the scene again as glTF Binary (.glb)");
        }
        self.glb = Some(glb);
        let mut flat = Vec::new();
        flatten(out, &mut flat);
        Some(flat)
    }

    fn walk(&mut self, node: &gltf::Node<'_>, parent: Mat4, depth: usize, seen: &mut [bool]) -> Option<Node> {
        let name = node.name().unwrap_or_default().to_owned();
        if depth > DEPTH_MAX || std::mem::replace(seen.get_mut(node.index())?, true) {
            self.fail(
                &name,
                format!("expected a tree at most {DEPTH_MAX} deep, found a deeper one or a node with two parents"),
                "unparent the node",
            );
            return None;
        }
        if name.starts_with("scenery") || node.camera().is_some() {
            return None;
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            self.fail(
                &name,
                format!("expected a name of 1 to {NAME_BYTES_MAX} bytes, found {} (node {})", name.len(), node.index()),
                format!("give it a name that begins with {PREFIXES}"),
            );
            return None;
        }
        let local = Mat4::from_cols_array_2d(&node.transform().matrix());
        let world = parent * local;
        let (position, rotation, scale) = match taken_apart(world) {
            Ok(parts) => parts,
            Err(problem) => {
                self.fail(&name, problem, "apply the node's and its parents' scale and rotation in the editor");
                return None;
            }
        };
        let extras = node.extras().as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null);
        let mesh = node.mesh().map(|mesh| mesh.index());
        let children = node.children().filter_map(|child| self.walk(&child, world, depth + 1, seen)).collect();
        Some(Node { name, position, rotation, scale, mesh, extras, children })
    }

    fn node(&mut self, node: &Node, map: &mut Map) {
        let name = stem(&node.name).to_owned();
        let (head, rest) = name.split_once('_').unwrap_or((&name, ""));
        match head {
            "bounds" | "group" | "waypoint" => {}
            "solid" => {
                if let Some((shape, position)) = self.shape(node, true) {
                    map.solids.push(Solid { name: node.name.clone(), shape, position, rotation: node.rotation });
                }
            }
            "spawn" => self.spawn(node, rest, map),
            "pickup" => {
                if let Some(kind) = self.kind(node, rest) {
                    map.pickups.push(PickupSpot { kind, position: node.position });
                }
            }
            "point" if !rest.is_empty() => {
                if let Some(volume) = self.volume(node) {
                    map.points.push(Point { name: rest.to_owned(), volume });
                }
            }
            "platform" => self.platform(node, map),
            "prop" => {
                let centre = self.extent(node).map(|(low, high)| node.place((low + high) * 0.5));
                if let Some(kind) = self.kind(node, rest) {
                    let position = centre.unwrap_or(node.position);
                    map.props.push(PropSpot { kind, position, rotation: node.rotation });
                }
            }
            "door" => self.door(node, map),
            "trigger" => self.trigger(node, rest, map),
            "kill" => map.kill_volumes.extend(self.volume(node)),
            _ => self.fail(
                &node.name,
                "expected a name of the convention, found another",
                format!("begin it with {PREFIXES} (scenery is only looked at, never loaded)"),
            ),
        }
    }

    fn spawn(&mut self, node: &Node, rest: &str, map: &mut Map) {
        let whose = rest.split('_').next().unwrap_or_default();
        let team = match whose {
            "any" => Some(0),
            other => other.strip_prefix("team").and_then(|digits| digits.parse::<u8>().ok()).filter(|team| *team > 0),
        };
        match team {
            Some(team) => map.spawns.push(Spawn { team, position: node.position, yaw: node.yaw() }),
            None => self.fail(
                &node.name,
                format!("expected spawn_any_ or spawn_team1_ to spawn_team255_, found spawn_{whose}"),
                "name the team",
            ),
        }
    }

    fn kind(&mut self, node: &Node, rest: &str) -> Option<String> {
        let found = node.extras.get("kind").and_then(Value::as_str).unwrap_or(kind(rest));
        if found.is_empty() || found.len() > NAME_BYTES_MAX {
            self.fail(
                &node.name,
                "expected a kind, found none",
                "name it like pickup_health_1, or set the property kind",
            );
            return None;
        }
        Some(found.to_owned())
    }

    fn platform(&mut self, node: &Node, map: &mut Map) {
        let Some((shape, centre)) = self.shape(node, false) else { return };
        let mut stops: Vec<(u32, Vec3)> = Vec::new();
        for child in &node.children {
            let digits = stem(&child.name).strip_prefix("path_").unwrap_or_default();
            match digits.parse::<u32>() {
                // A path says where the node's own origin goes; the shape's centre keeps its distance from it.
                Ok(number) => stops.push((number, child.position + (centre - node.position))),
                Err(_) => self.fail(
                    &child.name,
                    "expected only path_0, path_1 and so on below a platform, found another name",
                    "rename or unparent it",
                ),
            }
        }
        stops.sort_by_key(|(number, _)| *number);
        let path: Vec<Vec3> = stops.into_iter().map(|(_, stop)| stop).collect();
        if !(2..=PATH_MAX).contains(&path.len()) {
            self.fail(
                &node.name,
                format!("expected 2 to {PATH_MAX} children path_0, path_1 and so on, found {}", path.len()),
                "parent an empty to the platform for each stop",
            );
        }
        if path.windows(2).any(|pair| pair[0].distance(pair[1]) < THICKNESS_MIN) {
            self.fail(&node.name, "expected stops apart from each other, found two at one place", "move or delete one");
        }
        let speed = self.number(node, "speed", 2.0, 0.01, f64::from(SPEED_MAX));
        let pause = self.number(node, "pause", 1.0, 0.0, 600.0);
        map.platforms.push(Platform {
            name: node.name.clone(),
            shape,
            rotation: node.rotation,
            path,
            speed: speed as f32,
            pause_ms: (pause * 1000.0) as u32,
        });
    }

    fn door(&mut self, node: &Node, map: &mut Map) {
        let Some((Shape::Box { half }, position)) = self.fitted(node, "box", false) else { return };
        let Some(hinge) = node.child("hinge") else {
            self.fail(
                &node.name,
                "expected a child named hinge, found none",
                "parent an empty named hinge at the edge to turn on",
            );
            return;
        };
        let hinge = node.rotation.inverse() * (hinge.position - position);
        let swing = self.number(node, "swing", 90.0, 1.0, 170.0);
        map.doors.push(Door {
            name: node.name.clone(),
            half,
            position,
            rotation: node.rotation,
            hinge,
            swing: (swing as f32).to_radians(),
        });
    }

    fn trigger(&mut self, node: &Node, rest: &str, map: &mut Map) {
        let (what, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let Some(volume) = self.volume(node) else { return };
        let action = match what {
            "launch" => {
                let Some(arrow) = node.child("velocity") else {
                    self.fail(
                        &node.name,
                        "expected a child named velocity, found none",
                        "parent an empty named velocity: each metre from the volume's centre to it is 1 m/s",
                    );
                    return;
                };
                let velocity = arrow.position - volume.centre;
                if velocity.length() > LAUNCH_MAX {
                    let found =
                        format!("expected a launch of at most {LAUNCH_MAX} m/s, found {:.1}", velocity.length());
                    self.fail(&node.name, found, "move the child velocity closer");
                }
                TriggerAction::Launch(velocity)
            }
            "teleport" => {
                let Some(target) = node.child("target") else {
                    self.fail(
                        &node.name,
                        "expected a child named target, found none",
                        "parent an empty named target where the feet arrive",
                    );
                    return;
                };
                TriggerAction::Teleport(target.position)
            }
            "effect" => {
                let effect = node.extras.get("effect").and_then(Value::as_str).unwrap_or(kind(rest));
                if effect.is_empty() {
                    self.fail(
                        &node.name,
                        "expected the name of an effect, found none",
                        "name it like trigger_effect_burning_1",
                    );
                    return;
                }
                TriggerAction::Effect(effect.to_owned())
            }
            other => {
                let found =
                    format!("expected trigger_launch_, trigger_teleport_ or trigger_effect_, found trigger_{other}");
                self.fail(&node.name, found, "rename it");
                return;
            }
        };
        map.triggers.push(Trigger { name: node.name.clone(), volume, action });
    }

    fn waypoints(&mut self, nodes: &[Node], bounds: &Node, map: &mut Map) {
        let nodes: Vec<&Node> = nodes.iter().filter(|node| node.name.starts_with("waypoint_")).collect();
        if nodes.len() > WAYPOINTS_MAX {
            self.fail("", format!("expected at most {WAYPOINTS_MAX} waypoints, found {}", nodes.len()), "delete some");
            return;
        }
        let range = self.number(bounds, "link_range", f64::from(LINK_RANGE_DEFAULT), 0.5, f64::from(LINK_RANGE_MAX));
        map.waypoints = nodes.iter().map(|node| Waypoint { position: node.position, links: Vec::new() }).collect();
        let by_name: BTreeMap<&str, u16> =
            nodes.iter().enumerate().map(|(at, node)| (&node.name["waypoint_".len()..], at as u16)).collect();
        let mut linked = false;
        for (at, node) in nodes.iter().enumerate() {
            for (property, both) in [("links", true), ("one_way", false)] {
                let Some(value) = node.extras.get(property) else { continue };
                linked |= both;
                let Some(text) = value.as_str() else {
                    let found = format!("expected {property} as text like \"2, 3\", found {value}");
                    self.fail(&node.name, found, "make the property a string");
                    continue;
                };
                for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
                    match by_name.get(word.strip_prefix("waypoint_").unwrap_or(word)) {
                        Some(&to) if usize::from(to) != at => {
                            add(&mut map.waypoints[at].links, to);
                            if both {
                                add(&mut map.waypoints[usize::from(to)].links, at as u16);
                            }
                        }
                        _ => {
                            let found = format!("expected the name of another waypoint in {property}, found {word}");
                            self.fail(&node.name, found, "write what stands after waypoint_ in its name");
                        }
                    }
                }
            }
        }
        // Rays against shapes that are already known to be wrong could only add noise.
        if !linked && self.errors.is_empty() {
            let one_way: Vec<Vec<u16>> = map.waypoints.iter_mut().map(|w| std::mem::take(&mut w.links)).collect();
            Ground::new(&map.solids).link(&mut map.waypoints, range as f32);
            for (waypoint, more) in map.waypoints.iter_mut().zip(one_way) {
                more.into_iter().for_each(|to| add(&mut waypoint.links, to));
            }
        }
        for (waypoint, node) in map.waypoints.iter_mut().zip(&nodes) {
            waypoint.links.sort_unstable();
            if waypoint.links.len() > 2 * LINKS_MAX {
                let found = format!("expected at most {} links, found {}", 2 * LINKS_MAX, waypoint.links.len());
                self.fail(&node.name, found, "link only to the nearest waypoints");
            }
        }
    }

    fn number(&mut self, node: &Node, property: &str, default: f64, min: f64, max: f64) -> f64 {
        let Some(value) = node.extras.get(property) else { return default };
        match value.as_f64() {
            Some(number) if (min..=max).contains(&number) => number,
            _ => {
                let found = format!("expected {property} as a number from {min} to {max}, found {value}");
                self.fail(&node.name, found, "correct the node's custom property");
                default
            }
        }
    }

    fn geometry(&mut self, node: &Node, triangles_max: usize) -> Option<Geometry> {
        let glb = self.glb.take()?;
        let mesh = node.mesh.and_then(|index| glb.document.meshes().nth(index));
        let read = mesh.map(|mesh| glb.geometry(&mesh, triangles_max));
        self.glb = Some(glb);
        match read {
            Some(Ok(geometry)) if !geometry.triangles.is_empty() => Some(geometry),
            Some(Err(cause)) => {
                self.fail(&node.name, cause.problem, cause.remedy);
                None
            }
            _ => {
                self.fail(&node.name, "expected a mesh with triangles, found none", "give the node a mesh");
                None
            }
        }
    }

    /// Lowest and highest corner in the node's own frame, if it has a mesh.
    fn extent(&mut self, node: &Node) -> Option<(Vec3, Vec3)> {
        node.mesh?;
        let geometry = self.geometry(node, SHAPE_TRIANGLES_MAX)?;
        extent(&geometry.vertices)
    }

    /// An upright box from a node's mesh, or from an empty's scale (a cube empty of size 1 m reaches 1 m each way).
    fn volume(&mut self, node: &Node) -> Option<Volume> {
        let (low, high) = if node.mesh.is_some() { self.extent(node)? } else { (Vec3::NEG_ONE, Vec3::ONE) };
        let turned = Mat3::from_quat(node.rotation);
        let square = turned.to_cols_array().iter().all(|part| part.abs() < 1e-3 || part.abs() > 0.999);
        if !square {
            self.fail(
                &node.name,
                "expected a volume without rotation, found a turned one",
                "clear its rotation; only quarter turns are allowed",
            );
            return None;
        }
        let (a, b) = (node.place(low), node.place(high));
        let volume = Volume { centre: (a + b) * 0.5, half: (a - b).abs() * 0.5 };
        if volume.half.min_element() < THICKNESS_MIN || volume.half.max_element() > COORDINATE_MAX {
            self.fail(
                &node.name,
                format!("expected half extents of {THICKNESS_MIN} to {COORDINATE_MAX} m, found {}", volume.half),
                "scale it",
            );
            return None;
        }
        Some(volume)
    }

    /// The shape that the end of the name (or the property `shape`) claims, and where its frame is.
    fn shape(&mut self, node: &Node, solid: bool) -> Option<(Shape, Vec3)> {
        let ending = |name: &str| name.rsplit_once('_').map(|(_, last)| last.to_owned()).unwrap_or_default();
        let name = stem(&node.name);
        let claimed = match node.extras.get("shape").and_then(Value::as_str) {
            Some(shape) => shape.to_owned(),
            None => ending(kind(name)),
        };
        let allowed: &[&str] = if solid { &["box", "hull", "mesh", "cyl", "ball"] } else { &["box", "hull"] };
        if !allowed.contains(&claimed.as_str()) {
            self.fail(
                &node.name,
                format!("expected a name that ends in _{}, found _{claimed}", allowed.join(", _")),
                "rename it, or set the custom property shape",
            );
            return None;
        }
        self.fitted(node, &claimed, solid)
    }

    fn fitted(&mut self, node: &Node, claimed: &str, solid: bool) -> Option<(Shape, Vec3)> {
        let triangles_max = if solid && claimed == "mesh" { self.triangles_left } else { SHAPE_TRIANGLES_MAX };
        let mut geometry = self.geometry(node, triangles_max)?;
        for vertex in &mut geometry.vertices {
            *vertex *= node.scale;
        }
        let (low, high) = extent(&geometry.vertices)?;
        let (centre, half) = ((low + high) * 0.5, (high - low) * 0.5);
        let position = node.position + node.rotation * centre;
        if half.max_element() > COORDINATE_MAX || (position.abs().max_element() > COORDINATE_MAX) {
            self.fail(
                &node.name,
                format!("expected it within {COORDINATE_MAX} m of the origin, found more"),
                "move or scale it",
            );
            return None;
        }
        if claimed != "mesh" && half.min_element() * 2.0 < THICKNESS_MIN {
            self.fail(
                &node.name,
                format!("expected at least {THICKNESS_MIN} m along each axis, found {}", half * 2.0),
                "make it thicker, or name it _mesh if it is a surface",
            );
            return None;
        }
        let fit = FIT_M.max(half.max_element() * 1e-3);
        let misfit = "name it _hull if it is convex and _mesh if not";
        let shape = match claimed {
            "box" => {
                let off = |v: &Vec3| ((*v - centre).abs() - half).abs().max_element() > fit;
                // A wedge also has only corners of its box, but not all eight.
                let corners = geometry
                    .vertices
                    .iter()
                    .fold(0u8, |seen, v| seen | 1 << ((*v - centre).cmpgt(Vec3::ZERO).bitmask()));
                if corners != u8::MAX || geometry.vertices.iter().any(off) {
                    self.fail(&node.name, "expected a box, found corners that are not a box's", misfit);
                    return None;
                }
                Shape::Box { half }
            }
            "ball" => {
                let radius = half.max_element();
                if half.min_element() < radius * 0.95 {
                    self.fail(&node.name, format!("expected a ball, found half extents {half}"), misfit);
                    return None;
                }
                Shape::Ball { radius }
            }
            "cyl" => {
                let radius = half.x.max(half.z);
                if half.x.min(half.z) < radius * 0.95 {
                    self.fail(&node.name, format!("expected an upright cylinder, found half extents {half}"), misfit);
                    return None;
                }
                Shape::Cylinder { radius, half_height: half.y }
            }
            "hull" => Shape::Hull { points: self.hull(node, &geometry, centre)? },
            _ => {
                let (vertices, indices) = welded(&geometry, centre, node.scale);
                self.triangles_left -= indices.len().min(self.triangles_left);
                if indices.is_empty() {
                    self.fail(&node.name, "expected triangles with an area, found none", "give the node a real mesh");
                    return None;
                }
                Shape::Mesh { vertices, indices }
            }
        };
        Some((shape, position))
    }

    fn hull(&mut self, node: &Node, geometry: &Geometry, centre: Vec3) -> Option<Vec<Vec3>> {
        let (points, _) = welded(geometry, centre, node.scale);
        if flat(&points) {
            self.fail(
                &node.name,
                "expected a hull with a volume, found points in one plane",
                "make it thicker, or name it _mesh",
            );
            return None;
        }
        let Ok((corners, faces)) = try_convex_hull(&points) else {
            self.fail(&node.name, "expected a convex hull, found points that have none", "simplify the mesh");
            return None;
        };
        // Points inside or on a face are dropped; the ones that faces use are kept in the order of the file.
        let mut used: Vec<Vec3> = faces.iter().flatten().filter_map(|at| corners.get(*at as usize).copied()).collect();
        used.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)).then(a.z.total_cmp(&b.z)));
        used.dedup();
        if !(4..=Shape::HULL_POINTS_MAX).contains(&used.len()) {
            self.fail(
                &node.name,
                format!("expected a hull of 4 to {} corners, found {}", Shape::HULL_POINTS_MAX, used.len()),
                "simplify it (Decimate), split it, or name it _mesh",
            );
            return None;
        }
        Some(used)
    }

    fn limits(&mut self, map: &Map) {
        let counts = [
            ("solids", map.solids.len(), SOLIDS_MAX),
            ("spawns", map.spawns.len(), SPAWNS_MAX),
            ("pickups", map.pickups.len(), PICKUPS_MAX),
            ("points", map.points.len(), POINTS_MAX),
            ("platforms", map.platforms.len(), PLATFORMS_MAX),
            ("props", map.props.len(), PROPS_MAX),
            ("doors", map.doors.len(), DOORS_MAX),
            ("triggers", map.triggers.len(), TRIGGERS_MAX),
            ("kill volumes", map.kill_volumes.len(), KILL_VOLUMES_MAX),
        ];
        for (what, found, max) in counts {
            if found > max {
                self.fail("", format!("expected at most {max} {what}, found {found}"), "join or delete some");
            }
        }
    }

    /// What players use must be where they may be; solids may reach out of the bounds.
    fn inside(&mut self, map: &Map) {
        let bounds = map.bounds;
        let spots = (map.spawns.iter().map(|s| ("a spawn", s.position)))
            .chain(map.pickups.iter().map(|p| ("a pickup", p.position)))
            .chain(map.props.iter().map(|p| ("a prop", p.position)))
            .chain(map.points.iter().map(|p| ("a point", p.volume.centre)))
            .chain(map.doors.iter().map(|d| ("a door", d.position)))
            .chain(map.platforms.iter().flat_map(|p| p.path.iter().map(|stop| ("a platform's stop", *stop))))
            .chain(map.triggers.iter().filter_map(|t| match t.action {
                TriggerAction::Teleport(target) => Some(("a teleport's target", target)),
                _ => None,
            }));
        for (what, at) in spots {
            if !bounds.contains(at) {
                self.fail(
                    "bounds",
                    format!("expected {what} at {at} inside, found it outside"),
                    "move it or enlarge bounds",
                );
            }
        }
    }
}

fn add(links: &mut Vec<u16>, to: u16) {
    if !links.contains(&to) {
        links.push(to);
    }
}

/// Moves children that mean something by themselves up beside their parents; paths, hinges and targets stay below.
fn flatten(nodes: Vec<Node>, out: &mut Vec<Node>) {
    for mut node in nodes {
        let owner = ["platform_", "door_", "trigger_"].iter().any(|prefix| node.name.starts_with(prefix));
        if !owner {
            flatten(std::mem::take(&mut node.children), out);
        }
        out.push(node);
    }
}

/// Position, rotation and scale of a matrix, or why it has none.
fn taken_apart(matrix: Mat4) -> Result<(Vec3, Quat, Vec3), String> {
    let position = matrix.w_axis.truncate();
    let axes = [matrix.x_axis, matrix.y_axis, matrix.z_axis].map(|axis| axis.truncate());
    if !matrix.is_finite() || position.abs().max_element() > COORDINATE_MAX {
        return Err(format!("expected a place within {COORDINATE_MAX} m of the origin, found {position}"));
    }
    let mut scale = Vec3::from_array(axes.map(|axis| axis.length()));
    if !(scale.min_element() > 1e-6 && scale.max_element() <= 1e6) {
        return Err(format!("expected a scale between 0.000001 and 1000000, found {scale}"));
    }
    let [x, y, z] = [axes[0] / scale.x, axes[1] / scale.y, axes[2] / scale.z];
    if x.dot(y).abs() > 1e-3 || y.dot(z).abs() > 1e-3 || z.dot(x).abs() > 1e-3 {
        return Err("expected a node without shear, found one that its parents distort".to_owned());
    }
    let mut turned = Mat3::from_cols(x, y, z);
    if turned.determinant() < 0.0 {
        scale.x = -scale.x;
        turned.x_axis = -turned.x_axis;
    }
    Ok((position, Quat::from_mat3(&turned).normalize(), scale))
}

fn extent(vertices: &[Vec3]) -> Option<(Vec3, Vec3)> {
    let first = *vertices.first()?;
    Some(vertices.iter().fold((first, first), |(low, high), v| (low.min(*v), high.max(*v))))
}

/// Joins equal corners, which editors split for flat shading, drops triangles without area and keeps "outside" outside
/// when the node is mirrored.
fn welded(geometry: &Geometry, centre: Vec3, scale: Vec3) -> (Vec<Vec3>, Vec<[u32; 3]>) {
    let mut vertices = Vec::new();
    let mut known: BTreeMap<[u32; 3], u32> = BTreeMap::new();
    let mut indices = Vec::new();
    let mirrored = scale.x < 0.0;
    for corners in &geometry.triangles {
        let mut triangle = corners.map(|at| {
            // Adding zero turns -0 into 0, so that equal places have equal bits.
            let vertex = geometry.vertices[at as usize] - centre + Vec3::ZERO;
            *known.entry(vertex.to_array().map(f32::to_bits)).or_insert_with(|| {
                vertices.push(vertex);
                vertices.len() as u32 - 1
            })
        });
        if mirrored {
            triangle.swap(1, 2);
        }
        let [a, b, c] = triangle.map(|at| vertices[at as usize]);
        if (b - a).cross(c - a).length() > 1e-6 {
            indices.push(triangle);
        }
    }
    (vertices, indices)
}

/// Whether points lie in one plane (or line), within the thinnest that a solid may be.
fn flat(points: &[Vec3]) -> bool {
    let Some(&a) = points.first() else { return true };
    let far =
        |from: &dyn Fn(Vec3) -> f32| points.iter().copied().max_by(|x, y| from(*x).total_cmp(&from(*y))).unwrap_or(a);
    let b = far(&|p| p.distance_squared(a));
    let Some(line) = (b - a).try_normalize() else { return true };
    let c = far(&|p| (p - a).cross(line).length_squared());
    let Some(normal) = (b - a).cross(c - a).try_normalize() else { return true };
    points.iter().all(|p| (*p - a).dot(normal).abs() < THICKNESS_MIN * 0.5)
}
