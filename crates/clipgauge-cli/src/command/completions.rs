//! `clipgauge completions SHELL`: what a shell needs to complete the flags.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::exit::Ended;

pub(crate) fn run(args: &CompletionsArgs) -> Result<Ended, anyhow::Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "clipgauge", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Ended::Done)
}
