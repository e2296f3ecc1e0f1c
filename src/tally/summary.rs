//! What a report shows, computed from a tally: each figure rounded once from exact sums.

use super::part::{Part, TOP_K};
use super::statistics::{clustered_stderr, effective_number, ratio, student_t_975};
use super::{ExactSum, Facts, Open, Parts, Tally};
use crate::element::Element;
use crate::key::{GroupKey, GroupTable};
use crate::selection::Counts;
use crate::warnings::Warning;

/// Below this effective number of sequences (sum n)^2 / sum n^2 intervals are too short.
const FEW_SEQUENCES: f64 = 300.0;

/// The figures of one part. Losses in nats.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the report, which documents them")]
pub struct PartSummary {
    pub loss: f64,
    pub loss_stderr: f64,
    pub loss_stderr_naive: f64,
    pub loss_ci: (f64, f64),
    pub perplexity: f64,
    pub perplexity_ci: (f64, f64),
    pub accuracy: f64,
    pub accuracy_stderr: f64,
    pub accuracy_stderr_naive: f64,
    pub accuracy_ci: (f64, f64),
    pub accuracy_strict: f64,
    pub accuracy_optimistic: f64,
    pub mrr: f64,
    pub top_k_accuracy: Vec<f64>,
    pub sequence_accuracy: f64,
    pub num_tokens: u64,
    pub num_correct: u64,
    pub num_sequences: u64,
    pub effective_sequences: f64,
    pub num_ties: u64,
    pub num_invalid: u64,
    pub sum_weight: f64,
    pub flags: Vec<&'static str>,
}

/// The three parts.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as above")]
pub struct TripleSummary {
    pub whole: PartSummary,
    pub visible: PartSummary,
    pub hidden: PartSummary,
}

/// All that a report shows.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as above")]
#[expect(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct Summary {
    pub total: TripleSummary,
    pub groups: Vec<(GroupKey, TripleSummary)>,
    pub by: Vec<String>,
    pub counts: Counts,
    pub facts: Facts,
    pub hidden_label_ids: Vec<(u32, u64)>,
    pub elements: Vec<Element>,
    pub vocab_size: Option<u64>,
    pub has_mask: bool,
    pub has_roles: bool,
    pub weighted: bool,
    pub sequences_known: bool,
}

impl Summary {
    /// A caution about the errors: too few sequences in the whole, or in some groups.
    #[must_use]
    pub fn caution(&self) -> Option<Warning> {
        let few = |part: &PartSummary| part.flags.contains(&"few_sequences");
        let groups = self.groups.iter().filter(|(_, parts)| few(&parts.whole)).count();
        let whole = &self.total.whole;
        let what = match (few(whole), groups) {
            (false, 0) => return None,
            (true, 0) => format!("is {:.1}", whole.effective_sequences),
            (true, _) => format!("is {:.1}, and as low in {groups} groups", whole.effective_sequences),
            (false, _) => format!("is low in {groups} of {} groups", self.groups.len()),
        };
        let message = format!(
            "the effective number of sequences, (sum n)^2 / sum n^2, {what}; below {FEW_SEQUENCES} \
             intervals are rough, and as a rule too short"
        );
        Some(("FewSequencesWarning", message))
    }
}

impl Tally {
    /// The summary of all that is decided; the tally and the open sequence stay as they are.
    #[must_use]
    pub fn summary(&self, open: Option<(&Open, &GroupTable, bool)>) -> Summary {
        match open {
            None => self.closed_summary(),
            Some((open, groups, known)) => {
                let mut closed = self.clone();
                closed.end_sequence(known, &mut open.clone(), groups);
                let mut summary = closed.closed_summary();
                summary.total.whole.flags.push("open");
                summary
            }
        }
    }

    fn closed_summary(&self) -> Summary {
        let known = !self.seen.unknown_sequences;
        Summary {
            groups: self
                .groups
                .iter()
                .map(|(key, parts)| (key.clone(), triple(&parts.filled(), known)))
                .collect(),
            total: triple(&self.total.filled(), known),
            by: self.by.clone(),
            counts: self.counts,
            facts: self.facts,
            hidden_label_ids: self.hidden_labels.iter().map(|(&id, &count)| (id, count)).collect(),
            elements: self.seen.elements.iter().copied().collect(),
            vocab_size: self.seen.columns,
            has_mask: self.seen.mask,
            has_roles: self.seen.roles,
            weighted: self.seen.weight,
            sequences_known: known,
        }
    }
}

fn triple(parts: &Parts, known: bool) -> TripleSummary {
    TripleSummary {
        whole: part(&parts.whole, known),
        visible: part(&parts.visible, known),
        hidden: part(&parts.hidden, known),
    }
}

/// What limits the figures of a part.
fn flags(part: &Part, known: bool, effective: f64) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if part.num_tokens == 0 {
        flags.push("empty");
    }
    if !known {
        flags.push("no_sequences");
    } else if part.sequences.count == 1 {
        flags.push("one_sequence");
    } else if effective < FEW_SEQUENCES {
        flags.push("few_sequences");
    }
    let loss = part.loss.value();
    if loss.is_nan() {
        flags.push("nan");
    } else if loss.is_infinite() {
        flags.push("infinite");
    }
    flags
}

fn part(part: &Part, known: bool) -> PartSummary {
    let weight = part.weight.sum();
    let loss = ratio(&part.loss, &weight);
    let accuracy = ratio(&part.correct.sum(), &weight);
    let q = &part.sequences;
    let (loss_stderr, accuracy_stderr, effective_sequences) = if known {
        (
            clustered_stderr(q.count, &q.n, &q.s, &q.ss, &q.sn, &q.nn),
            clustered_stderr(q.count, &q.n, &q.c, &q.cc, &q.cn, &q.nn),
            effective_number(&q.n, &q.nn),
        )
    } else {
        (f64::NAN, f64::NAN, f64::NAN)
    };
    let (loss_stderr_naive, accuracy_stderr_naive) = naive_stderrs(part, &weight);
    let t = student_t_975(q.count.saturating_sub(1));
    let interval = |x: f64, stderr: f64| (x - t * stderr, x + t * stderr);
    let loss_ci = interval(loss, loss_stderr);
    let accuracy_ci = interval(accuracy, accuracy_stderr);
    PartSummary {
        loss,
        loss_stderr,
        loss_stderr_naive,
        loss_ci,
        perplexity: loss.exp(),
        // On the log scale.
        perplexity_ci: (loss_ci.0.exp(), loss_ci.1.exp()),
        accuracy,
        accuracy_stderr,
        accuracy_stderr_naive,
        // `clamp` keeps NaN, as `max` would not.
        accuracy_ci: (accuracy_ci.0.clamp(0.0, 1.0), accuracy_ci.1.clamp(0.0, 1.0)),
        accuracy_strict: ratio(&part.strict.sum(), &weight),
        accuracy_optimistic: ratio(&part.optimistic.sum(), &weight),
        mrr: ratio(&reciprocal(part), &weight),
        top_k_accuracy: top_k(part, &weight),
        sequence_accuracy: if known { quotient(q.exact, q.judged) } else { f64::NAN },
        num_tokens: part.num_tokens,
        num_correct: part.num_correct,
        num_sequences: if known { q.count } else { 0 },
        effective_sequences,
        num_ties: part.num_ties,
        num_invalid: part.num_invalid,
        sum_weight: weight.value(),
        flags: flags(part, known, effective_sequences),
    }
}

/// The errors of loss and accuracy if each token were a sequence of its own.
fn naive_stderrs(part: &Part, weight: &ExactSum) -> (f64, f64) {
    let (q, nn, cc) = (&part.squares, part.squares.nn.sum(), part.squares.cc.sum());
    (
        clustered_stderr(part.num_tokens, weight, &part.loss, &q.ss, &q.sn, &nn),
        clustered_stderr(part.num_tokens, weight, &part.correct.sum(), &cc, &cc, &nn),
    )
}

/// Sum of w / (rank + 1), rank 0 included.
fn reciprocal(part: &Part) -> ExactSum {
    let mut sum = part.correct.sum();
    sum.merge(&part.reciprocal);
    sum
}

/// Accuracies of k = 1 to [`TOP_K`].
fn top_k(part: &Part, weight: &ExactSum) -> Vec<f64> {
    let mut within = ExactSum::default();
    (0..TOP_K)
        .map(|rank| {
            within.add(part.ranks.get(rank).map_or(0.0, |&count| count as f64));
            if let Some(sum) = part.weighted_ranks.get(&(rank as u8)) {
                within.merge(sum);
            }
            ratio(&within, weight)
        })
        .collect()
}

fn quotient(a: u64, b: u64) -> f64 {
    if b == 0 { f64::NAN } else { a as f64 / b as f64 }
}
