//! Results as an Arrow stream that is computed while it is read.

use super::errors::exception;
use super::observer::{PyObserver, Stop};
use crate::error::{Error, ErrorKind, Result};
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader};
use std::sync::{Arc, Mutex};

/// Something that gives batches one after the other.
pub(super) trait Pull: Send {
    /// The next batch; `None` at the end.
    fn pull(&mut self, observer: &mut PyObserver) -> Result<Option<RecordBatch>>;
}

/// What went wrong while a stream was read through Arrow, which carries text alone.
type Slot = Arc<Mutex<Option<PyErr>>>;

/// A one-shot Arrow stream of results.
#[pyclass(frozen, module = "logitmeter._core")]
pub(super) struct ScoreStream {
    schema: SchemaRef,
    pull: Mutex<Option<Puller>>,
    error: Slot,
}

struct Puller {
    schema: SchemaRef,
    inner: Box<dyn Pull>,
    observer: PyObserver,
    error: Slot,
    ended: bool,
}

impl ScoreStream {
    pub(super) fn new(schema: SchemaRef, inner: Box<dyn Pull>, stop: Stop) -> Self {
        let error = Slot::default();
        let puller = Puller {
            schema: SchemaRef::clone(&schema),
            inner,
            observer: PyObserver::new(stop, None),
            error: Slot::clone(&error),
            ended: false,
        };
        Self { schema, pull: Mutex::new(Some(puller)), error }
    }

    fn consumed(py: Python<'_>) -> PyErr {
        let message = "this stream has been read already, or is being read: it can be read once";
        exception(py, &Error::new(ErrorKind::Settings, message), None)
    }
}

impl Puller {
    /// The next batch; an error ends the stream and stays in its slot.
    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        let pulled = self.inner.pull(&mut self.observer);
        self.ended = !matches!(pulled, Ok(Some(_)));
        if let Err(error) = &pulled {
            let raised = self.observer.stop.take();
            let raised = raised.unwrap_or_else(|| Python::attach(|py| exception(py, error, None)));
            if let Ok(mut slot) = self.error.lock() {
                *slot = Some(raised);
            }
        }
        pulled
    }
}

impl Iterator for Puller {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pull().map_err(|error| ArrowError::ExternalError(Box::new(error))).transpose()
    }
}

impl RecordBatchReader for Puller {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

#[pymethods]
impl ScoreStream {
    #[pyo3(signature = (requested_schema=None, /))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let puller = self.pull.try_lock().ok().and_then(|mut slot| slot.take());
        let puller = puller.ok_or_else(|| Self::consumed(py))?;
        let reader = Bound::new(py, PyRecordBatchReader::new(Box::new(puller)))?;
        reader.call_method1("__arrow_c_stream__", (requested_schema,))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(pyo3_arrow::ffi::to_schema_pycapsule(py, self.schema.as_ref())?)
    }

    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<PyRecordBatch>> {
        let mut slot = self.pull.try_lock().map_err(|_| Self::consumed(py))?;
        let puller = slot.as_mut().ok_or_else(|| Self::consumed(py))?;
        let pulled = py.detach(|| puller.pull());
        match pulled {
            Ok(batch) => Ok(batch.map(PyRecordBatch::new)),
            Err(error) => Err(self.error(py).unwrap_or_else(|| exception(py, &error, None))),
        }
    }

    #[getter(error)]
    fn error_value(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.error(py).map(|error| error.into_value(py).into_any())
    }
}

impl ScoreStream {
    fn error(&self, py: Python<'_>) -> Option<PyErr> {
        self.error.lock().ok()?.as_ref().map(|error| error.clone_ref(py))
    }
}
