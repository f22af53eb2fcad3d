//! `clipgauge man [COMMAND]`: a manual page, made from the flags.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::CommandFactory;

use crate::args::{Cli, ManArgs};
use crate::exit::{Ended, Usage};

pub(crate) fn run(args: &ManArgs) -> Result<Ended, anyhow::Error> {
    let mut command = Cli::command();
    // Gives the subcommands their full names, `clipgauge-score` for one.
    command.build();
    let command = match &args.command {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| Usage(anyhow!("there is no command `{name}`; `clipgauge --help` lists them")))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    io::stdout().write_all(&page)?;
    Ok(Ended::Done)
}
