//! Contract: `arbiter token` makes tokens that can be piped on, and shows what is in them to people and to programs.

use std::io::Write as _;
use std::process::{Output, Stdio};

use arbiter_tests::{arbiter, argument, printed};
use serde_json::Value;

/// Any key will do.
const KEY: &str = "606abe6ec91910ea9a6562f66f2b30e44371d62cd19927266b3c60f4b715aba1";

fn inspect(token: &[u8], more: &[&str]) -> Output {
    let mut command = arbiter(&[&["token", "inspect", "-"], more].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("it is piped").write_all(token).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_token_can_be_piped_from_making_to_inspecting() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = folder.path().join("arbiter.key");
    std::fs::write(&key, KEY).expect("written");
    let flags = ["token", "make", "--server", "192.0.2.1:7777,[2001:db8::7]:7777", "--player", "18446744073709551615"];
    let more = ["--room", "7", "--build", "1.4.0", "--key-file", argument(&key)];
    let made = arbiter(&[&flags[..], &more[..]].concat()).output().expect("it runs");
    assert!(made.status.success() && made.stdout.len() == 2_048, "{}", printed(&made));

    let shown = inspect(&made.stdout, &["--json", "--key-file", argument(&key)]);
    let said: Value =
        serde_json::from_slice(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {}", printed(&shown)));
    let user_data = &said["private"]["user_data"];
    assert_eq!((&user_data["player"], &user_data["room"]), (&"18446744073709551615".into(), &7.into()), "{said}");
    assert_eq!(said["servers"][1], "[2001:db8::7]:7777");

    let shown = inspect(&made.stdout, &[]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("192.0.2.1:7777") && text.contains("not opened") && !text.contains("1.4.0"), "{text}");
}

#[test]
fn a_key_that_does_not_fit_a_token_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (key, other) = (folder.path().join("arbiter.key"), folder.path().join("other.key"));
    std::fs::write(&key, KEY).expect("written");
    std::fs::write(&other, KEY.replace('6', "7")).expect("written");
    let made = arbiter(&["token", "make", "--server", "127.0.0.1:1", "--key-file", argument(&key)]).output();
    let shown = inspect(&made.expect("it runs").stdout, &["--key-file", argument(&other)]);
    assert!(!shown.status.success() && printed(&shown).contains("does not open"), "{}", printed(&shown));
}
