//! The `clipgauge` command: flags in, the library's work, an exit code out.
//!
//! It is a library so that the Python wheel has the command too, and so that its options are the command's: see
//! [`keywords`].

mod args;
mod command;
mod exit;
pub mod keywords;
mod log;
mod options;
mod progress;
mod signals;
mod value;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;

use args::{Cli, Command};

pub use exit::sentence;

/// Runs the command with these arguments, its own name not among them, and gives its exit code.
///
/// Takes over the signals of the process, and writes to its standard output and error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let code = match Cli::try_parse_from([OsString::from(args::NAME)].into_iter().chain(arguments)) {
        Ok(cli) => exit::code(run_command(cli.command)),
        Err(error) => {
            // With the stream closed there is nobody to tell.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(exit::USAGE)
        }
    };
    // Where the process is not Rust's, nobody else does it. An error has been met and told before.
    let _ = io::stdout().flush();
    code
}

fn run_command(command: Command) -> Result<exit::Ended, anyhow::Error> {
    match command {
        Command::Score(args) => command::score::run(*args),
        Command::Compare(args) => command::compare::run(&args),
        Command::Embed(args) => command::embed::run(*args),
        Command::Merge(args) => command::merge::run(&args),
        Command::Models(args) => command::models::run(args),
        Command::Completions(args) => command::completions::run(&args),
        Command::Man(args) => command::man::run(&args),
    }
}
