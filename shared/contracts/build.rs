//! Compiles the .proto files: parsed by protox and turned into Rust by prost, so that no compiler of protobuf need be
//! installed. The descriptors are kept with their comments, since `docs/events.md` is made of them.

use std::path::PathBuf;

const FILES: [&str; 3] = [
    "proto/arbiter/events/v1/match.proto",
    "proto/arbiter/events/v1/services.proto",
    "proto/io/cloudevents/v1/cloudevents.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    for file in FILES {
        compiler.open_file(file)?;
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    // Maps in the order of their keys: the same event is the same bytes everywhere.
    prost_build::Config::new().btree_map(["."]).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
