//! What this build is and what it runs on.

use super::errors::OrRaise;
use crate::kernel::{Isa, NUMERIC_VERSION};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Tiers, versions, and whether this is a debug build.
#[pyfunction]
pub(super) fn environment(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("isa", Isa::choose().or_raise(py)?.name())?;
    dict.set_item("isas", Isa::all_available().map(Isa::name).collect::<Vec<_>>())?;
    dict.set_item("numeric_version", NUMERIC_VERSION)?;
    dict.set_item("version", env!("CARGO_PKG_VERSION"))?;
    dict.set_item("debug", cfg!(debug_assertions))?;
    Ok(dict)
}

/// A debug build is many times slower; nobody should measure it by accident.
pub(super) fn warn_of_a_debug_build(py: Python<'_>) -> PyResult<()> {
    if cfg!(debug_assertions) {
        let message = c"this is a debug build of logitmeter: many times slower than a release build";
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), message, 1)?;
    }
    Ok(())
}
