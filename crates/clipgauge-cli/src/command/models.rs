//! `clipgauge models`: what models there are, and what one is.

mod text;

use std::io::{self, Write};

use anyhow::anyhow;
use clipgauge::core::model_files::ModelFiles;
use clipgauge::hub::{self, HubOptions};
use clipgauge::models::{self, ModelError};
use serde::Serialize;
use serde_json::json;

use crate::args::{ModelsArgs, ModelsCommand, ProgressWhen};
use crate::exit::Ended;
use crate::progress::Screen;
use crate::{log, signals};

pub(crate) fn run(args: ModelsArgs) -> Result<Ended, anyhow::Error> {
    let hub = HubOptions::from_env();
    let screen = Screen::of_downloads(ProgressWhen::Auto, false);
    log::start(0, false, &screen);
    let cancel = signals::watch()?;
    let done = match args.command {
        ModelsCommand::List(args) => {
            let listed = models::list(&hub);
            return print(args.json, &listed, || text::list(&listed)).map(|()| Ended::Done);
        }
        ModelsCommand::Show(args) => models::show(&args.model, &hub, &screen, &cancel).map(|shown| {
            screen.clear();
            print(args.json, &shown, || text::show(&shown))
        }),
        ModelsCommand::Fetch(args) => {
            hub::resolve(&args.model, &hub, &screen, &cancel).map_err(ModelError::from).map(|model| {
                screen.clear();
                let place = model.files.place();
                let folder = matches!(model.files, ModelFiles::Folder(_)).then_some(&place);
                let facts = json!({
                    "name": model.name, "id": model.id, "revision": model.revision, "folder": folder,
                });
                print(args.json, &facts, || format!("{place}\n"))
            })
        }
        ModelsCommand::Check(args) => models::check(&args.model, &hub, &screen, &cancel).map(|checked| {
            screen.clear();
            print(args.json, &checked, || text::check(&checked))?;
            match checked.problems.as_slice() {
                [] => Ok(()),
                problems => Err(anyhow!("the model `{}` cannot score: {}", checked.name, problems.join("; "))),
            }
        }),
    };
    match done {
        Ok(printed) => printed.map(|()| Ended::Done),
        Err(error) => {
            screen.clear();
            if !error.is_interrupted() {
                return Err(error.into());
            }
            screen.print(&error.to_string());
            Ok(cancel.cause().map_or(Ended::Done, Ended::Cancelled))
        }
    }
}

fn print(as_json: bool, facts: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), anyhow::Error> {
    let mut printed = if as_json { serde_json::to_vec_pretty(facts)? } else { text().into_bytes() };
    if as_json {
        printed.push(b'\n');
    }
    io::stdout().write_all(&printed)?;
    Ok(())
}
