//! A match from a seed: rules with changed numbers, a map, settings. The commands are in [`crate::players`].

use std::f32::consts::TAU;
use std::sync::Arc;

use arbiter_sim::map::{
    Door, Map, PickupSpot, Platform, Point, PropSpot, Shape, Solid, Spawn, Trigger, TriggerAction, Volume, Waypoint,
};
use arbiter_sim::{MatchSettings, Rules};
use glam::{Quat, Vec3};
use serde_json::Value;

use crate::random::Random;

/// Half of the side of the floor, in metres: small, so that players who only wander still meet.
pub const FLOOR_HALF: f32 = 16.0;
/// One number of the rules in this many is changed.
const CHANGE_ONE_IN: u32 = 4;

/// What a match is made of, but for its commands.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The rules.
    pub rules: Arc<Rules>,
    /// The map.
    pub map: Arc<Map>,
    /// The seed, of the match and of the generator.
    pub seed: u64,
    /// The settings.
    pub settings: MatchSettings,
}

impl Plan {
    /// The match of a seed.
    pub fn new(seed: u64) -> Self {
        let rules = rules(seed);
        let map = map(seed, &rules);
        let settings = settings(seed, &rules);
        Self { rules: Arc::new(rules), map: Arc::new(map), seed, settings }
    }
}

/// The shipped rules with numbers changed inside their ranges: every fourth number is multiplied by 0.6 to 1.6. A change that
/// the rules refuse is taken back.
fn rules(seed: u64) -> Rules {
    let mut random = Random::new(seed, "rules");
    let shipped = Rules::shipped();
    let Ok(mut value) = serde_json::to_value(&shipped) else { return shipped };
    let mut places = Vec::new();
    numbers(&value, String::new(), &mut places);
    places.retain(|_| random.once_in(CHANGE_ONE_IN));
    // Halves are tried alone when the whole is refused, so that one bad number does not cost all good ones.
    change(&mut value, &places, &mut random);
    checked(&value).unwrap_or(shipped)
}

fn change(value: &mut Value, places: &[String], random: &mut Random) {
    let before = value.clone();
    for place in places {
        let Some(number) = value.pointer_mut(place) else { continue };
        let factor = f64::from(random.between(0.6, 1.6));
        if let Some(whole) = number.as_u64() {
            *number = Value::from((whole as f64 * factor) as u64);
        } else if let Some(real) = number.as_f64() {
            *number = Value::from(f64::from((real * factor) as f32));
        }
    }
    if checked(value).is_some() {
        return;
    }
    *value = before;
    if places.len() > 1 {
        let (left, right) = places.split_at(places.len() / 2);
        change(value, left, random);
        change(value, right, random);
    }
}

fn checked(value: &Value) -> Option<Rules> {
    let mut rules: Rules = serde_json::from_value(value.clone()).ok()?;
    rules.check().ok()?;
    Some(rules)
}

/// JSON pointers to all numbers but those of match length, which would only end matches early.
fn numbers(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Number(_) if !place.ends_with("_seconds") && !place.contains("/rounds_") => places.push(place),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                numbers(item, format!("{place}/{index}"), places);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                numbers(field, format!("{place}/{name}"), places);
            }
        }
        _ => (),
    }
}

fn settings(seed: u64, rules: &Rules) -> MatchSettings {
    let mut random = Random::new(seed, "settings");
    let mode = random.below(rules.modes.len() as u32) as usize;
    MatchSettings {
        mode: rules.modes[mode].name.clone(),
        tick_rate: random.pick(&[10, 20, 30, 60, 60, 64, 100, 128]),
        teams: random.pick(&[0, 0, 2, 2, 3, 4]),
        players_max: random.pick(&[2, 6, 10, 10, 12, 16]),
        match_seconds: random.pick(&[None, None, Some(20), Some(120)]),
        friendly_fire: random.pick(&[None, Some(false), Some(true)]),
    }
}

/// A walled floor with boxes, ramps, cylinders and hulls, props, doors, a platform, triggers, pickups and points, all at random
/// places: what a map may hold, each kind at least once.
fn map(seed: u64, rules: &Rules) -> Map {
    let mut random = Random::new(seed, "map");
    let mut solids = vec![solid("floor", Shape::Box { half: Vec3::new(FLOOR_HALF, 0.5, FLOOR_HALF) }, -0.5 * Vec3::Y)];
    for (index, side) in [Vec3::X, Vec3::NEG_X, Vec3::Z, Vec3::NEG_Z].into_iter().enumerate() {
        // One wall has a gap above a kill volume, so that players can fall.
        let length = if index == 0 { FLOOR_HALF * 0.7 } else { FLOOR_HALF };
        let half = (Vec3::ONE - side.abs()) * length + side.abs() * 0.25;
        solids.push(solid("wall", Shape::Box { half: half.with_y(3.0) }, side * FLOOR_HALF + Vec3::Y * 3.0));
    }
    for _ in 0..random.below(14) + 6 {
        let shape = piece(&mut random);
        let mut piece = solid("piece", shape, on_floor(&mut random, 0.4));
        let tilt = random.between(-0.5, 0.5);
        piece.rotation = Quat::from_rotation_y(random.between(0.0, TAU)) * Quat::from_rotation_x(tilt);
        solids.push(piece);
    }
    let spawns = (0..12_u8).map(|index| Spawn {
        team: if index % 3 == 0 { 0 } else { index % 3 },
        position: on_floor(&mut random, 0.1).with_y(2.5),
        yaw: random.between(0.0, TAU),
    });
    let spawns = spawns.collect();
    let prop_spot = |random: &mut Random| PropSpot {
        kind: rules.props[random.below(rules.props.len() as u32) as usize].name.clone(),
        position: on_floor(random, random_height(seed)),
        rotation: Quat::from_rotation_y(1.0),
    };
    let props = if rules.props.is_empty() { vec![] } else { (0..12).map(|_| prop_spot(&mut random)).collect() };
    let pickups = rules
        .pickups
        .iter()
        .take(8)
        .map(|pickup| PickupSpot { kind: pickup.name.clone(), position: on_floor(&mut random, 0.5) });
    let pickups = pickups.collect();
    let volume = |centre: Vec3, half: Vec3| Volume { centre, half };
    let points = ["A", "B"].map(|name| Point {
        name: name.to_owned(),
        volume: volume(on_floor(&mut random, 1.0), Vec3::new(5.0, 2.0, 5.0)),
    });
    let platform_start = on_floor(&mut random, 0.3);
    let mut triggers = vec![
        Trigger {
            name: "launch".to_owned(),
            volume: volume(on_floor(&mut random, 0.5), Vec3::new(1.0, 0.6, 1.0)),
            action: TriggerAction::Launch(Vec3::new(3.0, 12.0, -2.0)),
        },
        Trigger {
            name: "teleport".to_owned(),
            volume: volume(on_floor(&mut random, 0.5), Vec3::new(0.8, 0.8, 0.8)),
            action: TriggerAction::Teleport(Vec3::new(0.0, 2.0, 0.0)),
        },
    ];
    if let Some(effect) = rules.effects.first() {
        let volume = volume(on_floor(&mut random, 0.5), Vec3::new(2.0, 1.0, 2.0));
        triggers.push(Trigger {
            name: "effect".to_owned(),
            volume,
            action: TriggerAction::Effect(effect.name.clone()),
        });
    }
    Map {
        name: format!("generated_{seed}"),
        hash: [0; 32],
        bounds: volume(Vec3::Y * 10.0, Vec3::new(40.0, 60.0, 40.0)),
        solids,
        spawns,
        pickups,
        points: points.into(),
        platforms: vec![Platform {
            name: "platform".to_owned(),
            shape: Shape::Box { half: Vec3::new(2.0, 0.2, 2.0) },
            rotation: Quat::IDENTITY,
            path: vec![platform_start, platform_start + Vec3::Y * 3.0, platform_start + Vec3::new(4.0, 3.0, 0.0)],
            speed: random.between(0.5, 4.0),
            pause_ms: random.below(2_000),
        }],
        props,
        doors: vec![Door {
            name: "door".to_owned(),
            half: Vec3::new(0.6, 1.1, 0.05),
            position: on_floor(&mut random, 1.15),
            rotation: Quat::from_rotation_y(random.between(0.0, TAU)),
            hinge: Vec3::new(-0.6, 0.0, 0.0),
            swing: 1.6,
        }],
        triggers,
        kill_volumes: vec![volume(Vec3::Y * -12.0, Vec3::new(60.0, 4.0, 60.0))],
        waypoints: vec![Waypoint { position: Vec3::ZERO, links: vec![] }],
    }
}

/// Props fall from up to two metres, so that each match begins with contacts.
fn random_height(seed: u64) -> f32 {
    0.6 + (seed % 5) as f32 * 0.3
}

fn solid(name: &str, shape: Shape, position: Vec3) -> Solid {
    Solid { name: name.to_owned(), shape, position, rotation: Quat::IDENTITY }
}

fn piece(random: &mut Random) -> Shape {
    match random.below(6) {
        0 => Shape::Ball { radius: random.between(0.3, 1.2) },
        1 => Shape::Cylinder { radius: random.between(0.3, 1.0), half_height: random.between(0.2, 1.5) },
        2 => {
            let height = random.between(0.5, 2.0);
            let wedge = [(-1.5, 0.0), (1.5, 0.0), (1.5, height)];
            let corners = wedge.into_iter().flat_map(|(x, y)| [Vec3::new(x, y, -1.2), Vec3::new(x, y, 1.2)]);
            Shape::Hull { points: corners.collect() }
        }
        _ => {
            Shape::Box { half: Vec3::new(random.between(0.3, 2.5), random.between(0.1, 1.2), random.between(0.3, 2.5)) }
        }
    }
}

fn on_floor(random: &mut Random, height: f32) -> Vec3 {
    let edge = FLOOR_HALF - 2.5;
    Vec3::new(random.between(-edge, edge), height, random.between(-edge, edge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_match_twice() {
        let (one, two) = (Plan::new(5), Plan::new(5));
        assert_eq!(one.rules.hash(), two.rules.hash());
        assert_eq!(one.map, two.map);
    }

    #[test]
    fn seeds_make_rules_of_their_own() {
        let hashes: std::collections::BTreeSet<_> = (1..9).map(|seed| Plan::new(seed).rules.hash()).collect();
        assert_eq!(hashes.len(), 8);
    }
}
