//! Keyword arguments as options of the command.

use std::ffi::OsString;

use clipgauge::options::{Input, ScoreOptions};
use clipgauge::table::CellKind;
use clipgauge_cli::keywords::{self as command, Given, Keyword, Takes};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::errors;

/// Every option: its name, what it does, its default, what it takes, the members of a list if it takes one of them, whether
/// it may have several values and whether it is about a table. The Python side makes its types of them.
#[pyfunction]
pub(crate) fn keywords(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let described = |keyword: Keyword| {
        let described = PyDict::new(py);
        let (takes, members) = match keyword.takes {
            Takes::Flag => ("flag", Vec::new()),
            Takes::Member(members) => ("member", members),
            Takes::Number => ("number", Vec::new()),
            Takes::Decimal => ("decimal", Vec::new()),
            Takes::Time => ("time", Vec::new()),
            Takes::Size => ("size", Vec::new()),
            Takes::Path => ("path", Vec::new()),
            Takes::Names => ("names", Vec::new()),
            Takes::Text => ("text", Vec::new()),
        };
        described.set_item("name", keyword.name)?;
        described.set_item("help", keyword.help)?;
        described.set_item("default", keyword.default)?;
        described.set_item("takes", takes)?;
        described.set_item("members", members)?;
        described.set_item("repeats", keyword.repeats)?;
        described.set_item("is_of_a_table", keyword.is_of_a_table)?;
        Ok(described)
    };
    command::keywords().into_iter().map(described).collect()
}

/// Names of columns, each with what it holds.
type AddedColumns = Vec<(String, &'static str)>;

/// The columns that are added, with what each holds, and the names of those that are kept, if not all are.
#[pyfunction]
pub(crate) fn columns(keywords: &Bound<'_, PyDict>) -> PyResult<(AddedColumns, Option<Vec<String>>)> {
    let options = score_options(Input::Stdin, None, keywords)?;
    let kind = |kind| match kind {
        CellKind::Number => "number",
        CellKind::Count => "count",
        CellKind::Truth => "truth",
        CellKind::Text => "text",
    };
    let added = options.added_columns().into_iter().map(|column| (column.name, kind(column.kind)));
    Ok((added.collect(), options.filters.keep_columns))
}

/// The options that keywords say; those that are `None` are as not given.
pub(crate) fn score_options(
    input: Input,
    output: Option<OsString>,
    keywords: &Bound<'_, PyDict>,
) -> PyResult<ScoreOptions> {
    let mut all = Vec::new();
    for (name, value) in keywords {
        let name: String = name.extract()?;
        if !value.is_none() {
            let value = given(&name, &value)?;
            all.push((name, value));
        }
    }
    command::score_options(input, output, &all).map_err(|error| errors::of_keywords(keywords.py(), &error))
}

fn given(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Given> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Given::Flag(flag.is_true()));
    }
    // Numbers of Python and of numpy. Of a large whole one, a `f64` has not all digits.
    if let Ok(whole) = value.extract::<u64>() {
        return Ok(if whole < 1 << f64::MANTISSA_DIGITS {
            Given::Number(whole as f64)
        } else {
            Given::Text(whole.to_string().into())
        });
    }
    if value.hasattr("__index__")? || value.hasattr("__float__")? {
        return value.extract().map(Given::Number);
    }
    // A `timedelta`.
    if let Ok(seconds) = value.call_method0("total_seconds") {
        return seconds.extract().map(Given::Number);
    }
    if value.is_instance_of::<PyString>() || value.hasattr("__fspath__")? {
        let path = value.py().import("os")?.call_method1("fspath", (value,))?;
        return path.extract().map(Given::Text);
    }
    let Ok(values) = value.try_iter() else {
        let what = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("the option `{name}` cannot be a {what}")));
    };
    let values = values.map(|value| given(name, &value?)).collect::<PyResult<_>>()?;
    Ok(Given::Several(values))
}
