//! The rules refuse what is wrong and say where: file, line, field, what was expected and what was found.

use arbiter_sim::Rules;

const NAMES: [&str; 10] =
    ["heroes", "weapons", "abilities", "effects", "pickups", "props", "modes", "movement", "body", "combat"];

/// The shipped files with one piece of text replaced, and the line it stands on.
fn changed(file: &str, from: &str, to: &str) -> (Result<Rules, Vec<arbiter_sim::AssetError>>, u32) {
    let mut line = 0;
    let texts: Vec<(String, String)> = NAMES
        .iter()
        .map(|name| {
            let path = format!("{}/../../assets/rules/{name}.ron", env!("CARGO_MANIFEST_DIR"));
            let mut text = std::fs::read_to_string(path).expect("the shipped rules are there");
            if *name == file {
                let at = text.find(from).unwrap_or_else(|| panic!("{file} does not say {from}"));
                line = text[..at].matches('\n').count() as u32 + 1;
                text = text.replacen(from, to, 1);
            }
            (format!("assets/rules/{name}.ron"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    (Rules::from_ron(&files), line)
}

fn complaint(file: &str, from: &str, to: &str) -> (String, u32) {
    let (result, line) = changed(file, from, to);
    let errors = result.expect_err("the rules are wrong");
    (errors[0].to_string(), line)
}

#[test]
fn the_shipped_rules_are_right() {
    let rules = Rules::shipped();
    assert!(rules.heroes.len() >= 5);
}

#[test]
fn a_number_out_of_range_is_named_with_its_line() {
    let (text, line) = complaint("weapons", "reload_ms: 2000", "reload_ms: 0");
    assert_eq!(text, format!("assets/rules/weapons.ron:{line}: weapons[1].reload_ms: expected 1 to 60000, found 0"));
}

#[test]
fn a_number_inside_a_behaviour_is_named_with_its_line() {
    let (text, line) = complaint("weapons", "pellets: 9", "pellets: 99");
    let expected = format!("assets/rules/weapons.ron:{line}: weapons[1].behaviour.pellets: expected 1 to 32, found 99");
    assert_eq!(text, expected);
}

#[test]
fn a_name_that_does_not_exist_is_named_with_its_line() {
    let (text, line) = complaint("heroes", "\"shotgun\"", "\"shotgnu\"");
    let expected =
        format!("assets/rules/heroes.ron:{line}: heroes[2].weapons[1]: expected a name in weapons, found \"shotgnu\"");
    assert_eq!(text, expected);
}

#[test]
fn a_duplicate_is_named_with_its_line() {
    let (text, line) = complaint("effects", "name: \"muddy\"", "name: \"slowed\"");
    let expected = format!(
        "assets/rules/effects.ron:{line}: effects[3].name: expected a name that effects[2] does not have, found \"slowed\""
    );
    assert_eq!(text, expected);
}

#[test]
fn an_unknown_field_is_named_with_its_line() {
    let (text, line) = complaint("movement", "max_speed: 6", "max_sped: 6");
    assert!(text.starts_with(&format!("assets/rules/movement.ron:{line}: movement")), "{text}");
    assert!(text.contains("max_speed") && text.ends_with("found \"max_sped\""), "{text}");
}

#[test]
fn a_missing_field_is_named() {
    let (text, _) = complaint("props", "mass: 60, ", "");
    assert!(text.contains("props[0].mass: expected a value, found nothing"), "{text}");
}

#[test]
fn a_word_where_a_number_belongs_is_named_with_its_line() {
    let (text, line) = complaint("combat", "rewind_max_ms: 250", "rewind_max_ms: long");
    assert!(text.starts_with(&format!("assets/rules/combat.ron:{line}: combat.rewind_max_ms: ")), "{text}");
}

#[test]
fn infinity_is_refused() {
    let (text, line) = complaint("movement", "gravity: 20", "gravity: inf");
    assert!(text.starts_with(&format!("assets/rules/movement.ron:{line}: movement.gravity: ")), "{text}");
}

#[test]
fn broken_text_is_an_error_and_never_a_panic() {
    let path = format!("{}/../../assets/rules/weapons.ron", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the shipped rules are there");
    for cut in (0..text.len()).step_by(7) {
        let files = NAMES.map(|name| (name, if name == "weapons" { &text[..cut] } else { "[]" }));
        assert!(Rules::from_ron(&files).is_err());
    }
}

#[test]
fn every_wrong_file_is_told_at_once() {
    let files = NAMES.map(|name| (name, "("));
    assert_eq!(Rules::from_ron(&files).expect_err("all are broken").len(), NAMES.len());
}

#[test]
fn the_hash_does_not_follow_layout_but_follows_numbers() {
    let shipped = Rules::shipped().hash();
    let (layout, _) = changed("weapons", "reload_ms: 2000", "\n // slower\n reload_ms:   2000");
    assert_eq!(layout.expect("only layout").hash(), shipped);
    let (number, _) = changed("weapons", "reload_ms: 2000", "reload_ms: 2001");
    assert_ne!(number.expect("a legal number").hash(), shipped);
}

#[test]
fn rules_survive_serialisation_with_their_references() {
    let rules = Rules::shipped();
    let text = serde_json::to_string(&rules).expect("rules can be written");
    let read: Rules = serde_json::from_str(&text).expect("rules can be read");
    assert_eq!(read, rules);
}

#[test]
fn the_schema_tells_ranges_and_explains_fields() {
    let schema = Rules::file_schema("weapons").expect("there is such a file");
    let reload = &schema["$defs"]["Weapon"]["properties"]["reload_ms"];
    assert_eq!((reload["minimum"].as_u64(), reload["maximum"].as_u64()), (Some(1), Some(60_000)));
    assert_eq!(reload["description"], "Time of a reload.");
}
