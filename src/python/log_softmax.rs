//! Log-softmax rows and the k best entries.

use super::buffer::Output;
use super::errors::OrRaise;
use super::observer::{PyObserver, Stop};
use super::reading::Reading;
use super::settings::{precision as precision_of, vocab_mask as mask_of};
use super::stream::{Pull, ScoreStream};
use crate::error::{Error, ErrorKind, Result};
use crate::scoring::Scorer;
use crate::sinks::rows::{RowReader, log_softmax_schema, top_k_schema};
use arrow_array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyRecordBatchReader;

/// What the three functions share.
struct Options<'a, 'py> {
    columns: &'a Bound<'py, PyDict>,
    dtype: Option<&'a str>,
    valid_vocab: Option<usize>,
    vocab_mask: Option<&'a [u8]>,
    nonfinite: &'a str,
    precision: &'a str,
    threads: usize,
    read_ahead: bool,
}

impl Options<'_, '_> {
    fn rows(&self, py: Python<'_>, stream: PyRecordBatchReader, stop: &Stop) -> PyResult<RowReader> {
        let reading = Reading {
            columns: self.columns,
            dtype: self.dtype,
            null_labels: "raise",
            ignore_index: 0,
            read_ahead: self.read_ahead,
            labels: false,
            logits: true,
        };
        let reader = reading.reader(py, stream, stop)?;
        let rest = || -> Result<(bool, Scorer)> {
            let raise = match self.nonfinite {
                "raise" => true,
                "propagate" => false,
                other => {
                    let known = "\"raise\" or \"propagate\"";
                    let message = format!("nonfinite is {other:?}; here it can be {known}");
                    return Err(Error::new(ErrorKind::Settings, message).wanted(known, other));
                }
            };
            Ok((raise, Scorer::new(precision_of(self.precision)?, self.threads)?))
        };
        let (raise, scorer) = rest().or_raise(py)?;
        Ok(RowReader::new(reader, scorer, self.valid_vocab, mask_of(self.vocab_mask), raise))
    }
}

struct Softmax {
    rows: RowReader,
    wide: bool,
}

impl Pull for Softmax {
    fn pull(&mut self, observer: &mut PyObserver) -> Result<Option<RecordBatch>> {
        self.rows.log_softmax(self.wide, observer)
    }
}

struct Best {
    rows: RowReader,
    k: usize,
}

impl Pull for Best {
    fn pull(&mut self, observer: &mut PyObserver) -> Result<Option<RecordBatch>> {
        self.rows.top_k(self.k, observer)
    }
}

/// Log-softmax as a stream.
#[pyfunction]
#[pyo3(signature = (stream, *, columns, dtype=None, out_dtype=None, valid_vocab=None, vocab_mask=None,
    nonfinite="raise", precision="fast", threads=1, read_ahead=false))]
#[expect(clippy::too_many_arguments, reason = "one argument an option")]
pub(super) fn log_softmax(
    py: Python<'_>,
    stream: PyRecordBatchReader,
    columns: &Bound<'_, PyDict>,
    dtype: Option<&str>,
    out_dtype: Option<&str>,
    valid_vocab: Option<usize>,
    vocab_mask: Option<&[u8]>,
    nonfinite: &str,
    precision: &str,
    threads: usize,
    read_ahead: bool,
) -> PyResult<ScoreStream> {
    let options =
        Options { columns, dtype, valid_vocab, vocab_mask, nonfinite, precision, threads, read_ahead };
    let stop = Stop::default();
    let mut rows = options.rows(py, stream, &stop)?;
    // The length of rows, and so the schema, may be known only from the first batch.
    let (size, wide) = py.detach(|| rows.look()).or_raise(py)?;
    let wide = match out_dtype {
        None => wide,
        Some("float32") => false,
        Some("float64") => true,
        Some(other) => {
            let message = format!("dtype is {other:?}; log_softmax gives float32 or float64");
            return Err(Error::new(ErrorKind::DType, message)).or_raise(py);
        }
    };
    Ok(ScoreStream::new(log_softmax_schema(size, wide), Box::new(Softmax { rows, wide }), stop))
}

/// Log-softmax into an array.
#[pyfunction]
#[pyo3(signature = (stream, out, *, columns, dtype=None, valid_vocab=None, vocab_mask=None,
    nonfinite="raise", precision="fast", threads=1, read_ahead=false))]
#[expect(clippy::too_many_arguments, reason = "one argument an option")]
pub(super) fn log_softmax_into(
    py: Python<'_>,
    stream: PyRecordBatchReader,
    out: &Bound<'_, PyAny>,
    columns: &Bound<'_, PyDict>,
    dtype: Option<&str>,
    valid_vocab: Option<usize>,
    vocab_mask: Option<&[u8]>,
    nonfinite: &str,
    precision: &str,
    threads: usize,
    read_ahead: bool,
) -> PyResult<()> {
    let options =
        Options { columns, dtype, valid_vocab, vocab_mask, nonfinite, precision, threads, read_ahead };
    let stop = Stop::default();
    let mut rows = options.rows(py, stream, &stop)?;
    let mut observer = PyObserver::new(stop.clone(), None);
    let done = if let Some(mut out) = Output::<f32>::get(out) {
        let out = out.as_mut_slice().or_raise(py)?;
        py.detach(|| fill(|| rows.log_softmax_into(out, &mut observer)))
    } else if let Some(mut out) = Output::<f64>::get(out) {
        let out = out.as_mut_slice().or_raise(py)?;
        py.detach(|| fill(|| rows.log_softmax_into(out, &mut observer)))
    } else {
        Err(Error::new(ErrorKind::DType, "the output must be an array of float32 or float64"))
    };
    if let Some(stopped) = stop.take() {
        return Err(stopped);
    }
    done.or_raise(py)
}

fn fill(mut piece: impl FnMut() -> Result<bool>) -> Result<()> {
    while piece()? {}
    Ok(())
}

/// The k best entries of each row.
#[pyfunction]
#[pyo3(signature = (stream, k, *, columns, dtype=None, valid_vocab=None, vocab_mask=None,
    nonfinite="raise", precision="fast", threads=1, read_ahead=false))]
#[expect(clippy::too_many_arguments, reason = "one argument an option")]
pub(super) fn top_k(
    py: Python<'_>,
    stream: PyRecordBatchReader,
    k: usize,
    columns: &Bound<'_, PyDict>,
    dtype: Option<&str>,
    valid_vocab: Option<usize>,
    vocab_mask: Option<&[u8]>,
    nonfinite: &str,
    precision: &str,
    threads: usize,
    read_ahead: bool,
) -> PyResult<ScoreStream> {
    let options =
        Options { columns, dtype, valid_vocab, vocab_mask, nonfinite, precision, threads, read_ahead };
    let stop = Stop::default();
    let rows = options.rows(py, stream, &stop)?;
    let size = i32::try_from(k)?;
    Ok(ScoreStream::new(top_k_schema(size), Box::new(Best { rows, k }), stop))
}
