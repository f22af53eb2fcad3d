//! The `clipgauge` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    clipgauge_cli::run(std::env::args_os().skip(1)).into()
}
