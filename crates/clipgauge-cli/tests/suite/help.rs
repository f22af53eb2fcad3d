//! Help, manual pages and completions, which are all made from the flags.

use crate::bench::Bench;

#[test]
fn help_reads_well() {
    let bench = Bench::new();
    for (name, args) in [
        ("help", "--help"),
        ("help-short", "-h"),
        ("help-score", "score --help"),
        ("help-score-short", "score -h"),
        ("help-compare", "compare --help"),
        ("help-embed", "embed --help"),
        ("help-merge", "merge --help"),
        ("help-models", "models --help"),
        ("help-models-show", "models show --help"),
        ("help-completions", "completions --help"),
        ("help-man", "man --help"),
    ] {
        let ran = bench.run(args).expect_code(0);
        assert_eq!(ran.stderr, "", "{args}");
        insta::assert_snapshot!(name, ran.text());
    }
}

#[test]
fn without_a_command_there_is_help() {
    let ran = Bench::new().run("").expect_code(2);
    assert!(ran.stderr.contains("Usage: clipgauge <COMMAND>"), "{}", ran.stderr);
}

#[test]
fn the_version_is_the_package_s() {
    let ran = Bench::new().run("--version").expect_code(0);
    assert_eq!(ran.text(), concat!("clipgauge ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn every_shell_gets_completions_with_the_flags() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = Bench::new().run(&format!("completions {shell}")).expect_code(0);
        for part in ["score", "caption-column", "cosine"] {
            // Elvish and PowerShell complete flags, but not their values.
            let has_values = !matches!(shell, "elvish" | "powershell");
            assert!(ran.text().contains(part) || (part == "cosine" && !has_values), "{shell}: no {part}");
        }
    }
    Bench::new().run("completions korn").expect_code(2);
}

#[test]
fn manual_pages_have_the_flags() {
    let bench = Bench::new();
    let page = bench.run("man").expect_code(0);
    assert!(page.text().contains(".TH clipgauge 1"), "{}", page.text());
    let page = bench.run("man score").expect_code(0);
    assert!(page.text().contains(".TH clipgauge-score 1"), "{}", page.text());
    assert!(page.text().contains(r"\-\-caption\-column"), "{}", page.text());
    let ran = bench.run("man nothing").expect_code(2);
    assert_eq!(ran.stderr, "error: there is no command `nothing`; `clipgauge --help` lists them\n");
}
