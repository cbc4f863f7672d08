//! The command line: `barelm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    barelm::cli::main()
}
