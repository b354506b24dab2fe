//! `cargo xtask manifests`: what stands under `agones/` is what the tools of its own world say it should be, and each
//! of those tools is shown to notice a fault. Start at [`CHECKS`] for what is asked, at [`planted`] for how it is known
//! that the asking is worth anything.
//!
//! It reads and judges; what is deployed stands in `agones/`, why it is so in docs/decisions/manifests.md. The image is
//! built and run by [`image`], which takes minutes and is left out of `cargo xtask test`.

mod chart;
mod dashboard;
mod dockerfile;
mod image;
mod kinds;
mod names;
mod planted;
mod policy;
mod promql;
mod rules;
mod runbooks;
mod terraform;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::shell;

/// What to do besides checking.
#[derive(Debug, Parser)]
pub struct Args {
    /// Leaves out what takes minutes: the image, its list of parts, and checkov.
    #[arg(long)]
    light: bool,
    /// Writes the dashboard from its source, xtask/src/manifests/dashboard.rs, instead of comparing.
    #[arg(long)]
    write: bool,
}

/// A copy of the repository, or the repository itself, and a folder for what is made of it.
struct Place {
    root: PathBuf,
    made: PathBuf,
}

impl Place {
    fn house() -> Self {
        Self { root: shell::root(), made: shell::target_dir().join("manifests") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.file(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }
}

type Check = (&'static str, fn(&Place) -> Result<u64>);

/// What is asked, and by whom. Each gives the number of things that it looked at.
const CHECKS: [Check; 9] = [
    ("Helm renders the chart", chart::check),
    ("manifests are of kinds of Kubernetes and Agones", kinds::plain),
    ("the chart makes kinds of Kubernetes, Agones, Prometheus and Istio", kinds::rendered),
    ("hadolint reads the Dockerfile", dockerfile::check),
    ("promtool checks and tests the rules", rules::check),
    ("figures in rules and dashboard exist", names::check),
    ("each alert has its page, and each page its alert", runbooks::check),
    ("the dashboard is what its source makes", dashboard::check),
    ("Terraform can be read, and refers to what there is", terraform::check),
];

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    if args.write {
        return dashboard::write(&Place::house());
    }
    let mut checks = check()?;
    if !args.light {
        checks += told("checkov finds nothing that is not settled", policy::check(&Place::house()))?;
        checks += told("the image is built, holds nothing else, and runs", image::check(&Place::house()))?;
    }
    println!("{checks} checks passed");
    Ok(())
}

/// All but what takes minutes; how many checks that were. Part of `cargo xtask test`.
pub fn check() -> Result<u64> {
    let house = Place::house();
    let mut checks = 0;
    let mut failures = Vec::new();
    for (name, check) in CHECKS {
        match told(name, check(&house)) {
            Ok(count) => checks += count,
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    checks += told("each fault is noticed", planted::check(&house))?;
    Ok(checks)
}

fn told(name: &str, result: Result<u64>) -> Result<u64> {
    match result {
        Ok(count) => {
            println!("{name}: {count}");
            Ok(count)
        }
        Err(error) => bail!("{name}: {error:#}"),
    }
}

/// Files of a folder, not of those below, with an ending, in order.
fn files_in(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file() && path.extension().is_some_and(|it| it == ending))
        .collect();
    files.sort();
    Ok(files)
}
