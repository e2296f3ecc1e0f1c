//! The tally: sums that merge to the bit. In public this is a *state*.
//!
//! `Tally::new` is the empty one, [`Tally::merge`] is associative and commutative to the bit, and
//! the bytes are canonical. It is the only thing that crosses threads, shards and machines. Sums of
//! one sequence are kept apart ([`Open`]) until it ends, since the standard errors need them.

mod codec;
mod estimate;
mod exact_sum;
mod facts;
mod part;
mod statistics;
mod summary;
#[cfg(test)]
mod tests;

use crate::error::{Error, ErrorKind, Result};
use crate::key::{GroupKey, GroupTable};
use crate::score::Score;
use crate::selection::Counts;
use crate::settings::{NonFinite, Pooling, Settings};
use std::collections::BTreeMap;

pub use exact_sum::ExactSum;
pub use facts::{Facts, Seen};
pub use part::{Part, TOP_K};
pub use summary::{PartSummary, Summary, TripleSummary};

use part::{OpenPart, plain};

/// A counted token and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    /// The label's position.
    pub position: u64,
    /// The label.
    pub label: u32,
    /// Its weight, above 0.
    pub weight: f64,
    /// The number of its group.
    pub group: u32,
    /// Whether it is a hidden token.
    pub hidden: bool,
    /// What is known of it.
    pub score: Score,
}

/// The visible reply, the hidden tokens, and both together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Visible tokens.
    pub visible: Part,
    /// Hidden tokens.
    pub hidden: Part,
    /// Sequences and clusters over both; its token sums are those of the two.
    pub whole: Part,
}

/// Sums over counted tokens, with the settings that they were counted by.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    settings: Settings,
    by: Vec<String>,
    total: Parts,
    groups: BTreeMap<GroupKey, Parts>,
    counts: Counts,
    facts: Facts,
    seen: Seen,
    hidden_labels: BTreeMap<u32, u64>,
}

/// Sums of the sequence that is open and, where means are pooled by batch, of the open batch.
#[derive(Debug, Clone, Default)]
pub struct Open {
    sequence: OpenSums,
    batch: OpenSums,
    /// How many sequences of the batch have ended.
    sequences: u64,
}

/// One set of sums in all, and one a group.
#[derive(Debug, Clone, Default)]
struct OpenSums {
    total: OpenParts,
    groups: BTreeMap<u32, OpenParts>,
}

#[derive(Debug, Clone, Default)]
struct OpenParts {
    visible: OpenPart,
    hidden: OpenPart,
}

impl Tally {
    /// The empty tally.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            by: Vec::new(),
            total: Parts::default(),
            groups: BTreeMap::new(),
            counts: Counts::default(),
            facts: Facts::default(),
            seen: Seen::default(),
            hidden_labels: BTreeMap::new(),
        }
    }

    /// The settings it counts by.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Names of the group columns.
    #[must_use]
    pub fn by(&self) -> &[String] {
        &self.by
    }

    /// The loss so far, the open sequence included; for a progress bar.
    #[must_use]
    pub fn running_loss(&self, open: &Open) -> f64 {
        let sum = |closed: &ExactSum, open: f64| closed.value() + open;
        let (closed, open) = (&self.total, &open.sequence.total);
        let parts = [(&closed.visible, &open.visible), (&closed.hidden, &open.hidden)];
        let loss: f64 = parts.iter().map(|(part, open)| sum(&part.loss, open.loss.value())).sum();
        let weight: f64 =
            parts.iter().map(|(part, open)| sum(&part.weight.sum(), open.weight.sum().value())).sum();
        loss / weight
    }

    /// Notes the shape of an input.
    ///
    /// # Errors
    /// Rows of another length, or other group columns, than before.
    pub fn see(&mut self, seen: &Seen, by: &[String]) -> Result<()> {
        if self.counts.rows > 0 && self.by != by {
            let message = format!("groups by {:?} follow groups by {:?}", by, self.by);
            return Err(
                Error::new(ErrorKind::Settings, message).wanted(format!("{:?}", self.by), format!("{by:?}"))
            );
        }
        by.clone_into(&mut self.by);
        self.seen.merge(seen)
    }

    /// Adds counts of positions and runs.
    pub fn add_counts(&mut self, counts: &Counts) {
        self.counts.merge(counts);
    }

    /// Adds counted tokens of one sequence to the sums and to those of the sequence.
    pub fn add(&mut self, mut tokens: &[Token], open: &mut Open, groups: &GroupTable) {
        while let Some((first, rest)) = tokens.split_first() {
            let (stretch, others) = tokens.split_at(if self.by.is_empty() { plain(tokens) } else { 0 });
            if stretch.is_empty() {
                self.add_one(first, open, groups);
                tokens = rest;
            } else {
                self.total.visible.add_plain(&mut open.sequence.total.visible, stretch);
                tokens = others;
            }
        }
    }

    fn add_one(&mut self, token: &Token, open: &mut Open, groups: &GroupTable) {
        self.facts.add(token.score.flags);
        if token.hidden {
            *self.hidden_labels.entry(token.label).or_default() += 1;
        }
        let nonfinite = self.settings.nonfinite;
        let open = &mut open.sequence;
        add_to(&mut self.total, &mut open.total, token, nonfinite);
        if let (false, Some(key)) = (self.by.is_empty(), groups.key(token.group)) {
            if !self.groups.contains_key(key) {
                self.groups.insert(key.clone(), Parts::default());
            }
            if let Some(parts) = self.groups.get_mut(key) {
                add_to(parts, open.groups.entry(token.group).or_default(), token, nonfinite);
            }
        }
    }

    /// A sequence ended, and perhaps its batch: its sums join the others.
    pub fn end_sequence(&mut self, known: bool, batch_ends: bool, open: &mut Open, groups: &GroupTable) {
        let pooling = self.settings.pooling;
        let sums = std::mem::take(&mut open.sequence);
        self.seen.unknown_sequences |= !known && !sums.total.is_empty();
        self.each(&sums, groups, |parts, sums| parts.end_sequence(sums, known, pooling));
        if pooling.by_batch() {
            open.batch.merge(sums);
            open.sequences += 1;
            if batch_ends {
                let (batch, sequences) =
                    (std::mem::take(&mut open.batch), std::mem::take(&mut open.sequences));
                self.each(&batch, groups, |parts, sums| parts.end_batch(sums, sequences, pooling));
            }
        }
    }

    /// Joins open sums to those of the total and of each group.
    fn each(&mut self, sums: &OpenSums, groups: &GroupTable, join: impl Fn(&mut Parts, &OpenParts)) {
        join(&mut self.total, &sums.total);
        for (number, sums) in &sums.groups {
            if let Some(parts) = groups.key(*number).and_then(|key| self.groups.get_mut(key)) {
                join(parts, sums);
            }
        }
    }

    /// Adds another tally.
    ///
    /// # Errors
    /// Other settings, group columns or row lengths; the difference is listed.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.settings.same_as(&other.settings)?;
        if other.is_empty() {
            return Ok(());
        }
        if self.is_empty() {
            other.clone_into(self);
            return Ok(());
        }
        if self.by != other.by {
            let message = format!("states of different groups: by {:?} here, {:?} there", self.by, other.by);
            return Err(Error::new(ErrorKind::StateVersion, message));
        }
        self.seen.merge(&other.seen)?;
        self.total.merge(&other.total);
        for (key, parts) in &other.groups {
            self.groups.entry(key.clone()).or_default().merge(parts);
        }
        self.counts.merge(&other.counts);
        self.facts.merge(&other.facts);
        for (&label, &count) in &other.hidden_labels {
            *self.hidden_labels.entry(label).or_default() += count;
        }
        Ok(())
    }

    /// Whether no token counted.
    #[must_use]
    pub fn counts_nothing(&self) -> bool {
        self.total.visible.num_tokens + self.total.hidden.num_tokens == 0
    }

    /// Whether nothing was seen at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts == Counts::default() && self.seen == Seen::default()
    }
}

/// Adds a token to its part, as the policy for rows without a distribution says.
fn add_to(parts: &mut Parts, open: &mut OpenParts, token: &Token, nonfinite: NonFinite) {
    let (part, open) = if token.hidden {
        (&mut parts.hidden, &mut open.hidden)
    } else {
        (&mut parts.visible, &mut open.visible)
    };
    if !token.score.is_known() {
        part.num_unknown += 1;
        return open.omit();
    }
    let (nll, correct) = if token.score.flags.invalid() {
        part.num_invalid += 1;
        if nonfinite != NonFinite::Propagate {
            return open.omit();
        }
        part.num_tokens += 1;
        (f64::NAN, false)
    } else {
        part.add(token);
        (token.score.nll, token.score.is_correct())
    };
    part.squares.add(token.weight, nll, correct);
    open.add(token.weight, nll, correct);
}

impl Parts {
    fn end_sequence(&mut self, open: &OpenParts, known: bool, pooling: Pooling) {
        self.visible.end_sequence(&open.visible, known, pooling);
        self.hidden.end_sequence(&open.hidden, known, pooling);
        self.whole.add_sequence(&open.whole(), known, pooling);
    }

    fn end_batch(&mut self, open: &OpenParts, sequences: u64, pooling: Pooling) {
        self.visible.end_batch(&open.visible, sequences, pooling);
        self.hidden.end_batch(&open.hidden, sequences, pooling);
        self.whole.end_batch(&open.whole(), sequences, pooling);
    }

    fn merge(&mut self, other: &Self) {
        self.visible.merge(&other.visible);
        self.hidden.merge(&other.hidden);
        self.whole.merge(&other.whole);
    }

    /// The three with the whole's token sums filled in.
    fn filled(&self) -> Self {
        let mut filled = self.clone();
        let own = std::mem::take(&mut filled.whole);
        filled.whole = self.visible.clone();
        filled.whole.merge(&self.hidden);
        filled.whole.sequences = own.sequences;
        filled.whole.clusters = own.clusters;
        filled
    }
}

impl OpenSums {
    fn merge(&mut self, other: Self) {
        self.total.merge(&other.total);
        for (number, sums) in other.groups {
            self.groups.entry(number).or_default().merge(&sums);
        }
    }
}

impl OpenParts {
    fn whole(&self) -> OpenPart {
        let mut whole = self.visible.clone();
        whole.merge(&self.hidden);
        whole
    }

    fn merge(&mut self, other: &Self) {
        self.visible.merge(&other.visible);
        self.hidden.merge(&other.hidden);
    }

    fn is_empty(&self) -> bool {
        self.visible.is_empty() && self.hidden.is_empty()
    }
}

impl Counts {
    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.runs += other.runs;
        self.short_left += other.short_left;
        self.short_right += other.short_right;
        self.unscored += other.unscored;
    }
}
