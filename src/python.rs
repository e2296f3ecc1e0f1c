//! The Python module: explicit signatures, no logic. One operation, one file.

mod buffer;
mod check;
mod environment;
mod errors;
mod log_softmax;
mod meter;
mod observer;
mod reading;
mod scores;
mod settings;
mod stream;
mod summary;
mod update_all;

use pyo3::prelude::*;

/// The compiled core of logitmeter.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<settings::Settings>()?;
    module.add_class::<meter::Meter>()?;
    module.add_class::<stream::ScoreStream>()?;
    module.add_function(wrap_pyfunction!(check::check, module)?)?;
    module.add_function(wrap_pyfunction!(update_all::update_all, module)?)?;
    module.add_function(wrap_pyfunction!(scores::token_scores, module)?)?;
    module.add_function(wrap_pyfunction!(scores::sequence_scores, module)?)?;
    module.add_function(wrap_pyfunction!(log_softmax::log_softmax, module)?)?;
    module.add_function(wrap_pyfunction!(log_softmax::log_softmax_into, module)?)?;
    module.add_function(wrap_pyfunction!(log_softmax::top_k, module)?)?;
    module.add_function(wrap_pyfunction!(environment::environment, module)?)?;
    let join = wrap_pyfunction!(reading::join_readers, module)?;
    module.py().import("atexit")?.call_method1("register", (join,))?;
    environment::warn_of_a_debug_build(module.py())
}
