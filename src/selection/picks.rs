//! What a piece gives: tokens that count, sequences that end, rows to score in advance.

use crate::key::Key;
use crate::score::Score;

/// Which row of logits scores a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowAt {
    /// A row of this piece.
    Here(u32),
    /// The row kept from the piece before (with shift).
    Carried,
    /// Scored in advance; the index of its score among [`Selected::held`].
    Held(u32),
}

/// A token that counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// The label's position, from 0.
    pub position: u64,
    /// The row that scores it.
    pub row: RowAt,
    /// The label.
    pub label: u32,
    /// Its weight, above 0.
    pub weight: f64,
    /// The number of its group.
    pub group: u32,
    /// Whether it is a hidden token.
    pub hidden: bool,
}

/// A sequence that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceEnd {
    /// Its id; `None` where sequences are unknown.
    pub id: Option<Key>,
    /// Whether its batch ended with it.
    pub batch_ends: bool,
    /// How many picks of this piece came before its end.
    pub after: usize,
}

/// A position whose row must be scored now, since a later run may claim it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advance {
    /// Its place among the held ones.
    pub slot: usize,
    /// Its row.
    pub row: RowAt,
    /// Its label.
    pub label: u32,
}

/// The labels to the left and right of a picked one, for the shift warning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbours {
    /// Which pick.
    pub pick: usize,
    /// The label one place to the left.
    pub left: u32,
    /// The label one place to the right.
    pub right: u32,
}

/// What one piece gave.
#[derive(Debug, Default)]
pub struct Selected {
    /// Tokens that count, in the order of positions.
    pub picks: Vec<Pick>,
    /// Scores that were made in advance.
    pub held: Vec<Score>,
    /// Sequences that ended.
    pub ends: Vec<SequenceEnd>,
    /// Rows to score in advance.
    pub advance: Vec<Advance>,
    /// A sample for the shift warning.
    pub neighbours: Vec<Neighbours>,
}

/// Counts of what was seen; they add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Positions, counted or not.
    pub rows: u64,
    /// Active runs.
    pub runs: u64,
    /// Runs short on the left.
    pub short_left: u64,
    /// Runs short on the right.
    pub short_right: u64,
    /// First tokens of shifted sequences that would be visible, but that no row scores.
    pub unscored: u64,
}

/// Which row of the logits, as the user has them, scores a label's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowNumbers {
    /// It is the one before.
    pub shift: bool,
    /// One row in so many is a placeholder that the user does not have: logits `[B, T - 1, V]` go
    /// with labels `[B, T]`.
    pub period: Option<u64>,
}

impl RowNumbers {
    /// The row; below 0 for the very first label under shift.
    #[must_use]
    pub fn of(self, position: i64) -> i64 {
        let row = position - i64::from(self.shift);
        row - self.period.map_or(0, |period| row.div_euclid(period.max(1) as i64))
    }
}
