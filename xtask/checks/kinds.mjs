// What kinds.py leaves over, against models made from the Go types of the Prometheus operator and from Istio's resource definitions,
// and the syntax of Terraform by HashiCorp's own parser. `kinds.mjs FOLDER kinds` reads a JSON list of documents from standard input;
// `kinds.mjs FOLDER hcl FILE...` prints all files as one JSON object. FOLDER is where xtask/src/tools.rs has installed the packages. A
// fault ends it with status 1. These models take fields that they do not know, which is less than an API server asks.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const MODELS = {
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator",
  "security.istio.io/v1": "@kubernetes-models/istio",
};

const [folder, what, ...files] = process.argv.slice(2);
const packaged = (path) => import(pathToFileURL(join(resolve(folder), "node_modules", path)).href);

const faults = [];
if (what === "kinds") {
  const documents = JSON.parse(readFileSync(0, "utf8"));
  for (const document of documents) {
    const name = `${document.kind} ${document.metadata?.name}`;
    const models = MODELS[document.apiVersion];
    if (!models) {
      faults.push(`${name}: no model of ${document.apiVersion}`);
      continue;
    }
    try {
      const model = await packaged(`${models}/${document.apiVersion}/${document.kind}.js`);
      new model[document.kind](document).validate();
    } catch (fault) {
      faults.push(`${name}: ${fault.message}`);
    }
  }
  console.log(documents.length);
} else {
  const { parse } = (await packaged("@cdktf/hcl2json/lib/index.js")).default;
  const parsed = {};
  for (const file of files) {
    try {
      parsed[file] = await parse(file, readFileSync(file, "utf8"));
    } catch (fault) {
      faults.push(String(fault.message ?? fault));
    }
  }
  console.log(JSON.stringify(parsed));
}
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;
