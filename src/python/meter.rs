//! The meter: update, merge, summary, bytes.

use super::errors::{OrRaise, in_profile};
use super::observer::{PyObserver, Stop};
use super::reading::Reading;
use super::settings::Settings;
use super::summary;
use crate::error::{Error, ErrorKind};
use crate::meter::{Meter as Inner, Update};
use crate::scoring::Scorer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pyo3_arrow::PyRecordBatchReader;
use std::sync::{Mutex, MutexGuard};

/// A running tally and the state of counting that carries over batch borders.
#[pyclass(frozen, module = "logitmeter._core")]
pub(super) struct Meter(Mutex<Inner>);

impl Meter {
    /// The inner meter; a second thread is told so instead of waiting with the interpreter locked.
    pub(super) fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        let busy = || Error::new(ErrorKind::Settings, "this meter is in use by another thread");
        self.0.try_lock().map_err(|_| busy()).or_raise(py)
    }
}

#[pymethods]
impl Meter {
    #[new]
    fn new(settings: &Settings) -> Self {
        Self(Mutex::new(Inner::new(settings.0.clone())))
    }

    #[getter]
    fn settings(&self, py: Python<'_>) -> PyResult<Settings> {
        Ok(Settings(self.lock(py)?.settings().clone()))
    }

    #[getter]
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.is_open())
    }

    #[pyo3(signature = (stream, *, columns, dtype=None, null_labels="raise", threads=1, r#final=true,
        read_ahead=false, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "one argument an option")]
    fn update(
        &self,
        py: Python<'_>,
        stream: PyRecordBatchReader,
        columns: &Bound<'_, PyDict>,
        dtype: Option<&str>,
        null_labels: &str,
        threads: usize,
        r#final: bool,
        read_ahead: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let mut held = self.lock(py)?;
        let stop = Stop::default();
        let ignore_index = held.settings().ignore_index;
        let reading =
            Reading { columns, dtype, null_labels, ignore_index, read_ahead, labels: true, logits: true };
        let mut reader = reading.reader(py, stream, &stop)?;
        let mut scorer = Scorer::new(held.settings().precision, threads).or_raise(py)?;
        // An error leaves the meter as it was: the work is done on a copy.
        let mut meter = held.clone();
        let mut observer = PyObserver::new(stop.clone(), progress);
        let by = super::scores::names(columns, "by")?;
        let done = py.detach(|| {
            let update = Update { reader: &mut reader, scorer: Some(&mut scorer), by: &by, last: r#final };
            meter.update(update, &mut observer)
        });
        if let Some(stopped) = stop.take() {
            return Err(stopped);
        }
        if let Err(error) = done {
            let partial = summary_of(py, &meter)?;
            return Err(in_profile(py, &error, meter.settings(), Some(partial)));
        }
        *held = meter;
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut held = self.lock(py)?;
        let mut meter = held.clone();
        if let Err(error) = meter.close() {
            let partial = summary_of(py, &meter)?;
            return Err(in_profile(py, &error, meter.settings(), Some(partial)));
        }
        *held = meter;
        Ok(())
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        let mut held = self.lock(py)?;
        *held = Inner::new(held.settings().clone());
        Ok(())
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(Self(Mutex::new(self.lock(py)?.clone())))
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        // A copy first, so that a meter can be merged with itself.
        let other = other.lock(py)?.clone();
        self.lock(py)?.merge(&other).or_raise(py)
    }

    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let held = self.lock(py)?;
        summary_of(py, &held)
    }

    fn warnings(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, String)>> {
        Ok(self.lock(py)?.warnings())
    }

    /// The stub's `Looks`.
    fn looks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let looks = self.lock(py)?.looks();
        let dict = PyDict::new(py);
        dict.set_item("num_compared", looks.compared)?;
        dict.set_item("fits", looks.fits)?;
        dict.set_item("num_rows", looks.rows)?;
        dict.set_item("num_logprobs", looks.logprobs)?;
        dict.set_item("num_probabilities", looks.probabilities)?;
        Ok(dict)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.lock(py)?.to_bytes().or_raise(py)?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        Ok(Self(Mutex::new(Inner::from_bytes(data).or_raise(py)?)))
    }
}

/// The stub's `Summary`.
pub(super) fn summary_of<'py>(py: Python<'py>, meter: &Inner) -> PyResult<Bound<'py, PyDict>> {
    let settings = Settings(meter.settings().clone()).to_dict(py)?;
    let summary = meter.summary();
    settings.set_item("selected_by", summary.selected_by(meter.settings()))?;
    summary::to_dict(py, &summary, &meter.warnings(), settings)
}
