//! Contract: docs/protocol.md and docs/snapshot-codec.md suffice to write a client. A reader in another language, made
//! from them, reads every part, state and refusal of the vectors as our own does.

use std::path::Path;
use std::process::Command;

#[test]
fn a_reader_written_from_the_documents_reads_the_vectors() {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/snapshot_reader.py");
    // -B: no compiled files beside the sources.
    let output = Command::new("python3").arg("-B").arg(&reader).output();
    let output = output.expect("this test runs python3: install it (Debian: apt-get install python3)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
