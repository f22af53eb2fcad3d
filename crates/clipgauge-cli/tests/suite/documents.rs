//! What the documents say about the code is so.

use std::fs;

use crate::bench::repository;

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
fn every_table_format_is_in_the_guide_for_authors() {
    let guide = fs::read_to_string(repository().join("docs/extending.md")).expect("readable");
    let section = guide.split("\n## ").find(|section| section.starts_with("Table formats\n")).expect("a section");
    for format in clipgauge::table::TableFormat::ALL {
        assert!(section.contains(&format!("`{}`", format.name())), "docs/extending.md lacks {format}");
    }
}

#[test]
fn the_readme_lists_every_kind_of_failure() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("readable");
    for kind in clipgauge::row::RowErrorKind::ALL {
        assert!(readme.contains(kind.name()), "README.md lacks {kind}");
    }
}
