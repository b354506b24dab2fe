//! A server, bots and somebody who watches them, each a process of its own.

use arbiter_tests::{Running, argument, printed, run};

#[test]
fn a_match_is_watched_from_another_process_some_seconds_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (key, recordings) = (folder.path().join("arbiter.key"), folder.path().join("recordings"));
    let files = ["--key-file", argument(&key), "--record-dir", argument(&recordings)];
    let server = ["server", "--bind", "127.0.0.1:0", "--players-max", "4", "--seed", "7"];
    // Whoever watches is the first to go where a machine has more to do than time, as one that runs tests may.
    let watched = ["--spectators-max", "2", "--spectator-delay-ms", "1500", "--shed", "off"];
    let mut server = Running::start(&[&server[..], &watched, &files].concat());
    let line = server.wait_for_line("listening on ");
    let address = line.split_whitespace().nth(2).expect("an address").trim_end_matches(':').to_owned();
    let to = ["--server", &address, "--key-file", argument(&key)];
    let mut bots = Running::start(&[&["bots", "--count", "4"][..], &to].concat());

    let mut player = Running::start(&[&["spectate", "--player", "0", "--plain"][..], &to].concat());
    let mut free = Running::start(&[&["spectate", "--free", "--plain"][..], &to].concat());
    let line = free.wait_for_line("watching everybody, 1.5 s ago: 4 players");
    assert!(line.contains("kbit/s down"), "{line}");
    player.wait_for_line("watching Alfa, 1.5 s ago: ");

    let third = run(&[&["spectate", "--duration", "5", "--plain"][..], &to].concat());
    let said = printed(&third);
    assert!(!third.status.success() && said.contains("no more spectators are let in"), "{said}");

    free.interrupt();
    free.wait_for_line("1 match shown");
    server.terminate();
    player.wait_for_line("the server said goodbye: the server is stopping");
    server.wait_for_line(": verified");
    assert!(free.wait() && player.wait() && bots.wait() && server.wait());
}

#[test]
fn whoever_watches_with_another_map_is_told_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (key, recordings) = (folder.path().join("arbiter.key"), folder.path().join("recordings"));
    let files = ["--key-file", argument(&key), "--record-dir", argument(&recordings)];
    let server = ["server", "--bind", "127.0.0.1:0", "--spectators-max", "1", "--spectator-delay-ms", "0"];
    let server = Running::start(&[&server[..], &files].concat());
    let line = server.wait_for_line("listening on ");
    let address = line.split_whitespace().nth(2).expect("an address").trim_end_matches(':').to_owned();
    let out = run(&["spectate", "--server", &address, "--key-file", argument(&key), "--map", "field", "--plain"]);
    let said = printed(&out);
    assert!(!out.status.success() && said.contains("the server plays map \"arena\""), "{said}");
}
