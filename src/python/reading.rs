//! How a call reads its stream: columns, element type, read-ahead.

use super::errors::OrRaise;
use super::observer::Stop;
use crate::arrow::{Choice, Columns, Layout, Reader};
use crate::element::Element;
use crate::error::{Error, ErrorKind};
use crate::settings::NullLabels;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyRecordBatchReader;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

type Stream = Box<dyn RecordBatchReader + Send>;

/// What a call says of its stream.
pub(super) struct Reading<'a, 'py> {
    pub(super) columns: &'a Bound<'py, PyDict>,
    pub(super) dtype: Option<&'a str>,
    pub(super) null_labels: &'a str,
    pub(super) ignore_index: i64,
    pub(super) read_ahead: bool,
    pub(super) labels: bool,
    pub(super) logits: bool,
}

impl Reading<'_, '_> {
    /// A reader over the stream.
    pub(super) fn reader(
        &self,
        py: Python<'_>,
        stream: PyRecordBatchReader,
        stop: &Stop,
    ) -> PyResult<Reader> {
        let layout = Layout {
            columns: columns(self.columns)?,
            element: self.element().or_raise(py)?,
            null_labels: self.null_labels().or_raise(py)?,
            ignore_index: self.ignore_index,
            labels: self.labels,
            logits: self.logits,
            row_period: self.columns.get_item("row_period")?.map_or(Ok(None), |value| value.extract())?,
        };
        let mut stream = stream.into_reader()?;
        if self.read_ahead {
            stream = Box::new(ReadAhead::new(stream, stop.clone())?);
        }
        Reader::new(stream, layout).or_raise(py)
    }

    fn element(&self) -> crate::error::Result<Option<Element>> {
        let unknown = |name: &str| {
            Error::new(
                ErrorKind::DType,
                format!("dtype {name:?} is not float64, float32, float16 or bfloat16"),
            )
        };
        self.dtype.map(|name| Element::from_name(name).ok_or_else(|| unknown(name))).transpose()
    }

    fn null_labels(&self) -> crate::error::Result<NullLabels> {
        match self.null_labels {
            "raise" => Ok(NullLabels::Raise),
            "ignore" => Ok(NullLabels::Ignore),
            other => Err(Error::new(ErrorKind::Settings, format!("null_labels is {other:?}"))
                .wanted("\"raise\" or \"ignore\"", other)),
        }
    }
}

/// The mapping of the stub's `Columns`.
fn columns(given: &Bound<'_, PyDict>) -> PyResult<Columns> {
    let choice = |name: &str| -> PyResult<Choice> {
        Ok(match given.get_item(name)? {
            None => Choice::Canonical,
            Some(value) if value.is_none() => Choice::Absent,
            Some(value) => Choice::Named(value.extract()?),
        })
    };
    let names = |name: &str| -> PyResult<Vec<String>> {
        given.get_item(name)?.map_or(Ok(Vec::new()), |value| value.extract())
    };
    Ok(Columns {
        logits: choice("logits")?,
        labels: choice("labels")?,
        mask: choice("mask")?,
        weight: choice("weight")?,
        sequence_id: choice("sequence_id")?,
        scope: given.get_item("scope")?.map_or(Ok(None), |value| value.extract())?,
        by: names("by")?,
        keep: names("keep")?,
    })
}

/// A stream read on a thread of its own, one batch ahead, so that reading and scoring overlap.
///
/// The thread is let go of, not waited for: it ends when it cannot hand over its batch.
struct ReadAhead {
    schema: SchemaRef,
    batches: Receiver<Result<RecordBatch, ArrowError>>,
    stop: Stop,
}

impl ReadAhead {
    fn new(stream: Stream, stop: Stop) -> PyResult<Self> {
        let schema = stream.schema();
        // No room: the thread holds the one batch that is ahead.
        let (sender, batches) = sync_channel(0);
        std::thread::Builder::new().name("logitmeter-read".to_owned()).spawn(move || {
            for batch in stream {
                if sender.send(batch).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { schema, batches, stop })
    }
}

impl Iterator for ReadAhead {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.batches.recv_timeout(Duration::from_millis(50)) {
                Ok(batch) => return Some(batch),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.stop.check_signals() {
                        return Some(Err(ArrowError::ExternalError(Box::new(error))));
                    }
                }
            }
        }
    }
}

impl RecordBatchReader for ReadAhead {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}
