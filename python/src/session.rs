//! A loaded model in Python's hands.

use std::sync::Arc;

use clipgauge::core::encoder::Encoder;
use clipgauge::options::Input;
use clipgauge::pipeline::session::{PairRow, Session as Inner};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow::{self, ScoredTable};
use crate::encoder::PythonEncoder;
use crate::failures::{Failure, Parted, parted};
use crate::images::images;
use crate::waiting::wait;
use crate::{errors, options};

/// A table in memory, as messages call it.
fn table() -> Input {
    Input::File("the table".into())
}

/// Scores and embeds. Its calls let other threads of Python work, and end early at a signal.
#[pyclass(frozen, module = "clipgauge._native")]
pub(crate) struct Session {
    inner: Inner,
    columns: usize,
}

#[pymethods]
impl Session {
    /// Loads the models that `keywords` name; or with an `encoder`, reads what the first of them wants.
    #[new]
    #[pyo3(signature = (keywords, encoder=None))]
    fn new(py: Python<'_>, keywords: &Bound<'_, PyDict>, encoder: Option<Py<PyAny>>) -> PyResult<Self> {
        let options = options::score_options(table(), None, keywords)?;
        let columns = options.score_columns().len();
        let loaded = wait(py, None, |progress, cancel| match encoder {
            None => Inner::load(&options, progress, cancel),
            Some(encoder) => {
                let made = |spec| -> Arc<dyn Encoder> { Arc::new(PythonEncoder::new(encoder, spec)) };
                Inner::with_encoder(&options, made, progress, cancel)
            }
        })?;
        loaded.map(|inner| Self { inner, columns }).map_err(|error| errors::of_run(py, &error))
    }

    /// How many scores a pair gets: one for each model and metric.
    #[getter]
    fn columns(&self) -> usize {
        self.columns
    }

    /// How many numbers an embedding has.
    #[getter]
    fn embedding_width(&self) -> usize {
        self.inner.spec().embedding_width
    }

    /// How a text is cut: the most tokens it may have.
    #[getter]
    fn context_length(&self) -> usize {
        self.inner.spec().text.context_length
    }

    /// Scores of pairs, and the pairs that failed.
    #[pyo3(signature = (pairs, captions, progress=None))]
    fn score<'py>(
        &self,
        py: Python<'py>,
        pairs: Vec<Bound<'py, PyAny>>,
        captions: Vec<Option<String>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyArray1<f32>>, Vec<Failure>)> {
        let pairs = images(&pairs)?.into_iter().zip(captions);
        let pairs = pairs.map(|(image, caption)| PairRow { image, caption }).collect();
        let scored = wait(py, progress, |progress, cancel| self.inner.score(pairs, progress, cancel))?;
        let Parted { numbers, failures, .. } = parted(scored.map_err(|error| errors::of_run(py, &error))?, 1);
        Ok((numbers.into_pyarray(py), failures))
    }

    /// Vectors of images, and the images that failed.
    #[pyo3(signature = (pictures, progress=None))]
    fn embed_images<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vectors<'py>> {
        let pictures = images(&pictures)?;
        let embedded = wait(py, progress, |progress, cancel| self.inner.embed_images(pictures, progress, cancel))?;
        vectors(py, parted(embedded.map_err(|error| errors::of_run(py, &error))?, self.embedding_width()))
    }

    /// Vectors of texts, and the texts that failed.
    #[pyo3(signature = (texts, progress=None))]
    fn embed_texts<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<Option<String>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vectors<'py>> {
        let embedded = wait(py, progress, |progress, cancel| self.inner.embed_texts(&texts, progress, cancel))?;
        vectors(py, parted(embedded.map_err(|error| errors::of_run(py, &error))?, self.embedding_width()))
    }

    /// Compares the vectors of two arrays, row by row.
    fn compare<'py>(
        &self,
        py: Python<'py>,
        a: PyReadonlyArray2<'py, f32>,
        b: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        if a.shape() != b.shape() {
            return Err(PyValueError::new_err(format!(
                "vectors are compared row by row: the arrays have the shapes {:?} and {:?}",
                a.shape(),
                b.shape()
            )));
        }
        // A slice is also had of columns that follow each other.
        if !a.is_c_contiguous() || !b.is_c_contiguous() {
            return Err(PyValueError::new_err("vectors are compared row by row: the rows have to follow each other"));
        }
        let (width, a, b) = (a.shape()[1].max(1), a.as_slice()?, b.as_slice()?);
        let scores: Vec<f32> =
            a.chunks_exact(width).zip(b.chunks_exact(width)).map(|(a, b)| self.inner.compare(a, b)).collect();
        Ok(scores.into_pyarray(py))
    }

    /// Scores an Arrow table: an object with `__arrow_c_stream__`. `keywords` are about its columns.
    #[pyo3(signature = (batches, keywords, progress=None))]
    fn score_table(
        &self,
        py: Python<'_>,
        batches: &Bound<'_, PyAny>,
        keywords: &Bound<'_, PyDict>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<ScoredTable> {
        let options = options::score_options(table(), None, keywords)?;
        let batches = arrow::reader(batches)?;
        let scored =
            wait(py, progress, |progress, cancel| self.inner.score_batches(batches, &options, progress, cancel))?;
        ScoredTable::new(scored.map_err(|error| errors::of_run(py, &error))?)
    }
}

/// An array of vectors, and why some are missing.
type Vectors<'py> = (Bound<'py, PyArray2<f32>>, Vec<Failure>);

fn vectors(py: Python<'_>, parted: Parted) -> PyResult<Vectors<'_>> {
    let Parted { numbers, width, failures } = parted;
    if !numbers.len().is_multiple_of(width) {
        return Err(PyValueError::new_err("the encoder's vectors differ in their width"));
    }
    let rows = numbers.len() / width;
    Ok((numbers.into_pyarray(py).reshape([rows, width])?, failures))
}
