//! The image: a static binary on nothing, built by buildah without a daemon, looked into, and run as Kubernetes would
//! run it: as somebody who is not root, on a root file system that cannot be written.
//!
//! What is built is the target `runtime` of the Dockerfile, with a binary from this machine's compiler. The target that
//! compiles needs the image of Rust, which no registry here has: hadolint reads it, and nobody has built it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Place, chart, kinds, names};
use crate::{shell, tools};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const NAME: &str = "arbiter:check";
/// Everything that the image holds.
const CONTENT: [&str; 3] = ["arbiter", "arbiter.cdx.json", "data"];
/// Of the image and of nobody else; the Dockerfile's USER.
const USER: &str = "65532:65532";
/// The binary without line tables, which it is stripped of, has some 35 MB.
const BYTES_MAX: u64 = 64 << 20;

/// Empty services are ready in a moment; a busy machine takes longer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What runs a program like Kubernetes: own mounts and processes, a root that cannot be written, one volume that can,
/// no way to get privileges. `$1` is the root; the rest is the program. An empty base has no /dev and /proc to begin
/// with.
const RUN: &str = r#"
root=$1; shift
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=512m,uid=65532,gid=65532,nosuid,nodev,noexec data "$root/data"
mount -o remount,bind,ro "$root"
cd "$root/data"
exec setpriv --no-new-privs chroot --userspec=65532:65532 "$root" "$@"
"#;

pub(super) fn check(place: &Place) -> Result<u64> {
    ensure!(std::env::consts::ARCH == "x86_64", "the image is built on x86_64; see docs/decisions/manifests.md");
    tools::system_programs(&[("buildah", "buildah"), ("unshare", "util-linux"), ("strip", "binutils")])?;
    let context = place.made.join("image");
    std::fs::create_dir_all(context.join("data")).with_context(|| context.display().to_string())?;
    binary(&context.join("arbiter"))?;
    let parts = parts(&context.join("arbiter.cdx.json"))?;
    let mut checks = 2;

    let buildah = Buildah { storage: place.made.join("containers") };
    // Images of earlier runs. With vfs nothing of it is a mount.
    if buildah.storage.exists() {
        std::fs::remove_dir_all(&buildah.storage)?;
    }
    buildah.build(place, &context)?;
    buildah.refuses_a_broken_one(place)?;
    checks += 2 + buildah.config()?;
    let container = buildah.output(&["from", NAME])?;
    let root = PathBuf::from(buildah.output(&["mount", &container])?);
    checks += content(&root)?;
    let version =
        buildah.output(&["run", "--isolation", "chroot", "--user", USER, &container, "--", "/arbiter", "--version"])?;
    ensure!(version.starts_with("arbiter "), "the image said {version:?} when asked for its version");
    checks += 1 + runs(place, &root)?;
    buildah.output(&["rm", &container])?;
    println!("the image runs {version}, made of {parts} parts");
    Ok(checks)
}

/// Builds the static binary, without its line tables.
fn binary(to: &Path) -> Result<()> {
    let arguments = ["build", "--quiet", "--release", "--locked", "--target", TARGET, "-p", "arbiter-cli"];
    shell::run(shell::cargo(&arguments).env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let built = shell::target_dir().join(TARGET).join("release/arbiter");
    shell::run(shell::program("strip").args(["--strip-debug", "-o"]).arg(to).arg(&built))?;
    ensure!(is_static(to)?, "{}: it needs a loader, which an empty base has not", to.display());
    let bytes = std::fs::metadata(to)?.len();
    ensure!(bytes <= BYTES_MAX, "the binary has {bytes} bytes, more than {BYTES_MAX}: look at what came in");
    // This program was built for a machine with libraries: the check must see the difference.
    ensure!(!is_static(&std::env::current_exe()?)?, "a binary that needs a loader was taken for a static one");
    Ok(())
}

/// Whether an ELF file of 64 bits names no loader (PT_INTERP).
fn is_static(path: &Path) -> Result<bool> {
    const PT_INTERP: u32 = 3;
    let mut head = Vec::new();
    // Program headers stand behind the file's header.
    std::fs::File::open(path)?.take(1 << 16).read_to_end(&mut head)?;
    let number = |at: usize, bytes: usize| -> Result<u64> {
        let part = head.get(at..at + bytes).context("the file ends in its headers")?;
        Ok(part.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    ensure!(head.starts_with(b"\x7fELF\x02\x01"), "{}: not an ELF file of 64 bits, little endian", path.display());
    let (table, size, count) = (number(32, 8)? as usize, number(54, 2)? as usize, number(56, 2)? as usize);
    for index in 0..count {
        if number(table + index * size, 4)? == u64::from(PT_INTERP) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes what the binary is made of as CycloneDX, and gives the number of parts.
fn parts(to: &Path) -> Result<u64> {
    const FILE: &str = "xtask-parts";
    let mut cyclonedx = shell::program(tools::cyclonedx()?);
    cyclonedx.args(["cyclonedx", "--manifest-path", "cli/Cargo.toml", "--format", "json", "--spec-version", "1.5"]);
    cyclonedx.args(["--no-build-deps", "--target", TARGET, "--override-filename", FILE, "--quiet"]);
    let made = shell::run(&mut cyclonedx);
    let root = shell::root();
    let text = std::fs::read_to_string(root.join(format!("cli/{FILE}.json")));
    // It leaves one in every crate of the workspace.
    let pattern = format!("*{FILE}.json");
    let left = shell::output(shell::program("git").args(["ls-files", "-z", "--others", "--", &pattern]))?;
    for file in left.split('\0').filter(|file| !file.is_empty()) {
        std::fs::remove_file(root.join(file))?;
    }
    made?;
    let root = std::fs::canonicalize(&root)?.display().to_string();
    let text = text.context("cargo-cyclonedx wrote nothing for cli/")?.replace(&format!("{root}/"), "");
    ensure!(!text.contains(&root), "the list of parts names a folder of this machine");
    let list: Value = serde_json::from_str(&text).context("the list of parts")?;
    let names: BTreeSet<&str> =
        list["components"].as_array().into_iter().flatten().filter_map(|part| part["name"].as_str()).collect();
    for part in ["arbiter-server", "bevy_ecs", "libsqlite3-sys", "rapier3d", "ring", "tokio"] {
        ensure!(names.contains(part), "the list of parts lacks {part}");
    }
    ensure!(!names.contains("criterion"), "the list of parts has what only tests use");
    std::fs::write(to, &text).with_context(|| to.display().to_string())?;
    Ok(names.len() as u64)
}

struct Buildah {
    storage: PathBuf,
}

impl Buildah {
    fn command(&self) -> Command {
        let mut buildah = shell::program("buildah");
        buildah.args(["--storage-driver", "vfs", "--root"]).arg(&self.storage);
        buildah.arg("--runroot").arg(self.storage.join("run"));
        buildah
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        Ok(shell::output(self.command().args(arguments))?.trim().to_owned())
    }

    fn build(&self, place: &Place, context: &Path) -> Result<()> {
        let mut build = self.command();
        build.args(["build", "--isolation", "chroot", "--target", "runtime", "--quiet", "--tag", NAME, "--file"]);
        shell::output(build.arg(place.file("agones/image/Dockerfile")).arg(context)).map(drop)
    }

    fn refuses_a_broken_one(&self, place: &Place) -> Result<()> {
        let empty = place.made.join("empty");
        std::fs::create_dir_all(&empty)?;
        match self.build(place, &empty) {
            Ok(()) => bail!("buildah built an image without a binary"),
            Err(_) => Ok(()),
        }
    }

    /// What the image says of itself.
    fn config(&self) -> Result<u64> {
        let said: Value = serde_json::from_str(&self.output(&["inspect", "--type", "image", NAME])?)?;
        let config = &said["OCIv1"]["config"];
        ensure!(config["User"] == USER, "the image runs as {} and not as {USER}", config["User"]);
        ensure!(config["Entrypoint"] == serde_json::json!(["/arbiter"]), "it starts {}", config["Entrypoint"]);
        let ports = config["ExposedPorts"].as_object().context("the image names no ports")?;
        ensure!(ports.contains_key("7777/udp"), "the image does not name the players' port");
        Ok(3)
    }
}

/// Nothing in the image but what is meant to be: no shell, no libraries, no package manager.
fn content(root: &Path) -> Result<u64> {
    let mut names: Vec<String> = std::fs::read_dir(root)?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    ensure!(names == CONTENT, "the image holds {names:?} and not {CONTENT:?}");
    ensure!(std::fs::read_dir(root.join("data"))?.next().is_none(), "the image's volume is not empty");
    let owner = shell::output(shell::program("stat").args(["--format", "%u:%g"]).arg(root.join("data")))?;
    ensure!(owner.trim() == USER, "the image's volume belongs to {} and not to {USER}", owner.trim());
    Ok(3)
}

/// A program in the image.
fn program(root: &Path, arguments: &[&str]) -> Command {
    let mut command = shell::program("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-ec", RUN, "sh"]);
    command.arg(root).arg("/arbiter").args(arguments);
    command
}

fn runs(place: &Place, root: &Path) -> Result<u64> {
    // Mount points, which a container's runtime makes.
    for folder in ["dev", "proc"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    let refused =
        program(root, &["server", "--bind", "127.0.0.1:0", "--key-file", "/key", "--matches", "1"]).output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("Read-only"), "the root could be written: {said}");

    let demo = ["demo", "--duration", "5", "--bots", "4", "--summary", "json", "--record-dir", "/data/recordings"];
    let summary: Value =
        serde_json::from_str(&shell::output(&mut program(root, &demo))?).context("the demo's summary")?;
    ensure!(summary["recording"]["verified"] == true, "the image's demo is not verified: {summary}");
    let of_services = services(place, root)?;
    figures(place, root, &of_services)?;
    Ok(4)
}

/// What a container of the rendered chart is started with: its arguments and its environment.
struct Container {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Container {
    /// The first one that is called so.
    fn of_chart(place: &Place, name: &str) -> Result<Self> {
        let rendered = chart::rendered(place)?;
        let documents = kinds::documents(rendered.first().context("the chart was not rendered")?)?;
        let pods = documents.iter().flat_map(|document| {
            let template = &document["spec"]["template"]["spec"];
            [template, &template["template"]["spec"]]
        });
        let mut containers = pods.flat_map(|pod| pod["containers"].as_array().into_iter().flatten());
        let found = containers.find(|container| container["name"] == name);
        let container = found.with_context(|| format!("the chart has no container {name}"))?;
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned).context("a text of the chart");
        let list = |name: &str| container[name].as_array().into_iter().flatten();
        Ok(Self {
            arguments: list("args").map(text).collect::<Result<_>>()?,
            environment: list("env")
                .map(|set| Ok((text(&set["name"])?, text(&set["value"])?)))
                .collect::<Result<_>>()?,
        })
    }

    /// Starts it with everything as in the chart but what only a cluster has, and gives the address that it names in a line of its own.
    fn start(&self, root: &Path, instead: &[(&str, &str)]) -> Result<(Child, SocketAddr)> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut command = program(root, &arguments);
        command.envs(self.environment.iter().cloned()).envs(instead.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe from the program")?).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let rest = line.strip_prefix("health and metrics on http://")?;
            rest.split(['/', ',', ';']).next()?.parse().ok()
        });
        match address {
            Some(address) => Ok((child, address)),
            None => {
                let mut said = String::new();
                child.stderr.take().context("a pipe from the program")?.read_to_string(&mut said)?;
                bail!("{:?} did not start with the chart's environment: {said}", self.arguments)
            }
        }
    }
}

/// The chart's own environment starts the services, and they are ready. Returns their figures.
fn services(place: &Place, root: &Path) -> Result<String> {
    let container = Container::of_chart(place, "services")?;
    let instead = [
        ("ARBITER_SERVICES_BIND", "127.0.0.1:0"),
        ("ARBITER_SERVICES_OPERATE", "127.0.0.1:0"),
        ("ARBITER_KEY_FILE", "/data/key"),
    ];
    let (mut services, address) = container.start(root, &instead)?;
    let deadline = Instant::now() + READY_WITHIN;
    let ready = loop {
        match ask(address, "/readyz") {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            result => break result,
        }
    };
    let figures = ready.and_then(|_| ask(address, "/metrics"));
    services.kill()?;
    services.wait()?;
    figures.context("the services of the image")
}

/// The chart's own environment starts a server, and it or the services serve every figure that a rule or a panel asks for.
fn figures(place: &Place, root: &Path, of_services: &str) -> Result<()> {
    let container = Container::of_chart(place, "server")?;
    let instead = [
        ("ARBITER_BIND", "127.0.0.1:0"),
        ("ARBITER_OPERATE", "127.0.0.1:0"),
        ("ARBITER_KEY_FILE", "/data/key"),
        // Nobody listens there: their figures are served all the same.
        ("ARBITER_SERVICES", "http://127.0.0.1:9"),
        ("ARBITER_AGONES", "off"),
        ("ARBITER_SUPERVISE", "false"),
    ];
    let (mut server, address) = container.start(root, &instead)?;
    let text = ask(address, "/metrics");
    // Its child ends with it.
    server.kill()?;
    server.wait()?;
    let text = text.context("the server of the image")?;
    let types = text.lines().chain(of_services.lines()).filter_map(|line| line.strip_prefix("# TYPE "));
    let served: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    let missing: Vec<String> =
        names::needed(place)?.into_iter().filter(|name| !served.contains(name.trim_end_matches("_total"))).collect();
    ensure!(missing.is_empty(), "docs/operations.md has what neither the server nor the services serve: {missing:?}");
    Ok(())
}

fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    ensure!(text.starts_with("HTTP/1.1 200"), "{}", text.lines().next().unwrap_or_default());
    Ok(text)
}
