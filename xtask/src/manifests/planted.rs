//! Faults that are planted into a copy, one at a time: the check that should notice each of them must, and for that
//! reason. A tool that was installed wrong, or that reads nothing, would pass everything else.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{CHECKS, Place};
use crate::shell;

struct Fault {
    /// Beginning of the name of the check.
    check: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// What the check says of it.
    says: &'static str,
}

const FAULTS: [Fault; 24] = [
    fault("figures", "agones/fleet.yaml", "ARBITER_OUTBOX_DIR", "ARBITER_OUTBOX_FOLDER", "ARBITER_OUTBOX_FOLDER"),
    fault("manifests", "agones/fleet.yaml", "  replicas: 2", "  replicas: 2\n  replicas: 3", "stands twice"),
    fault("Helm", "agones/chart/values.yaml", "  rooms: 4", "  roms: 4", "roms"),
    fault("Helm", "agones/chart/values-one-region.yaml", "replicasMax: 2", "replicasMax: many", "replicasMax"),
    fault("Helm", "agones/chart/templates/fleet.yaml", "{{- end }}\n{{- end }}\n", "{{- end }}\n", "unexpected EOF"),
    fault("manifests", "agones/fleet.yaml", "portPolicy: Dynamic", "portPolicy: Random", "portPolicy"),
    fault("manifests", "agones/fleet.yaml", "  replicas: 2", "  replicaCount: 2", "replicaCount"),
    fault("manifests", "agones/fleet.yaml", "memory: 1Gi", "memroy: [1]", "memroy"),
    fault(
        "manifests",
        "agones/fleet.yaml",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "readOnlyRoot",
    ),
    fault("manifests", "agones/fleetautoscaler-buffer.yaml", "maxReplicas: 40", "maxReplica: 40", "maxReplica"),
    fault("manifests", "agones/fleetautoscaler-counter.yaml", "type: Counter", "type: Buffer", "policy"),
    fault("manifests", "agones/allocations/by-places.yaml", "minAvailable: 5", "minAvailable: -5", "minAvailable"),
    fault("manifests", "agones/namespaces.yaml", "kind: Namespace", "kind: Namespaze", "Namespaze"),
    fault("the chart", "agones/chart/templates/services.yaml", "accessModes: [", "accessMode: [", "accessMode"),
    fault(
        "the chart",
        "agones/chart/templates/networkpolicy.yaml",
        "[Ingress, Egress]",
        "[Ingress, Egress, 7]",
        "policyTypes",
    ),
    fault("the chart", "agones/chart/templates/mesh.yaml", "mode: STRICT", "mode: STRICTEST", "allowed values"),
    fault("the chart", "agones/chart/templates/monitoring.yaml", "- port: operate", "- port: 9464", "must be string"),
    fault("hadolint", "agones/image/Dockerfile", "USER 65532:65532\n", "USER root\n", "DL3002"),
    fault("promtool", "agones/chart/rules/arbiter.yaml", "for: 10m", "for: ten", "not a valid duration"),
    fault("promtool", "agones/chart/rules/arbiter.yaml", "sum without (tick_rate) (rate(", "sum (rate(", "FAILED"),
    fault(
        "figures",
        "agones/chart/rules/arbiter.yaml",
        "arbiter_outbox_stuck ==",
        "arbiter_outbox_stock ==",
        "arbiter_outbox_stock",
    ),
    fault("figures", "agones/chart/dashboards/arbiter.json", "sum by (reason)", "sum by (cause)", "cause"),
    fault(
        "each alert",
        "agones/chart/rules/arbiter.yaml",
        "docs/runbooks/ArbiterOutboxStuck.md",
        "docs/runbooks/Stuck.md",
        "ArbiterOutboxStuck",
    ),
    fault("Terraform", "agones/terraform/variables.tf", "variable \"region\"", "variable \"regoin\"", "var.region"),
];

const fn fault(
    check: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    says: &'static str,
) -> Fault {
    Fault { check, file, from, to, says }
}

pub(super) fn check(house: &Place) -> Result<u64> {
    let root = shell::target_dir().join("planted-manifests");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    let place = Place { made: root.join("made"), root };
    for part in ["agones", "docs/runbooks", "docs/operations.md", "cli/src", "shared/transport/src/netcode/counters.rs"]
    {
        copy(&house.file(part), &place.file(part))?;
    }
    for fault in &FAULTS {
        let Fault { check, file, from, to, says } = fault;
        let (name, run) = CHECKS.iter().find(|(name, _)| name.starts_with(check)).context(*check)?;
        let text = place.read(file)?;
        // From behind: of a text that stands twice, the last one is the one that is used.
        let at = text.rfind(from).with_context(|| format!("{file}: there is no {from:?} that could be broken"))?;
        let broken = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
        std::fs::write(place.file(file), broken)?;
        match run(&place) {
            Ok(_) => bail!("{name:?} did not notice {to:?} in {file}"),
            Err(error) => {
                let said = format!("{error:#}");
                ensure!(said.contains(says), "{name:?} refused {to:?} in {file}, but did not name {says:?}: {said}");
            }
        }
        std::fs::write(place.file(file), text)?;
    }
    Ok(FAULTS.len() as u64)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(from, to).with_context(|| from.display().to_string()).map(drop)
}
