//! What players say of themselves.

use serde_json::json;

use super::House;
use super::events::whole;

#[test]
fn a_name_is_told_to_everybody_as_soon_as_it_is_answered() {
    let house = House::new();
    let (status, changed) = house.rename(7, "Ada");
    assert_eq!((status, &changed["display_name"]), (200, &json!("Ada")), "{changed}");
    let (status, seen) = house.get(8, "/player/7/profile");
    assert_eq!((status, &seen["display_name"], seen.get("own")), (200, &json!("Ada"), None));
    let (_, own) = house.get(7, "/player/7/profile");
    assert_eq!(own["own"]["changed_ms"], changed["changed_ms"]);
}

#[test]
fn a_player_who_is_new_sees_an_empty_profile_and_others_see_none() {
    let house = House::new();
    let (status, own) = house.get(7, "/player/7/profile");
    assert_eq!((status, &own["progress"]["matches"], own.get("display_name")), (200, &json!(0), None));
    assert_eq!(house.get(8, "/player/7/profile").0, 404);
}

#[test]
fn nobody_names_somebody_else() {
    let house = House::new();
    let body = r#"{"display_name":"Eve"}"#;
    assert_eq!(house.ask("PUT", "/player/7/profile", "player-8", body).0, 403);
    let service = arbiter_web::ServiceKey::derive(&super::SECRET).bearer();
    assert_eq!(house.ask("PUT", "/player/7/profile", &service, body).0, 403);
    assert_eq!(house.ask("DELETE", "/player/7/profile", "player-8", "").0, 403);
}

#[test]
fn a_name_that_is_none_is_refused_with_words() {
    let house = House::new();
    for name in ["", " Ada", "A\u{7}da", "\u{202E}adA", &"a".repeat(33)] {
        let (status, problem) = house.rename(7, name);
        let says = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && says.contains("display_name"), "{name:?}: {status} {problem}");
    }
    let body = r#"{"display_name":"Ada","email":"ada@example.com"}"#;
    assert_eq!(house.ask("PUT", "/player/7/profile", "player-7", body).0, 400);
}

#[test]
fn a_name_that_was_just_changed_is_not_changed_again_at_once() {
    let house = House::new();
    assert_eq!(house.rename(7, "Ada").0, 200);
    assert_eq!(house.rename(7, "Ada").0, 200);
    let (status, problem) = house.rename(7, "Eve");
    assert_eq!((status, &problem["type"]), (429, &json!("urn:arbiter:problem:too-many-changes")));
    assert!(problem["retry_after"].as_u64().is_some_and(|seconds| (1..=5).contains(&seconds)), "{problem}");
}

#[test]
fn numbers_of_players_are_exact_to_the_last_digit() {
    let mut house = House::new();
    let after = house.tell(whole(1, &[u64::MAX]));
    let player = u64::MAX.to_string();
    let (_, profile) = house.get(u64::MAX, &format!("/player/{player}/profile?after={after}"));
    assert_eq!((&profile["player"], &profile["progress"]["wins"]), (&json!(player), &json!(1)));
}
