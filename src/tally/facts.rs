//! Facts that are neither sums nor settings: what rows held, and what an input looked like.

use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Flags;
use std::collections::BTreeSet;

/// Facts about counted rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Rows holding NaN.
    pub nan_rows: u64,
    /// Rows holding +inf.
    pub posinf_rows: u64,
    /// Labels at -inf.
    pub neginf_labels: u64,
    /// Rows whose allowed entries are all -inf.
    pub empty_rows: u64,
}

/// What an input looked like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct Seen {
    /// Element types.
    pub elements: BTreeSet<Element>,
    /// Length of the rows.
    pub columns: Option<u64>,
    /// Whether tokens came scored, without logits.
    pub scores: bool,
    /// Whether a mask was given.
    pub mask: bool,
    /// Whether roles were given in its place.
    pub roles: bool,
    /// Whether weights were given.
    pub weight: bool,
    /// Whether some tokens belong to no known sequence.
    pub unknown_sequences: bool,
}

impl Facts {
    pub(super) fn add(&mut self, flags: Flags) {
        self.nan_rows += u64::from(flags.has(Flags::NAN));
        self.posinf_rows += u64::from(flags.has(Flags::POSINF));
        self.neginf_labels += u64::from(flags.has(Flags::NEGINF_LABEL));
        self.empty_rows += u64::from(flags.has(Flags::EMPTY));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.nan_rows += other.nan_rows;
        self.posinf_rows += other.posinf_rows;
        self.neginf_labels += other.neginf_labels;
        self.empty_rows += other.empty_rows;
    }
}

impl Seen {
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        match (self.columns, other.columns) {
            (Some(a), Some(b)) if a != b => {
                let message = format!("rows of {b} logits follow rows of {a}: one vocabulary a report");
                return Err(Error::new(ErrorKind::Shape, message).wanted(a.to_string(), b.to_string()));
            }
            (None, columns) => self.columns = columns,
            _ => {}
        }
        self.elements.extend(&other.elements);
        self.scores |= other.scores;
        self.mask |= other.mask;
        self.roles |= other.roles;
        self.weight |= other.weight;
        self.unknown_sequences |= other.unknown_sequences;
        Ok(())
    }
}
