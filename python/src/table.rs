//! What needs no model in Python's hands: runs over tables in files, and images by themselves.

use std::ffi::OsString;
use std::path::PathBuf;

use clipgauge::inputs;
use clipgauge::options::{Input, ScoreOptions};
use clipgauge::pipeline::score_table;
use clipgauge::source::fetch_all;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::failures::{Failure, failure};
use crate::waiting::wait;
use crate::{errors, options};

/// Scores a table in files (or patterns, or folders: what the command takes), and gives the summary as JSON and for a person.
#[pyfunction]
#[pyo3(signature = (inputs, output, keywords, progress=None))]
pub(crate) fn score_file(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: Option<OsString>,
    keywords: &Bound<'_, PyDict>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(String, String)> {
    let options = options::score_options(Input::Stdin, output, keywords)?;
    let input = py.detach(|| inputs::expand(&inputs, &options.fetch)).map_err(|error| errors::of_inputs(py, &error))?;
    let options = ScoreOptions { input, ..options };
    let mut partial = None;
    let scored = wait(py, progress, |progress, cancel| {
        let scored = score_table(&options, progress, cancel);
        partial = scored.as_ref().ok().and_then(|summary| summary.partial.clone());
        scored
    });
    let summary = match scored {
        Ok(scored) => scored.map_err(|error| errors::of_run(py, &error))?,
        Err(raised) => {
            return Err(match partial {
                Some(partial) if raised.is_instance_of::<PyKeyboardInterrupt>(py) => {
                    let message = format!("the rows that were finished are in {}", partial.display());
                    PyKeyboardInterrupt::new_err(message)
                }
                _ => raised,
            });
        }
    };
    let json = serde_json::to_string(&summary).expect("a summary has text keys and numbers that JSON has");
    Ok((json, summary.to_string()))
}

/// The bytes of each image, if it has any.
type Fetched<'py> = Vec<Option<Bound<'py, PyBytes>>>;

/// The bytes of images, `None` for those that cannot be had, and why these cannot. `keywords` are about fetching.
#[pyfunction]
pub(crate) fn fetch<'py>(
    py: Python<'py>,
    addresses: Vec<String>,
    keywords: &Bound<'py, PyDict>,
) -> PyResult<(Fetched<'py>, Vec<Failure>)> {
    let options = options::score_options(Input::Stdin, None, keywords)?.fetch;
    let fetched = wait(py, None, |_, cancel| fetch_all(&addresses, options, cancel))?;
    let mut failures = Vec::new();
    let images = fetched.map_err(|error| errors::of_fetching(py, &error))?.into_iter().enumerate();
    let images = images.map(|(index, image)| match image {
        Ok(bytes) => Some(PyBytes::new(py, &bytes)),
        Err(error) => {
            failures.push(failure(index, error));
            None
        }
    });
    Ok((images.collect(), failures))
}
