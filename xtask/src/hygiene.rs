//! What a reader must not find in the repository: paths of somebody's machine, addresses of registries, unfinished code,
//! modules without a head, arrows between rooms that the plan of the house does not have.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Which rooms a room may import. Who is not listed may import anything, and nothing may import it.
const ARROWS: &[(&str, &[&str])] = &[
    ("shared/schema", &[]),
    ("shared/protocol", &["schema"]),
    ("shared/sim", &["schema"]),
    ("shared/snapshot", &["schema"]),
    ("shared/transport", &[]),
    ("shared/contracts", &[]),
    ("shared/recording", &["sim"]),
    ("shared/eventlog", &[]),
    ("shared/metrics", &[]),
    ("replay", &["schema", "sim", "recording"]),
    (
        "server",
        &["schema", "sim", "protocol", "snapshot", "transport", "contracts", "recording", "eventlog", "metrics"],
    ),
    ("headless-client", &["schema", "sim", "protocol", "snapshot", "transport"]),
    ("services/ledger", &[]),
    ("services/web", &["contracts", "metrics"]),
    ("services/intake", &["contracts", "eventlog", "metrics", "web"]),
    ("services/views", &["eventlog"]),
    ("services/economy", &["contracts", "eventlog", "ledger", "metrics", "views", "web"]),
    ("services/access", &["contracts", "web"]),
    ("services/join", &["access", "contracts", "eventlog", "metrics", "web"]),
    ("services/persistence", &["contracts", "eventlog", "metrics", "views", "web"]),
];

/// Words in pieces, so that this file does not find itself.
fn forbidden() -> Vec<(String, &'static str)> {
    let join = |pieces: &[&str]| pieces.concat();
    vec![
        (join(&["/ro", "ot/"]), "a path of somebody's machine"),
        (join(&["/ho", "me/"]), "a path of somebody's machine"),
        (join(&["/Us", "ers/"]), "a path of somebody's machine"),
        (join(&["/wo", "rk/"]), "a path of somebody's machine"),
        (join(&["static.crates", ".io"]), "the address of a registry"),
        (join(&["index.crates", ".io"]), "the address of a registry"),
        (join(&["pypi", ".org"]), "the address of a registry"),
        (join(&["files.python", "hosted"]), "the address of a registry"),
        (join(&["registry.npm", "js"]), "the address of a registry"),
        (join(&["deb.deb", "ian.org"]), "the address of a registry"),
    ]
}

/// Fails with the list of all that is wrong.
pub fn check() -> Result<()> {
    let files =
        shell::output(shell::program("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))
            .context("the hygiene check reads the files that git knows")?;
    let mut findings = Vec::new();
    let mut count = 0_u32;
    for name in files.split('\0').filter(|name| !name.is_empty()) {
        // Binary files have no words, and a file that was deleted but not yet committed has nothing at all.
        let Ok(text) = std::fs::read_to_string(shell::root().join(name)) else { continue };
        count += 1;
        findings.extend(findings_in(name, &text));
    }
    for &(room, allowed) in ARROWS {
        if let Ok(manifest) = std::fs::read_to_string(shell::root().join(room).join("Cargo.toml")) {
            findings.extend(arrows_in(room, allowed, &manifest));
        }
    }
    if findings.is_empty() {
        println!("{count} files read, nothing found");
        return Ok(());
    }
    bail!("{} findings:\n{}", findings.len(), findings.join("\n"))
}

fn findings_in(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (word, what) in forbidden() {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| line.contains(&word)) {
            findings.push(format!("{name}:{}: {what}: {}", index + 1, line.trim()));
        }
    }
    if Path::new(name).extension().is_some_and(|ending| ending == "rs") {
        let unfinished = [["todo", "!("].concat(), ["unimplemented", "!("].concat()];
        for (index, line) in text.lines().enumerate() {
            if unfinished.iter().any(|word| line.contains(word)) {
                findings.push(format!("{name}:{}: unfinished: {}", index + 1, line.trim()));
            }
        }
        if !text.starts_with("//!") {
            findings.push(format!("{name}:1: the module's first lines must say what it is for (`//!`)"));
        }
    }
    findings
}

/// The rooms that a manifest imports for use outside its own tests, against those that it may.
fn arrows_in(room: &str, allowed: &[&str], manifest: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let Some(rest) = line.strip_prefix("arbiter-").filter(|_| section.ends_with("dependencies]")) else { continue };
        let import = rest.split(['.', ' ', '=']).next().unwrap_or_default();
        if section != "[dev-dependencies]" && !allowed.contains(&import) {
            findings.push(format!("{room}/Cargo.toml: {room} may not import {import} (the plan has no such arrow)"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_path_is_found_with_its_line() {
        let text = ["//! Head.\n\nconst HERE: &str = \"/ro", "ot/house\";\n"].concat();
        let findings = findings_in("a.rs", &text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with("a.rs:3: "), "{findings:?}");
    }

    #[test]
    fn a_module_without_a_head_is_found() {
        assert_eq!(findings_in("a.rs", "fn main() {}\n").len(), 1);
    }

    #[test]
    fn an_arrow_that_the_plan_lacks_is_found() {
        let manifest = "[dependencies]\narbiter-schema.workspace = true\narbiter-server = { path = \"x\" }\n";
        assert_eq!(arrows_in("shared/sim", &["schema"], manifest).len(), 1);
    }

    #[test]
    fn tests_may_import_anything() {
        assert_eq!(arrows_in("shared/sim", &[], "[dev-dependencies]\narbiter-cli.workspace = true\n").len(), 0);
    }
}
