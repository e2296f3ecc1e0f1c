//! One table from errors to exceptions.

use crate::error::{Error, ErrorKind};
use crate::settings::Settings;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

/// The class in `logitmeter.exceptions`.
const fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Shape => "ShapeError",
        ErrorKind::DType => "DTypeError",
        ErrorKind::Label => "LabelError",
        ErrorKind::ShortRun => "ShortRunError",
        ErrorKind::Sequence => "SequenceError",
        ErrorKind::Settings => "SettingsError",
        ErrorKind::NonFinite => "NonFiniteError",
        ErrorKind::Corrupt | ErrorKind::Stream => "CorruptInputError",
        ErrorKind::StateVersion => "StateVersionError",
        ErrorKind::Cancelled | ErrorKind::Internal => "LogitmeterError",
    }
}

/// The exception of an error, with the summary of all before it where there is one.
pub(super) fn exception(py: Python<'_>, error: &Error, partial: Option<Bound<'_, PyDict>>) -> PyErr {
    build(py, error, partial).unwrap_or_else(|failed| failed)
}

fn build(py: Python<'_>, error: &Error, partial: Option<Bound<'_, PyDict>>) -> PyResult<PyErr> {
    let class = py.import("logitmeter.exceptions")?.getattr(class(error.kind()))?;
    let details = [
        ("position", error.position().into_pyobject(py)?.into_any()),
        ("row", error.row().into_pyobject(py)?.into_any()),
        ("expected", error.expected().into_pyobject(py)?.into_any()),
        ("got", error.got().into_pyobject(py)?.into_any()),
        ("partial", partial.into_pyobject(py)?.into_any()),
    ]
    .into_py_dict(py)?;
    Ok(PyErr::from_value(class.call((error.message(),), Some(&details))?))
}

/// The exception of a counting error, which says by which profile it was counted.
pub(super) fn in_profile(
    py: Python<'_>,
    error: &Error,
    settings: &Settings,
    partial: Option<Bound<'_, PyDict>>,
) -> PyErr {
    let raised = exception(py, error, partial);
    let note = settings.profile.as_ref().map(|profile| format!("counted by profile {:?}", profile.name));
    match note.map_or(Ok(()), |note| raised.value(py).call_method1("add_note", (note,)).map(|_| ())) {
        Ok(()) => raised,
        Err(failed) => failed,
    }
}

/// Turns the crate's results into Python's.
pub(super) trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for crate::error::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error, None))
    }
}
