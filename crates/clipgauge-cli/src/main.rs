//! The `clipgauge` command: flags in, the library's work, an exit code out.

mod args;
mod command;
mod exit;
mod log;
mod options;
mod progress;
mod signals;
mod value;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let ended = match command {
        Command::Score(args) => command::score::run(*args),
        Command::Compare(args) => command::compare::run(&args),
        Command::Embed(args) => command::embed::run(*args),
        Command::Merge(args) => command::merge::run(&args),
        Command::Models(args) => command::models::run(args),
        Command::Completions(args) => command::completions::run(&args),
        Command::Man(args) => command::man::run(&args),
    };
    exit::code(ended)
}
