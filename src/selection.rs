//! Which tokens count, decided before a logit is read; the state carries over every cut.
//!
//! Positions come in one after the other. A *run* is a stretch of mask True within one sequence; it
//! claims up to `leading` positions to its left and `trailing` to its right. What a run claims on
//! its left lies behind when it begins, so the last `leading` positions of a gap are *held*; and a
//! run claims nothing before its first visible token of weight above 0 (it becomes *active*), so
//! they stay held until then. A held position leaves the gap as a counted token or as nothing.
//!
//! Of all errors the one at the smallest position wins. A run that is not active yet may still
//! bring one at `start - leading`; [`Selector::horizon`] says below which position nothing new can
//! turn up, and an error is raised only when it lies there.

mod borders;
mod claims;
mod failure;
mod parts;
mod picks;
mod piece;
mod roles;
#[cfg(test)]
mod tests;

use crate::key::Key;
use crate::rows::Vocab;
use crate::score::Score;
use crate::settings::{OnShort, Settings};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use borders::Border;
use parts::{Edge, Held, HeldRow, Rules, Run, Sequence, Trail, counts, valid};
use roles::Reply;

pub use failure::{Check, Failure};
pub use picks::{Advance, Counts, Neighbours, Pick, RowAt, RowNumbers, Selected, SequenceEnd};
pub use piece::{Label, Mark, Piece};

/// Decides which tokens count.
#[derive(Debug, Clone)]
pub struct Selector {
    rules: Rules,
    position: u64,
    sequence: Option<Sequence>,
    /// Fingerprints of the ids seen in this scope.
    seen: HashSet<u128>,
    batch: Option<Key>,
    seen_batches: HashSet<u128>,
    run: Option<Run>,
    reply: Option<Reply>,
    trail: Option<Trail>,
    gap: VecDeque<Held>,
    failure: Option<Failure>,
    counts: Counts,
    sampled: usize,
    last_labels: HashMap<u32, u64>,
}

/// How many counted rows are sampled for the shift warning.
const SAMPLE: usize = 1024;

impl Selector {
    /// A selector at the start of an input.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            rules: Rules {
                shift: settings.shift,
                rows: RowNumbers { shift: settings.shift, period: None },
                leading: settings.leading,
                trailing: settings.trailing,
                raise_short: settings.on_short == OnShort::Raise,
                hidden: settings.hidden,
                batches: settings.pooling.by_batch(),
            },
            position: 0,
            sequence: None,
            seen: HashSet::new(),
            batch: None,
            seen_batches: HashSet::new(),
            run: None,
            reply: None,
            trail: None,
            gap: VecDeque::new(),
            failure: None,
            counts: Counts::default(),
            sampled: 0,
            last_labels: HashMap::new(),
        }
    }

    /// The position that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether a sequence is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sequence.is_some()
    }

    /// States that one row in so many is a placeholder without logits.
    pub fn set_row_period(&mut self, period: Option<u64>) {
        self.rules.rows.period = period;
    }

    /// How rows of logits are numbered.
    #[must_use]
    pub fn row_numbers(&self) -> RowNumbers {
        self.rules.rows
    }

    /// Takes the counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Takes how often each label ended a run, since the last call.
    pub fn take_last_labels(&mut self) -> HashMap<u32, u64> {
        std::mem::take(&mut self.last_labels)
    }

    /// The first error so far, raised or not.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Notes an error that was found elsewhere (a row without a distribution).
    pub fn note(&mut self, failure: Failure) {
        Failure::keep_first(&mut self.failure, failure);
    }

    /// Below this position it is known which positions count.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.gap.front().map_or(self.position, |held| held.position)
    }

    /// The smallest position at which an error may still turn up.
    #[must_use]
    pub fn horizon(&self) -> i64 {
        let next = self.position as i64;
        let start = match &self.run {
            Some(run) if !run.active => run.first.position as i64,
            _ => next,
        };
        let mut horizon = start - self.rules.leading as i64;
        if let Some(run) = &self.run {
            horizon = horizon.min(run.last.position as i64);
        }
        if let Some(trail) = &self.trail {
            horizon = horizon.min(trail.edge.position as i64);
        }
        if let Some(reply) = &self.reply {
            let held = self.gap.front().map(|held| held.position);
            let lender = reply.visible.map(|edge| edge.position);
            horizon = [held, lender].into_iter().flatten().fold(horizon, |low, p| low.min(p as i64));
        }
        horizon
    }

    /// Decides what can be decided with this piece.
    pub fn push(&mut self, piece: &Piece, vocab: &Vocab) -> Selected {
        let mut out = Selected::default();
        let mut scopes = piece.scopes.iter().flatten().peekable();
        let mut ids = piece.ids.iter().flatten().peekable();
        let batches = piece.batches.as_ref().filter(|_| self.rules.batches);
        let mut batches = batches.into_iter().flatten().peekable();
        let mut i = 0;
        while i < piece.len() {
            let border = Border {
                scope: scopes.next_if(|(at, _)| *at == i).map(|(_, scope)| *scope),
                id: ids.next_if(|(at, _)| *at == i).map(|(_, id)| id),
                batch: batches.next_if(|(at, _)| *at == i).map(|(_, id)| id),
            };
            self.cross(piece, &border, &mut out, vocab);
            let next = [
                scopes.peek().map(|(at, _)| *at),
                ids.peek().map(|(at, _)| *at),
                batches.peek().map(|(at, _)| *at),
            ];
            let end = next.into_iter().flatten().min().unwrap_or(piece.len());
            self.stretch(piece, i..end, vocab, &mut out);
            i = end;
        }
        self.counts.rows += piece.len() as u64;
        self.hold(vocab, &mut out);
        out
    }

    /// Hands over the score of a held position.
    pub fn set_score(&mut self, slot: usize, score: Score) {
        if let Some(held) = self.gap.get_mut(slot) {
            held.row = HeldRow::Scored(score);
        }
    }

    /// Ends the sequence and the input: what comes next is another input, from position 0.
    pub fn finish(&mut self, vocab: &Vocab) -> Selected {
        let mut out = Selected::default();
        self.end_sequence(true, &mut out, vocab);
        self.seen.clear();
        self.seen_batches.clear();
        self.position = 0;
        out
    }

    // Positions.

    /// Positions without a border between them.
    fn stretch(&mut self, piece: &Piece, all: Range<usize>, vocab: &Vocab, out: &mut Selected) {
        let (position, picked) = (self.position, out.picks.len());
        let mut left = all.clone();
        while !left.is_empty() {
            let inside = self.inside(piece, left.clone());
            if inside > 0 {
                self.visible_all(piece, left.start..left.start + inside, vocab, out);
                left.start += inside;
            } else {
                self.step(piece, left.start, vocab, out);
                self.position += 1;
                left.start += 1;
            }
        }
        self.sample(piece, all, position, vocab, out, picked);
    }

    /// How many positions from the first on are visible tokens of which nothing else depends.
    fn inside(&self, piece: &Piece, all: Range<usize>) -> usize {
        let unscored = self.rules.shift && self.sequence.as_ref().is_some_and(|s| s.first == self.position);
        match &piece.marks {
            _ if unscored || piece.by_role => 0,
            None => all.len(),
            Some(marks) if piece.groups.is_none() && self.run.is_some_and(|run| run.active) => {
                marks[all].iter().take_while(|mark| matches!(mark, Mark::Yes)).count()
            }
            Some(_) => 0,
        }
    }

    /// `step` for positions of which `inside` holds.
    fn visible_all(&mut self, piece: &Piece, all: Range<usize>, vocab: &Vocab, out: &mut Selected) {
        out.picks.reserve(all.len());
        let last = all.end - 1;
        for i in all {
            let (edge, label) = (self.edge(piece, i), piece.labels[i]);
            self.visible(edge, label, self.row_at(i), vocab, out);
            self.position += 1;
            if let (true, Some(_), Some(run)) = (i == last, &piece.marks, &mut self.run) {
                (run.last, run.last_label) = (edge, label);
            }
        }
    }

    /// One position.
    fn step(&mut self, piece: &Piece, i: usize, vocab: &Vocab, out: &mut Selected) {
        let mark = piece.mark(i);
        if let Mark::Null | Mark::Other(_) = mark {
            self.fail_mark(mark, piece.by_role);
        }
        let label = piece.labels[i];
        let first = self.sequence.as_ref().is_some_and(|s| s.first == self.position);
        if self.rules.shift && first {
            let counts =
                matches!(mark, Mark::Yes | Mark::Absent) || *mark == Mark::Hidden && self.rules.hidden;
            self.counts.unscored += u64::from(counts && label.usable());
            return;
        }
        let edge = self.edge(piece, i);
        let row = self.row_at(i);
        if piece.by_role {
            return self.step_by_role(mark, edge, label, row, vocab, out);
        }
        match mark {
            Mark::Absent => self.visible(edge, label, row, vocab, out),
            Mark::Yes => self.in_run(edge, label, row, vocab, out),
            _ => self.in_gap(edge.position, label, row, vocab, out),
        }
    }

    /// The position that comes next, as index `i` of the piece.
    fn edge(&self, piece: &Piece, i: usize) -> Edge {
        Edge { position: self.position, weight: piece.weight(i), group: piece.group(i) }
    }

    fn row_at(&self, i: usize) -> RowAt {
        match i.checked_sub(usize::from(self.rules.shift)) {
            Some(row) => RowAt::Here(row as u32),
            None => RowAt::Carried,
        }
    }

    /// A position outside every mask, or inside one: counted if its label and weight say so.
    fn visible(&mut self, at: Edge, label: Label, row: RowAt, vocab: &Vocab, out: &mut Selected) {
        if !(label.usable() && counts(at.weight)) {
            return;
        }
        if !valid(at.weight) {
            self.fail_weight(at);
        }
        match label.id(vocab) {
            Some(id) => out.picks.push(Pick {
                position: at.position,
                row,
                label: id,
                weight: at.weight,
                group: at.group,
                hidden: false,
            }),
            None => self.fail_label(at.position, label, vocab),
        }
    }

    fn in_run(&mut self, at: Edge, label: Label, row: RowAt, vocab: &Vocab, out: &mut Selected) {
        if self.run.is_none() {
            self.end_trail();
        }
        let run = self.run.get_or_insert(Run { first: at, last: at, last_label: label, active: false });
        (run.last, run.last_label) = (at, label);
        let activate = !run.active && label.usable() && counts(at.weight);
        run.active |= activate;
        let first = run.first;
        if first.group != at.group {
            self.fail_group(at.position, first.position);
        }
        if activate {
            self.claim_left(first, out, vocab);
        }
        self.visible(Edge { group: first.group, ..at }, label, row, vocab, out);
    }

    fn in_gap(&mut self, position: u64, label: Label, row: RowAt, vocab: &Vocab, out: &mut Selected) {
        self.end_run(out, vocab);
        let claim = self.claim_right(position, label);
        let row = if label.id(vocab).is_some() { HeldRow::At(row) } else { HeldRow::Unscored };
        self.gap.push_back(Held { position, row, label, claim });
        self.flush(self.rules.leading, out, vocab);
    }

    /// Notes the neighbours of picked tokens of a stretch, where both lie in it.
    fn sample(
        &mut self,
        piece: &Piece,
        stretch: Range<usize>,
        position: u64,
        vocab: &Vocab,
        out: &mut Selected,
        from: usize,
    ) {
        for (at, pick) in out.picks.iter().enumerate().skip(from) {
            if self.sampled >= SAMPLE {
                return;
            }
            // What a run claimed may lie before the stretch.
            let Some(place) = pick.position.checked_sub(position).filter(|_| !pick.hidden) else { continue };
            let i = stretch.start + place as usize;
            if i == stretch.start || i + 1 == stretch.end {
                continue;
            }
            let beside = (piece.labels[i - 1].id(vocab), piece.labels[i + 1].id(vocab));
            if let (Some(left), Some(right)) = beside {
                self.sampled += 1;
                out.neighbours.push(Neighbours { pick: at, left, right });
            }
        }
    }
}
