//! Scores a token and a sequence, as streams.

use super::errors::OrRaise;
use super::observer::{PyObserver, Stop};
use super::reading::Reading;
use super::settings::Settings;
use super::stream::{Pull, ScoreStream};
use crate::arrow::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::key::GroupTable;
use crate::pipeline::{Carry, Pipeline, Portion, Read, Scored};
use crate::scoring::Scorer;
use crate::selection::RowNumbers;
use crate::settings::{NonFinite, Settings as Counting};
use crate::sinks::sequences::SequenceSink;
use crate::sinks::tokens::TokenSink;
use arrow_array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyRecordBatchReader;

/// A list of names in the columns' mapping.
pub(super) fn names(columns: &Bound<'_, PyDict>, key: &str) -> PyResult<Vec<String>> {
    columns.get_item(key)?.map_or(Ok(Vec::new()), |value| value.extract())
}

/// The line with everything that it borrows, and a sink at its end.
struct Scores<S> {
    reader: Reader,
    carry: Carry,
    groups: GroupTable,
    scorer: Scorer,
    settings: Counting,
    read: Read,
    sink: S,
    finished: bool,
    failure: Option<Error>,
}

/// A sink that makes batches.
trait Sink: Send {
    fn push(&mut self, scored: &mut Scored) -> Result<RecordBatch>;
}

impl Sink for TokenSink {
    fn push(&mut self, scored: &mut Scored) -> Result<RecordBatch> {
        Self::push(self, scored)
    }
}

impl Sink for SequenceSink {
    fn push(&mut self, scored: &mut Scored) -> Result<RecordBatch> {
        Self::push(self, scored)
    }
}

impl<S: Sink> Scores<S> {
    /// The tokens of one piece, or of the end; `None` behind it.
    fn scored(&mut self, observer: &mut PyObserver) -> Result<Option<Scored>> {
        if self.finished {
            return Ok(None);
        }
        let portion = Portion::read(&mut self.reader, &mut self.groups, &mut self.read, observer)?;
        if let Some(mut portion) = portion {
            let scorer = Some(&mut self.scorer);
            let mut line = Pipeline::new(&self.reader, &mut self.carry, scorer, &self.settings);
            return line.advance(&mut portion, observer).map(Some);
        }
        self.finished = true;
        self.carry.finish(&self.settings).map(Some)
    }
}

impl<S: Sink> Pull for Scores<S> {
    fn pull(&mut self, observer: &mut PyObserver) -> Result<Option<RecordBatch>> {
        // What was decided before an error is handed out first.
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        loop {
            let Some(mut scored) = self.scored(observer)? else { return Ok(None) };
            let batch = self.sink.push(&mut scored)?;
            self.failure = scored.failure;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
        }
    }
}

/// Scores of tokens.
#[pyfunction]
#[pyo3(signature = (stream, settings, *, columns, dtype=None, null_labels="raise", threads=1,
    read_ahead=false, rows="counted"))]
#[expect(clippy::too_many_arguments, reason = "one argument an option")]
pub(super) fn token_scores(
    py: Python<'_>,
    stream: PyRecordBatchReader,
    settings: &Settings,
    columns: &Bound<'_, PyDict>,
    dtype: Option<&str>,
    null_labels: &str,
    threads: usize,
    read_ahead: bool,
    rows: &str,
) -> PyResult<ScoreStream> {
    let all = match rows {
        "counted" => false,
        "all" => true,
        other => {
            let message = format!("rows is {other:?}; it can be \"counted\" or \"all\"");
            return Err(Error::new(ErrorKind::Settings, message)).or_raise(py);
        }
    };
    let reading = of(settings, columns, dtype, null_labels, read_ahead);
    let stop = Stop::default();
    let reader = reading.reader(py, stream, &stop)?;
    let rows = RowNumbers { shift: settings.0.shift, period: reader.row_period() };
    let omit = settings.0.nonfinite == NonFinite::Omit;
    let sink = TokenSink::new(reader.keep_schema(), all, rows, omit, reader.has_scores());
    let schema = sink.schema().clone();
    let scores = line(reader, settings, threads, sink).or_raise(py)?;
    Ok(ScoreStream::new(schema, Box::new(scores), stop))
}

/// Scores of sequences.
#[pyfunction]
#[pyo3(signature = (stream, settings, *, columns, dtype=None, null_labels="raise", threads=1, read_ahead=false))]
#[expect(clippy::too_many_arguments, reason = "one argument an option")]
pub(super) fn sequence_scores(
    py: Python<'_>,
    stream: PyRecordBatchReader,
    settings: &Settings,
    columns: &Bound<'_, PyDict>,
    dtype: Option<&str>,
    null_labels: &str,
    threads: usize,
    read_ahead: bool,
) -> PyResult<ScoreStream> {
    let reading = of(settings, columns, dtype, null_labels, read_ahead);
    let stop = Stop::default();
    let reader = reading.reader(py, stream, &stop)?;
    let sink = SequenceSink::new(reader.id_type(), settings.0.nonfinite);
    let schema = sink.schema().clone();
    let scores = line(reader, settings, threads, sink).or_raise(py)?;
    Ok(ScoreStream::new(schema, Box::new(scores), stop))
}

fn of<'a, 'py>(
    settings: &Settings,
    columns: &'a Bound<'py, PyDict>,
    dtype: Option<&'a str>,
    null_labels: &'a str,
    read_ahead: bool,
) -> Reading<'a, 'py> {
    let ignore_index = settings.0.ignore_index;
    Reading { columns, dtype, null_labels, ignore_index, read_ahead, labels: true, logits: true }
}

fn line<S: Sink>(reader: Reader, settings: &Settings, threads: usize, sink: S) -> Result<Scores<S>> {
    Ok(Scores {
        reader,
        carry: Carry::new(&settings.0),
        groups: GroupTable::default(),
        scorer: Scorer::new(settings.0.precision, threads)?,
        settings: settings.0.clone(),
        read: Read::default(),
        sink,
        finished: false,
        failure: None,
    })
}
