//! Contracts that were released stay readable: `buf breaking` of today's .proto files against every version that was.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::{shell, tools};

/// What may not change: the bytes on the wire and names in JSON. In which file a message stands is nobody's business.
const CONFIG: &str = r#"{"version":"v2","breaking":{"use":["WIRE_JSON"]}}"#;

/// A field and what it is renumbered to, to see that buf would notice: of a message that is in every version.
const PLANTED: (&str, &str) = ("uint64 transfer = 1;", "uint64 transfer = 9;");

/// Compares with every released version, and makes sure that a breaking change would be noticed; how many checks that were.
pub fn check() -> Result<u64> {
    let buf = tools::buf()?;
    let contracts = shell::root().join("shared/contracts");
    let proto = contracts.join("proto");
    let mut released: Vec<_> = std::fs::read_dir(contracts.join("released"))
        .context("shared/contracts/released holds an image of each version")?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "binpb"))
        .collect();
    released.sort();
    ensure!(!released.is_empty(), "shared/contracts/released holds no image of a version");
    for image in &released {
        shell::run(&mut breaking(&buf, &proto, image))?;
    }
    let planted = shell::target_dir().join("planted-contracts");
    copy(&proto, &planted)?;
    let file = planted.join("arbiter/events/v1/services.proto");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    ensure!(text.contains(PLANTED.0), "{}: there is no {:?} that could be broken", file.display(), PLANTED.0);
    std::fs::write(&file, text.replacen(PLANTED.0, PLANTED.1, 1))?;
    if shell::output(&mut breaking(&buf, &planted, &released[0])).is_ok() {
        bail!("buf did not notice that a field was renumbered");
    }
    println!("{} released versions can be read; a renumbered field was noticed", released.len());
    Ok(released.len() as u64 + 1)
}

fn breaking(buf: &Path, proto: &Path, image: &Path) -> std::process::Command {
    let mut command = shell::program(buf);
    command.current_dir(proto).args(["breaking", ".", "--config", CONFIG, "--against"]).arg(image);
    command
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
