//! Loss and accuracy with their errors, from the sums of a part.

use super::ExactSum;
use super::part::{Part, Weight};
use super::statistics::{clustered_stderr, ratio, student_t_975};
use crate::settings::Pooling;

/// A figure, its standard error, what that would be if tokens were independent, and the number of
/// clusters behind it.
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) stderr: f64,
    pub(super) naive: f64,
    clusters: u64,
}

impl Estimate {
    /// The 95% interval.
    pub(super) fn interval(&self) -> (f64, f64) {
        let half = student_t_975(self.clusters.saturating_sub(1)) * self.stderr;
        (self.value - half, self.value + half)
    }
}

/// The mean loss; `errors` says whether the clusters are known.
pub(super) fn loss(part: &Part, errors: bool, pooling: Pooling) -> Estimate {
    let (q, squares) = (&part.clusters, &part.squares);
    mean(part, [&q.s, &q.ss, &q.sn], [&part.loss, &squares.ss, &squares.sn], errors, pooling)
}

/// The share of correct tokens, pooled as the loss.
pub(super) fn accuracy(part: &Part, errors: bool, pooling: Pooling) -> Estimate {
    let (q, correct, squares) = (&part.clusters, part.correct.sum(), part.squares.cc.sum());
    mean(part, [&q.c, &q.cc, &q.cn], [&correct, &squares, &squares], errors, pooling)
}

/// A mean from the sums of values, their squares and their products with n, over clusters and over
/// tokens; only that over tokens has an error of independent tokens.
fn mean(
    part: &Part,
    clusters: [&ExactSum; 3],
    tokens: [&ExactSum; 3],
    errors: bool,
    pooling: Pooling,
) -> Estimate {
    let q = &part.clusters;
    let [s, ss, sn] = clusters;
    let stderr = if errors { clustered_stderr(q.count, &q.n, s, ss, sn, &q.nn) } else { f64::NAN };
    let (value, naive) = if pooling == Pooling::Tokens {
        let (n, nn, [s, ss, sn]) = (part.weight.sum(), part.squares.nn.sum(), tokens);
        (ratio(s, &n), clustered_stderr(part.num_tokens, &n, s, ss, sn, &nn))
    } else {
        (ratio(s, &q.n), f64::NAN)
    };
    Estimate { value, stderr, naive, clusters: q.count }
}

/// The share of sequences that are right as a whole: each judged one counts once.
pub(super) fn whole_sequences(part: &Part, known: bool) -> Estimate {
    let count = |ones: u64| Weight { ones, rest: ExactSum::default() }.sum();
    let clusters = part.sequences.judged;
    let (all, right) = (count(clusters), count(part.sequences.exact));
    let (value, stderr) = if known {
        (ratio(&right, &all), clustered_stderr(clusters, &all, &right, &right, &right, &all))
    } else {
        (f64::NAN, f64::NAN)
    };
    Estimate { value, stderr, naive: f64::NAN, clusters }
}
