//! Contract: every event that any version ever emitted is read by today's consumers, with the meaning that it had.
//!
//! `corpus/N/TYPE.hex` holds an event of version N of the contracts, `corpus/N/TYPE.txt` what it says. Bytes of a version are
//! never changed once it was released, and what they say only gets fields that came later, at their defaults;
//! `ARBITER_WRITE_CORPUS=1` writes what is missing, and only that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use arbiter_contracts::v1::*;
use arbiter_contracts::{Attributes, CONTRACTS, DecodeError, Envelope, Event, KINDS, MatchEventId};
use prost::Message as _;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn account(owner: u64, bucket: &str) -> Option<Account> {
    Some(Account { owner, asset: "gold".to_owned(), bucket: bucket.to_owned() })
}

/// One event of each type, with no field left at its default where it can be helped.
fn examples() -> Vec<Event> {
    let r#match = (0..16).collect::<Vec<u8>>();
    let id = || r#match.clone();
    let result = PlayerResult {
        player: 77,
        slot: 3,
        team: 2,
        won: true,
        score: -4,
        kills: 12,
        deaths: 5,
        assists: 6,
        ticks_played: 7200,
    };
    let posting = |owner, amount, balance| Posting { account: account(owner, "main"), amount, balance };
    vec![
        MatchStarted {
            r#match: id(),
            map: "arena".into(),
            mode: "control_point".into(),
            tick_rate: 60,
            rules_hash: vec![9; 32],
        }
        .into(),
        MatchEnded {
            r#match: id(),
            outcome: Outcome::Won.into(),
            winner: 2,
            ticks: 7200,
            results: vec![result],
            recording_hash: vec![8; 16],
        }
        .into(),
        RoundStarted { r#match: id(), round: 2 }.into(),
        RoundEnded { r#match: id(), round: 2, outcome: Outcome::Draw.into(), winner: 1 }.into(),
        PlayerJoined { r#match: id(), player: 77, slot: 3, team: 2, hero: 4 }.into(),
        PlayerLeft { r#match: id(), player: 77, slot: 3, reason: LeaveReason::Timeout.into() }.into(),
        PlayerKilled {
            r#match: id(),
            victim: 77,
            victim_slot: 3,
            killer: 78,
            killer_slot: Some(0),
            assist_slot: Some(5),
            cause: CauseKind::Ability.into(),
            cause_number: 6,
            headshot: true,
        }
        .into(),
        ObjectiveCaptured { r#match: id(), objective: 1, team: 2 }.into(),
        LootTaken { r#match: id(), player: 77, slot: 3, pickup: 9 }.into(),
        AchievementProgressed { r#match: id(), player: 77, achievement: "streak-10".into(), added: 1 }.into(),
        AnomalyDetected { r#match: id(), player: 77, kind: "aim".into(), amount: -5 }.into(),
        BodyQuarantined { r#match: id(), entity: 1234 }.into(),
        RoomRecovered { r#match: id(), resumed_at_tick: 600, ticks_replayed: 6 }.into(),
        Custom { r#match: id(), kind: 40, a: -1, b: 2 }.into(),
        AccountOpened { account: account(77, "main") }.into(),
        AccountFrozen { account: account(77, "main"), frozen: true, reason: "chargeback".into() }.into(),
        WalletChanged {
            transfer: 5,
            postings: vec![posting(0, -50, -1050), posting(77, 50, 150)],
            reason: "grant".into(),
        }
        .into(),
        InventoryChanged { player: 77, item: "crown".into(), amount: -1, quantity: 2, equipped: "head".into() }.into(),
        PurchaseCompleted { purchase: id(), player: 77, offer: "starter".into(), asset: "EUR".into(), price: 499 }
            .into(),
        PurchaseReversed { purchase: id(), player: 77, chargeback: true, owed: 20, debts: Vec::new() }.into(),
        GrantIssued {
            player: 77,
            reward: "win".into(),
            cause: "x-1-0".into(),
            window: "2026-11".into(),
            amount: 50,
            asset: "gold".into(),
        }
        .into(),
    ]
}

fn envelope(event: Event, index: u32) -> Envelope {
    let attributes = Attributes {
        id: MatchEventId { match_id: 0xA1, tick: 600, index }.to_string(),
        source: "/rooms/eu-1".to_owned(),
        subject: "matches/a1".to_owned(),
        time: Duration::new(1_795_262_400, 500_000_000),
        sequence: 41 + u64::from(index),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    };
    Envelope { attributes, event }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n").collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..][..2], 16).expect("a digit")).collect()
}

#[test]
fn every_event_ever_emitted_is_read_with_its_meaning() {
    if std::env::var_os("ARBITER_WRITE_CORPUS").is_some() {
        write_missing();
    }
    let mut read = 0;
    for version in 1..=CONTRACTS {
        let folder = corpus().join(version.to_string());
        for kind in KINDS.iter().filter(|kind| kind.since <= version) {
            let path = |ending: &str| folder.join(format!("{}.{ending}", kind.name));
            let said = std::fs::read_to_string(path("txt"));
            let (Ok(said), Ok(hex)) = (said, std::fs::read_to_string(path("hex"))) else {
                assert!(version < kind.since, "{} has no example of version {version}", kind.name);
                continue;
            };
            let event = Envelope::decode(&from_hex(&hex)).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
            assert_eq!(format!("{event:#?}\n"), said, "{} means something else now", kind.name);
            read += 1;
        }
    }
    assert!(read >= KINDS.len());
}

fn write_missing() {
    for (index, event) in examples().into_iter().enumerate() {
        let kind = event.kind();
        let path = |ending: &str| corpus().join(CONTRACTS.to_string()).join(format!("{}.{ending}", kind.name));
        let envelope = envelope(event, index as u32);
        if !path("hex").exists() {
            std::fs::create_dir_all(corpus().join(CONTRACTS.to_string())).expect("a folder");
            std::fs::write(path("hex"), to_hex(&envelope.encode().expect("encoded"))).expect("written");
            std::fs::write(path("txt"), format!("{envelope:#?}\n")).expect("written");
        }
    }
}

#[test]
fn there_is_an_example_of_every_type() {
    let examples: Vec<_> = examples().iter().map(Event::type_name).collect();
    let kinds: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(examples, kinds);
}

#[test]
fn today_s_events_are_the_same_bytes_as_those_of_the_corpus() {
    for (index, event) in examples().into_iter().enumerate() {
        let path = corpus().join(CONTRACTS.to_string()).join(format!("{}.hex", event.type_name()));
        let bytes = envelope(event, index as u32).encode().expect("encoded");
        assert_eq!(to_hex(&bytes), std::fs::read_to_string(path).expect("in the corpus"));
    }
}

/// Bytes worked out from the description by hand: field 2 (map, length-delimited) is `0x12`, a length and the text; field 99
/// as a varint is the tag 99 << 3 = 792, which is `0x98 0x06`.
#[test]
fn fields_that_are_not_known_are_ignored() {
    let payload = [&[0x12, 5][..], b"arena", &[0x98, 0x06, 0x07]].concat();
    let event = Event::decode("arbiter.match.started.v1", &payload).expect("known").expect("whole");
    assert_eq!(event, MatchStarted { map: "arena".into(), ..MatchStarted::default() }.into());
}

#[test]
fn a_type_that_is_not_known_is_refused_with_the_version_that_knows_it() {
    let bytes = envelope(RoundStarted { r#match: vec![1; 16], round: 1 }.into(), 0).encode().expect("encoded");
    // The same event as a later version would emit it: another type of the same length, and 9 for 1.
    let text = b"arbiter.match.round.started.v1";
    let at = bytes.windows(text.len()).position(|window| window == text).expect("the type is there");
    let mut later = bytes.clone();
    later[at..at + text.len()].copy_from_slice(b"arbiter.match.round.started.v9");
    let name = later.windows(9).position(|window| window == b"contracts").expect("the attribute is there");
    // Behind the name: the value's tag and length, then tag 0x10 (ce_integer) and the number.
    assert_eq!(later[name + 9..name + 13], [0x12, 2, 0x10, 1]);
    later[name + 12] = 9;
    let error = Envelope::decode(&later).expect_err("unknown");
    assert!(matches!(&error, DecodeError::UnknownType { needs: 9, .. }), "{error}");
    assert!(error.to_string().contains("needs version 9"), "{error}");
}

#[test]
fn no_prefix_of_an_event_panics_and_none_reads_as_the_whole() {
    let whole = envelope(examples().swap_remove(1), 0);
    let bytes = whole.encode().expect("encoded");
    for end in 0..bytes.len() {
        assert_ne!(Envelope::decode(&bytes[..end]).ok().as_ref(), Some(&whole), "{end}");
    }
}

#[test]
fn every_message_of_the_catalogue_is_about_what_it_says() {
    for event in examples() {
        let again = Event::decode(event.type_name(), &event.encode()).expect("known").expect("whole");
        assert_eq!(again, event);
        assert_eq!(event.encode().len(), again.encode().len());
    }
    assert!(MatchStarted::default().encode_to_vec().is_empty());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..400)) {
        let _ = Envelope::decode(&bytes);
    }
}
