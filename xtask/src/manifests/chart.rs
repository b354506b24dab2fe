//! The chart, linted and rendered by Helm with each set of values that we ship. Values that it does not know are
//! refused by agones/chart/values.schema.json.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Place;
use crate::{shell, tools};

/// Sets of values: what they are called, and Helm's arguments for them, relative to the chart.
const SETS: [(&str, &[&str]); 7] = [
    ("defaults", &[]),
    ("one-region", &["-f", "values-one-region.yaml"]),
    ("home-region", &["-f", "values-home-region.yaml"]),
    ("several-regions", &["-f", "values-several-regions.yaml"]),
    ("two-namespaces-services", &["--set", "servers.enabled=false,networkPolicy.serversNamespace=arbiter-servers"]),
    ("two-namespaces-servers", &["--set", "services.enabled=false,networkPolicy.servicesNamespace=arbiter-services"]),
    (
        "mesh",
        &[
            "--set",
            "mesh.enabled=true,mesh.ingressPrincipals={cluster.local/ns/ingress/sa/gateway}",
            "--set",
            "servers.fleets.stable.autoscaler.kind=buffer,services.developmentLogin=true,image.pullSecrets={registry}",
            "--set",
            "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ],
    ),
];

pub(super) fn check(place: &Place) -> Result<u64> {
    let helm = tools::helm()?;
    for (name, arguments) in SETS {
        let mut lint = shell::program(&helm);
        lint.current_dir(place.file("agones/chart")).args(["lint", "--strict", "--quiet", "."]).args(arguments);
        shell::output(&mut lint).with_context(|| format!("the values {name}"))?;
    }
    rendered(place).map(|files| files.len() as u64)
}

/// Renders all sets into files.
pub(super) fn rendered(place: &Place) -> Result<Vec<PathBuf>> {
    let helm = tools::helm()?;
    let folder = place.made.join("rendered");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    SETS.iter()
        .map(|(name, arguments)| {
            let mut template = shell::program(&helm);
            template.current_dir(place.file("agones/chart"));
            template.args(["template", "arbiter", ".", "--namespace", "arbiter"]).args(*arguments);
            let text = shell::output(&mut template).with_context(|| format!("the values {name}"))?;
            let file = folder.join(format!("{name}.yaml"));
            std::fs::write(&file, text).with_context(|| file.display().to_string())?;
            Ok(file)
        })
        .collect()
}
