//! A map as the simulation needs it: solid pieces, spawns, pickups, points, platforms, props, doors, volumes, waypoints.
//!
//! Units are metres, y is up, yaw is radians about +y with 0 looking along -z. Made from glTF by [`crate::assets`]; the
//! order of every list is the order of names in the file, never of a hash map.

use glam::{Quat, Vec3};
use serde::{Deserialize, Serialize};

/// A convex or triangle shape in its own frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// A box, by its half extents.
    Box {
        /// Half of its size along each axis.
        half: Vec3,
    },
    /// A ball.
    Ball {
        /// Its radius.
        radius: f32,
    },
    /// A cylinder along y.
    Cylinder {
        /// Its radius.
        radius: f32,
        /// Half of its height.
        half_height: f32,
    },
    /// The convex hull of points, at most [`Shape::HULL_POINTS_MAX`].
    Hull {
        /// Its corners.
        points: Vec<Vec3>,
    },
    /// Triangles, for ground that is not convex. Only solids of the map may have it.
    Mesh {
        /// Corners.
        vertices: Vec<Vec3>,
        /// Three corners per triangle, counter-clockwise from outside.
        indices: Vec<[u32; 3]>,
    },
}

impl Shape {
    /// Corners that a hull may have: an analytic cast walks all of its faces.
    pub const HULL_POINTS_MAX: usize = 64;
}

/// A piece of the map that never moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Solid {
    /// Its node's name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Where its frame is.
    pub position: Vec3,
    /// How its frame is turned.
    pub rotation: Quat,
}

/// Where players of a team enter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spawn {
    /// Team from 1; 0 is for everyone.
    pub team: u8,
    /// The feet.
    pub position: Vec3,
    /// Where they look.
    pub yaw: f32,
}

/// Where a pickup lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PickupSpot {
    /// Name of the pickup in the rules.
    pub kind: String,
    /// Where.
    pub position: Vec3,
}

/// An upright box without rotation, for points, triggers and kill volumes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Its centre.
    pub centre: Vec3,
    /// Half of its size along each axis.
    pub half: Vec3,
}

impl Volume {
    /// Whether a point is inside or on the boundary.
    pub fn contains(&self, point: Vec3) -> bool {
        (point - self.centre).abs().cmple(self.half).all()
    }
}

/// A control point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its name for people.
    pub name: String,
    /// Where one must stand to take it.
    pub volume: Volume,
}

/// A kinematic platform that goes to and fro along its path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    /// Its node's name.
    pub name: String,
    /// Its shape: box or hull.
    pub shape: Shape,
    /// How it is turned, always.
    pub rotation: Quat,
    /// Positions that it visits in order and then backwards, two or more.
    pub path: Vec<Vec3>,
    /// Metres a second.
    pub speed: f32,
    /// Milliseconds that it waits at either end.
    pub pause_ms: u32,
}

/// A dynamic prop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropSpot {
    /// Name of the prop in the rules.
    pub kind: String,
    /// Where its centre is.
    pub position: Vec3,
    /// How it is turned.
    pub rotation: Quat,
}

/// A door: a dynamic box on a hinge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Door {
    /// Its node's name.
    pub name: String,
    /// Half of the leaf's size.
    pub half: Vec3,
    /// Centre of the leaf when shut.
    pub position: Vec3,
    /// How the leaf is turned when shut.
    pub rotation: Quat,
    /// The hinge in the leaf's frame; its axis is the leaf's y.
    pub hinge: Vec3,
    /// Radians that it opens either way.
    pub swing: f32,
}

/// What a trigger does to players inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TriggerAction {
    /// Throws them: the velocity in m/s that replaces theirs.
    Launch(Vec3),
    /// Moves them: the feet.
    Teleport(Vec3),
    /// Gives them an effect of the rules, by name.
    Effect(String),
}

/// A volume that acts on players inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its node's name.
    pub name: String,
    /// Where.
    pub volume: Volume,
    /// What it does.
    pub action: TriggerAction,
}

/// A place that bots walk to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waypoint {
    /// The feet.
    pub position: Vec3,
    /// Indices of waypoints that can be walked to from here.
    pub links: Vec<u16>,
}

/// A whole map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Its name: the file's without ending.
    pub name: String,
    /// BLAKE3 of the file.
    pub hash: [u8; 32],
    /// All that players can reach lies inside.
    pub bounds: Volume,
    /// What never moves.
    pub solids: Vec<Solid>,
    /// Where players enter; never empty.
    pub spawns: Vec<Spawn>,
    /// Pickups.
    pub pickups: Vec<PickupSpot>,
    /// Control points.
    pub points: Vec<Point>,
    /// Platforms.
    pub platforms: Vec<Platform>,
    /// Props.
    pub props: Vec<PropSpot>,
    /// Doors.
    pub doors: Vec<Door>,
    /// Triggers.
    pub triggers: Vec<Trigger>,
    /// Where players die.
    pub kill_volumes: Vec<Volume>,
    /// Where bots walk.
    pub waypoints: Vec<Waypoint>,
}

impl Map {
    /// A map without anything in it, to build one from.
    pub fn empty(name: &str, bounds: Volume) -> Self {
        Self {
            name: name.to_owned(),
            hash: [0; 32],
            bounds,
            solids: Vec::new(),
            spawns: Vec::new(),
            pickups: Vec::new(),
            points: Vec::new(),
            platforms: Vec::new(),
            props: Vec::new(),
            doors: Vec::new(),
            triggers: Vec::new(),
            kill_volumes: Vec::new(),
            waypoints: Vec::new(),
        }
    }
}
