//! `cargo xtask rollout`: another version is rolled out at peak and rolled back, while players of both play; no result is lost, and
//! nobody is dropped without a reason. What is played and counted is the package `tests/rollout`; this builds it, this tree's program
//! and the previous one's.
//!
//! The previous program is built once for each revision, from the sources of that revision, and kept.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::shell;

/// Where the revision is named that counts as the previous one until there is a release.
const PREVIOUS: &str = "tests/rollout/previous";

/// Digits of a revision that names a build.
const DIGITS: usize = 12;

/// From what, and how many.
#[derive(Debug, Parser)]
pub struct Args {
    /// Revision or tag that runs before; left out, the newest release, or else the one in tests/rollout/previous.
    #[arg(long)]
    previous: Option<String>,
    /// A program that is taken for the previous one as it is, in place of a revision.
    #[arg(long, conflicts_with = "previous")]
    previous_program: Option<PathBuf>,
    /// Game servers; each is replaced twice.
    #[arg(long, default_value_t = 3)]
    servers: u8,
    /// Seed of the players.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let (previous, name) = match &args.previous_program {
        Some(program) => (program.clone(), "previous".to_owned()),
        None => {
            let revision = revision(args.previous.as_deref())?;
            let name = format!("previous+{}", &revision[..DIGITS]);
            (build(&revision)?, name)
        }
    };
    let release = shell::release(&["rollout", "arbiter"])?;
    let mut rollout = shell::program(release.join("rollout"));
    rollout.arg("--previous").arg(previous).args(["--previous-name", &name]);
    rollout.arg("--next").arg(release.join("arbiter"));
    rollout.args(["--servers", &args.servers.to_string(), "--seed", &args.seed.to_string()]);
    if let Some(folder) = &args.keep {
        rollout.arg("--keep").arg(folder);
    }
    shell::run(&mut rollout)
}

/// The previous version as a full revision.
fn revision(wished: Option<&str>) -> Result<String> {
    let name = match wished {
        Some(name) => name.to_owned(),
        None => match newest_release()? {
            Some(tag) => tag,
            None => named()?,
        },
    };
    let commit = format!("{name}^{{commit}}");
    let found = shell::output(shell::program("git").args(["rev-parse", "--verify", "--quiet", &commit]));
    let found = found.with_context(|| {
        format!("{name} is not in this clone: `git fetch --unshallow --tags`, or name another one with --previous")
    })?;
    let revision = found.trim().to_owned();
    if revision.len() < DIGITS || !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("git says that {name} is {revision:?}, which is no revision");
    }
    Ok(revision)
}

/// The tag of the newest release that this tree descends from.
fn newest_release() -> Result<Option<String>> {
    let mut git = shell::program("git");
    let tags = shell::output(git.args(["tag", "--list", "v[0-9]*", "--merged", "HEAD", "--sort=-version:refname"]))?;
    Ok(tags.lines().next().map(str::to_owned))
}

fn named() -> Result<String> {
    let text =
        std::fs::read_to_string(shell::root().join(PREVIOUS)).with_context(|| format!("cannot read {PREVIOUS}"))?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    line.map(str::to_owned).with_context(|| format!("{PREVIOUS}: expected a line with a revision, found none"))
}

/// The program of a revision: built once, kept under the target folder.
fn build(revision: &str) -> Result<PathBuf> {
    let folder = shell::target_dir().join("rollout");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // It is built elsewhere, where a relative path would be another one.
    let folder = folder.canonicalize()?;
    let program = folder.join(format!("arbiter-{revision}"));
    if program.exists() {
        return Ok(program);
    }
    println!("building {revision}, once: it takes as long as a build from nothing");
    let sources = folder.join("source");
    export(revision, &sources)?;
    let target = folder.join("target");
    let mut cargo =
        shell::cargo(&["build", "--quiet", "--locked", "--release", "-p", "arbiter-cli", "--bin", "arbiter"]);
    cargo.current_dir(&sources).env("CARGO_TARGET_DIR", &target);
    shell::run(&mut cargo)?;
    // Under another name first: a copy that was cut off must not be taken for the program.
    let new = folder.join("arbiter.new");
    std::fs::copy(target.join("release").join("arbiter"), &new).context("cannot keep the previous program")?;
    std::fs::rename(&new, &program).context("cannot keep the previous program")?;
    std::fs::remove_dir_all(&sources).with_context(|| format!("cannot remove {}", sources.display()))?;
    Ok(program)
}

/// The files of a revision, in a folder of their own: the repository is left as it is.
fn export(revision: &str, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let archive = to.with_extension("tar");
    shell::run(shell::program("git").args(["archive", "--format=tar", revision, "--output"]).arg(&archive))?;
    shell::run(shell::program("tar").arg("-xf").arg(&archive).arg("-C").arg(to))?;
    std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
}
