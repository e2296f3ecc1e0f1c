//! What is remembered between positions: the sequence, the run, its claims, the gap before it.

use super::{Label, RowAt, RowNumbers};
use crate::key::Key;
use crate::score::Score;

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "options that have nothing to do with each other")]
pub(super) struct Rules {
    pub(super) shift: bool,
    pub(super) rows: RowNumbers,
    pub(super) leading: usize,
    pub(super) trailing: usize,
    pub(super) raise_short: bool,
    /// By role: whether hidden tokens count.
    pub(super) hidden: bool,
    /// Whether batches are looked at.
    pub(super) batches: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) id: Option<Key>,
    pub(super) known: bool,
    pub(super) scope: Option<i64>,
    pub(super) first: u64,
}

/// The run that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: Edge,
    pub(super) last: Edge,
    pub(super) last_label: Label,
    pub(super) active: bool,
}

/// An end of a run: what hidden tokens on that side take from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) position: u64,
    pub(super) weight: f64,
    pub(super) group: u32,
}

/// A run that ended and still claims.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trail {
    pub(super) edge: Edge,
    pub(super) left: usize,
    pub(super) claimed: bool,
    pub(super) short: bool,
}

/// A position of a gap that a run may yet claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) position: u64,
    pub(super) row: HeldRow,
    pub(super) label: Label,
    /// The weight and group that a run before it gave it.
    pub(super) claim: Option<(f64, u32)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum HeldRow {
    At(RowAt),
    Scored(Score),
    /// Its label cannot be scored: an error, should a run claim it.
    Unscored,
}

/// A weight that is finite and at least 0.
pub(super) fn valid(weight: f64) -> bool {
    weight.is_finite() && weight >= 0.0
}

/// Whether a token of this weight counts; an invalid weight is not 0.
pub(super) fn counts(weight: f64) -> bool {
    weight != 0.0
}

impl Held {
    /// Claimed by the run that follows: the larger weight counts, the earlier run's group stays.
    pub(super) fn take(&mut self, edge: Edge) {
        self.claim = Some(match self.claim {
            None => (edge.weight, edge.group),
            Some((weight, group)) if valid(weight) && valid(edge.weight) => (weight.max(edge.weight), group),
            Some((_, group)) => (f64::NAN, group),
        });
    }
}
