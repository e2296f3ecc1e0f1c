//! Errors of counting: which one comes first, and what they say.

use super::piece::{Label, Mark};
use super::{Edge, Selector};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::rows::Vocab;

/// What an error is about: at one position the smaller wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// A mask or role that is null or unknown.
    Mark,
    /// A null id, or one that comes back.
    Id,
    /// A run of two groups.
    Group,
    /// A label that is null or outside the vocabulary.
    Label,
    /// A weight that is negative, not finite or null.
    Weight,
    /// A run that misses a token.
    Short,
    /// A row without a distribution, or a given score that cannot be right.
    NonFinite,
}

/// The first error so far.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where: its position (below 0 for a token missing before the first one), and what about.
    pub place: (i64, Check),
    /// The error.
    pub error: Error,
}

impl Failure {
    /// Keeps the one whose place comes first; the older one at the same place.
    pub fn keep_first(first: &mut Option<Self>, new: Self) {
        if first.as_ref().is_none_or(|old| new.place < old.place) {
            *first = Some(new);
        }
    }
}

impl Selector {
    fn fail(&mut self, position: i64, check: Check, error: Error) {
        // A token that is missing has no row.
        let row = Some(self.rules.rows.of(position)).filter(|row| *row >= 0 && check != Check::Short);
        let error = error.at(position, row);
        Failure::keep_first(&mut self.failure, Failure { place: (position, check), error });
    }

    pub(super) fn fail_mark(&mut self, mark: &Mark, by_role: bool) {
        let got = if let Mark::Other(value) = mark { value.to_string() } else { "null".to_owned() };
        let (name, wanted) = if by_role {
            ("role", "\"prompt\", \"visible\" or \"hidden\"")
        } else {
            ("mask", "true or false, 1 or 0")
        };
        let unused =
            if by_role { "; columns={'role': None} leaves a column of other roles unused" } else { "" };
        let message = format!("{name} is {got} at position {}; expected {wanted}{unused}", self.position);
        let error = Error::new(ErrorKind::Label, message).wanted(wanted, got);
        self.fail(self.position as i64, Check::Mark, error);
    }

    /// An id of a sequence or batch that is null or comes back.
    pub(super) fn fail_id(&mut self, what: &str, id: Option<&Key>) {
        let position = self.position as i64;
        let error = if let Some(id) = id {
            let message = format!(
                "{what}_id {id} comes back at position {position}, after its {what} ended: \
                 rows of one {what} must follow each other"
            );
            Error::new(ErrorKind::Sequence, message).wanted("an id not seen before", id.to_string())
        } else {
            Error::new(ErrorKind::Sequence, format!("{what}_id is null at position {position}"))
                .wanted("an integer or a string", "null")
        };
        self.fail(position, Check::Id, error);
    }

    /// A batch begins within a sequence.
    pub(super) fn fail_cut(&mut self, id: Option<&Key>) {
        let position = self.position as i64;
        let id = id.map_or_else(|| "null".to_owned(), Key::to_string);
        let message = format!(
            "sequence_id {id} goes on at position {position}, where another batch_id begins: a batch holds \
             whole sequences"
        );
        let error = Error::new(ErrorKind::Sequence, message).wanted("another sequence_id", id);
        self.fail(position, Check::Id, error);
    }

    pub(super) fn fail_group(&mut self, position: u64, first: u64) {
        let message = format!(
            "the group changes at position {position}, within the run that begins at {first}: \
             a run belongs to one group"
        );
        let error = Error::new(ErrorKind::Label, message).wanted("one group a run", "another group");
        self.fail(position as i64, Check::Group, error);
    }

    pub(super) fn fail_label(&mut self, position: u64, label: Label, vocab: &Vocab) {
        let error = label.error(position, vocab);
        self.fail(position as i64, Check::Label, error);
    }

    pub(super) fn fail_weight(&mut self, at: Edge) {
        let message = format!("weight is {} at position {}", at.weight, at.position);
        let error =
            Error::new(ErrorKind::Label, message).wanted("a finite number >= 0", at.weight.to_string());
        self.fail(at.position as i64, Check::Weight, error);
    }

    pub(super) fn fail_short(&mut self, missing: i64, edge: u64, side: &str, wanted: usize) {
        if !self.rules.raise_short {
            return;
        }
        let place = if side == "leading" { "begins" } else { "ends" };
        let message = format!(
            "the run that {place} at position {edge} is short: {side}={wanted} claims position {missing}, \
             which has no label to score (a sequence's border, another run or an ignored label); \
             on_short=\"count\" counts what exists"
        );
        let error = Error::new(ErrorKind::ShortRun, message)
            .wanted(format!("{wanted} {side} tokens"), format!("none at position {missing}"));
        self.fail(missing, Check::Short, error);
    }
}
