//! What rows get, as an array, and the rows that failed beside it.

use clipgauge::pipeline::session::RowResults;
use clipgauge::row::RowError;

/// Index, kind, message, and whether the same row may succeed another time.
pub(crate) type Failure = (usize, &'static str, String, bool);

/// What rows get, side by side.
pub(crate) struct Parted {
    /// Numbers row by row, NaN where a row failed.
    pub(crate) numbers: Vec<f32>,
    /// Numbers of a row.
    pub(crate) width: usize,
    /// Why rows failed.
    pub(crate) failures: Vec<Failure>,
}

/// Parts results, each of so many numbers as the first that there is; of `width`, if there is none.
pub(crate) fn parted(results: RowResults, width: usize) -> Parted {
    let width = results.iter().find_map(|result| result.as_ref().ok().map(Vec::len)).unwrap_or(width);
    let mut numbers = Vec::with_capacity(results.len() * width);
    let mut failures = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(row) => numbers.extend(row),
            Err(error) => {
                numbers.resize(numbers.len() + width, f32::NAN);
                failures.push(failure(index, error));
            }
        }
    }
    Parted { numbers, width, failures }
}

/// A row that failed.
pub(crate) fn failure(index: usize, error: RowError) -> Failure {
    (index, error.kind.name(), error.message, error.kind.is_transient())
}
