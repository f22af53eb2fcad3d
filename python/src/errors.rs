//! The library's errors as exceptions of `clipgauge._errors`.

use std::error::Error;

use clipgauge::core::encoder::EncodeError;
use clipgauge::inputs::InputsError;
use clipgauge::pipeline::ScoreTableError;
use clipgauge::scorer::ScoreError;
use clipgauge::source::FetchError;
use clipgauge_cli::keywords::KeywordError;
use clipgauge_cli::sentence;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// An exception of this class, with the error and its causes as one sentence.
fn exception(py: Python<'_>, class: &str, error: &(dyn Error + 'static)) -> PyErr {
    let made = py
        .import("clipgauge._errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((sentence(error),)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Options that mean nothing.
pub(crate) fn of_keywords(py: Python<'_>, error: &KeywordError) -> PyErr {
    exception(py, "OptionsError", error)
}

/// Names that stand for no table.
pub(crate) fn of_inputs(py: Python<'_>, error: &InputsError) -> PyErr {
    exception(py, "TableError", error)
}

/// Images that cannot be fetched at all.
pub(crate) fn of_fetching(py: Python<'_>, error: &FetchError) -> PyErr {
    match error {
        FetchError::Interrupted => PyKeyboardInterrupt::new_err(sentence(error)),
        FetchError::Source(_) => exception(py, "OptionsError", error),
        _ => exception(py, "Error", error),
    }
}

/// A run or a session that could not begin or go on.
pub(crate) fn of_run(py: Python<'_>, error: &ScoreTableError) -> PyErr {
    let class = match error {
        // What an encoder in Python raised is raised as it is.
        ScoreTableError::Score(ScoreError::Encode(EncodeError::Other(source))) if source.is::<PyErr>() => {
            return source
                .downcast_ref::<PyErr>()
                .map_or_else(|| exception(py, "ModelError", error), |e| e.clone_ref(py));
        }
        // Signals are asked for where the caller waits, and raise their own.
        _ if error.is_interrupted() => return PyKeyboardInterrupt::new_err(sentence(error)),
        ScoreTableError::Options(_)
        | ScoreTableError::Source(_)
        | ScoreTableError::Metric(_)
        | ScoreTableError::Cache(_) => "OptionsError",
        ScoreTableError::Table(_)
        | ScoreTableError::File(_)
        | ScoreTableError::Journal(_)
        | ScoreTableError::Earlier(_) => "TableError",
        ScoreTableError::Model(_) | ScoreTableError::Score(_) => "ModelError",
        _ => "Error",
    };
    exception(py, class, error)
}
