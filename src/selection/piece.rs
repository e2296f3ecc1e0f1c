//! A piece of the input: its columns, decoded, but for the logits.

use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::rows::Vocab;

/// A label as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A token id, perhaps beyond the vocabulary.
    Id(u32),
    /// `ignore_index`, or a null that is to be ignored.
    Ignored,
    /// Null: an error where it counts.
    Null,
    /// A negative number that is not `ignore_index`, or one beyond any vocabulary.
    Other(i64),
    /// An unsigned number beyond any vocabulary.
    Large(u64),
}

/// What a mask or a role says of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// There is neither.
    Absent,
    /// Visible: inside a reply.
    Yes,
    /// Outside.
    No,
    /// A hidden token, by role.
    Hidden,
    /// Null: always an error.
    Null,
    /// Another value: always an error.
    Other(Key),
}

/// Columns of consecutive positions.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Labels.
    pub labels: Vec<Label>,
    /// The mask, or the roles in its place.
    pub marks: Option<Vec<Mark>>,
    /// Whether these are roles.
    pub by_role: bool,
    /// Weights; null is NaN.
    pub weight: Option<Vec<f64>>,
    /// Where the id differs from the position before it, each null, and always the first position.
    pub ids: Option<Vec<(usize, Option<Key>)>>,
    /// The same of the scope, whose change ends a sequence and the comparison of ids.
    pub scopes: Option<Vec<(usize, i64)>>,
    /// The same of the batch.
    pub batches: Option<Vec<(usize, Option<Key>)>>,
    /// Whether a batch ends with its scope.
    pub scope_ends_batch: bool,
    /// Numbers of groups.
    pub groups: Option<Vec<u32>>,
}

impl Piece {
    /// How many positions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub(super) fn mark(&self, i: usize) -> &Mark {
        self.marks.as_ref().map_or(&Mark::Absent, |marks| &marks[i])
    }

    /// 1 without a column.
    pub(super) fn weight(&self, i: usize) -> f64 {
        self.weight.as_ref().map_or(1.0, |weight| weight[i])
    }

    pub(super) fn group(&self, i: usize) -> u32 {
        self.groups.as_ref().map_or(0, |groups| groups[i])
    }
}

impl Label {
    /// Whether a claim may rest on it: any label but an ignored one.
    #[must_use]
    pub fn usable(self) -> bool {
        self != Self::Ignored
    }

    /// The id, if it has a probability.
    #[must_use]
    pub fn id(self, vocab: &Vocab) -> Option<u32> {
        match self {
            Self::Id(id) if vocab.allows(id as usize) => Some(id),
            _ => None,
        }
    }

    /// Why it cannot be scored.
    pub(super) fn error(self, position: u64, vocab: &Vocab) -> Error {
        if self == Self::Null {
            let message =
                format!("label is null at position {position}; null_labels=\"ignore\" leaves nulls out");
            return Error::new(ErrorKind::Label, message).wanted("a token id", "null");
        }
        let (got, hint) = match self {
            Self::Id(id) if (id as usize) < vocab.size() => {
                (id.to_string(), "; vocab_mask leaves that entry out".to_owned())
            }
            Self::Id(id) => (id.to_string(), String::new()),
            Self::Other(x) => (x.to_string(), ignore_hint(x)),
            Self::Large(x) => (x.to_string(), wrap_hint(x)),
            Self::Null | Self::Ignored => ("absent".to_owned(), String::new()),
        };
        let size = vocab.size();
        let message = format!("label {got} at position {position} is not in the vocabulary of {size}{hint}");
        Error::new(ErrorKind::Label, message).wanted(format!("0 to {}", size - 1), got)
    }
}

fn ignore_hint(label: i64) -> String {
    if label < 0 {
        format!("; if it marks positions to leave out, pass ignore_index={label}")
    } else {
        String::new()
    }
}

/// An unsigned label that was negative once.
fn wrap_hint(label: u64) -> String {
    let wrapped = label as i64;
    if (-1000..0).contains(&wrapped) {
        format!("; it is 2^64{wrapped}: a negative label was cast to unsigned, and never equals ignore_index")
    } else {
        String::new()
    }
}
