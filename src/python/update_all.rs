//! One stream into several meters.

use super::errors::{OrRaise, in_profile};
use super::meter::{Meter, summary_of};
use super::observer::{PyObserver, Stop};
use super::reading::Reading;
use crate::meter::{self as feed, Failed, Meter as Inner, Update};
use crate::scoring::Scorer;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyRecordBatchReader;

/// Reads a stream into several meters at once: each row of logits is scored once.
#[pyfunction]
#[pyo3(signature = (meters, stream, *, columns, dtype=None, null_labels="raise", threads=1,
    read_ahead=false, progress=None))]
#[expect(clippy::too_many_arguments, reason = "one argument an option")]
#[expect(clippy::needless_pass_by_value, reason = "what pyo3 makes of a list")]
pub(super) fn update_all(
    py: Python<'_>,
    meters: Vec<PyRef<'_, Meter>>,
    stream: PyRecordBatchReader,
    columns: &Bound<'_, PyDict>,
    dtype: Option<&str>,
    null_labels: &str,
    threads: usize,
    read_ahead: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let mut held = meters.iter().map(|meter| meter.lock(py)).collect::<PyResult<Vec<_>>>()?;
    let Some(first) = held.first().map(|meter| meter.settings().clone()) else { return Ok(()) };
    let stop = Stop::default();
    let ignore_index = first.ignore_index;
    let reading =
        Reading { columns, dtype, null_labels, ignore_index, read_ahead, labels: true, logits: true };
    let mut reader = reading.reader(py, stream, &stop)?;
    let mut scorer = Scorer::new(first.precision, threads).or_raise(py)?;
    let mut fed: Vec<Inner> = held.iter().map(|meter| Inner::clone(meter)).collect();
    let mut observer = PyObserver::new(stop.clone(), progress);
    let by = super::scores::names(columns, "by")?;
    let done = py.detach(|| {
        let update = Update { reader: &mut reader, scorer: Some(&mut scorer), by: &by, last: true };
        feed::update_all(&mut fed, update, &mut observer)
    });
    if let Some(stopped) = stop.take() {
        return Err(stopped);
    }
    if let Err(Failed { meter, error }) = done {
        let partial = summary_of(py, &fed[meter])?;
        return Err(in_profile(py, &error, fed[meter].settings(), Some(partial)));
    }
    for (held, fed) in held.iter_mut().zip(fed) {
        **held = fed;
    }
    Ok(())
}
