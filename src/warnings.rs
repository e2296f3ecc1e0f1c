//! Warnings that save a day. They live beside the state and never change a result.

use crate::arrow::LogitColumn;
use crate::element::Element;
use crate::rows::Vocab;
use crate::score::Score;
use crate::selection::{Pick, RowAt, Selected};
use crate::settings::Settings;
use std::collections::HashMap;

/// Rows that are looked at for probabilities and log-probabilities.
const LOOKED_AT: u64 = 64;
/// The shift warning needs so many rows.
const ENOUGH: u64 = 32;
/// The terminator warning needs so many runs.
const RUNS: u64 = 20;

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    sampled: u64,
    /// Sums of nll of the label, of the one to its left and of the one to its right.
    fits: [f64; 3],
    rows: u64,
    logprobs: u64,
    probabilities: u64,
    run_ends: HashMap<u32, u64>,
}

/// What was seen, in figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks {
    /// Tokens whose label was compared with its neighbours.
    pub compared: u64,
    /// Their mean loss against the label to the left, their own, and the label to the right.
    pub fits: [f64; 3],
    /// Rows that were looked at for probabilities.
    pub rows: u64,
    /// Those that look like log-probabilities.
    pub logprobs: u64,
    /// Those that look like probabilities.
    pub probabilities: u64,
}

/// A warning: the class that carries it, and its words.
pub type Warning = (&'static str, String);

impl Watch {
    /// Looks at a piece's picks.
    pub fn add_rows(
        &mut self,
        logits: &LogitColumn,
        vocab: &Vocab,
        selected: &Selected,
        score_of: impl Fn(&Pick) -> Score,
    ) {
        for near in &selected.neighbours {
            let pick = &selected.picks[near.pick];
            if let RowAt::Here(row) = pick.row {
                self.add_fit(logits, vocab, row, &score_of(pick), [near.left, near.right]);
            }
        }
        for pick in &selected.picks {
            // One row that is neither settles it.
            let settled = self.rows > self.logprobs && self.rows > self.probabilities;
            if self.rows >= LOOKED_AT || settled {
                return;
            }
            let score = score_of(pick);
            if let (RowAt::Here(row), false) = (pick.row, score.flags.invalid()) {
                self.add_row(logits, vocab, row, &score);
            }
        }
    }

    fn add_fit(&mut self, logits: &LogitColumn, vocab: &Vocab, row: u32, score: &Score, other: [u32; 2]) {
        let Some(bytes) = logits.row(row as usize, vocab) else { return };
        let logit = |id: u32| logits.element().get(bytes, id as usize);
        let (Some(left), Some(right)) = (logit(other[0]), logit(other[1])) else { return };
        let nlls = [score.nll, score.lse - left, score.lse - right];
        if nlls.iter().all(|nll| nll.is_finite()) {
            self.sampled += 1;
            for (sum, nll) in self.fits.iter_mut().zip(nlls) {
                *sum += nll;
            }
        }
    }

    fn add_row(&mut self, logits: &LogitColumn, vocab: &Vocab, row: u32, score: &Score) {
        let Some(bytes) = logits.row(row as usize, vocab) else { return };
        // A stored log-probability is off by half a unit, and V of them add up.
        let slack = match logits.element() {
            Element::F64 | Element::F32 => 1e-4,
            Element::F16 | Element::Bf16 => 2e-2,
        };
        let (mut sum, mut one_hot, mut inside) = (0.0, true, true);
        for id in (0..vocab.size()).filter(|&id| vocab.allows(id)) {
            let x = logits.element().get(bytes, id).unwrap_or(f64::NAN);
            inside &= (0.0..=1.0).contains(&x);
            one_hot &= x == 0.0 || x == 1.0;
            sum += x;
        }
        // Rows of 0 and 1 are examples that somebody made up; they say nothing.
        if !one_hot {
            self.rows += 1;
            self.logprobs += u64::from(score.lse.abs() < slack);
            self.probabilities += u64::from(inside && (sum - 1.0).abs() < slack);
        }
    }

    /// Adds how often each label ended a run.
    pub fn add_run_ends(&mut self, ends: HashMap<u32, u64>) {
        for (label, count) in ends {
            *self.run_ends.entry(label).or_default() += count;
        }
    }

    /// Adds what another one saw.
    pub fn merge(&mut self, other: &Self) {
        self.sampled += other.sampled;
        for (sum, more) in self.fits.iter_mut().zip(other.fits) {
            *sum += more;
        }
        self.rows += other.rows;
        self.logprobs += other.logprobs;
        self.probabilities += other.probabilities;
        self.add_run_ends(other.run_ends.clone());
    }

    /// What was seen; the losses are NaN where nothing was compared.
    #[must_use]
    pub fn looks(&self) -> Looks {
        let [own, left, right] = self.fits.map(|sum| sum / self.sampled as f64);
        let Self { sampled: compared, rows, logprobs, probabilities, .. } = *self;
        Looks { compared, fits: [left, own, right], rows, logprobs, probabilities }
    }

    /// What there is to warn of.
    #[must_use]
    pub fn warnings(&self, settings: &Settings) -> Vec<Warning> {
        [self.shift(settings), self.terminator(settings), self.not_logits()].into_iter().flatten().collect()
    }

    fn shift(&self, settings: &Settings) -> Option<Warning> {
        if self.sampled < ENOUGH {
            return None;
        }
        let [own, left, right] = self.fits.map(|sum| sum / self.sampled as f64);
        let (best, place) = if left < right { (left, "left") } else { (right, "right") };
        if own - best < 1.0 || best > 0.7 * own {
            return None;
        }
        let hint = match (place, settings.shift) {
            ("right", false) => "pass shift=True if row t predicts the label of t + 1",
            ("left", true) => "pass shift=False if the labels were shifted already",
            _ => "check how labels and rows are paired",
        };
        Some((
            "LabelShiftWarning",
            format!(
                "the labels one place to the {place} fit the logits far better ({best:.2} against {own:.2} nats \
                 over {} rows): {hint}",
                self.sampled
            ),
        ))
    }

    fn terminator(&self, settings: &Settings) -> Option<Warning> {
        let runs: u64 = self.run_ends.values().sum();
        let (label, count) = self.run_ends.iter().max_by_key(|(label, count)| (**count, **label))?;
        if settings.leading + settings.trailing == 0 || runs < RUNS || *count * 100 < runs * 99 {
            return None;
        }
        Some((
            "TerminatorWarning",
            format!(
                "{count} of {runs} runs end in label {label}: the mask seems to hold the end token already, \
                 which leading and trailing count beside it"
            ),
        ))
    }

    fn not_logits(&self) -> Option<Warning> {
        let what = if self.rows == 0 {
            return None;
        } else if self.probabilities == self.rows {
            "probabilities (all in [0, 1], with sum 1)"
        } else if self.logprobs == self.rows {
            "log-probabilities (their exponentials add up to 1)"
        } else {
            return None;
        };
        Some((
            "InputWarning",
            format!("what was given as logits looks like {what} in all of {} rows", self.rows),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_neighbour_is_named_with_its_remedy() {
        let watch = Watch { sampled: 100, fits: [900.0, 950.0, 150.0], ..Watch::default() };
        let settings = Settings::default();
        assert!(watch.warnings(&settings)[0].1.contains("shift=True"));
        assert_eq!(watch.looks().fits, [9.5, 9.0, 1.5]);
        let close = Watch { sampled: 100, fits: [300.0, 220.0, 290.0], ..Watch::default() };
        assert!(close.warnings(&settings).is_empty());
        let mirrored = Watch { sampled: 100, fits: [900.0, 150.0, 950.0], ..Watch::default() };
        let shifted = Settings { shift: true, ..Settings::default() };
        assert!(mirrored.warnings(&shifted)[0].1.contains("shift=False"));
    }

    #[test]
    fn one_label_at_the_end_of_every_run() {
        let settings = Settings { trailing: 1, ..Settings::default() };
        let mut watch = Watch::default();
        watch.add_run_ends(HashMap::from([(7, 99), (8, 1)]));
        assert_eq!(watch.warnings(&settings)[0].0, "TerminatorWarning");
        assert!(watch.warnings(&Settings::default()).is_empty());
        watch.add_run_ends(HashMap::from([(8, 1)]));
        assert!(watch.warnings(&settings).is_empty());
    }
}
