//! Sums over the tokens of one part (visible or hidden), and over its sequences.

mod plain;

use super::Token;
use super::exact_sum::ExactSum;
use super::statistics::times_ratio;
use crate::score::{NOWHERE, Score};
use crate::settings::Pooling;
use std::collections::BTreeMap;

pub(super) use plain::plain;

/// Rank counters are kept up to this k.
pub const TOP_K: usize = 100;

/// A sum of weights, most of which are 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Weight {
    pub(super) ones: u64,
    pub(super) rest: ExactSum,
}

impl Weight {
    pub(super) fn add(&mut self, weight: f64) {
        if weight == 1.0 {
            self.ones += 1;
        } else {
            self.rest.add(weight);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.ones += other.ones;
        self.rest.merge(&other.rest);
    }

    /// Adds w^2.
    fn add_square(&mut self, weight: f64) {
        if weight == 1.0 {
            self.ones += 1;
        } else {
            self.rest.add_product(weight, weight);
        }
    }

    /// Both as one exact sum; a count is below 2^64, so its two halves are exact.
    pub(super) fn sum(&self) -> ExactSum {
        let mut sum = self.rest.clone();
        sum.add(((self.ones >> 32) as f64) * 4_294_967_296.0);
        sum.add((self.ones & 0xffff_ffff) as f64);
        sum
    }
}

/// Sums over counted tokens; all that a report says of a part follows from them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// Counted tokens.
    pub num_tokens: u64,
    /// Counted tokens of rank 0, for certain.
    pub num_correct: u64,
    /// Counted tokens whose logit equals another entry's.
    pub num_ties: u64,
    /// Rows without a distribution, omitted or not.
    pub num_invalid: u64,
    /// Counted tokens whose loss or rank is an interval.
    pub num_bounded: u64,
    /// Tokens of which nothing is known: they would count, and are in no other figure.
    pub num_unknown: u64,
    /// Sum of w nll, each product rounded once.
    pub(super) loss: ExactSum,
    /// By how much it may be larger: the sum of w times the high end of the nll, less w nll, over
    /// tokens where they differ, each product rounded once.
    pub(super) loss_gap: ExactSum,
    /// Sum of w.
    pub(super) weight: Weight,
    /// Sums of w where the token is correct: first of equals, alone at the top, or among the top.
    pub(super) correct: Weight,
    pub(super) strict: Weight,
    pub(super) optimistic: Weight,
    /// Sum of w where the token may be correct, and is not for certain.
    pub(super) perhaps: Weight,
    /// Sum of w / (rank + 1) over ranks above 0; each reciprocal is rounded, its product exact.
    pub(super) reciprocal: ExactSum,
    /// Sums of w by rank below [`TOP_K`]: weights of 1 as counts, others apart.
    pub(super) ranks: Vec<u64>,
    pub(super) weighted_ranks: BTreeMap<u8, ExactSum>,
    /// Squares over tokens.
    pub(super) squares: Squares,
    /// Sequences.
    pub(super) sequences: Sequences,
    /// Sums over what is pooled, and independent.
    pub(super) clusters: Clusters,
}

impl Part {
    /// Adds a token whose row has a distribution; loss, weight and correct come with its sequence.
    pub(super) fn add(&mut self, token: &Token) {
        let (score, w) = (&token.score, token.weight);
        self.num_tokens += 1;
        self.num_correct += u64::from(score.is_correct());
        self.num_ties += u64::from(score.ties > 0);
        if score.is_correct() && score.ties == 0 {
            self.strict.add(w);
        }
        if score.greater == 0 {
            self.optimistic.add(w);
        }
        // The low end of what a rank is good for is that of its high end.
        let rank = score.rank_high;
        if rank > 0 && rank < NOWHERE {
            self.reciprocal.add_product(w, 1.0 / (f64::from(rank) + 1.0));
        }
        self.add_rank(rank, w);
        if score.is_bounded() {
            self.add_bounds(score, w);
        }
    }

    fn add_bounds(&mut self, score: &Score, w: f64) {
        self.num_bounded += 1;
        if score.nll_high > score.nll {
            self.loss_gap.add(w * score.nll_high);
            self.loss_gap.add(-(w * score.nll));
        }
        if score.rank == 0 && !score.is_correct() {
            self.perhaps.add(w);
        }
    }

    fn add_rank(&mut self, rank: u32, w: f64) {
        let at = rank as usize;
        if at >= TOP_K {
            return;
        }
        if w != 1.0 {
            self.weighted_ranks.entry(rank as u8).or_default().add(w);
            return;
        }
        if self.ranks.len() <= at {
            self.ranks.resize(at + 1, 0);
        }
        self.ranks[at] += 1;
    }

    /// Adds the sums of a sequence that ended.
    pub(super) fn end_sequence(&mut self, open: &OpenPart, known: bool, pooling: Pooling) {
        self.loss.merge(&open.loss);
        self.weight.merge(&open.weight);
        self.correct.merge(&open.correct);
        self.add_sequence(open, known, pooling);
    }

    /// Adds what depends on the sequence alone.
    pub(super) fn add_sequence(&mut self, open: &OpenPart, known: bool, pooling: Pooling) {
        if !known || open.tokens == 0 {
            return;
        }
        self.sequences.count += 1;
        self.sequences.judged += u64::from(!open.omitted);
        self.sequences.exact += u64::from(!open.omitted && !open.wrong);
        match pooling {
            Pooling::Tokens => self.clusters.add(open.sums()),
            Pooling::Sequences => self.clusters.add(open.means(1)),
            Pooling::Batches | Pooling::Samples => {}
        }
    }

    /// Adds the sums of a batch that ended, in which so many sequences ended.
    pub(super) fn end_batch(&mut self, open: &OpenPart, sequences: u64, pooling: Pooling) {
        let weight = if pooling == Pooling::Samples { sequences } else { 1 };
        if open.tokens > 0 {
            self.clusters.add(open.means(weight));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.num_tokens += other.num_tokens;
        self.num_correct += other.num_correct;
        self.num_ties += other.num_ties;
        self.num_invalid += other.num_invalid;
        self.num_bounded += other.num_bounded;
        self.num_unknown += other.num_unknown;
        self.loss.merge(&other.loss);
        self.loss_gap.merge(&other.loss_gap);
        self.weight.merge(&other.weight);
        self.correct.merge(&other.correct);
        self.strict.merge(&other.strict);
        self.optimistic.merge(&other.optimistic);
        self.perhaps.merge(&other.perhaps);
        self.reciprocal.merge(&other.reciprocal);
        if self.ranks.len() < other.ranks.len() {
            self.ranks.resize(other.ranks.len(), 0);
        }
        for (count, &more) in self.ranks.iter_mut().zip(&other.ranks) {
            *count += more;
        }
        for (&rank, sum) in &other.weighted_ranks {
            self.weighted_ranks.entry(rank).or_default().merge(sum);
        }
        self.squares.merge(&other.squares);
        self.sequences.merge(&other.sequences);
        self.clusters.merge(&other.clusters);
    }
}

/// Exact squares and products over tokens, for the errors that take them as independent: of n = w,
/// s = w nll (rounded once, as in the loss) and c, which is w where the token is correct, else 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Squares {
    pub(super) nn: Weight,
    pub(super) ss: ExactSum,
    pub(super) sn: ExactSum,
    /// Equal to the sum of c n.
    pub(super) cc: Weight,
}

impl Squares {
    pub(super) fn add(&mut self, weight: f64, nll: f64, correct: bool) {
        let loss = weight * nll;
        self.nn.add_square(weight);
        self.ss.add_product(loss, loss);
        self.sn.add_product(loss, weight);
        if correct {
            self.cc.add_square(weight);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.nn.merge(&other.nn);
        self.ss.merge(&other.ss);
        self.sn.merge(&other.sn);
        self.cc.merge(&other.cc);
    }
}

/// Sequences of which a token counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    pub(super) count: u64,
    /// Those whose every token was judged, and of them those that are all correct.
    pub(super) judged: u64,
    pub(super) exact: u64,
}

impl Sequences {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.judged += other.judged;
        self.exact += other.exact;
    }
}

/// Sums over clusters g of which a token counts: what is pooled, and independent of each other.
///
/// | pooling | cluster | `n_g` | `S_g` (loss), `C_g` (accuracy) |
/// |---|---|---|---|
/// | tokens | sequence | sum of w | sums of w nll, and of w where the token is correct |
/// | sequences | sequence | 1 | the same by the sum of w |
/// | batches | batch | 1 | the same |
/// | samples | batch | its sequences | the same, times `n_g` |
///
/// Each is an exact sum or a ratio of two, rounded once; squares and products are exact.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Clusters {
    /// G.
    pub(super) count: u64,
    pub(super) n: ExactSum,
    pub(super) nn: ExactSum,
    pub(super) s: ExactSum,
    pub(super) ss: ExactSum,
    pub(super) sn: ExactSum,
    pub(super) c: ExactSum,
    pub(super) cc: ExactSum,
    pub(super) cn: ExactSum,
}

impl Clusters {
    fn add(&mut self, [n, s, c]: [f64; 3]) {
        self.count += 1;
        self.n.add(n);
        self.s.add(s);
        self.c.add(c);
        self.nn.add_product(n, n);
        self.ss.add_product(s, s);
        self.sn.add_product(s, n);
        self.cc.add_product(c, c);
        self.cn.add_product(c, n);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, more) in self.sums_mut().into_iter().zip(other.sums()) {
            sum.merge(more);
        }
    }

    /// In the order of their bytes.
    pub(super) fn sums(&self) -> [&ExactSum; 8] {
        [&self.n, &self.nn, &self.s, &self.ss, &self.sn, &self.c, &self.cc, &self.cn]
    }

    pub(super) fn sums_mut(&mut self) -> [&mut ExactSum; 8] {
        [
            &mut self.n,
            &mut self.nn,
            &mut self.s,
            &mut self.ss,
            &mut self.sn,
            &mut self.c,
            &mut self.cc,
            &mut self.cn,
        ]
    }
}

/// Sums of one part of the open sequence, or of the open batch.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenPart {
    tokens: u64,
    pub(super) loss: ExactSum,
    pub(super) weight: Weight,
    correct: Weight,
    wrong: bool,
    omitted: bool,
}

impl OpenPart {
    pub(super) fn add(&mut self, weight: f64, nll: f64, correct: bool) {
        self.tokens += 1;
        self.loss.add(weight * nll);
        self.weight.add(weight);
        self.wrong |= !correct;
        if correct {
            self.correct.add(weight);
        }
    }

    /// Weight, loss and weight of correct tokens, each rounded once.
    fn sums(&self) -> [f64; 3] {
        [self.weight.sum().value(), self.loss.value(), self.correct.sum().value()]
    }

    /// A mean's weight, and so many times the means of loss and accuracy, each rounded once.
    fn means(&self, times: u64) -> [f64; 3] {
        let weight = self.weight.sum();
        let mean = |sum: &ExactSum| times_ratio(times, sum, &weight);
        [times as f64, mean(&self.loss), mean(&self.correct.sum())]
    }

    pub(super) fn omit(&mut self) {
        self.omitted = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens == 0 && !self.omitted
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.loss.merge(&other.loss);
        self.weight.merge(&other.weight);
        self.correct.merge(&other.correct);
        self.wrong |= other.wrong;
        self.omitted |= other.omitted;
    }
}
