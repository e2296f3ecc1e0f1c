//! What runs claim on their two sides, and what is held until it is known.

use super::parts::{Edge, HeldRow, Trail, counts, valid};
use super::{Advance, Label, Pick, RowAt, Selected, Selector};
use crate::rows::Vocab;

impl Selector {
    /// A run became active: it claims what is held, from its side outwards.
    pub(super) fn claim_left(&mut self, first: Edge, out: &mut Selected, vocab: &Vocab) {
        self.counts.runs += 1;
        let reach = self.rules.leading.min(self.gap.len());
        let (mut claimed, mut nearest_missing) = (false, None);
        for distance in 1..=reach {
            let slot = self.gap.len() - distance;
            match self.gap.get_mut(slot).filter(|held| held.label.usable()) {
                Some(held) => {
                    held.take(first);
                    claimed = true;
                }
                None => {
                    nearest_missing.get_or_insert(first.position as i64 - distance as i64);
                }
            }
        }
        if reach < self.rules.leading {
            nearest_missing.get_or_insert(first.position as i64 - reach as i64 - 1);
        }
        if claimed && !valid(first.weight) {
            self.fail_weight(first);
        }
        if let Some(position) = nearest_missing {
            self.counts.short_left += 1;
            self.fail_short(position, first.position, "leading", self.rules.leading);
        }
        self.flush(0, out, vocab);
    }

    /// A position after a run: claimed, if the run has claims left.
    pub(super) fn claim_right(&mut self, position: u64, label: Label) -> Option<(f64, u32)> {
        let trail = self.trail.as_mut()?;
        trail.left -= 1;
        let done = trail.left == 0;
        let edge = trail.edge;
        let claim = if label.usable() {
            let first = !trail.claimed;
            trail.claimed = true;
            if first && !valid(edge.weight) {
                self.fail_weight(edge);
            }
            Some((edge.weight, edge.group))
        } else {
            self.miss_right(position);
            None
        };
        if done {
            self.trail = None;
        }
        claim
    }

    /// The run after whose end this position lies misses it.
    pub(super) fn miss_right(&mut self, position: u64) {
        let Some(trail) = self.trail.as_mut() else { return };
        if trail.short {
            return;
        }
        trail.short = true;
        let last = trail.edge.position;
        self.counts.short_right += 1;
        self.fail_short(position as i64, last, "trailing", self.rules.trailing);
    }

    /// The open run ends before this position.
    pub(super) fn end_run(&mut self, out: &mut Selected, vocab: &Vocab) {
        let Some(run) = self.run.take() else { return };
        if !run.active {
            // Its positions part the gap before it from all that follows.
            self.flush(0, out, vocab);
            return;
        }
        if let (true, Label::Id(id)) = (self.rules.leading + self.rules.trailing > 0, run.last_label) {
            *self.last_labels.entry(id).or_default() += 1;
        }
        if self.rules.trailing > 0 {
            // The run's group is that of its first position.
            let edge = Edge { group: run.first.group, ..run.last };
            self.trail = Some(Trail { edge, left: self.rules.trailing, claimed: false, short: false });
        }
    }

    /// Nothing more can be claimed to the right: what is left of the claims is missing.
    pub(super) fn end_trail(&mut self) {
        self.miss_right(self.position);
        self.trail = None;
    }

    /// Lets go of all held positions but the last `keep`.
    pub(super) fn flush(&mut self, keep: usize, out: &mut Selected, vocab: &Vocab) {
        while self.gap.len() > keep {
            let Some(held) = self.gap.pop_front() else { return };
            let Some((weight, group)) = held.claim.filter(|(weight, _)| counts(*weight)) else { continue };
            let Some(label) = held.label.id(vocab) else {
                self.fail_label(held.position, held.label, vocab);
                continue;
            };
            let row = match held.row {
                HeldRow::At(row) => row,
                HeldRow::Scored(score) => {
                    out.held.push(score);
                    RowAt::Held(out.held.len() as u32 - 1)
                }
                HeldRow::Unscored => continue,
            };
            out.picks.push(Pick { position: held.position, row, label, weight, group, hidden: true });
        }
    }

    /// Asks for the scores of positions that stay held, since their rows go with the piece.
    pub(super) fn hold(&self, vocab: &Vocab, out: &mut Selected) {
        for (slot, held) in self.gap.iter().enumerate() {
            if let (HeldRow::At(row), Some(label)) = (held.row, held.label.id(vocab)) {
                out.advance.push(Advance { slot, row, label });
            }
        }
    }
}
