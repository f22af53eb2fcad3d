//! What the Python package `clipgauge` is made on: the library's sessions and runs, and the command. Everything here turns
//! values of Python into the library's and back; the rules are the library's, and what is pleasant for users of Python is
//! in `package/`.

mod arrow;
mod encoder;
mod errors;
mod failures;
mod images;
mod options;
mod session;
mod table;
mod waiting;

use std::ffi::OsString;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::arrow::ScoredTable;
    #[pymodule_export]
    use super::options::columns;
    #[pymodule_export]
    use super::options::keywords;
    #[pymodule_export]
    use super::run_command;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::table::fetch;
    #[pymodule_export]
    use super::table::score_file;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}

/// Runs the command `clipgauge` with these arguments, its own name not among them, and gives its exit code. Takes over the
/// signals of the process.
#[pyfunction]
fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| clipgauge_cli::run(arguments))
}
