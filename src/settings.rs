//! The counting options: checked once, a part of every state, compared before states merge.

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Precision;
use std::sync::Arc;

/// What to do with a run that misses some of its leading or trailing tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShort {
    /// An error at the nearest missing position.
    Raise,
    /// Count what exists, and report how many runs were short.
    Count,
}

/// What to do with a counted row that has no distribution (NaN, +inf, or nothing but -inf).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonFinite {
    /// An error at its position.
    Raise,
    /// Leave it out of loss, accuracy and token counts.
    Omit,
    /// Count it: its nll is NaN and it is not correct.
    Propagate,
}

/// What a null label means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullLabels {
    /// An error where it counts.
    Raise,
    /// The same as `ignore_index`.
    Ignore,
}

/// How tokens become one mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens.
    Tokens,
    /// The mean of the sequences' means.
    Sequences,
    /// The mean of the batches' means.
    Batches,
    /// The same, each batch weighing as many as it has sequences.
    Samples,
}

/// What accuracy is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accuracy {
    /// Tokens, pooled as the loss is.
    Tokens,
    /// Sequences, right where all their tokens are.
    Sequences,
}

/// A name for such settings, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Who counts so, and how that is known.
    pub source: String,
}

/// The counting options.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Labels of this value do not count.
    pub ignore_index: i64,
    /// The logits of position t predict the label of t + 1 in the same sequence.
    pub shift: bool,
    /// Hidden tokens before each run.
    pub leading: usize,
    /// Hidden tokens after each run.
    pub trailing: usize,
    /// Runs that miss some of these.
    pub on_short: OnShort,
    /// Whether hidden tokens count where roles say which tokens these are.
    pub hidden: bool,
    /// Only the first n entries of a row have a probability.
    pub valid_vocab: Option<usize>,
    /// Only entries that are true have a probability.
    pub vocab_mask: Option<Arc<[bool]>>,
    /// Rows without a distribution.
    pub nonfinite: NonFinite,
    /// Means of means.
    pub pooling: Pooling,
    /// The accuracy that is reported.
    pub accuracy: Accuracy,
    /// f32 lanes or f64.
    pub precision: Precision,
    /// What they are called. A profile selects by role where there are roles, else by its leading
    /// and trailing tokens; without a profile these exclude each other.
    pub profile: Option<Profile>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ignore_index: -100,
            shift: false,
            leading: 0,
            trailing: 0,
            on_short: OnShort::Raise,
            hidden: true,
            valid_vocab: None,
            vocab_mask: None,
            nonfinite: NonFinite::Raise,
            pooling: Pooling::Tokens,
            accuracy: Accuracy::Tokens,
            precision: Precision::Fast,
            profile: None,
        }
    }
}

impl OnShort {
    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Count => "count",
        }
    }
}

impl NonFinite {
    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Omit => "omit",
            Self::Propagate => "propagate",
        }
    }
}

impl Pooling {
    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Sequences => "sequences",
            Self::Batches => "batches",
            Self::Samples => "samples",
        }
    }

    /// Whether it needs to know the batches.
    #[must_use]
    pub const fn by_batch(self) -> bool {
        matches!(self, Self::Batches | Self::Samples)
    }
}

impl Accuracy {
    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Sequences => "sequences",
        }
    }
}

impl Precision {
    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Exact => "exact",
        }
    }
}

impl Settings {
    /// Each option as its name and its value in words; what reports print and comparisons list.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mask = self.vocab_mask.as_ref().map_or_else(
            || "none".to_owned(),
            |mask| {
                let allowed = mask.iter().filter(|&&bit| bit).count();
                format!("{allowed} of {} entries allowed", mask.len())
            },
        );
        let valid = self.valid_vocab.map_or_else(|| "all".to_owned(), |n| n.to_string());
        vec![
            ("ignore_index", self.ignore_index.to_string()),
            ("shift", self.shift.to_string()),
            ("leading", self.leading.to_string()),
            ("trailing", self.trailing.to_string()),
            ("on_short", self.on_short.name().to_owned()),
            ("hidden", self.hidden.to_string()),
            ("valid_vocab", valid),
            ("vocab_mask", mask),
            ("nonfinite", self.nonfinite.name().to_owned()),
            ("pooling", self.pooling.name().to_owned()),
            ("accuracy", self.accuracy.name().to_owned()),
            ("precision", self.precision.name().to_owned()),
            ("profile", self.profile.as_ref().map_or("none", |profile| &profile.name).to_owned()),
            ("profile_source", self.profile.as_ref().map_or("none", |profile| &profile.source).to_owned()),
        ]
    }

    /// Whether a figure of theirs needs to know the sequences.
    #[must_use]
    pub fn by_sequence(&self) -> bool {
        let pooled = matches!(self.pooling, Pooling::Sequences | Pooling::Samples);
        pooled || self.accuracy == Accuracy::Sequences
    }

    /// Nothing if one read of a stream serves both: they must agree in how a row is read.
    ///
    /// # Errors
    /// A settings error that names the option that differs.
    pub fn readable_with(&self, other: &Self) -> Result<()> {
        let differs = [
            ("ignore_index", self.ignore_index != other.ignore_index),
            ("shift", self.shift != other.shift),
            ("valid_vocab", self.valid_vocab != other.valid_vocab),
            ("vocab_mask", self.vocab_mask != other.vocab_mask),
            ("precision", self.precision != other.precision),
        ];
        let Some((name, _)) = differs.into_iter().find(|(_, differs)| *differs) else { return Ok(()) };
        let message =
            format!("profiles that share one read must agree in {name}, which says how rows are read");
        let value = |settings: &Self| {
            settings.fields().into_iter().find(|(field, _)| *field == name).map_or_else(String::new, |f| f.1)
        };
        Err(Error::new(ErrorKind::Settings, message).wanted(value(self), value(other)))
    }

    /// Nothing if both are equal.
    ///
    /// # Errors
    /// A state-version error that lists each option that differs.
    pub fn same_as(&self, other: &Self) -> Result<()> {
        if self == other {
            return Ok(());
        }
        let differ: Vec<String> = self
            .fields()
            .into_iter()
            .zip(other.fields())
            .filter(|(a, b)| a != b)
            .map(|(a, b)| format!("{}: {} here, {} there", a.0, a.1, b.1))
            .collect();
        let differ = if differ.is_empty() { "vocab_mask".to_owned() } else { differ.join("; ") };
        Err(Error::new(ErrorKind::StateVersion, format!("states of different settings: {differ}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let a = Settings { trailing: 2, ..Settings::default() };
        let b = Settings { trailing: 1, shift: true, ..Settings::default() };
        let message = a.same_as(&b).map_err(|e| e.message().to_owned());
        assert_eq!(
            message,
            Err("states of different settings: shift: false here, true there; trailing: 2 here, 1 there"
                .to_owned())
        );
        let masked = |bits: &[bool]| Settings { vocab_mask: Some(bits.into()), ..Settings::default() };
        assert!(masked(&[true, false]).same_as(&masked(&[false, true])).is_err());
        assert!(a.same_as(&a.clone()).is_ok());
    }
}
