//! The `clipgauge` command.

fn main() {}
