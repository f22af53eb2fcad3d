//! What the documents say about the code is so.

use std::fs;

use clipgauge::core::family::ModelFamily;
use clipgauge::source::SourceKind;
use clipgauge::table::TableFormat;
use clipgauge_testing::Hub;

use crate::bench::{Bench, Ran, repository};

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The section of a document with this heading.
fn section<'a>(document: &'a str, heading: &str) -> Option<&'a str> {
    let after = document.split_once(&format!("\n## {heading}\n"))?.1;
    Some(after.split("\n## ").next().unwrap_or(after).trim())
}

#[test]
fn every_dependency_has_its_paragraph() {
    let (manifest, decisions) = (read("Cargo.toml"), read("docs/decisions.md"));
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("the dependencies");
    let names: Vec<&str> = section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter(|name| !name.starts_with("clipgauge"))
        .collect();
    assert!(names.len() > 30, "the dependencies are not found: {names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !decisions.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/decisions.md says nothing about {missing:?}");
}

#[test]
fn every_table_format_is_in_the_guide_for_authors() {
    let guide = fs::read_to_string(repository().join("docs/extending.md")).expect("readable");
    let section = guide.split("\n## ").find(|section| section.starts_with("Table formats\n")).expect("a section");
    for format in clipgauge::table::TableFormat::ALL {
        assert!(section.contains(&format!("`{}`", format.name())), "docs/extending.md lacks {format}");
    }
}

#[test]
fn the_readme_lists_every_kind_of_failure() {
    let readme = read("README.md");
    for kind in clipgauge::row::RowErrorKind::ALL {
        assert!(readme.contains(kind.name()), "README.md lacks {kind}");
    }
}

/// A member of a registry without its section and its line is not finished.
#[test]
fn every_member_of_a_registry_is_written_about() {
    let extending = read("docs/extending.md");
    let families = ModelFamily::ALL.iter().map(|family| family.name().to_owned()).collect::<Vec<_>>();
    let formats = TableFormat::ALL.iter().map(|format| format!("`{format}`")).collect();
    let sources = SourceKind::ALL.iter().map(|kind| format!("`{}`", kind.name())).collect();
    for (heading, folder, members) in [
        ("Model families", "crates/clipgauge-core/src", &families),
        ("Table formats", "crates/clipgauge/src", &formats),
        ("Image sources", "crates/clipgauge/src", &sources),
    ] {
        let section = section(&extending, heading).unwrap_or_else(|| panic!("docs/extending.md lacks {heading}"));
        let lines: Vec<(&str, &str)> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .map(|(file, member)| (file, member.trim_end_matches([' ', '|'])))
            .collect();
        for (file, _) in &lines {
            assert!(repository().join(folder).join(file).is_file(), "{heading}: there is no {file}");
        }
        let is_of = |line: &str, member: &str| {
            line.strip_prefix(member).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        for member in members {
            let count = lines.iter().filter(|(_, line)| is_of(line, member)).count();
            assert_eq!(count, 1, "{heading}: lines of {member} in docs/extending.md");
        }
        assert_eq!(lines.len(), members.len(), "{heading}: docs/extending.md has lines of what is not there");
    }

    let models = read("docs/models.md");
    for family in families {
        let text = section(&models, &family).unwrap_or_else(|| panic!("docs/models.md lacks `## {family}`"));
        assert!(text.len() > 100, "docs/models.md says next to nothing of {family}");
    }
}

#[test]
fn the_commands_about_models_run() {
    let (bench, hub) = (Bench::new(), Hub::start());
    hub.add_folder("openai/clip-vit-base-patch32", &repository().join("tests/golden/families/metaclip2"));
    let models = read("docs/models.md");
    let blocks = models.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let commands: Vec<_> = blocks.flat_map(str::lines).collect();
    assert!(commands.len() >= 5, "the commands are not found: {commands:?}");
    for line in commands {
        let args = line.strip_prefix("clipgauge ").unwrap_or_else(|| panic!("`{line}` is something else"));
        let mut command = bench.command(args.split(' '));
        command.env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", hub.endpoint());
        let ran = Ran::of(command.output().expect("the command can be run")).expect_code(0);
        assert!(!ran.stdout.is_empty(), "{line} prints nothing");
    }
}

/// What the README says of names is so, too.
#[test]
fn the_documents_name_models_that_are_known() {
    let known: Vec<_> = clipgauge::models::known().iter().map(|model| model.id.as_str()).collect();
    let ids = |document: &str| {
        let quoted = document.split('`').skip(1).step_by(2).map(str::to_owned);
        let is_id = |text: &String| {
            ["openai/", "facebook/", "google/", "laion/", "OFA-Sys/", "BAAI/"].iter().any(|org| text.starts_with(org))
                && !text.contains(['*', '@', ' '])
        };
        quoted.filter(is_id).collect::<Vec<_>>()
    };
    for document in ["README.md", "docs/models.md"] {
        let ids = ids(&read(document));
        let unknown: Vec<_> = ids.iter().filter(|id| !known.contains(&id.as_str())).collect();
        assert!(!ids.is_empty() && unknown.is_empty(), "{document} names {unknown:?}");
    }
}
