//! What the documents say about the code is so.

use std::fs;

use crate::bench::{Bench, Ran, repository};

#[test]
fn every_dependency_has_its_paragraph() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).expect("readable");
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
fn the_readme_lists_every_kind_of_failure() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("readable");
    for kind in clipgauge::row::RowErrorKind::ALL {
        assert!(readme.contains(kind.name()), "README.md lacks {kind}");
    }
}

/// Documents whose commands are run. Those of README.md install the command first: `make readme` runs them.
#[cfg(unix)]
const WITH_COMMANDS: &[&str] = &["docs/compare-and-embed.md"];

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
        assert!(count >= 3, "{document} has only {count} commands");
    }
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
