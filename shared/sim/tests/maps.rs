//! Contract: the maps of the house load, are fair to walk in, and no bytes whatever make the loader panic.

use arbiter_sim::Map;
use arbiter_sim::assets::ground::Ground;
use arbiter_sim::assets::map::{ReferenceKind, load};
use glam::Vec3;
use proptest::prelude::*;
use std::collections::BTreeSet;

const ARENA: &[u8] = include_bytes!("../../../assets/maps/arena.glb");
const FIELD: &[u8] = include_bytes!("../../../assets/maps/field.glb");

fn map(name: &str, bytes: &[u8]) -> Map {
    load(name, bytes).unwrap_or_else(|errors| panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()))
}

fn both() -> [Map; 2] {
    [map("arena", ARENA), map("field", FIELD)]
}

#[test]
fn the_arena_has_what_ten_players_need() {
    let map = map("arena", ARENA);
    assert_eq!(map.points.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["A", "B", "C"]);
    assert!(map.solids.len() <= 80, "{} solids", map.solids.len());
    for team in [1, 2] {
        assert!(map.spawns.iter().filter(|s| s.team == team).count() >= 10);
    }
    assert!((map.doors.len(), map.platforms.len(), map.triggers.len(), map.props.len()) == (2, 1, 2, 20));
    assert!(map.pickups.len() >= 8 && !map.kill_volumes.is_empty());
}

#[test]
fn the_field_has_what_a_thousand_players_need() {
    let map = map("field", FIELD);
    assert_eq!(map.points.len(), 5);
    assert!(map.solids.len() <= 700, "{} solids", map.solids.len());
    for team in 1..=8 {
        assert!(map.spawns.iter().filter(|s| s.team == team).count() >= 64);
    }
    assert!(map.spawns.iter().filter(|s| s.team == 0).count() >= 500);
    assert!(map.props.len() >= 60 && map.waypoints.len() >= 300, "{} {}", map.props.len(), map.waypoints.len());
    assert!(FIELD.len() < 1 << 20, "{} bytes", FIELD.len());
}

#[test]
fn every_spawn_has_ground_below_and_room_to_stand() {
    for map in both() {
        let ground = Ground::new(&map.solids);
        for spawn in &map.spawns {
            let floor = ground.floor(spawn.position, 0.5, 1.0);
            assert!(
                floor.is_some_and(|y| (y - spawn.position.y).abs() < 0.05),
                "{}: {spawn:?} has floor {floor:?}",
                map.name
            );
            assert!(ground.room(spawn.position, 0.5, 1.8), "{}: {spawn:?} has no room", map.name);
            let near = map.props.iter().find(|p| p.position.distance(spawn.position + Vec3::Y * 0.5) < 0.9);
            assert!(near.is_none(), "{}: {spawn:?} is inside {near:?}", map.name);
        }
    }
}

#[test]
fn spawns_of_one_team_do_not_overlap() {
    for map in both() {
        for (at, a) in map.spawns.iter().enumerate() {
            let twin = map.spawns[at + 1..].iter().find(|b| a.team == b.team && a.position.distance(b.position) < 0.8);
            assert!(twin.is_none(), "{}: {a:?} and {twin:?}", map.name);
        }
    }
}

#[test]
fn every_waypoint_can_be_reached_from_every_other() {
    for map in both() {
        for forward in [true, false] {
            let mut back = vec![Vec::new(); map.waypoints.len()];
            for (at, waypoint) in map.waypoints.iter().enumerate() {
                waypoint.links.iter().for_each(|to| back[usize::from(*to)].push(at as u16));
            }
            let mut seen = BTreeSet::from([0u16]);
            let mut open = vec![0u16];
            while let Some(at) = open.pop() {
                let links = if forward { &map.waypoints[usize::from(at)].links } else { &back[usize::from(at)] };
                open.extend(links.iter().filter(|to| seen.insert(**to)));
            }
            let lost: Vec<Vec3> = (0..map.waypoints.len())
                .filter(|at| !seen.contains(&(*at as u16)))
                .map(|at| map.waypoints[at].position)
                .collect();
            assert!(lost.is_empty(), "{}: cannot reach {lost:?} (forward: {forward})", map.name);
        }
    }
}

#[test]
fn every_link_can_be_walked_except_where_a_pad_throws() {
    for map in both() {
        let ground = Ground::new(&map.solids);
        for (at, waypoint) in map.waypoints.iter().enumerate() {
            for to in &waypoint.links {
                let to = &map.waypoints[usize::from(*to)];
                let thrown = !to.links.contains(&(at as u16))
                    && map.triggers.iter().any(|t| t.volume.contains(waypoint.position + Vec3::Y * 0.1));
                // Walked anew and coarser than the linker does it: a floor within half a metre, chest height free.
                let mut feet = waypoint.position;
                let walked = (1..=60).all(|part| {
                    let next = waypoint.position.lerp(to.position, part as f32 / 60.0).with_y(feet.y);
                    let Some(floor) = ground.floor(next, 0.9, 0.6) else { return false };
                    let next = next.with_y(floor);
                    let free = ground.clear(feet + Vec3::Y * 1.3, next + Vec3::Y * 1.3);
                    let step = (floor - feet.y).abs();
                    feet = next;
                    free && step < 0.55
                });
                assert!(thrown || walked, "{}: {} to {}", map.name, waypoint.position, to.position);
            }
        }
    }
}

#[test]
fn no_link_leads_through_a_door() {
    let map = map("arena", ARENA);
    for waypoint in &map.waypoints {
        for to in &waypoint.links {
            let to = map.waypoints[usize::from(*to)].position;
            for part in 0..=40 {
                let place = waypoint.position.lerp(to, part as f32 / 40.0);
                assert!(map.doors.iter().all(|d| place.distance(d.position.with_y(place.y)) > 1.0), "{place}");
            }
        }
    }
}

#[test]
fn bots_find_a_waypoint_near_every_spawn_and_point() {
    for map in both() {
        let spots = map.spawns.iter().map(|s| s.position).chain(map.points.iter().map(|p| p.volume.centre));
        for spot in spots {
            let nearest = map.waypoints.iter().map(|w| w.position.distance(spot)).fold(f32::MAX, f32::min);
            assert!(nearest < 20.0, "{}: {nearest} m from {spot}", map.name);
        }
        for point in &map.points {
            assert!(
                map.waypoints.iter().any(|w| point.volume.contains(w.position + Vec3::Y * 0.5)),
                "{}: {}",
                map.name,
                point.name
            );
        }
    }
}

#[test]
fn props_rest_on_something() {
    for map in both() {
        let ground = Ground::new(&map.solids);
        for prop in &map.props {
            let floor = ground.floor(prop.position, 0.0, 2.0).expect("a floor below");
            let half = if prop.kind == "small_crate" { 0.3 } else { 0.5 };
            assert!((prop.position.y - half - floor).abs() < 0.01, "{}: {prop:?} floor {floor}", map.name);
            let sides = [Vec3::X, Vec3::NEG_X, Vec3::Z, Vec3::NEG_Z];
            assert!(
                sides.into_iter().all(|side| ground.hit(prop.position, side, half * 1.5).is_none()),
                "{}: {prop:?}",
                map.name
            );
        }
    }
}

#[test]
fn the_rules_define_every_name_that_the_maps_use() {
    let rules = include_str!("../../../assets/rules/props.ron").to_owned()
        + include_str!("../../../assets/rules/pickups.ron")
        + include_str!("../../../assets/rules/effects.ron");
    for map in both() {
        for reference in map.references() {
            assert!(rules.contains(&format!("name: \"{}\"", reference.name)), "{}: {reference:?}", map.name);
        }
        assert!(map.references().any(|r| r.kind == ReferenceKind::Prop));
    }
}

#[test]
fn loading_twice_gives_the_same_map() {
    assert_eq!(map("field", FIELD), map("field", FIELD));
    assert_eq!(map("arena", ARENA).hash, *blake3::hash(ARENA).as_bytes());
}

/// The arena's JSON with one text replaced, in a container of the right length.
fn edited(from: &str, to: &str) -> Vec<u8> {
    let length = u32::from_le_bytes([ARENA[12], ARENA[13], ARENA[14], ARENA[15]]) as usize;
    let text = std::str::from_utf8(&ARENA[20..20 + length]).expect("JSON is text");
    assert!(text.contains(from), "{from} is not in the arena");
    let mut json = text.replacen(from, to, 1).into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    let rest = &ARENA[20 + length..];
    let mut out = ARENA[..8].to_vec();
    out.extend(((20 + json.len() + rest.len()) as u32).to_le_bytes());
    out.extend((json.len() as u32).to_le_bytes());
    out.extend(b"JSON");
    out.extend(json);
    out.extend(rest);
    out
}

fn errors(bytes: &[u8]) -> String {
    load("arena", bytes).err().unwrap_or_default().iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn an_error_names_file_node_expectation_and_remedy() {
    let said = errors(&edited("\"spawn_team1_00\"", "\"spawn_tea1_00\""));
    for part in ["arena.glb", "spawn_tea1_00", "expected spawn_any_", "name the team"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

#[test]
fn wrong_scenes_are_refused_with_a_reason() {
    for (from, to, why) in [
        ("\"bounds\"", "\"boundz\"", "expected one node named bounds"),
        ("\"solid_deck_box\"", "\"sold_deck_box\"", "expected a name of the convention"),
        ("\"solid_deck_box\"", "\"solid_deck\"", "expected a name that ends in"),
        ("\"solid_ramp_e_hull\"", "\"solid_ramp_e_box\"", "expected a box"),
        ("\"hinge.001\"", "\"hing\"", "expected a child named hinge"),
        ("\"velocity.001\"", "\"speed\"", "expected a child named velocity"),
        ("\"path_1\"", "\"stop\"", "expected only path_0"),
        ("\"speed\":1.5", "\"speed\":-1", "expected speed as a number"),
        ("\"link_range\":7.5", "\"link_range\":\"far\"", "expected link_range as a number"),
        ("\"one_way\":\"deck_3\"", "\"one_way\":\"dock_3\"", "expected the name of another waypoint"),
        ("\"solid_deck_box\"", "\"solid_plank_box\"", "expected names that differ"),
        ("\"byteLength\":96", "\"byteLength\":90", "ends before"),
        ("\"count\":8,", "\"count\":4000000000,", "expected at most"),
        ("\"generator\"", "\"\\", "expected valid glTF"),
    ] {
        let said = errors(&edited(from, to));
        assert!(said.contains(why), "{from} -> {to}: expected {why:?} in {said}");
    }
}

#[test]
fn a_node_below_itself_is_refused() {
    // The platform's first stop becomes its own parent.
    let bytes = edited("{\"name\":\"path_0\"}", "{\"name\":\"path_0\",\"children\":[0]}");
    assert!(load("arena", &bytes).is_err());
}

#[test]
fn a_position_that_is_no_number_is_refused() {
    let mut bytes = ARENA.to_vec();
    let length = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    bytes[28 + length..32 + length].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(errors(&bytes).contains("expected finite positions"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for end in (0..ARENA.len()).step_by(97) {
        assert!(load("arena", &ARENA[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(changes in prop::collection::vec((0..ARENA.len(), any::<u8>()), 1..8), tail in any::<bool>()) {
        let mut bytes = ARENA.to_vec();
        for (at, value) in changes {
            // Half of the cases hit the geometry, which is small beside the JSON.
            let at = if tail { bytes.len() - 1 - at % 2_000 } else { at };
            bytes[at] = value;
        }
        let _ = load("arena", &bytes);
    }

    #[test]
    fn other_numbers_never_panic(number in 0..2_000usize, value in prop::sample::select(vec![
        "0", "-1", "1e39", "-1e38", "4294967295", "18446744073709551615", "1e-30", "null", "\"\"", "[]", "{}",
    ])) {
        let length = u32::from_le_bytes([ARENA[12], ARENA[13], ARENA[14], ARENA[15]]) as usize;
        let text = std::str::from_utf8(&ARENA[20..20 + length]).expect("JSON is text");
        // The number-th number in the text, counted from the end, where accessors and views are, wraps around.
        let starts: Vec<usize> = text.match_indices([':', ',', '[']).map(|(at, _)| at + 1)
            .filter(|at| text[*at..].starts_with(|c: char| c.is_ascii_digit() || c == '-')).collect();
        let start = starts[(number * 7) % starts.len()];
        let end = text[start..].find([',', ']', '}']).map_or(text.len(), |at| start + at);
        let mut json = format!("{}{value}{}", &text[..start], &text[end..]).into_bytes();
        json.resize(json.len().next_multiple_of(4), b' ');
        let rest = &ARENA[20 + length..];
        let mut bytes = ARENA[..8].to_vec();
        bytes.extend(((20 + json.len() + rest.len()) as u32).to_le_bytes());
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend(b"JSON");
        bytes.extend(json);
        bytes.extend(rest);
        let _ = load("arena", &bytes);
    }
}
