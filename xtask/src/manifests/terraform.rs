//! Terraform's files by HashiCorp's own parser, and whether what they refer to is declared. No provider is asked, so
//! nobody has checked names and types of arguments: neither Terraform nor its providers come from the registries that
//! we have.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Place, files_in, kinds};
use crate::shell;

const FOLDER: &str = "agones/terraform";

pub(super) fn check(place: &Place) -> Result<u64> {
    let files = files_in(&place.file(FOLDER), "tf")?;
    ensure!(!files.is_empty(), "{FOLDER} has no .tf files");
    let mut node = kinds::node()?;
    let parsed: Value = serde_json::from_str(&shell::output(node.arg("hcl").args(&files))?).context("kinds.mjs")?;
    let mut declared = declared(&parsed);
    iterators(&parsed, &mut declared);
    let mut used = BTreeSet::new();
    collect(&parsed, &mut used);
    let missing: Vec<&String> = used.difference(&declared).collect();
    ensure!(missing.is_empty(), "{FOLDER} refers to what it does not declare: {missing:?}");
    let idle: Vec<&String> = declared.difference(&used).filter(|name| name.starts_with("var.")).collect();
    ensure!(idle.is_empty(), "{FOLDER} declares what it does not use: {idle:?}");
    Ok(files.len() as u64)
}

/// Everything that can be referred to: `var.NAME`, `local.NAME`, `module.NAME`, `data.TYPE.NAME` and `TYPE.NAME`.
fn declared(parsed: &Value) -> BTreeSet<String> {
    let mut declared = BTreeSet::new();
    let objects = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for file in objects(parsed).values() {
        for (block, word) in [("variable", "var"), ("module", "module")] {
            declared.extend(objects(&file[block]).keys().map(|name| format!("{word}.{name}")));
        }
        for locals in file["locals"].as_array().into_iter().flatten() {
            declared.extend(objects(locals).keys().map(|name| format!("local.{name}")));
        }
        for (block, prefix) in [("resource", ""), ("data", "data.")] {
            for (kind, named) in objects(&file[block]) {
                declared.extend(objects(&named).keys().map(|name| format!("{prefix}{kind}.{name}")));
            }
        }
    }
    declared
}

/// A dynamic block is referred to, inside of it, by its name.
fn iterators(value: &Value, declared: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| iterators(value, declared)),
        Value::Object(fields) => {
            let blocks = fields.get("dynamic").and_then(Value::as_object);
            for name in blocks.into_iter().flat_map(|blocks| blocks.keys()) {
                declared.extend([format!("{name}.key"), format!("{name}.value")]);
            }
            fields.values().for_each(|value| iterators(value, declared));
        }
        _ => {}
    }
}

/// References in all texts: the parser writes expressions as `${...}`.
fn collect(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for expression in text.split("${").skip(1) {
                used.extend(references(expression));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, used)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, used)),
        _ => {}
    }
}

fn references(expression: &str) -> Vec<String> {
    let is_path = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '.';
    let mut found = Vec::new();
    // What stands in quotes is a text, unless `${` opens it again, which has been split off.
    for piece in expression.split('"').step_by(2) {
        for path in piece.split(|it| !is_path(it)) {
            let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
            match parts.as_slice() {
                [word @ ("var" | "local" | "module"), name, ..] => found.push(format!("{word}.{name}")),
                ["data", kind, name, ..] => found.push(format!("data.{kind}.{name}")),
                ["each" | "path" | "self" | "count" | "terraform", ..] => {}
                [kind, name, ..] if kind.contains('_') => found.push(format!("{kind}.{name}")),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_texts_and_numbers() {
        let found = references("merge(var.a, { x = \"not.this\" }) + 1.5 + google_thing.b.id + data.google_c.d[0].e}");
        assert_eq!(found, ["var.a", "google_thing.b", "data.google_c.d"]);
    }
}
