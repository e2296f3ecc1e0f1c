//! How a call reads its stream: columns, element type, read-ahead.

use super::errors::OrRaise;
use super::observer::Stop;
use crate::arrow::{Choice, Columns, Layout, Reader, ScoreParts};
use crate::element::Element;
use crate::error::{Error, ErrorKind};
use crate::settings::NullLabels;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyRecordBatchReader;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    let name = |name: &str| -> PyResult<Option<String>> {
        given.get_item(name)?.map_or(Ok(None), |value| value.extract())
    };
    let names = |name: &str| -> PyResult<Vec<String>> {
        given.get_item(name)?.map_or(Ok(Vec::new()), |value| value.extract())
    };
    Ok(Columns {
        logits: choice("logits")?,
        scores: scores(given)?,
        vocab_size: given.get_item("vocab_size")?.map_or(Ok(None), |value| value.extract())?,
        labels: choice("labels")?,
        mask: choice("mask")?,
        weight: choice("weight")?,
        sequence_id: choice("sequence_id")?,
        scope: name("scope")?,
        role: name("role")?,
        batch_id: name("batch_id")?,
        scope_ends_batch: given.get_item("scope_ends_batch")?.map_or(Ok(false), |value| value.extract())?,
        by: names("by")?,
        keep: names("keep")?,
    })
}

/// The columns of scores, if the stream holds those in place of logits.
fn scores(given: &Bound<'_, PyDict>) -> PyResult<Option<ScoreParts<String>>> {
    let name = |part: &str| -> PyResult<Option<String>> {
        given.get_item(part)?.map_or(Ok(None), |value| value.extract())
    };
    let Some(nll) = name("nll")? else { return Ok(None) };
    Ok(Some(ScoreParts {
        nll,
        nll_high: name("nll_high")?,
        rank: name("rank")?,
        rank_high: name("rank_high")?,
        greater: name("greater")?,
        ties: name("ties")?,
        lse: name("lse")?,
    }))
}

/// A stream read on a thread of its own, one batch ahead, so that reading and scoring overlap.
///
/// The thread ends when it cannot hand over its batch. One that is slow to end is not waited for,
/// so that Ctrl-C is answered at once, but it may still hold Python's objects: before the
/// interpreter is gone, [`join_readers`] waits for it.
struct ReadAhead {
    schema: SchemaRef,
    batches: Option<Receiver<Result<RecordBatch, ArrowError>>>,
    thread: Option<JoinHandle<()>>,
    stop: Stop,
}

/// Threads that were slow to end.
static SLOW: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());
/// How long a call waits for its reader, and the interpreter's exit for all that are left.
const PATIENCE: Duration = Duration::from_millis(50);
const LAST_PATIENCE: Duration = Duration::from_secs(2);

impl ReadAhead {
    fn new(stream: Stream, stop: Stop) -> PyResult<Self> {
        let schema = stream.schema();
        // No room: the thread holds the one batch that is ahead.
        let (sender, batches) = sync_channel(0);
        let thread = std::thread::Builder::new().name("logitmeter-read".to_owned()).spawn(move || {
            for batch in stream {
                if sender.send(batch).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { schema, batches: Some(batches), thread: Some(thread), stop })
    }
}

impl Iterator for ReadAhead {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.batches.as_ref()?;
        loop {
            match batches.recv_timeout(Duration::from_millis(50)) {
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

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // Without a receiver the thread cannot send.
        self.batches = None;
        let Some(thread) = self.thread.take() else { return };
        if ended(&[&thread], PATIENCE) {
            return;
        }
        if let Ok(mut slow) = SLOW.lock() {
            slow.retain(|thread| !thread.is_finished());
            slow.push(thread);
        }
    }
}

/// Waits, with the interpreter let go of, until the threads have ended or the time is up.
fn ended(threads: &[&JoinHandle<()>], patience: Duration) -> bool {
    let start = Instant::now();
    let done = || threads.iter().all(|thread| thread.is_finished());
    Python::attach(|py| {
        py.detach(|| {
            while !done() && start.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
            done()
        })
    })
}

/// Runs when the interpreter exits.
#[pyfunction]
pub(super) fn join_readers() {
    let slow = SLOW.lock().map(|mut slow| std::mem::take(&mut *slow)).unwrap_or_default();
    ended(&slow.iter().collect::<Vec<_>>(), LAST_PATIENCE);
}
