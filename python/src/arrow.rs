//! Arrow's tables in and out through the PyCapsule interface, so that no library for them is needed.
//!
//! The interface: <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

use std::ffi::CStr;

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::SchemaRef;
use clipgauge::pipeline::session::ScoredBatches;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

/// The name of capsules that hold a stream.
const STREAM: &CStr = c"arrow_array_stream";

/// The batches of an object with `__arrow_c_stream__`, read as they are needed.
#[expect(unsafe_code, reason = "the hand-over is a pointer")]
pub(crate) fn reader(table: &Bound<'_, PyAny>) -> PyResult<Box<dyn RecordBatchReader + Send>> {
    let Ok(export) = table.getattr("__arrow_c_stream__") else {
        return Err(PyTypeError::new_err(format!(
            "a {} is no table: a path, or what has `__arrow_c_stream__` (pyarrow, Polars, pandas, DuckDB) is needed",
            table.get_type().name()?
        )));
    };
    let capsule = export.call0()?;
    let capsule = capsule.cast::<PyCapsule>()?;
    let stream = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of this name holds an initialized `ArrowArrayStream` (the interface demands it; the name was
    // checked), which is laid out as `FFI_ArrowArrayStream`. It lives as long as the capsule, which `capsule` keeps. The
    // lock of Python is held, so that no other thread takes it at once. `from_raw` moves the stream out and leaves a
    // released one, as the interface wants it from consumers.
    let reader = unsafe { RecordBatchStreamReader::from_raw(stream.as_ptr()) };
    Ok(Box::new(reader.map_err(|error| PyValueError::new_err(format!("the table cannot be read: {error}")))?))
}

/// A table with its new columns, in memory. Has `__arrow_c_stream__`, which may be asked for as often as one likes.
#[pyclass(frozen, module = "clipgauge._native")]
pub(crate) struct ScoredTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    json: String,
    text: String,
}

impl ScoredTable {
    pub(crate) fn new(scored: ScoredBatches) -> PyResult<Self> {
        let ScoredBatches { schema, batches, summary } = scored;
        let json = serde_json::to_string(&summary).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { schema, batches, json, text: summary.to_string() })
    }
}

#[pymethods]
impl ScoredTable {
    /// The table as a stream of Arrow's.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // To cast is the consumer's work: the interface leaves it to both.
        let _ = requested_schema;
        let batches = RecordBatchIterator::new(self.batches.clone().into_iter().map(Ok), self.schema.clone());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), STREAM)
    }

    /// How many rows it has.
    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The names of its columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The summary as JSON and for a person.
    #[getter]
    fn summary_parts(&self) -> (&str, &str) {
        (&self.json, &self.text)
    }
}
