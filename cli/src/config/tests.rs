//! Where settings come from, which of them wins, and what is said of wrong ones.

use super::*;

fn file(text: &str) -> Result<Layer> {
    Layer::parse(text, "arbiter.toml")
}

#[test]
fn the_help_of_each_setting_tells_its_default() {
    use clap::CommandFactory as _;

    let command = crate::arguments::Arguments::command();
    let server = command.find_subcommand("server").expect("a command");
    let defaults = Settings::default().to_string();
    for line in defaults.lines() {
        let (name, value) = line.split_once(" = ").expect("a setting");
        let argument = server.get_arguments().find(|argument| argument.get_id() == name).expect("a flag");
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        // A number that changes with each release is no help.
        let value = if name == "build" { "the program's version" } else { value.trim_matches('"') };
        let told = format!("[default: {value}]");
        assert!(help.contains(&told), "--{name}: {told} is missing in {help:?}");
    }
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("arbiter.toml");
    std::fs::write(&path, "tick_rate = 30\nmode = \"control_point\"\n").expect("written");
    let over = Layer { tick_rate: Some(64), ..Layer::default() };
    let settings = Settings::load(Some(&path), over).expect("valid");
    assert_eq!((settings.tick_rate, settings.mode.as_str()), (64, "control_point"));
    assert_eq!(settings.map, Settings::default().map);
}

#[test]
fn what_is_printed_gives_the_same_settings_again() {
    let mut settings = Settings { seed: Some(7), ..Settings::default() };
    settings.on_stop = OnStop::Finish;
    let mut again = Settings::default();
    again.apply(file(&settings.to_string()).expect("valid"));
    assert_eq!(again, settings);
}

#[test]
fn an_unknown_field_is_named_with_its_line() {
    let error = file("mode = \"x\"\n\ntick_rat = 60\n").expect_err("unknown").to_string();
    assert!(error.starts_with("arbiter.toml:3: tick_rat: unknown field"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_line() {
    let error = file("mode = \"x\"\ntick_rate = \"fast\"\n").expect_err("wrong").to_string();
    assert!(error.starts_with("arbiter.toml:2: tick_rate: ") && error.contains("u16"), "{error}");
}

#[test]
fn every_value_out_of_range_is_named_with_its_line() {
    let error = file("rooms = 0\nmap = \"x\"\ntick_rate = 500\n").expect_err("wrong").to_string();
    assert_eq!(
        error,
        "arbiter.toml:3: tick_rate: expected a number from 10 to 128, found 500\n\
         arbiter.toml:1: rooms: expected a number from 1 to 256, found 0"
    );
}

#[test]
fn an_address_that_no_player_can_reach_is_named_with_its_line() {
    let good = "public_addresses = [\"192.0.2.1:7777\", \"[2001:db8::7]:7777\"]\n";
    assert_eq!(file(good).expect("valid").public_addresses.map(|addresses| addresses.len()), Some(2));
    for bad in ["0.0.0.0:7777", "192.0.2.1:0"] {
        let error = file(&format!("rooms = 1\npublic_addresses = [\"{bad}\"]\n")).expect_err("wrong").to_string();
        assert!(error.starts_with("arbiter.toml:2: public_addresses: expected") && error.contains(bad), "{error}");
    }
}
