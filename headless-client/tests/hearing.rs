//! Contract: in a real match clients hear what goes on around them: their own shots from their prediction and never from the server,
//! others that they know by name and place, and anybody else from a cube.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arbiter_headless_client::bots::Bot;
use arbiter_headless_client::runner::{BotsConfig, Content, Door, run_bots};
use arbiter_headless_client::view::{SoundOrigin, SoundView};
use arbiter_protocol::{Noise, Sound};
use arbiter_server::{Server, ServerConfig};
use arbiter_sim::{MatchSettings, Rules};
use arbiter_transport::Key;

const BOTS: u16 = 4;
/// Of each kind, before the match may end.
const ENOUGH: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);

/// What one bot heard, and the input behind which that was noted last.
#[derive(Default)]
struct Notes {
    last_input: u32,
    sounds: Vec<SoundView>,
    me: Option<arbiter_schema::StableId>,
}

fn is_own(sound: &SoundView) -> bool {
    sound.told.is_none()
}

fn is_named(sound: &SoundView) -> bool {
    matches!(sound.told, Some(Sound::Fired { .. }))
}

fn is_from_a_cube(sound: &SoundView) -> bool {
    matches!(sound.told, Some(Sound::Around { .. }))
}

#[test]
fn clients_hear_themselves_those_whom_they_know_and_roughly_where_others_are() {
    let (rules, map, key) =
        (Arc::new(Rules::shipped()), Arc::new(support::hall()), Key::generate().expect("randomness"));
    let content = Content::new(rules.clone(), map.clone()).expect("builds");
    let settings = MatchSettings { players_max: BOTS, ..MatchSettings::default() };
    let server = Server::start(ServerConfig::new(key.clone(), rules, map, settings)).expect("the server starts");
    let notes = Arc::new(Mutex::new(BTreeMap::<u16, Notes>::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let (all, done) = (Arc::clone(&notes), Arc::clone(&stop));
    let look = move |number: u16, bot: &Bot| {
        let mut all = all.lock().expect("no panic");
        let notes = all.entry(number).or_default();
        if core::mem::replace(&mut notes.last_input, bot.last_input()) == bot.last_input() {
            return;
        }
        notes.me = bot.client.welcome().map(|welcome| welcome.player);
        notes.sounds.extend_from_slice(&bot.view().sounds);
        let count = |is: fn(&SoundView) -> bool| all.values().flat_map(|it| &it.sounds).filter(|it| is(it)).count();
        if [is_own, is_named, is_from_a_cube].into_iter().all(|is| count(is) >= ENOUGH) {
            done.store(true, Ordering::SeqCst);
        }
    };
    let bots = BotsConfig {
        seed: 5,
        duration: Some(PATIENCE),
        watch: Some(Arc::new(look)),
        ..BotsConfig::new(Door::Key { server: server.local_address(), key }, BOTS, content)
    };
    let report = run_bots(&bots, &stop).expect("the bots play");
    assert!(report.failed.is_empty(), "{report:?}");
    drop(bots);
    let notes = Arc::into_inner(notes).expect("the bots are gone").into_inner().expect("no panic");
    let sounds: Vec<(&Notes, &SoundView)> =
        notes.values().flat_map(|notes| notes.sounds.iter().map(move |sound| (notes, sound))).collect();
    let count = |is: fn(&SoundView) -> bool| sounds.iter().filter(|(_, sound)| is(sound)).count();
    let counts = [is_own, is_named, is_from_a_cube].map(count);
    assert!(counts.iter().all(|count| *count >= ENOUGH), "{counts:?}");
    for (notes, sound) in sounds {
        if is_own(sound) {
            assert_eq!(sound.by, notes.me);
        } else if is_named(sound) {
            assert!(sound.by.is_some() && sound.by != notes.me, "{sound:?}");
            assert!(sound.number.is_some() && matches!(sound.origin, SoundOrigin::At(_)), "{sound:?}");
        } else if is_from_a_cube(sound) {
            assert!(sound.by.is_none() && sound.number.is_none(), "{sound:?}");
            assert!(matches!(sound.origin, SoundOrigin::Around(_, side) if side >= 8.0), "{sound:?}");
        }
        assert!(sound.noise != Noise::Steps || is_from_a_cube(sound), "steps of those who are shown are seen");
    }
}
