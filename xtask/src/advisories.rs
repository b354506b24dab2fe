//! Known vulnerabilities and abandoned crates: cargo-audit, with the acceptances that stand in `docs/decisions/`.
//!
//! An acceptance is a line `accept RUSTSEC-YYYY-NNNN CRATE VERSION` in a page there. It holds for that version only, so that
//! an update asks again, and one that nothing needs any more is an error, so that the pages stay true.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{shell, tools};

/// Where machines that cannot fetch the advisory database find a copy: beside the checkout.
const DATABASE_COPY: &str = "../shared/data/advisories";

#[derive(Debug, PartialEq, Eq)]
struct Acceptance {
    advisory: String,
    krate: String,
    version: String,
}

/// Fails on a vulnerability, and on an unmaintained, unsound or yanked crate that is not accepted by name.
pub fn check() -> Result<()> {
    let root = shell::root();
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut command = shell::program(tools::extension("cargo-audit")?);
    command.args(["audit", "--deny", "warnings"]);
    for acceptance in accepted(&root.join("docs/decisions"))? {
        let Acceptance { advisory, krate, version } = &acceptance;
        ensure!(
            lock.contains(&format!("name = \"{krate}\"\nversion = \"{version}\"\n")),
            "docs/decisions accepts {advisory} for {krate} {version}, which Cargo.lock does not hold: \
             weigh it again for the version in use, or remove the line"
        );
        println!("accepted in docs/decisions: {advisory} ({krate} {version})");
        command.args(["--ignore", advisory.as_str()]);
    }
    if let Some(database) = database_copy(&root.join(DATABASE_COPY))? {
        command.arg("--db").arg(database).args(["--no-fetch", "--stale"]);
    }
    shell::run(&mut command)
}

/// The acceptances of all pages in a folder.
fn accepted(folder: &Path) -> Result<Vec<Acceptance>> {
    let mut acceptances = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "md") {
            acceptances.extend(parse(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(acceptances)
}

fn parse(page: &str) -> Vec<Acceptance> {
    let words = page.lines().map(|line| line.split_whitespace().map(|word| word.trim_matches('`')).collect::<Vec<_>>());
    words
        .filter_map(|words| match words[..] {
            ["accept", advisory, krate, version] if advisory.starts_with("RUSTSEC-") => {
                Some(Acceptance { advisory: advisory.to_owned(), krate: krate.to_owned(), version: version.to_owned() })
            }
            _ => None,
        })
        .collect()
}

/// Unpacks the newest copy of the database, if there is one; otherwise cargo-audit fetches today's.
fn database_copy(folder: &Path) -> Result<Option<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
    let mut archives: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(".tar.xz"))
        .collect();
    archives.sort();
    let Some(archive) = archives.pop() else { return Ok(None) };
    let name = archive.file_name().map(|name| name.to_string_lossy().replace(".tar.xz", "")).unwrap_or_default();
    let database = shell::target_dir().join("tools").join(name);
    if !database.join("crates").is_dir() {
        tools::system_programs(&[("tar", "tar"), ("xz", "xz-utils")])?;
        std::fs::create_dir_all(&database)?;
        shell::run(shell::program("tar").arg("-xJf").arg(&archive).arg("-C").arg(&database))?;
    }
    Ok(Some(database))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptance_names_advisory_crate_and_version() {
        let page = "# Page\n\n    accept RUSTSEC-2025-0141 bincode 2.0.1\n\nWe accept nothing else.\n";
        let acceptances = parse(page);
        assert_eq!(acceptances.len(), 1);
        assert_eq!((acceptances[0].krate.as_str(), acceptances[0].version.as_str()), ("bincode", "2.0.1"));
    }

    #[test]
    fn a_crate_without_version_is_not_accepted() {
        assert_eq!(parse("accept RUSTSEC-2025-0141 bincode\n"), []);
    }
}
