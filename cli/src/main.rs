//! `arbiter`.

use std::process::ExitCode;

fn main() -> ExitCode {
    arbiter_cli::main()
}
