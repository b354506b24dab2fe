//! What contradicts what is known waits, visibly, and holds back its player's later events only.

use arbiter_contracts::v1::{MatchEnded, RoundStarted};
use serde_json::json;

use super::House;
use super::events::{
    abandoned, ended, joined, killed, match_bytes, match_text, nameless, progressed, result, started, whole,
};

fn wins(house: &House, player: u64, after: u64) -> serde_json::Value {
    house.look(&format!("/player/{player}/profile?after={after}")).1["progress"]["wins"].clone()
}

#[test]
fn a_result_of_a_match_that_never_began_holds_back_its_players_only() {
    let mut house = House::new();
    house.tell([ended(1, [result(7, true, 1)])]);
    let mut later = whole(2, &[7, 8]);
    later.extend(whole(3, &[8]));
    let after = house.tell(later);
    let (status, found) = house.look(&format!("/quarantine?after={after}"));
    assert_eq!(status, 200);
    let reason = "the match never began: its first event is missing";
    let of_nobody = json!({ "player": "0", "reason": reason, "waiting": 1, "first_position": 0 });
    assert_eq!(found["players"][0], of_nobody);
    let seven = &found["players"][1];
    assert_eq!((&seven["player"], &seven["waiting"], &seven["first_position"]), (&json!("7"), &json!(3), &json!(0)));
    assert_eq!((wins(&house, 7, after), wins(&house, 8, after)), (json!(null), json!(1)));
    // The match itself went on, and so did who was not held back.
    let (_, second) = house.look(&format!("/matches/{}", match_text(2)));
    assert_eq!((&second["outcome"], second["results"].as_array().map(Vec::len)), (&json!("won"), Some(1)));
    assert_eq!(house.get(7, "/player/7/profile").1["own"]["waiting"], json!(3));
}

#[test]
fn what_waits_is_applied_when_it_was_put_right() {
    let mut house = House::new();
    house.tell([ended(1, [result(7, true, 1), result(8, false, 1)])]);
    house.tell(whole(2, &[7]));
    let after = house.tell([started(1)]);
    assert_eq!(wins(&house, 7, after), json!(null));
    let (status, replayed) = house.post("/quarantine/7/replay");
    let all = json!({ "applied": 3, "waiting": 0, "position": after });
    assert_eq!((status, replayed), (200, all));
    assert_eq!(wins(&house, 7, after), json!(2));
    assert_eq!(house.post("/quarantine/7/replay").0, 404);
    assert_eq!(house.post("/quarantine/8/replay").1["applied"], json!(1));
    assert_eq!(house.look("/quarantine").1["waiting"], json!(0));
    let check = house.service().rebuild_check().expect("checked");
    assert!(check.is_same() && check.position == after, "{check:?}");
}

#[test]
fn what_still_does_not_fit_goes_on_waiting_with_all_behind_it() {
    let mut house = House::new();
    let after = house.tell([ended(1, [result(7, true, 1)]), progressed(1, 7, 1)]);
    house.look(&format!("/quarantine?after={after}"));
    let (status, replayed) = house.post("/quarantine/7/replay");
    assert_eq!((status, &replayed["applied"], &replayed["waiting"]), (200, &json!(0), &json!(2)), "{replayed}");
    assert!(replayed["reason"].is_string());
}

#[test]
fn numbers_that_overflow_wait_and_change_nothing() {
    let mut house = House::new();
    house.tell([started(1), joined(1, 7), ended(1, [result(7, true, i64::MAX)])]);
    let after = house.tell([started(2), ended(2, [result(7, true, 1), result(8, true, 1)])]);
    let (_, profile) = house.get(7, &format!("/player/7/profile?after={after}"));
    assert_eq!((&profile["progress"]["score"], &profile["progress"]["wins"]), (&json!(i64::MAX), &json!(1)));
    assert_eq!(wins(&house, 8, after), json!(1));
    let (_, found) = house.look("/quarantine");
    assert_eq!((&found["waiting"], &found["players"][0]["player"]), (&json!(1), &json!("7")));
}

#[test]
fn a_second_end_of_a_match_counts_for_nobody() {
    let mut house = House::new();
    house.tell(whole(1, &[7]));
    let after = house.tell([ended(1, [result(7, true, 1)])]);
    assert_eq!(wins(&house, 7, after), json!(1));
    assert_eq!(house.look("/quarantine").1["waiting"], json!(2));
}

#[test]
fn events_of_a_match_that_is_none_wait_for_nobody() {
    let mut house = House::new();
    let after = house.tell([
        RoundStarted { r#match: vec![1; 3], round: 1 }.into(),
        MatchEnded { r#match: match_bytes(1), ..MatchEnded::default() }.into(),
        killed(1, 7, 8, false),
    ]);
    let (_, found) = house.look(&format!("/quarantine?after={after}"));
    assert_eq!((&found["waiting"], &found["players"][0]["player"]), (&json!(2), &json!("0")));
    assert_eq!(house.get(7, "/player/7/statistics").1["kills"][0]["count"], json!(1));
}

#[test]
fn a_payload_that_cannot_be_read_waits_for_whom_its_envelope_names() {
    let mut house = House::new();
    let event = super::events::envelope(0, progressed(1, 7, 1));
    let mut whole = super::Envelope { attributes: event.attributes.clone(), event: event.event.clone() };
    whole.attributes.subject = "players/7".to_owned();
    let good = whole.encode().expect("an event");
    // The payload's first field gets a kind that no field has.
    let payload = event.event.encode();
    let at = good.windows(payload.len()).position(|part| part == payload).expect("it is in there");
    let mut bad = good;
    bad[at] = 0xFF;
    house.log().append(1, &bad).expect("appended");
    let after = house.tell([progressed(1, 7, 1), progressed(1, 8, 1)]);
    let (_, found) = house.look(&format!("/quarantine?after={after}"));
    assert_eq!((&found["waiting"], &found["players"][0]["player"]), (&json!(2), &json!("7")), "{found}");
    assert_eq!(house.get(8, "/player/8/achievements").1["achievements"][0]["progress"], json!(1));
}

#[test]
fn a_full_quarantine_stops_the_service_before_the_event_that_does_not_fit() {
    let mut house = House::new();
    for part in 0..64 {
        house.tell((1..=1_024).map(|player| nameless(9, part * 1_024 + player)));
    }
    house.tell([nameless(9, 70_000)]);
    let why = house.until_it_says("quarantine");
    assert!(why.contains("at 65536") && why.contains("65536 events wait"), "{why}");
    assert_eq!(house.look("/quarantine").1["waiting"], json!(65_536));
}

#[test]
fn the_quarantine_is_listed_page_by_page() {
    let mut house = House::new();
    let after = house.tell((1..=5).map(|player| nameless(9, player)));
    let (_, first) = house.look(&format!("/quarantine?limit=3&after={after}"));
    let next = first["next"].as_str().expect("there is more");
    let (_, second) = house.look(&format!("/quarantine?limit=3&cursor={next}"));
    let numbers = |page: &serde_json::Value| -> Vec<serde_json::Value> {
        page["players"].as_array().expect("a list").iter().map(|player| player["player"].clone()).collect()
    };
    assert_eq!(
        (numbers(&first), numbers(&second)),
        (vec!["1".into(), "2".into(), "3".into()], vec!["4".into(), "5".into()])
    );
    assert_eq!(second.get("next"), None);
}

#[test]
fn a_match_that_was_given_up_before_it_began_holds_back_nobody() {
    let mut house = House::new();
    house.tell([joined(1, 7), abandoned(1, [result(7, false, 0)])]);
    let after = house.tell(whole(2, &[7]));
    assert_eq!(house.look(&format!("/quarantine?after={after}")).1["waiting"], json!(0));
    assert_eq!(wins(&house, 7, after), json!(1));
    assert_eq!(house.look(&format!("/matches/{}", match_text(1))).0, 404);
}

#[test]
fn who_comes_before_a_match_begins_is_in_it() {
    let mut house = House::new();
    let after = house.tell([joined(1, 7), started(1), ended(1, [result(7, true, 1)])]);
    assert_eq!(house.look(&format!("/quarantine?after={after}")).1["waiting"], json!(0));
    assert_eq!(wins(&house, 7, after), json!(1));
}
