//! What checkov thinks of the rendered chart, the Dockerfile and Terraform. What it asks for and does not get stands in
//! xtask/checks/checkov.yaml, each with its reason.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::{Place, chart, files_in};
use crate::{shell, tools};

pub(super) fn check(place: &Place) -> Result<u64> {
    let dockerfile = place.file("agones/image/Dockerfile");
    let mut checked = passed("kubernetes", &chart::rendered(place)?)?;
    checked += passed("dockerfile", std::slice::from_ref(&dockerfile))?;
    checked += passed("terraform", &files_in(&place.file("agones/terraform"), "tf")?)?;

    let broken = place.made.join("broken").join("Dockerfile");
    std::fs::create_dir_all(place.made.join("broken"))?;
    let text = std::fs::read_to_string(&dockerfile)?;
    std::fs::write(&broken, text.replace("USER 65532:65532\n", ""))?;
    if passed("dockerfile", std::slice::from_ref(&broken)).is_ok() {
        bail!("checkov did not notice an image that runs as root");
    }
    Ok(checked + 1)
}

/// How many of checkov's checks files pass; they must pass all.
fn passed(framework: &str, files: &[PathBuf]) -> Result<u64> {
    let packages = tools::checkov()?;
    let mut checkov = shell::program("python3");
    checkov.env("PYTHONPATH", &packages).arg(packages.join("bin/checkov"));
    checkov.args(["--config-file"]).arg(shell::root().join("xtask/checks/checkov.yaml")).args([
        "--framework",
        framework,
        "-o",
        "json",
    ]);
    for file in files {
        checkov.arg("-f").arg(file);
    }
    let printed = shell::output(&mut checkov)?;
    let printed: serde_json::Value = serde_json::from_str(&printed).context("checkov did not print JSON")?;
    // Where it finds nothing to look at it prints a summary without a kind.
    let passed = printed["summary"]["passed"].as_u64().unwrap_or(0);
    ensure!(passed > 0, "checkov looked at nothing of {framework}");
    Ok(passed)
}
