//! Each document against the schema of its kind. YAML and JSON schemas are read by xtask/checks/kinds.py and kinds.mjs;
//! which files are asked for is decided here.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Place, chart, files_in};
use crate::{shell, tools};

/// The files that stand alone.
pub(super) fn plain(place: &Place) -> Result<u64> {
    let mut files = files_in(&place.file("agones"), "yaml")?;
    files.extend(files_in(&place.file("agones/allocations"), "yaml")?);
    check(place, &files).map(|(checked, _)| checked)
}

/// What the chart makes of all sets of values.
pub(super) fn rendered(place: &Place) -> Result<u64> {
    let (checked, rest) = check(place, &chart::rendered(place)?)?;
    Ok(checked + elsewhere(&rest)?)
}

/// How many documents were checked, and those that were not.
fn check(place: &Place, files: &[PathBuf]) -> Result<(u64, Value)> {
    let mut python = python()?;
    let printed = shell::output(python.arg("check").arg(place.file("agones/schema")).args(files))?;
    let mut printed: Value = serde_json::from_str(&printed).context("kinds.py did not print JSON")?;
    let checked = printed["checked"].as_u64().context("kinds.py counted nothing")?;
    Ok((checked, printed["elsewhere"].take()))
}

/// What other groups than Kubernetes' and Agones' define.
fn elsewhere(documents: &Value) -> Result<u64> {
    let count = documents.as_array().context("kinds.py left nothing over")?.len() as u64;
    ensure!(count > 0, "no rule, no monitor and no policy of the mesh was rendered");
    let mut node = node()?;
    let mut child = node.arg("kinds").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("a pipe to node")?.write_all(documents.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(count)
}

/// A file of YAML as a list of its documents.
pub(super) fn documents(file: &std::path::Path) -> Result<Vec<Value>> {
    let mut python = python()?;
    let printed = shell::output(python.arg("json").arg(file))?;
    serde_json::from_str(&printed).with_context(|| file.display().to_string())
}

fn python() -> Result<Command> {
    let packages = tools::python_checks()?;
    let mut python = shell::program("python3");
    python.env("PYTHONPATH", packages).arg(shell::root().join("xtask/checks/kinds.py"));
    Ok(python)
}

pub(super) fn node() -> Result<Command> {
    let packages = tools::node_checks()?;
    let mut node = shell::program("node");
    node.arg(shell::root().join("xtask/checks/kinds.mjs")).arg(packages);
    Ok(node)
}
