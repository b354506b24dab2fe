//! Events in, JSON out.

use serde_json::json;

use super::House;
use super::events::{
    BEGAN_MS, ended, joined, killed, looted, match_text, of_the_economy, progressed, result, started, suspected, whole,
};

#[test]
fn a_match_is_told_from_its_beginning_to_its_end() {
    let mut house = House::new();
    let after = house.tell([started(1), joined(1, 7)]);
    let path = format!("/matches/{}?after=", match_text(1));
    let (status, running) = house.get(7, &format!("{path}{after}"));
    assert_eq!((status, &running["map"], &running["results"]), (200, &json!("arena"), &json!([])), "{running}");
    assert_eq!(running.get("outcome"), None);
    let after = house.tell([ended(1, [result(7, true, -3), result(0, false, 5)])]);
    let (_, over) = house.get(7, &format!("{path}{after}"));
    let results = json!([
        { "player": "0", "slot": 0, "team": 1, "won": false, "score": 5, "kills": 4, "deaths": 2, "assists": 1,
          "ticks_played": 3_600 },
        { "player": "7", "slot": 7, "team": 1, "won": true, "score": -3, "kills": 4, "deaths": 2, "assists": 1,
          "ticks_played": 3_600 },
    ]);
    let whole = json!({
        "match": match_text(1), "map": "arena", "mode": "control_point", "started_ms": BEGAN_MS,
        "ended_ms": BEGAN_MS + 2_000, "outcome": "won", "winner": 1, "ticks": 7_200, "tick_rate": 60,
        "rules_hash": "09".repeat(32), "recording_hash": "08".repeat(16), "results": results, "position": 3,
    });
    assert_eq!(over, whole);
}

#[test]
fn who_was_not_in_a_match_sees_who_won_and_nobodys_results() {
    let mut house = House::new();
    let after = house.tell(whole(1, &[7, 8]));
    let path = format!("/matches/{}?after={after}", match_text(1));
    let (status, seen) = house.get(9, &path);
    assert_eq!((status, &seen["outcome"], seen.get("results")), (200, &json!("won"), None));
    assert_eq!(house.look(&path).1["results"].as_array().map(Vec::len), Some(2));
}

#[test]
fn progress_is_the_sum_of_all_matches_that_ended() {
    let mut house = House::new();
    house.tell(whole(1, &[7, 8]));
    house.tell(whole(2, &[8, 7]));
    let after = house.tell([started(3), joined(3, 7)]);
    let (_, profile) = house.get(7, &format!("/player/7/profile?after={after}"));
    let progress = json!({ "matches": 2, "wins": 1, "score": 20, "kills": 8, "deaths": 4, "assists": 2,
        "ticks_played": 7_200 });
    assert_eq!((&profile["progress"], &profile["player"]), (&progress, &json!("7")));
    assert_eq!(profile["own"]["last_match_ms"], json!(BEGAN_MS + 7_000), "{profile}");
}

#[test]
fn who_left_and_came_back_played_one_match() {
    let mut house = House::new();
    let again = [result(7, false, 3), result(7, true, 4)];
    let after = house.tell([started(1), joined(1, 7), joined(1, 7), ended(1, again)]);
    let (_, profile) = house.get(7, &format!("/player/7/profile?after={after}"));
    let [matches, wins, score] = ["matches", "wins", "score"].map(|sum| profile["progress"][sum].clone());
    assert_eq!([matches, wins, score], [json!(1), json!(1), json!(7)]);
    let (_, list) = house.get(7, "/player/7/matches");
    assert_eq!(list["matches"][0]["results"].as_array().map(Vec::len), Some(2));
}

#[test]
fn matches_are_listed_newest_first_page_by_page() {
    let mut house = House::new();
    let mut after = 0;
    for number in 1..=5 {
        after = house.tell(whole(number, &[7, 8]));
    }
    let (mut path, mut found) = (format!("/player/7/matches?limit=2&after={after}"), Vec::new());
    loop {
        let (status, page) = house.get(7, &path);
        assert_eq!(status, 200, "{page}");
        let matches = page["matches"].as_array().cloned().unwrap_or_default();
        assert!(matches.len() <= 2 && matches.iter().all(|played| played["results"][0]["player"] == "7"), "{page}");
        found.extend(matches.iter().map(|played| played["match"].as_str().map(str::to_owned)));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/player/7/matches?limit=2&cursor={next}");
    }
    assert_eq!(found, [5, 4, 3, 2, 1].map(|number| Some(match_text(number))));
}

#[test]
fn achievements_add_up_and_remember_when() {
    let mut house = House::new();
    let after = house.tell([started(1), progressed(1, 7, 2), progressed(1, 8, 1), progressed(1, 7, 3)]);
    let (_, found) = house.get(7, &format!("/player/7/achievements?after={after}"));
    let one = json!([{ "achievement": "streak-10", "progress": 5, "first_ms": BEGAN_MS + 1_000,
        "last_ms": BEGAN_MS + 3_000 }]);
    assert_eq!(found["achievements"], one);
}

#[test]
fn statistics_count_causes_of_both_sides_and_things() {
    let mut house = House::new();
    let events = [killed(1, 7, 8, true), killed(1, 7, 8, false), killed(1, 8, 8, false), looted(1, 7, 4)];
    let after = house.tell(events);
    let (_, seven) = house.get(7, &format!("/player/7/statistics?after={after}"));
    let (_, eight) = house.get(8, "/player/8/statistics");
    let tally = |count, headshots| json!([{ "cause": "weapon", "number": 3, "count": count, "headshots": headshots }]);
    assert_eq!((&seven["kills"], &seven["deaths"]), (&tally(2, 1), &json!([])));
    assert_eq!(seven["pickups"], json!([{ "pickup": 4, "count": 1 }]));
    assert_eq!((&eight["kills"], &eight["deaths"]), (&json!([]), &tally(3, 1)));
}

#[test]
fn what_the_economy_tells_is_in_the_histories_that_services_see_and_holds_nothing_back() {
    let mut house = House::new();
    house.tell(of_the_economy());
    let after = house.tell(whole(1, &[7, 8]));
    let count = |(status, answer): (u16, serde_json::Value)| {
        assert_eq!(status, 200, "{answer}");
        answer["events"].as_array().map(Vec::len)
    };
    assert_eq!(count(house.look(&format!("/player/7/history?after={after}"))), Some(7 + 2));
    assert_eq!(count(house.look("/player/8/history")), Some(1 + 2), "who is in what moved");
    assert_eq!(count(house.get(7, "/player/7/history")), Some(2), "others' balances are nobody's business");
    assert_eq!(house.get(7, "/player/7/profile").1["progress"]["matches"], json!(1));
    assert_eq!(house.look("/quarantine").1["waiting"], json!(0));
}

#[test]
fn the_history_has_every_event_and_players_do_not_see_who_suspects_them() {
    let mut house = House::new();
    let after = house.tell([started(1), joined(1, 7), killed(1, 8, 7, true), suspected(1, 7)]);
    let kinds = |answer: &serde_json::Value| -> Vec<String> {
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        events.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect()
    };
    let path = format!("/player/7/history?after={after}");
    let own = house.get(7, &path).1;
    assert_eq!(kinds(&own), ["arbiter.match.player.killed.v1", "arbiter.match.player.joined.v1"]);
    let killing = json!({ "match": match_text(1), "victim": "7", "victim_slot": 7, "killer": "8", "killer_slot": 8,
        "assist_slot": null, "cause": "weapon", "cause_number": 3, "headshot": true });
    assert_eq!((&own["events"][0]["event"], &own["events"][0]["position"]), (&killing, &json!(2)));
    assert_eq!(kinds(&house.look(&path).1).len(), 3);
    let of_match = format!("/matches/{}/history", match_text(1));
    assert_eq!(kinds(&house.look(&of_match).1).len(), 4);
    assert_eq!(kinds(&house.get(7, &of_match).1).len(), 3);
    assert_eq!(kinds(&house.get(9, &of_match).1), ["arbiter.match.started.v1"]);
}

#[test]
fn whoever_asks_for_a_position_waits_until_it_is_there() {
    let mut house = House::new();
    let after = house.tell(whole(1, &[7]));
    // Both were told before, so that only the waiting is left to be shown: without it the first answers would be of
    // nothing.
    let (status, found) = house.get(7, &format!("/matches/{}?after={after}", match_text(1)));
    assert_eq!((status, &found["position"]), (200, &json!(after)));
}

#[test]
fn whoever_asks_for_a_position_that_does_not_come_is_told_to_ask_again() {
    let house = House::new();
    let (status, problem) = house.ask("GET", &format!("/matches/{}?after=1", match_text(1)), "player-7", "");
    assert_eq!((status, &problem["type"]), (503, &json!("urn:arbiter:problem:not-yet")), "{problem}");
    assert_eq!(problem["retry_after"], json!(1));
}

#[test]
fn nobody_sees_what_is_somebody_elses() {
    let mut house = House::new();
    let after = house.tell(whole(1, &[7]));
    for path in ["matches", "achievements", "statistics", "history"] {
        assert_eq!(house.get(8, &format!("/player/7/{path}?after={after}")).0, 403, "{path}");
    }
    assert_eq!(house.get(7, "/quarantine").0, 403);
    assert_eq!(house.ask("POST", "/quarantine/7/replay", "player-7", "").0, 403);
}

#[test]
fn what_makes_no_sense_is_refused_with_words() {
    let house = House::new();
    for path in [
        "/matches/abc",
        "/matches/ABABABABABABABABABABABABABABABAB",
        "/player/seven/matches",
        "/player/7/matches?limit=0",
        "/player/7/matches?limit=101",
        "/player/7/matches?cursor=x",
        "/player/7/history?cursor=zzzzzzzzzzzzzzzz",
        "/player/7/history?after=-1",
    ] {
        let (status, problem) = house.get(7, path);
        assert_eq!((status, &problem["type"]), (400, &json!("urn:arbiter:problem:bad-request")), "{path}: {problem}");
    }
    assert_eq!(house.get(7, &format!("/matches/{}", match_text(9))).0, 404);
}

#[test]
fn the_description_says_what_is_eventual_and_how_to_wait() {
    let house = House::new();
    let (_, api) = house.look("/openapi.json");
    for path in [
        "/player/{playerId}/profile",
        "/player/{playerId}/matches",
        "/player/{playerId}/achievements",
        "/player/{playerId}/statistics",
        "/player/{playerId}/history",
        "/matches/{id}",
        "/matches/{id}/history",
        "/quarantine",
    ] {
        let get = &api["paths"][path]["get"];
        let says = get["description"].as_str().unwrap_or_default();
        assert!(says.contains("ventual"), "{path}: {says}");
        let takes = get["parameters"].as_array().cloned().unwrap_or_default();
        assert!(takes.iter().any(|parameter| parameter["name"] == "after"), "{path}");
    }
    assert!(api["paths"]["/quarantine/{player}/replay"]["post"].is_object());
}
