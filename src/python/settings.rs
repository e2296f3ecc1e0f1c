//! The counting options, as a Python value.

use super::errors::OrRaise;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Precision;
use crate::settings::{Accuracy, NonFinite, OnShort, Pooling, Profile, Settings as Inner};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The counting options, checked once.
#[pyclass(frozen, module = "logitmeter._core")]
pub(super) struct Settings(pub(super) Inner);

fn unknown(option: &str, got: &str, known: &str) -> Error {
    Error::new(ErrorKind::Settings, format!("{option} is {got:?}; it can be {known}")).wanted(known, got)
}

/// A count that is not negative.
fn count(option: &str, value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| {
        Error::new(ErrorKind::Settings, format!("{option} is {value}; it must be at least 0"))
            .wanted(">= 0", value.to_string())
    })
}

pub(super) fn precision(name: &str) -> Result<Precision> {
    match name {
        "fast" => Ok(Precision::Fast),
        "exact" => Ok(Precision::Exact),
        other => Err(unknown("precision", other, "\"fast\" or \"exact\"")),
    }
}

fn on_short(name: &str) -> Result<OnShort> {
    match name {
        "raise" => Ok(OnShort::Raise),
        "count" => Ok(OnShort::Count),
        other => Err(unknown("on_short", other, "\"raise\" or \"count\"")),
    }
}

fn nonfinite(name: &str) -> Result<NonFinite> {
    match name {
        "raise" => Ok(NonFinite::Raise),
        "omit" => Ok(NonFinite::Omit),
        "propagate" => Ok(NonFinite::Propagate),
        other => Err(unknown("nonfinite", other, "\"raise\", \"omit\" or \"propagate\"")),
    }
}

fn pooling(name: &str) -> Result<Pooling> {
    match name {
        "tokens" => Ok(Pooling::Tokens),
        "sequences" => Ok(Pooling::Sequences),
        "batches" => Ok(Pooling::Batches),
        "samples" => Ok(Pooling::Samples),
        other => Err(unknown("pooling", other, "\"tokens\", \"sequences\", \"batches\" or \"samples\"")),
    }
}

fn accuracy(name: &str) -> Result<Accuracy> {
    match name {
        "tokens" => Ok(Accuracy::Tokens),
        "sequences" => Ok(Accuracy::Sequences),
        other => Err(unknown("accuracy", other, "\"tokens\" or \"sequences\"")),
    }
}

/// Bytes of 0 and 1, one an entry.
pub(super) fn vocab_mask(bytes: Option<&[u8]>) -> Option<std::sync::Arc<[bool]>> {
    bytes.map(|bytes| bytes.iter().map(|&byte| byte != 0).collect())
}

#[pymethods]
impl Settings {
    #[new]
    #[pyo3(signature = (*, ignore_index=-100, shift=false, leading=0, trailing=0, on_short="raise",
        hidden=true, valid_vocab=None, vocab_mask=None, nonfinite="raise",
        pooling="tokens", accuracy="tokens", precision="fast", profile=None),
        text_signature = "(*, ignore_index=-100, shift=False, leading=0, trailing=0, on_short='raise', \
        hidden=True, valid_vocab=None, vocab_mask=None, nonfinite='raise', pooling='tokens', accuracy='tokens', \
        precision='fast', profile=None)")]
    #[expect(clippy::too_many_arguments, reason = "one argument an option")]
    fn new(
        py: Python<'_>,
        ignore_index: i64,
        shift: bool,
        leading: i64,
        trailing: i64,
        on_short: &str,
        hidden: bool,
        valid_vocab: Option<i64>,
        vocab_mask: Option<&[u8]>,
        nonfinite: &str,
        pooling: &str,
        accuracy: &str,
        precision: &str,
        profile: Option<(String, String)>,
    ) -> PyResult<Self> {
        let settings = || -> Result<Inner> {
            Ok(Inner {
                ignore_index,
                shift,
                leading: count("leading", leading)?,
                trailing: count("trailing", trailing)?,
                on_short: self::on_short(on_short)?,
                hidden,
                valid_vocab: valid_vocab.map(|n| count("valid_vocab", n)).transpose()?,
                vocab_mask: self::vocab_mask(vocab_mask),
                nonfinite: self::nonfinite(nonfinite)?,
                pooling: self::pooling(pooling)?,
                accuracy: self::accuracy(accuracy)?,
                precision: self::precision(precision)?,
                profile: profile.map(|(name, source)| Profile { name, source }),
            })
        };
        settings().or_raise(py).map(Self)
    }

    /// Each option by its name.
    pub(super) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (s, dict) = (&self.0, PyDict::new(py));
        dict.set_item("ignore_index", s.ignore_index)?;
        dict.set_item("shift", s.shift)?;
        dict.set_item("leading", s.leading)?;
        dict.set_item("trailing", s.trailing)?;
        dict.set_item("on_short", s.on_short.name())?;
        dict.set_item("hidden", s.hidden)?;
        dict.set_item("valid_vocab", s.valid_vocab)?;
        let mask =
            s.vocab_mask.as_ref().map(|mask| mask.iter().map(|&bit| u8::from(bit)).collect::<Vec<u8>>());
        dict.set_item("vocab_mask", mask.map(|bytes| PyBytes::new(py, &bytes)))?;
        dict.set_item("nonfinite", s.nonfinite.name())?;
        dict.set_item("pooling", s.pooling.name())?;
        dict.set_item("accuracy", s.accuracy.name())?;
        dict.set_item("precision", s.precision.name())?;
        dict.set_item("profile", s.profile.as_ref().map(|profile| &profile.name))?;
        dict.set_item("profile_source", s.profile.as_ref().map(|profile| &profile.source))?;
        Ok(dict)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.fields().hash(&mut hasher);
        hasher.finish()
    }
}
