//! Images and captions as they come from Python, brought to a few forms by `package/clipgauge/_images.py`.

use std::sync::Arc;

use clipgauge::core::pixels::Pixels;
use clipgauge::row::RowImage;
use numpy::{PyReadonlyArray3, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// An image: `None`, its address, its file's bytes, or an array `[height, width, 3]` of `uint8` without gaps.
pub(crate) fn image(value: &Bound<'_, PyAny>) -> PyResult<Option<RowImage>> {
    if value.is_none() {
        return Ok(None);
    }
    if let Ok(address) = value.cast::<PyString>() {
        return Ok(Some(RowImage::Address(address.to_string_lossy().into_owned())));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Some(RowImage::Bytes { bytes: bytes.as_bytes().to_vec().into(), name: None }));
    }
    let Ok(array) = value.extract::<PyReadonlyArray3<'_, u8>>() else {
        return Err(PyTypeError::new_err(format!("an image cannot be a {}", value.get_type().name()?)));
    };
    let &[height, width, 3] = array.shape() else {
        return Err(PyValueError::new_err("the array of an image is [height, width, 3]"));
    };
    let (Ok(height @ 1..), Ok(width @ 1..)) = (u32::try_from(height), u32::try_from(width)) else {
        return Err(PyValueError::new_err(format!("an image of {width}×{height} pixels has none, or too many")));
    };
    let rgb = array.as_slice()?.to_vec();
    Ok(Some(RowImage::Pixels(Arc::new(Pixels::new(width, height, rgb)))))
}

/// All images of a list.
pub(crate) fn images(values: &[Bound<'_, PyAny>]) -> PyResult<Vec<Option<RowImage>>> {
    values.iter().map(image).collect()
}
