//! What a report shows, computed from a tally: each figure rounded once from exact sums.

use super::estimate::{accuracy, loss, whole_sequences};
use super::part::{Part, TOP_K};
use super::statistics::{effective_number, ratio};
use super::{ExactSum, Facts, Open, Parts, Tally};
use crate::element::Element;
use crate::key::{GroupKey, GroupTable};
use crate::selection::Counts;
use crate::settings::{Accuracy, Pooling, Settings};
use crate::warnings::Warning;

/// Below this effective number of sequences or batches (sum n)^2 / sum n^2 intervals are too short.
const FEW: f64 = 300.0;

/// The figures of one part. Losses in nats.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the report, which documents them")]
pub struct PartSummary {
    pub loss: f64,
    pub loss_stderr: f64,
    pub loss_stderr_naive: f64,
    pub loss_ci: (f64, f64),
    pub loss_bounds: (f64, f64),
    pub perplexity: f64,
    pub perplexity_ci: (f64, f64),
    pub perplexity_bounds: (f64, f64),
    pub accuracy: f64,
    pub accuracy_stderr: f64,
    pub accuracy_stderr_naive: f64,
    pub accuracy_ci: (f64, f64),
    pub accuracy_bounds: (f64, f64),
    pub accuracy_strict: f64,
    pub accuracy_optimistic: f64,
    pub mrr: f64,
    pub top_k_accuracy: Vec<f64>,
    pub sequence_accuracy: f64,
    pub num_tokens: u64,
    pub num_correct: u64,
    pub num_sequences: u64,
    pub num_batches: u64,
    pub effective_number: f64,
    pub num_ties: u64,
    pub num_invalid: u64,
    pub num_bounded: u64,
    pub num_unknown: u64,
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
    pub scored: bool,
    pub has_mask: bool,
    pub has_roles: bool,
    pub weighted: bool,
    pub sequences_known: bool,
}

impl Summary {
    /// What told which tokens count.
    #[must_use]
    pub fn selected_by(&self, settings: &Settings) -> &'static str {
        match (self.has_roles, self.has_mask) {
            (true, true) => "role or mask",
            (true, false) => "role",
            (false, true) if settings.leading + settings.trailing > 0 => "leading and trailing",
            (false, true) => "mask",
            (false, false) => "labels",
        }
    }

    /// A caution about the errors: too few sequences, or batches, in the whole or in some groups.
    #[must_use]
    pub fn caution(&self) -> Option<Warning> {
        let few = |part: &PartSummary| part.flags.iter().find(|flag| flag.starts_with("few_")).copied();
        let groups: Vec<_> = self.groups.iter().filter_map(|(_, parts)| few(&parts.whole)).collect();
        let whole = &self.total.whole;
        let flag = few(whole).or(groups.first().copied())?;
        let what = match (few(whole), groups.len()) {
            (Some(_), 0) => format!("is {:.1}", whole.effective_number),
            (Some(_), n) => format!("is {:.1}, and as low in {n} groups", whole.effective_number),
            (None, n) => format!("is low in {n} of {} groups", self.groups.len()),
        };
        let message = format!(
            "the effective number of {}, (sum n)^2 / sum n^2, {what}; below {FEW} intervals are rough, \
             and as a rule too short",
            flag.trim_start_matches("few_"),
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
                closed.end_sequence(known, true, &mut open.clone(), groups);
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
                .map(|(key, parts)| (key.clone(), triple(&parts.filled(), known, &self.settings)))
                .collect(),
            total: triple(&self.total.filled(), known, &self.settings),
            by: self.by.clone(),
            counts: self.counts,
            facts: self.facts,
            hidden_label_ids: self.hidden_labels.iter().map(|(&id, &count)| (id, count)).collect(),
            elements: self.seen.elements.iter().copied().collect(),
            vocab_size: self.seen.columns,
            scored: self.seen.scores,
            has_mask: self.seen.mask,
            has_roles: self.seen.roles,
            weighted: self.seen.weight,
            sequences_known: known,
        }
    }
}

fn triple(parts: &Parts, known: bool, settings: &Settings) -> TripleSummary {
    TripleSummary {
        whole: part(&parts.whole, known, settings),
        visible: part(&parts.visible, known, settings),
        hidden: part(&parts.hidden, known, settings),
    }
}

/// What limits the figures of a part.
fn flags(part: &Part, known: bool, by_batch: bool, effective: f64) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if part.num_tokens == 0 {
        flags.push("empty");
    }
    let (one, few) = if by_batch { ("one_batch", "few_batches") } else { ("one_sequence", "few_sequences") };
    if !(known || by_batch) {
        flags.push("no_sequences");
    } else if part.clusters.count == 1 {
        flags.push(one);
    } else if effective < FEW {
        flags.push(few);
    }
    let loss = part.loss.value();
    if loss.is_nan() {
        flags.push("nan");
    } else if loss.is_infinite() {
        flags.push("infinite");
    }
    flags
}

fn part(part: &Part, known: bool, settings: &Settings) -> PartSummary {
    let weight = part.weight.sum();
    let by_batch = settings.pooling.by_batch();
    let (sequences, clusters) = (&part.sequences, &part.clusters);
    let effective = if known || by_batch { effective_number(&clusters.n, &clusters.nn) } else { f64::NAN };
    let loss = loss(part, known || by_batch, settings.pooling);
    let accuracy = match settings.accuracy {
        Accuracy::Tokens => accuracy(part, known || by_batch, settings.pooling),
        Accuracy::Sequences => whole_sequences(part, known),
    };
    let (loss_ci, accuracy_ci) = (loss.interval(), accuracy.interval());
    let (loss_high, accuracy_high) = high_ends(part, &weight, (loss.value, accuracy.value), settings);
    PartSummary {
        loss: loss.value,
        loss_stderr: loss.stderr,
        loss_stderr_naive: loss.naive,
        loss_ci,
        loss_bounds: (loss.value, loss_high),
        perplexity: loss.value.exp(),
        // On the log scale.
        perplexity_ci: (loss_ci.0.exp(), loss_ci.1.exp()),
        perplexity_bounds: (loss.value.exp(), loss_high.exp()),
        accuracy: accuracy.value,
        accuracy_stderr: accuracy.stderr,
        accuracy_stderr_naive: accuracy.naive,
        // `clamp` keeps NaN, as `max` would not.
        accuracy_ci: (accuracy_ci.0.clamp(0.0, 1.0), accuracy_ci.1.clamp(0.0, 1.0)),
        accuracy_bounds: (accuracy.value, accuracy_high),
        accuracy_strict: ratio(&part.strict.sum(), &weight),
        accuracy_optimistic: ratio(&part.optimistic.sum(), &weight),
        mrr: ratio(&reciprocal(part), &weight),
        top_k_accuracy: top_k(part, &weight),
        sequence_accuracy: whole_sequences(part, known).value,
        num_tokens: part.num_tokens,
        num_correct: part.num_correct,
        num_sequences: if known { sequences.count } else { 0 },
        num_batches: if by_batch { clusters.count } else { 0 },
        effective_number: effective,
        num_ties: part.num_ties,
        num_invalid: part.num_invalid,
        num_bounded: part.num_bounded,
        num_unknown: part.num_unknown,
        sum_weight: weight.value(),
        flags: flags(part, known, by_batch, effective),
    }
}

/// Loss and accuracy where every token has the high end of its interval.
fn high_ends(part: &Part, weight: &ExactSum, low: (f64, f64), settings: &Settings) -> (f64, f64) {
    if part.num_bounded == 0 {
        return low;
    }
    if settings.pooling != Pooling::Tokens || settings.accuracy != Accuracy::Tokens {
        // The high ends are kept as sums over tokens alone.
        return (f64::NAN, f64::NAN);
    }
    let (mut loss, mut correct) = (part.loss.clone(), part.correct.sum());
    loss.merge(&part.loss_gap);
    correct.merge(&part.perhaps.sum());
    (ratio(&loss, weight), ratio(&correct, weight))
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
