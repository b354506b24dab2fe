//! Contract: docs/events.md says what the .proto files and the catalogue say. `ARBITER_WRITE_DOCS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use arbiter_contracts::{CONTRACTS, DESCRIPTORS, KINDS};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

const PACKAGE: &str = ".arbiter.events.v1.";

/// The comment of the thing at a path in a file's tree, on one line.
fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let found = locations.filter(|location| location.path == path).find_map(|it| it.leading_comments.clone());
    let text = found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|")
}

fn type_of(field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum => {
            let name = field.type_name().trim_start_matches(PACKAGE);
            format!("[{name}](#{})", name.to_lowercase())
        }
        other => format!("{other:?}").to_lowercase(),
    };
    match (field.label(), field.proto3_optional()) {
        (Label::Repeated, _) => format!("list of {name}"),
        (_, true) => format!("optional {name}"),
        _ => name,
    }
}

fn fields(out: &mut String, file: &FileDescriptorProto, index: usize, message: &DescriptorProto) {
    writeln!(out, "| field | number | type | meaning |\n| --- | --- | --- | --- |").expect("a string");
    for (at, field) in message.field.iter().enumerate() {
        let said = comment(file, &[4, index as i32, 2, at as i32]);
        writeln!(out, "| `{}` | {} | {} | {said} |", field.name(), field.number(), type_of(field)).expect("a string");
    }
}

fn values(out: &mut String, file: &FileDescriptorProto, index: usize, kind: &EnumDescriptorProto) {
    writeln!(out, "| value | number | meaning |\n| --- | --- | --- |").expect("a string");
    for (at, value) in kind.value.iter().enumerate() {
        let said = comment(file, &[5, index as i32, 2, at as i32]);
        writeln!(out, "| `{}` | {} | {said} |", value.name(), value.number()).expect("a string");
    }
}

fn document() -> String {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("the build wrote it");
    let files = set.file.iter().filter(|file| file.package() == PACKAGE.trim_matches('.'));
    let files: Vec<&FileDescriptorProto> = files.collect();
    let mut out = format!("{HEAD}This is version {CONTRACTS} of the contracts.\n\n## Types\n\n");
    out.push_str(
        "| type | payload | emitted by | about a | who may see it | since |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for kind in KINDS {
        let (name, message, anchor) = (kind.name, kind.message, kind.message.to_lowercase());
        let (emitter, subject, class) = (kind.emitter, kind.subject, kind.classification.name());
        writeln!(out, "| `{name}` | [{message}](#{anchor}) | {emitter} | {subject} | {class} | {} |", kind.since)
            .expect("a string");
    }
    out.push_str("\n## Payloads\n");
    for file in files {
        for (index, message) in file.message_type.iter().enumerate() {
            let said = comment(file, &[4, index as i32]);
            writeln!(out, "\n### {}\n\n{said}\n", message.name()).expect("a string");
            fields(&mut out, file, index, message);
        }
        for (index, kind) in file.enum_type.iter().enumerate() {
            let said = comment(file, &[5, index as i32]);
            writeln!(out, "\n### {}\n\n{said}\n", kind.name()).expect("a string");
            values(&mut out, file, index, kind);
        }
    }
    out
}

const HEAD: &str = "\
# Domain events

<!-- Written by `ARBITER_WRITE_DOCS=1 cargo test -p arbiter-contracts --test docs`; a test compares. -->

What the server and the services tell the world. Each event is a CloudEvent 1.0 in its protobuf format
(`shared/contracts/proto/io/cloudevents/v1/cloudevents.proto`), at most 256 KiB, with these attributes:

| attribute | meaning |
| --- | --- |
| `id` | unique together with `source`, and the same whenever the fact is told again; of a room: match, tick and number in the tick; \
  of the economy: entry of its log and number in the entry |
| `source` | who emitted it: `/matches/ID` for what a replay tells again, `/matches/ID/epochs/N` for what the room found beside it \
  (anomalies, recoveries) since it was taken up again N times |
| `type` | one of those below |
| `subject` | whom it is about: `matches/ID`, `players/N` or `accounts/N`, by the owner |
| `time` | when it happened |
| `sequence` | 20 digits; grows by one from event to event of a source |
| `traceparent` | W3C trace context, if something outside led to it |
| `dataclassification` | public, pseudonymous, financial or internal; no event holds personal data |
| `contracts` | version of the contracts that knows the type |
| `datacontenttype` | `application/protobuf` |

A consumer ignores fields and attributes that it does not know. One that keeps state stops at a type that it does not know, and
says which version of the contracts it needs; it never steps over it. An event that does not apply goes to quarantine for its
player and holds back only that player's later ones.

";

#[test]
fn the_document_of_the_events_is_what_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let expected = document();
    if std::env::var_os("ARBITER_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/events.md");
    assert!(
        found == expected,
        "docs/events.md is not what the events are: ARBITER_WRITE_DOCS=1 cargo test -p arbiter-contracts --test docs"
    );
}

#[test]
fn every_payload_field_and_value_has_a_comment() {
    assert!(!document().contains("|  |"), "a comment is missing");
}

#[test]
fn every_type_has_its_message() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("the build wrote it");
    let messages: Vec<&str> = set.file.iter().flat_map(|file| &file.message_type).map(|it| it.name()).collect();
    let without: Vec<_> = KINDS.iter().filter(|kind| !messages.contains(&kind.message)).collect();
    assert!(without.is_empty(), "{without:?}");
}
