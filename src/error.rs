//! What can go wrong: one enum of kinds, one record of what, where, expected and got.

use std::fmt;

/// What kind of thing is wrong; each has one exception class in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Shapes or lengths that do not fit together.
    Shape,
    /// An element type that cannot be used, or that must be stated.
    DType,
    /// A label, mask value, weight or group that cannot be used at its position.
    Label,
    /// A run that misses some of its leading or trailing tokens.
    ShortRun,
    /// A sequence id that is null, or that comes back after its sequence ended.
    Sequence,
    /// Options that contradict each other, or that are out of range.
    Settings,
    /// A counted row holding NaN, +inf, null, or nothing but -inf.
    NonFinite,
    /// Bytes that are damaged, cut short or not what they claim to be.
    Corrupt,
    /// A state of another version, or of other settings.
    StateVersion,
    /// The stream of batches failed; the message is the stream's own.
    Stream,
    /// The caller asked to stop.
    Cancelled,
    /// A worker died: a bug in this crate, reported rather than hidden.
    Internal,
}

/// An error: what, where, expected and got.
#[derive(Debug, Clone, PartialEq)]
pub struct Error(Box<Details>);

#[derive(Debug, Clone, PartialEq)]
struct Details {
    kind: ErrorKind,
    message: String,
    position: Option<i64>,
    row: Option<i64>,
    expected: Option<String>,
    got: Option<String>,
}

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind, without a place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            position: None,
            row: None,
            expected: None,
            got: None,
        }))
    }

    /// The same at a label position and the row of logits that scores it.
    #[must_use]
    pub fn at(mut self, position: i64, row: Option<i64>) -> Self {
        self.0.position = Some(position);
        self.0.row = row;
        self
    }

    /// The same, saying what was wanted and what was found.
    #[must_use]
    pub fn wanted(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self.0.got = Some(got.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The label's position, counted over the whole input.
    #[must_use]
    pub fn position(&self) -> Option<i64> {
        self.0.position
    }

    /// The row of logits, counted over the whole input.
    #[must_use]
    pub fn row(&self) -> Option<i64> {
        self.0.row
    }

    /// What was wanted.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }

    /// What was found.
    #[must_use]
    pub fn got(&self) -> Option<&str> {
        self.0.got.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}
