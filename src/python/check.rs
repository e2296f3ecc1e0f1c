//! Labels and selection without logits.

use super::errors::{OrRaise, in_profile};
use super::observer::{PyObserver, Stop};
use super::reading::Reading;
use super::settings::Settings;
use super::summary::hidden_labels;
use crate::meter::{Meter, Update, update_all};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyRecordBatchReader;

/// Decides which tokens count, from a stream that holds no logits; once for each of the settings.
#[pyfunction]
#[pyo3(signature = (stream, settings, *, columns, vocab_size=None, null_labels="raise"))]
#[expect(clippy::needless_pass_by_value, reason = "what pyo3 makes of a list")]
pub(super) fn check<'py>(
    py: Python<'py>,
    stream: PyRecordBatchReader,
    settings: Vec<PyRef<'_, Settings>>,
    columns: &Bound<'_, PyDict>,
    vocab_size: Option<usize>,
    null_labels: &str,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let Some(first) = settings.first() else { return Ok(Vec::new()) };
    let stop = Stop::default();
    let reading = Reading {
        columns,
        dtype: None,
        null_labels,
        ignore_index: first.0.ignore_index,
        read_ahead: false,
        labels: true,
        logits: false,
    };
    let mut reader = reading.reader(py, stream, &stop)?;
    let by = super::scores::names(columns, "by")?;
    let known = reader.id_type().is_some();
    let mut meters: Vec<Meter> = settings.iter().map(|settings| Meter::new(settings.0.clone())).collect();
    if let Some(columns) = vocab_size {
        meters.iter_mut().try_for_each(|meter| meter.set_vocab(columns)).or_raise(py)?;
    }
    let mut observer = PyObserver::new(stop.clone(), None);
    let done = py.detach(|| {
        let update = Update { reader: &mut reader, scorer: None, by: &by, last: true };
        update_all(&mut meters, update, &mut observer)
    });
    if let Some(stopped) = stop.take() {
        return Err(stopped);
    }
    done.map_err(|failed| in_profile(py, &failed.error, meters[failed.meter].settings(), None))?;
    meters.iter().map(|meter| counts(py, meter, known)).collect()
}

/// The stub's `CheckCounts`.
fn counts<'py>(py: Python<'py>, meter: &Meter, known: bool) -> PyResult<Bound<'py, PyDict>> {
    let summary = meter.summary();
    let dict = PyDict::new(py);
    dict.set_item("num_rows", summary.counts.rows)?;
    dict.set_item("num_visible", summary.total.visible.num_tokens)?;
    dict.set_item("num_hidden", summary.total.hidden.num_tokens)?;
    dict.set_item("num_runs", summary.counts.runs)?;
    dict.set_item("num_sequences", summary.total.whole.num_sequences)?;
    dict.set_item("sequences_known", known)?;
    dict.set_item("num_short_left", summary.counts.short_left)?;
    dict.set_item("num_short_right", summary.counts.short_right)?;
    dict.set_item("num_unscored", summary.counts.unscored)?;
    dict.set_item("hidden_label_ids", hidden_labels(py, &summary)?)?;
    dict.set_item("warnings", meter.warnings())?;
    Ok(dict)
}
