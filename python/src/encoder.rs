//! An encoder that is an object of Python.

use std::sync::{Mutex, PoisonError};

use clipgauge::core::embeddings::Embeddings;
use clipgauge::core::encoder::{EncodeError, Encoder};
use clipgauge::core::pixels::PixelBatch;
use clipgauge::core::spec::ModelSpec;
use clipgauge::core::tokenize::TokenBatch;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Calls `encode_images` and `encode_texts` of an object, one batch at a time: meanwhile the other threads make the next
/// batches ready.
pub(crate) struct PythonEncoder {
    object: Py<PyAny>,
    spec: ModelSpec,
    turn: Mutex<()>,
}

impl PythonEncoder {
    pub(crate) fn new(object: Py<PyAny>, spec: ModelSpec) -> Self {
        Self { object, spec, turn: Mutex::new(()) }
    }

    /// Has the object's method encode what `batch` makes, and checks what comes of it.
    fn encode(
        &self,
        method: &str,
        count: usize,
        batch: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Embeddings, EncodeError> {
        // Before the turn, so that arrays are filled while the object still works on the batch before.
        let batch = Python::attach(|py| batch(py).map(Bound::unbind));
        // Without Python's lock, which a thread that waits here must not hold.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = Python::attach(|py| {
            let vectors = self.object.call_method1(py, method, (batch?,))?;
            let vectors = py.import("numpy")?.call_method1("ascontiguousarray", (vectors, "float32"))?;
            let vectors: PyReadonlyArray2<'_, f32> = vectors.extract().map_err(|_| {
                PyValueError::new_err(format!(
                    "`{method}` has to return an array [count, width]; this has other dimensions"
                ))
            })?;
            match *vectors.shape() {
                [rows, width] if rows == count && width > 0 => Ok(Embeddings::new(vectors.as_slice()?.to_vec(), width)),
                ref shape => {
                    let message =
                        format!("`{method}` was given {count} items, and returned an array of shape {shape:?}");
                    Err(PyValueError::new_err(message))
                }
            }
        });
        encoded.map_err(|error: PyErr| EncodeError::Other(Box::new(error)))
    }
}

impl Encoder for PythonEncoder {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
        let count = batch.len();
        // Tens of megabytes, copied before Python's lock is taken.
        let batch = batch.clone();
        self.encode("encode_images", count, |py| match batch {
            PixelBatch::Pictures { values, height, width } => {
                Ok(PyArray1::from_vec(py, values).reshape([count, 3, height, width])?.into_any())
            }
            PixelBatch::Patches { values, max_patches, patch_width, grids } => {
                let values = PyArray1::from_vec(py, values).reshape([count, max_patches, patch_width])?;
                let grids: Vec<i64> = grids.iter().flatten().map(|&side| i64::from(side)).collect();
                let grids = PyArray1::from_vec(py, grids).reshape([count, 2])?;
                py.import("clipgauge._encoder")?.call_method1("patches", (values, grids))
            }
        })
    }

    fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
        self.encode("encode_texts", batch.len(), |py| {
            let ids: Vec<i64> = batch.ids().iter().map(|&id| i64::from(id)).collect();
            let ends: Vec<i64> = batch.ends().iter().map(|&end| end as i64).collect();
            let arrays = (PyArray1::from_vec(py, ids), PyArray1::from_vec(py, ends));
            py.import("clipgauge._encoder")?.call_method1("tokens", arrays)
        })
    }
}
