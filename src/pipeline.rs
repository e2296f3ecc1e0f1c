//! The line from source to sink: pieces of a stream, selection, kernel, scored tokens.
//!
//! A [`Portion`] of the stream is read, and a [`Pipeline`] gives the tokens that it decided, in the
//! order of positions; several lines may share a portion, and a row is scored for the first that
//! asks. What carries over a cut lives in [`Carry`], so that a [`crate::meter::Meter`] can go on with
//! the next update.

mod deliver;

use crate::arrow::{Input, LogitColumn, Reader, Rows};
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::fpstate::Guard;
use crate::kernel::{Flags, Kernel, RowJob, RowScore};
use crate::key::GroupTable;
use crate::parallel::Control;
use crate::rows::Vocab;
use crate::score::Score;
use crate::scoring::{Job, MISSING, Scorer};
use crate::selection::{Counts, Pick, RowAt, Selected, Selector, SequenceEnd};
use crate::settings::Settings;
use crate::tally::{Seen, Token};
use crate::warnings::Watch;
use arrow_array::RecordBatch;
use std::sync::Arc;

use deliver::{Scores, deliver, settle};

/// What carries over from piece to piece, and from one update of a meter to the next.
#[derive(Debug, Clone)]
pub struct Carry {
    /// The state of counting.
    pub selector: Selector,
    /// What is watched for, beside the result.
    pub watch: Watch,
    vocab: Option<Arc<Vocab>>,
    columns: usize,
    row: Option<CarriedRow>,
}

/// With shift the last row of a piece scores the first label of the next.
#[derive(Debug, Clone)]
enum CarriedRow {
    /// A row of logits; `None` for a null row.
    Logits(Element, Option<Vec<u8>>),
    /// What was given in its place.
    Score(Score),
}

/// What a piece gave.
#[derive(Debug, Default)]
pub struct Scored {
    /// Tokens that count, up to the first error.
    pub tokens: Vec<Token>,
    /// Sequences that ended, each after so many of the tokens.
    pub ends: Vec<SequenceEnd>,
    /// Counts of positions and runs.
    pub counts: Counts,
    /// What the input looks like.
    pub seen: Seen,
    /// The piece's first position, its length, and its columns that are passed through.
    pub kept: Option<(u64, RecordBatch)>,
    /// Below this position it is known which positions count.
    pub decided: u64,
    /// The first error, once nothing can come before it; the stream ends with it.
    pub failure: Option<Error>,
}

/// What was read so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Read {
    /// Rows.
    pub rows: u64,
    /// Bytes of logits, counted or not.
    pub bytes: u64,
}

/// A piece of the stream, and the scores of its rows as far as a line asked for them.
pub struct Portion {
    input: Input,
    /// Of each row, once it is known.
    scores: Vec<Option<Score>>,
    /// That of the row before it, which scores its first label under shift.
    carried: Option<Score>,
}

/// The line, over one stream.
pub struct Pipeline<'a> {
    reader: &'a Reader,
    carry: &'a mut Carry,
    scorer: Option<&'a mut Scorer>,
    settings: &'a Settings,
}

impl Carry {
    /// At the start of an input.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            selector: Selector::new(settings),
            watch: Watch::default(),
            vocab: None,
            columns: 0,
            row: None,
        }
    }

    /// The vocabulary of rows of this length; it stays the same for the whole input.
    ///
    /// # Errors
    /// Rows of another length than before, or settings that do not fit them.
    pub fn vocab(&mut self, columns: usize, settings: &Settings) -> Result<Arc<Vocab>> {
        match &self.vocab {
            Some(vocab) if self.columns == columns => Ok(Arc::clone(vocab)),
            Some(_) => {
                let message = format!(
                    "rows of {columns} logits follow rows of {}: one vocabulary an input",
                    self.columns
                );
                Err(Error::new(ErrorKind::Shape, message)
                    .wanted(self.columns.to_string(), columns.to_string()))
            }
            None => {
                let vocab = Vocab::new(columns, settings.valid_vocab, settings.vocab_mask.as_deref())?;
                let vocab = Arc::new(vocab);
                self.vocab = Some(Arc::clone(&vocab));
                self.columns = columns;
                Ok(vocab)
            }
        }
    }

    /// Ends the input: what is still open is decided, and what comes next is another input.
    ///
    /// # Errors
    /// The first error, which nothing can precede any more.
    pub fn finish(&mut self, settings: &Settings) -> Result<Scored> {
        let vocab = self.vocab.clone().unwrap_or_else(|| Arc::new(Vocab::unknown()));
        let _state = Guard::new();
        let selected = self.selector.finish(&vocab);
        self.row = None;
        let mut scored =
            Scored { counts: self.selector.take_counts(), decided: u64::MAX, ..Scored::default() };
        self.watch.add_run_ends(self.selector.take_last_labels());
        deliver(&mut scored, selected, &Scores::new(&[], None), &mut self.selector, settings);
        settle(&mut scored, &self.selector, i64::MAX);
        Ok(scored)
    }
}

impl Portion {
    /// The next piece; `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream's own errors and what the control says.
    pub fn read(
        reader: &mut Reader,
        groups: &mut GroupTable,
        read: &mut Read,
        control: &mut dyn Control,
    ) -> Result<Option<Self>> {
        control.tick()?;
        let Some(input) = reader.next(groups)? else { return Ok(None) };
        read.rows += input.piece.len() as u64;
        let scores = match &input.rows {
            Some(Rows::Logits(logits)) => {
                read.bytes += (logits.rows() * logits.row_bytes()) as u64;
                vec![None; logits.rows()]
            }
            Some(Rows::Scores(given)) => given.iter().copied().map(Some).collect(),
            None => Vec::new(),
        };
        Ok(Some(Self { input, scores, carried: None }))
    }
}

impl<'a> Pipeline<'a> {
    /// A line; without a scorer only what can be known without logits is found.
    pub fn new(
        reader: &'a Reader,
        carry: &'a mut Carry,
        scorer: Option<&'a mut Scorer>,
        settings: &'a Settings,
    ) -> Self {
        Self { reader, carry, scorer, settings }
    }

    /// The tokens of the next portion.
    ///
    /// # Errors
    /// What the control says. Errors of counting and scoring come in [`Scored::failure`], after the
    /// tokens before them.
    pub fn advance(&mut self, portion: &mut Portion, control: &mut dyn Control) -> Result<Scored> {
        let _state = Guard::new();
        let input = &portion.input;
        let start = self.carry.selector.position();
        self.carry.selector.set_row_period(self.reader.row_period());
        let vocab = self.vocab(input.rows.as_ref())?;
        let selected = self.carry.selector.push(&input.piece, &vocab);
        let mut scored = Scored {
            counts: self.carry.selector.take_counts(),
            seen: self.seen(input),
            decided: self.carry.selector.decided(),
            kept: Some((start, input.keep.clone())),
            ..Scored::default()
        };
        match (&input.rows, self.scorer.is_some()) {
            (Some(_), true) => self.score(portion, &vocab, selected, &mut scored, control)?,
            _ => self.decide(selected, &mut scored),
        }
        Ok(scored)
    }

    /// The vocabulary of a piece; where it was scored elsewhere perhaps nobody says how large it was.
    fn vocab(&mut self, rows: Option<&Rows>) -> Result<Arc<Vocab>> {
        let known = Some(self.carry.columns).filter(|&known| known > 0);
        let columns = match rows {
            // A piece of null lists alone says nothing of their length.
            Some(Rows::Logits(logits)) => logits.columns().or(known),
            Some(Rows::Scores(_)) => self.of_scores().map(|()| self.reader.vocab_size())?,
            None => known,
        };
        match columns {
            Some(columns) => self.carry.vocab(columns, self.settings),
            None => Ok(Arc::new(Vocab::unknown())),
        }
    }

    /// Options that cannot be met where there are no logits.
    fn of_scores(&self) -> Result<()> {
        if self.settings.valid_vocab.is_none() && self.settings.vocab_mask.is_none() {
            return Ok(());
        }
        let message = "valid_vocab and vocab_mask leave entries out of rows of logits, and the input holds \
                       scores, which were made without them";
        Err(Error::new(ErrorKind::Settings, message).wanted("rows of logits", "scores"))
    }

    fn seen(&self, input: &Input) -> Seen {
        let logits = match &input.rows {
            Some(Rows::Logits(logits)) => Some(logits),
            _ => None,
        };
        Seen {
            elements: logits.iter().map(|logits| logits.element()).collect(),
            columns: logits.map_or(self.reader.vocab_size(), LogitColumn::columns).map(|n| n as u64),
            scores: matches!(&input.rows, Some(Rows::Scores(_))),
            mask: self.reader.has_mask(),
            roles: self.reader.has_roles(),
            weight: self.reader.has_weight(),
            unknown_sequences: false,
        }
    }

    /// Scores what this piece decided, and in advance what stays held.
    fn score(
        &mut self,
        portion: &mut Portion,
        vocab: &Vocab,
        selected: Selected,
        scored: &mut Scored,
        control: &mut dyn Control,
    ) -> Result<()> {
        let Portion { input, scores: known, carried } = portion;
        let (Some(scorer), Some(rows)) = (self.scorer.as_deref_mut(), &input.rows) else { return Ok(()) };
        let picks = || selected.picks.iter().map(|pick| (pick.row, pick.label));
        let advance = || selected.advance.iter().map(|a| (a.row, a.label));
        if let Rows::Logits(logits) = rows {
            let mut jobs = Vec::with_capacity(selected.picks.len() + selected.advance.len());
            for (row, label) in picks().chain(advance()) {
                if let RowAt::Here(row) = row
                    && known[row as usize].is_none()
                {
                    jobs.push(Job { row, label: Some(label) });
                }
            }
            for (job, score) in jobs.iter().zip(scorer.score(logits, vocab, &jobs, control)?) {
                known[job.row as usize] = Some(score.into());
            }
        }
        // Scored only if it is asked for: one position a piece.
        if let (None, Some(before)) = (*carried, &self.carry.row) {
            let asked = picks().chain(advance()).find(|(row, _)| *row == RowAt::Carried);
            *carried = asked.map(|(_, label)| before.score(scorer, vocab, label));
        }
        let scores = Scores::new(known, *carried);
        for advance in &selected.advance {
            let score = scores.of(advance.row, &selected.held);
            self.carry.selector.set_score(advance.slot, *score);
        }
        if let Rows::Logits(logits) = rows {
            let of = |pick: &Pick| *scores.of(pick.row, &selected.held);
            self.carry.watch.add_rows(logits, vocab, &selected, of);
        }
        self.carry.watch.add_run_ends(self.carry.selector.take_last_labels());
        if self.settings.shift {
            self.carry.row = CarriedRow::last_of(rows, vocab);
        }
        self.conclude(selected, &scores, scored);
        Ok(())
    }

    /// Without logits: the tokens with no scores.
    fn decide(&mut self, selected: Selected, scored: &mut Scored) {
        let none =
            Score::from(RowScore { nll: 0.0, lse: 0.0, rank: 0, greater: 0, ties: 0, flags: Flags(0) });
        for advance in &selected.advance {
            self.carry.selector.set_score(advance.slot, none);
        }
        self.carry.watch.add_run_ends(self.carry.selector.take_last_labels());
        let here = vec![Some(none); scored.counts.rows as usize];
        self.conclude(selected, &Scores::new(&here, Some(none)), scored);
    }

    fn conclude(&mut self, selected: Selected, scores: &Scores, scored: &mut Scored) {
        let horizon = self.carry.selector.horizon();
        deliver(scored, selected, scores, &mut self.carry.selector, self.settings);
        if let Some(failure) = self.carry.selector.failure() {
            // Of this piece only what lies before the error.
            let start = self.carry.selector.position() as i64 - scored.counts.rows as i64;
            scored.counts.rows = (failure.place.0 - start).clamp(0, scored.counts.rows as i64) as u64;
        }
        settle(scored, &self.carry.selector, horizon);
    }
}

impl CarriedRow {
    fn last_of(rows: &Rows, vocab: &Vocab) -> Option<Self> {
        match rows {
            Rows::Logits(logits) => {
                let last = logits.rows().checked_sub(1)?;
                Some(Self::Logits(logits.element(), logits.row(last, vocab).map(<[u8]>::to_vec)))
            }
            Rows::Scores(given) => given.last().copied().map(Self::Score),
        }
    }

    fn score(&self, scorer: &Scorer, vocab: &Vocab, label: u32) -> Score {
        match self {
            Self::Logits(element, Some(row)) => {
                let mut scores = Vec::with_capacity(1);
                let kernel: Kernel = scorer.kernel_of(*element, vocab);
                kernel.score(&[RowJob { row, label: Some(label) }], &mut scores);
                scores.pop().unwrap_or(MISSING).into()
            }
            Self::Logits(_, None) => MISSING.into(),
            Self::Score(score) => *score,
        }
    }
}
