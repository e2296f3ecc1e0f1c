//! From picks and scores to tokens, and to the first error.

use super::Scored;
use crate::error::{Error, ErrorKind};
use crate::kernel::Flags;
use crate::score::Score;
use crate::scoring::MISSING;
use crate::selection::{Check, Failure, RowAt, RowNumbers, Selected, Selector};
use crate::settings::{NonFinite, Settings};
use crate::tally::Token;

/// The scores of a piece's rows, as far as they are known.
pub(super) struct Scores<'a> {
    here: &'a [Option<Score>],
    /// That of the row before the piece.
    carried: Option<Score>,
    missing: Score,
}

impl<'a> Scores<'a> {
    pub(super) fn new(here: &'a [Option<Score>], carried: Option<Score>) -> Self {
        Self { here, carried, missing: MISSING.into() }
    }

    /// The score of one pick, wherever its row was.
    #[inline]
    pub(super) fn of(&'a self, row: RowAt, held: &'a [Score]) -> &'a Score {
        let found = match row {
            RowAt::Here(row) => self.here.get(row as usize).and_then(Option::as_ref),
            RowAt::Held(at) => held.get(at as usize),
            RowAt::Carried => self.carried.as_ref(),
        };
        found.unwrap_or(&self.missing)
    }
}

/// Hands on the tokens before the first error; a row without a distribution, or a score that cannot
/// be right, is one.
pub(super) fn deliver(
    scored: &mut Scored,
    selected: Selected,
    scores: &Scores,
    selector: &mut Selector,
    settings: &Settings,
) {
    let limit = selector.failure().map(|failure| failure.place);
    scored.tokens.reserve_exact(selected.picks.len());
    for pick in &selected.picks {
        let score = scores.of(pick.row, &selected.held);
        if limit.is_some_and(|limit| limit < (pick.position as i64, Check::NonFinite)) {
            break;
        }
        if let Some(failure) = refused(pick.position, score, settings, selector.row_numbers()) {
            selector.note(failure);
            break;
        }
        scored.tokens.push(Token {
            position: pick.position,
            label: pick.label,
            weight: pick.weight,
            group: pick.group,
            hidden: pick.hidden,
            score: *score,
        });
    }
    let kept = scored.tokens.len();
    scored.ends = selected.ends;
    if kept < selected.picks.len() {
        scored.ends.retain(|end| end.after <= kept);
    }
}

/// Raises the error, once nothing can turn up before it.
pub(super) fn settle(scored: &mut Scored, selector: &Selector, horizon: i64) {
    let failure = selector.failure().filter(|failure| failure.place.0 < horizon);
    scored.failure = failure.map(|failure| failure.error.clone());
}

/// Why the score of a counted token is an error, if it is one.
fn refused(position: u64, score: &Score, settings: &Settings, rows: RowNumbers) -> Option<Failure> {
    if score.is_ordinary() {
        return None; // nearly always
    }
    let raise = settings.nonfinite == NonFinite::Raise || score.flags.has(Flags::MISSING);
    if raise && score.flags.invalid() {
        return Some(nonfinite(position, score.flags, rows));
    }
    let (what, got, expected) = score.fault()?;
    let message = format!("{what} is {got} at position {position}; expected {expected}");
    let row = Some(rows.of(position as i64));
    let error = Error::new(ErrorKind::Label, message).wanted(expected, got).at(position as i64, row);
    Some(Failure { place: (position as i64, Check::NonFinite), error })
}

fn nonfinite(position: u64, flags: Flags, rows: RowNumbers) -> Failure {
    let row = rows.of(position as i64);
    let what = flags.fault();
    let hint = if flags.has(Flags::MISSING) {
        "nulls are never scored; leave the row out of the mask"
    } else {
        "nonfinite=\"omit\" leaves such rows out"
    };
    let message =
        format!("row {row} of the logits holds {what}, and the label at position {position} counts; {hint}");
    let error = Error::new(ErrorKind::NonFinite, message)
        .wanted("finite logits or -inf", what)
        .at(position as i64, Some(row));
    Failure { place: (position as i64, Check::NonFinite), error }
}
