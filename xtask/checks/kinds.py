"""What `cargo xtask manifests` asks of YAML, which Rust has no kept parser for. Run with PYTHONPATH on what xtask/src/tools.rs installs.

`kinds.py json FILE` prints a file's documents as a JSON list. `kinds.py check SCHEMAS FILE...` checks each document: Agones' kinds
against the JSON schemas in SCHEMAS and the pods in them against Kubernetes', all of Kubernetes' own kinds against Kubernetes' schemas,
and each pod against the Pod Security Standard "restricted". Documents of other groups are printed as a JSON list for kinds.mjs. A fault
ends it with status 1 and a line for each on standard error. It may not know what our manifests say: that is in xtask/src/manifests/.
"""

import functools
import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import kubernetes_validate.utils
import yaml

# It reads a megabyte of definitions anew for each document.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

# The oldest and the newest release that the chart is for.
KUBERNETES = ("1.33", "1.37")
# Who validates the rest.
ELSEWHERE = ("monitoring.coreos.com", "security.istio.io")


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML in which a key that stands twice is a fault, as it is for Kubernetes; PyYAML takes the last one."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"stands twice: {', '.join(map(str, twice))}", node.start_mark)
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.load_all(file, Loader=Loader) if document]


def against_schema(document, schema):
    validator = jsonschema.Draft202012Validator(schema)
    for fault in validator.iter_errors(document):
        yield f"{'.'.join(map(str, fault.absolute_path)) or 'the document'}: {fault.message}"


def against_kubernetes(document):
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as fault:
            yield f"Kubernetes {version}: {'.'.join(map(str, fault.path)) or 'the document'}: {fault.message}"
        except kubernetes_validate.SchemaNotFoundError as fault:
            yield fault.message


def restricted(spec, host_ports):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and a root file system that nobody can write."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is not allowed"
    pod = spec.get("securityContext", {})
    for container in spec.get("initContainers", []) + spec.get("containers", []):
        name = container.get("name")
        own = container.get("securityContext", {})
        said = {**pod, **own}
        if not said.get("runAsNonRoot") or said.get("runAsUser", 1) == 0:
            yield f"container {name}: must run as somebody else than root"
        if own.get("allowPrivilegeEscalation", True):
            yield f"container {name}: allowPrivilegeEscalation must be false"
        if own.get("privileged"):
            yield f"container {name}: may not be privileged"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
            yield f"container {name}: must drop all capabilities and add none"
        if said.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"container {name}: seccompProfile must be RuntimeDefault"
        if not own.get("readOnlyRootFilesystem"):
            yield f"container {name}: readOnlyRootFilesystem must be true"
        if not container.get("resources", {}).get("limits", {}).get("memory"):
            yield f"container {name}: has no limit of memory"
        if not host_ports and any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"container {name}: hostPort is not allowed"
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in spec.get("volumes", []):
        for kind in set(volume) - {"name"} - allowed:
            yield f"volume {volume.get('name')}: {kind} is not allowed"


def of_agones(document, schemas):
    schema = schemas / f"{document['kind']}.json"
    if not schema.is_file():
        yield f"there is no schema {schema.name}"
        return
    yield from against_schema(document, json.loads(schema.read_text(encoding="utf-8")))
    if document["kind"] == "Fleet":
        template = document.get("spec", {}).get("template", {}).get("spec", {}).get("template", {})
        yield from against_kubernetes({"apiVersion": "v1", "kind": "PodTemplate", "template": template})
        yield from restricted(template.get("spec", {}), host_ports=True)


def check(schemas, paths):
    faults, elsewhere, count = [], [], 0
    for path in paths:
        for document in documents(path):
            count += 1
            kind, version = document.get("kind"), document.get("apiVersion")
            if not kind or not version:
                faults.append(f"{path}: a document without apiVersion or kind")
                continue
            name = document.get("metadata", {}).get("name", "")
            group = version.partition("/")[0]
            if group in ELSEWHERE:
                elsewhere.append(document)
                continue
            if group.endswith("agones.dev"):
                found = list(of_agones(document, schemas))
            else:
                found = list(against_kubernetes(document))
                if kind in ("StatefulSet", "Deployment", "DaemonSet", "Job"):
                    found += restricted(document["spec"]["template"]["spec"], host_ports=False)
            faults += [f"{path}: {kind} {name}: {fault}" for fault in found]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(json.dumps({"checked": count - len(elsewhere), "elsewhere": elsewhere}))
    return 1 if faults else 0


def main():
    what, *rest = sys.argv[1:]
    try:
        if what == "json":
            print(json.dumps(documents(rest[0]), default=str))
            return 0
        return check(pathlib.Path(rest[0]), rest[1:])
    except yaml.YAMLError as fault:
        print(f"{rest[-1]}: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
