//! Running other programs: where they run, what they inherit, and what is kept of what they say.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the checkout that this chore was built in.
pub fn root() -> PathBuf {
    // Cargo sets it for `cargo run`; a chore started by hand stands in the root.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    match manifest.as_deref().and_then(Path::parent) {
        Some(root) => root.to_path_buf(),
        None => PathBuf::from("."),
    }
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program that runs in the root, without what `cargo run` told this one about itself: build scripts that watch those
/// variables would run again, and the toolchain's library path would be put before the system's.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        let key_text = key.to_string_lossy();
        let inherited = ["CARGO_TARGET_DIR", "CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_INCREMENTAL", "CARGO_TERM_COLOR"];
        let ours = key_text == "CARGO" || (key_text.starts_with("CARGO_") && !inherited.contains(&key_text.as_ref()));
        let net = key_text.starts_with("CARGO_NET_") || key_text.starts_with("CARGO_HTTP_");
        let registry = key_text.starts_with("CARGO_REGISTR") || key_text.starts_with("CARGO_SOURCE_");
        if (ours && !net && !registry) || key_text == "LD_LIBRARY_PATH" || key_text == "RUST_RECURSION_COUNT" {
            command.env_remove(&key);
        }
    }
    command
}

/// `cargo` with arguments.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = program("cargo");
    command.args(arguments);
    command
}

/// Builds programs of this workspace for release and returns the folder that they are in. All chores build alike, as do the programs
/// that some of them start: for another choice of packages cargo takes other features and compiles a hundred crates anew.
pub fn release(programs: &[&str]) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--quiet", "--locked", "--release", "--workspace"]);
    run(build.args(programs.iter().flat_map(|program| ["--bin", program])))?;
    Ok(target_dir().join("release"))
}

/// How a command reads to a person who wants to run it again.
pub fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Runs a command and fails if it does.
pub fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("cannot start `{name}`: is it installed?"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it printed to standard output; fails with all that it said if it does.
pub fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.output().with_context(|| format!("cannot start `{name}`: is it installed?"))?;
    if !output.status.success() {
        bail!(
            "`{name}` failed ({})\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{name}` printed something that is not UTF-8"))
}

/// Runs a command, passes both of its outputs on line by line, and gives back the lines and whether it succeeded.
pub fn watch(command: &mut Command) -> Result<(bool, Vec<String>)> {
    let name = describe(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{name}`: is it installed?"))?;
    let outputs = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = outputs else { bail!("`{name}` has no outputs") };
    let lines = std::thread::scope(|scope| -> Result<Vec<String>> {
        let errors = scope.spawn(move || pass_on(stderr));
        let mut lines = pass_on(stdout)?;
        match errors.join() {
            Ok(more) => lines.extend(more?),
            Err(_) => bail!("the thread that reads `{name}` panicked"),
        }
        Ok(lines)
    })?;
    Ok((child.wait()?.success(), lines))
}

fn pass_on(from: impl std::io::Read) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(lines);
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        writeln!(std::io::stdout(), "{line}")?;
        lines.push(line);
    }
}

/// Whether a program is on the search path.
pub fn exists(name: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
