//! Scores in place of logits: columns of numbers about the label that a row scores.

use super::columns::{reals, wholes};
use crate::error::Result;
use crate::score::{Score, Stated};
use arrow_array::RecordBatch;

/// One thing for each column of scores: its name, or its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScoreParts<T> {
    /// The nll, or the low end of it.
    pub nll: T,
    /// The high end of the nll.
    pub nll_high: Option<T>,
    /// The rank, or the low end of it.
    pub rank: Option<T>,
    /// The high end of the rank.
    pub rank_high: Option<T>,
    /// Entries above the label.
    pub greater: Option<T>,
    /// Other entries equal to the label.
    pub ties: Option<T>,
    /// The lse.
    pub lse: Option<T>,
}

impl<T> ScoreParts<T> {
    /// The places of these names.
    pub(super) fn find<U>(&self, place: impl Fn(&T) -> Result<U>) -> Result<ScoreParts<U>> {
        let find = |part: &Option<T>| part.as_ref().map(&place).transpose();
        Ok(ScoreParts {
            nll: place(&self.nll)?,
            nll_high: find(&self.nll_high)?,
            rank: find(&self.rank)?,
            rank_high: find(&self.rank_high)?,
            greater: find(&self.greater)?,
            ties: find(&self.ties)?,
            lse: find(&self.lse)?,
        })
    }
}

/// The scores of a batch, one a row; what cannot be right is found where it counts.
pub(super) fn scores(batch: &RecordBatch, places: &ScoreParts<usize>) -> Result<Vec<Score>> {
    let schema = batch.schema_ref();
    let name = |at: usize| schema.field(at).name().as_str();
    let real = |at: Option<usize>| at.map(|at| reals(name(at), batch.column(at))).transpose();
    let whole = |at: Option<usize>| at.map(|at| wholes(name(at), batch.column(at))).transpose();
    let (nll, nll_high, lse) = (real(Some(places.nll))?, real(places.nll_high)?, real(places.lse)?);
    let (rank, rank_high) = (whole(places.rank)?, whole(places.rank_high)?);
    let (greater, ties) = (whole(places.greater)?, whole(places.ties)?);
    let stated = |row: usize| Stated {
        nll: at(nll.as_ref(), row),
        nll_high: at(nll_high.as_ref(), row),
        rank: at(rank.as_ref(), row),
        rank_high: at(rank_high.as_ref(), row),
        greater: at(greater.as_ref(), row),
        ties: at(ties.as_ref(), row),
        lse: at(lse.as_ref(), row),
    };
    Ok((0..batch.num_rows()).map(|row| Score::from(stated(row))).collect())
}

/// A row's value, if there is the column and it is not null.
fn at<T: Copy>(column: Option<&Vec<Option<T>>>, row: usize) -> Option<T> {
    column.and_then(|values| values.get(row).copied().flatten())
}
