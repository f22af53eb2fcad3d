//! What the documents say about the code is so.

use std::fs;

use clipgauge::core::family::ModelFamily;
use clipgauge::core::precision::Precision;
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

/// Documents whose commands are run. Those of README.md install the command first: `make readme` runs them.
#[cfg(unix)]
const WITH_COMMANDS: &[&str] = &["docs/compare-and-embed.md", "docs/saving.md"];

#[cfg(unix)]
#[test]
fn the_commands_of_the_documents_run_and_print_what_is_shown() {
    for document in WITH_COMMANDS {
        let text = fs::read_to_string(repository().join(document)).expect("readable");
        let bench = Bench::new();
        std::os::unix::fs::symlink(repository().join("examples"), bench.path("examples")).expect("creatable");
        let blocks: Vec<&str> = text.split("\n```").collect();
        // Inside and outside of blocks take turns: what begins a block is its language, what ends one a line's end.
        let commands = (1..blocks.len()).step_by(2).filter(|&block| blocks[block].starts_with("sh\n"));
        let mut count = 0;
        for block in commands {
            let script = blocks[block].strip_prefix("sh\n").expect("a shell's");
            let ran = shell(&bench, script);
            assert_eq!(ran.code, Some(0), "{document}: {script}\n{}", ran.stderr);
            let is_next = blocks[block + 1].trim().is_empty();
            if let Some(shown) = blocks.get(block + 2).and_then(|next| next.strip_prefix("text\n")).filter(|_| is_next)
            {
                assert_alike(ran.text(), shown, &format!("{document}: {script}"));
            }
            count += 1;
        }
        assert!(count >= 1, "{document} has no commands");
    }
}

/// The commands for large tables, over a small one and with the model that is bundled.
#[cfg(unix)]
#[test]
fn the_commands_for_large_tables_run() {
    let bench = Bench::new().with_examples();
    for name in ["pairs.parquet", "laion.parquet"] {
        bench.run(&format!("score pairs.csv -o {name} --column before --model pictoclip --quiet")).expect_code(0);
    }
    let text = read("docs/large.md");
    let scripts: Vec<_> = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(scripts.len() >= 6, "the commands are not found");
    // What users have by default and a test has not is a large model.
    let command = "clipgauge() {
        if [ $1 = score ]; then command clipgauge \"$@\" --model pictoclip; else command clipgauge \"$@\"; fi
    }";
    for script in scripts {
        let ran = shell(&bench, &format!("{command}\n{script}"));
        assert_eq!(ran.code, Some(0), "{script}\n{}", ran.stderr);
    }
    assert!(bench.path("good/00000.tar").exists() && bench.path("scored.parquet").exists());
}

/// Runs lines of a shell with the command on its path.
#[cfg(unix)]
fn shell(bench: &Bench, script: &str) -> Ran {
    let command = bench.command([]);
    let folder = std::path::Path::new(command.get_program()).parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = std::process::Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", script]).current_dir(command.get_current_dir().expect("the bench"));
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path);
    Ran::of(shell.output().expect("bash can be run"))
}

/// The same words, and numbers that another processor may have added up in another order.
#[cfg(unix)]
fn assert_alike(printed: &str, shown: &str, place: &str) {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (printed, shown) = (words(printed), words(shown));
    let are_alike = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-5,
        _ => a == b,
    };
    let is_whole = printed.len() == shown.len() && printed.iter().zip(&shown).all(|(a, b)| are_alike(a, b));
    assert!(is_whole, "{place}\nprints {printed:?}, not {shown:?}");
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

    let tables = read("docs/tables.md");
    for format in TableFormat::ALL {
        let text = section(&tables, format.name()).unwrap_or_else(|| panic!("docs/tables.md lacks `## {format}`"));
        assert!(format.extensions().iter().all(|extension| text.contains(&format!("`.{extension}`"))), "{format}");
    }

    let models = read("docs/models.md");
    for family in families {
        let text = section(&models, &family).unwrap_or_else(|| panic!("docs/models.md lacks `## {family}`"));
        assert!(text.len() > 100, "docs/models.md says next to nothing of {family}");
    }

    let precisions = read("docs/precision.md");
    for precision in Precision::ALL {
        let text = section(&precisions, &format!("`{precision}`"));
        let text = text.unwrap_or_else(|| panic!("docs/precision.md lacks {precision}"));
        assert!(text.len() > 100, "docs/precision.md says next to nothing of {precision}");
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
