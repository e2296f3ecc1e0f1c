//! Summaries as the stub's dictionaries.

use crate::key::{GroupKey, Key};
use crate::tally::{PartSummary, Summary, TripleSummary};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The stub's `Summary`.
pub(super) fn to_dict<'py>(
    py: Python<'py>,
    summary: &Summary,
    warnings: &[(&'static str, String)],
    settings: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("total", triple(py, &summary.total)?)?;
    let groups: PyResult<Vec<_>> =
        summary.groups.iter().map(|(key, parts)| Ok((group(py, key)?, triple(py, parts)?))).collect();
    dict.set_item("groups", groups?)?;
    dict.set_item("by", &summary.by)?;
    dict.set_item("num_rows", summary.counts.rows)?;
    dict.set_item("num_runs", summary.counts.runs)?;
    dict.set_item("num_short_left", summary.counts.short_left)?;
    dict.set_item("num_short_right", summary.counts.short_right)?;
    dict.set_item("num_unscored", summary.counts.unscored)?;
    dict.set_item("num_nan_rows", summary.facts.nan_rows)?;
    dict.set_item("num_posinf_rows", summary.facts.posinf_rows)?;
    dict.set_item("num_neginf_labels", summary.facts.neginf_labels)?;
    dict.set_item("num_empty_rows", summary.facts.empty_rows)?;
    dict.set_item("hidden_label_ids", hidden_labels(py, summary)?)?;
    dict.set_item("elements", summary.elements.iter().map(|e| e.name()).collect::<Vec<_>>())?;
    dict.set_item("vocab_size", summary.vocab_size)?;
    dict.set_item("scored", summary.scored)?;
    dict.set_item("has_mask", summary.has_mask)?;
    dict.set_item("has_roles", summary.has_roles)?;
    dict.set_item("weighted", summary.weighted)?;
    dict.set_item("sequences_known", summary.sequences_known)?;
    dict.set_item("flags", &summary.total.whole.flags)?;
    // A small sample is no mistake of the caller's: it is reported, but no warning is issued.
    let warnings: Vec<_> = warnings.iter().cloned().chain(summary.caution()).collect();
    dict.set_item("warnings", warnings)?;
    dict.set_item("settings", settings)?;
    dict.set_item("numeric_version", crate::kernel::NUMERIC_VERSION)?;
    Ok(dict)
}

/// Label ids at hidden positions, with their counts.
pub(super) fn hidden_labels<'py>(py: Python<'py>, summary: &Summary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (label, count) in &summary.hidden_label_ids {
        dict.set_item(label, count)?;
    }
    Ok(dict)
}

fn triple<'py>(py: Python<'py>, parts: &TripleSummary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("whole", part(py, &parts.whole)?)?;
    dict.set_item("visible", part(py, &parts.visible)?)?;
    dict.set_item("hidden", part(py, &parts.hidden)?)?;
    Ok(dict)
}

fn part<'py>(py: Python<'py>, part: &PartSummary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("loss", part.loss)?;
    dict.set_item("loss_stderr", part.loss_stderr)?;
    dict.set_item("loss_stderr_naive", part.loss_stderr_naive)?;
    dict.set_item("loss_ci", part.loss_ci)?;
    dict.set_item("loss_bounds", part.loss_bounds)?;
    dict.set_item("perplexity", part.perplexity)?;
    dict.set_item("perplexity_ci", part.perplexity_ci)?;
    dict.set_item("perplexity_bounds", part.perplexity_bounds)?;
    dict.set_item("accuracy", part.accuracy)?;
    dict.set_item("accuracy_stderr", part.accuracy_stderr)?;
    dict.set_item("accuracy_stderr_naive", part.accuracy_stderr_naive)?;
    dict.set_item("accuracy_ci", part.accuracy_ci)?;
    dict.set_item("accuracy_bounds", part.accuracy_bounds)?;
    dict.set_item("accuracy_strict", part.accuracy_strict)?;
    dict.set_item("accuracy_optimistic", part.accuracy_optimistic)?;
    dict.set_item("mrr", part.mrr)?;
    dict.set_item("top_k_accuracy", &part.top_k_accuracy)?;
    dict.set_item("sequence_accuracy", part.sequence_accuracy)?;
    dict.set_item("num_tokens", part.num_tokens)?;
    dict.set_item("num_correct", part.num_correct)?;
    dict.set_item("num_sequences", part.num_sequences)?;
    dict.set_item("num_batches", part.num_batches)?;
    dict.set_item("effective_number", part.effective_number)?;
    dict.set_item("num_ties", part.num_ties)?;
    dict.set_item("num_invalid", part.num_invalid)?;
    dict.set_item("num_bounded", part.num_bounded)?;
    dict.set_item("num_unknown", part.num_unknown)?;
    dict.set_item("sum_weight", part.sum_weight)?;
    dict.set_item("flags", &part.flags)?;
    Ok(dict)
}

fn group<'py>(py: Python<'py>, key: &GroupKey) -> PyResult<Bound<'py, PyTuple>> {
    let values: PyResult<Vec<Bound<'py, PyAny>>> = key
        .iter()
        .map(|part| match part {
            None => Ok(py.None().into_bound(py)),
            Some(Key::Bool(x)) => Ok(x.into_pyobject(py)?.to_owned().into_any()),
            Some(Key::Int(x)) => Ok(x.into_pyobject(py)?.into_any()),
            Some(Key::Text(x)) => Ok(x.as_ref().into_pyobject(py)?.into_any()),
        })
        .collect();
    PyTuple::new(py, values?)
}
