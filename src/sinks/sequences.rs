//! Scores a sequence: the sum of log-probabilities, how many tokens, and whether all are correct.

use super::internal;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::fpstate::Guard;
use crate::key::Key;
use crate::pipeline::Scored;
use crate::selection::SequenceEnd;
use crate::settings::NonFinite;
use crate::tally::{ExactSum, Token};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Turns scored tokens into one row a sequence.
pub struct SequenceSink {
    schema: SchemaRef,
    nonfinite: NonFinite,
    ended: u64,
    open: Open,
}

#[derive(Default)]
struct Open {
    nll: ExactSum,
    tokens: u64,
    wrong: bool,
    /// Whether a token was left out, or nobody knows whether it is correct.
    unjudged: bool,
}

/// A sequence's row.
struct Row {
    id: Option<Key>,
    number: u64,
    open: Open,
}

impl SequenceSink {
    /// A sink for ids of this type; without ids sequences are numbered.
    #[must_use]
    pub fn new(ids: Option<&DataType>, nonfinite: NonFinite) -> Self {
        let kind = match ids {
            Some(DataType::UInt64) => DataType::UInt64,
            Some(kind) if !kind.is_integer() => match kind {
                DataType::Dictionary(_, value) if value.is_integer() => DataType::Int64,
                _ => DataType::Utf8,
            },
            _ => DataType::Int64,
        };
        let schema = Arc::new(Schema::new(vec![
            Field::new("sequence_id", kind, false),
            Field::new("logprob", DataType::Float64, false),
            Field::new("num_tokens", DataType::UInt64, false),
            Field::new("all_correct", DataType::Boolean, true),
        ]));
        Self { schema, nonfinite, ended: 0, open: Open::default() }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch of the sequences that a piece ended.
    ///
    /// # Errors
    /// An id that does not fit its column.
    pub fn push(&mut self, scored: &Scored) -> Result<RecordBatch> {
        let _state = Guard::new();
        let mut rows = Vec::with_capacity(scored.ends.len());
        let mut ends = scored.ends.iter().peekable();
        for (i, token) in scored.tokens.iter().enumerate() {
            while let Some(end) = ends.next_if(|end| end.after <= i) {
                rows.push(self.end(end));
            }
            self.open.add(token, self.nonfinite);
        }
        if scored.failure.is_none() {
            rows.extend(ends.map(|end| self.end(end)));
        }
        self.batch(&rows)
    }

    fn end(&mut self, end: &SequenceEnd) -> Row {
        self.ended += 1;
        Row { id: end.id.clone(), number: self.ended - 1, open: std::mem::take(&mut self.open) }
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            self.ids(rows)?,
            Arc::new(rows.iter().map(|row| -row.open.nll.value() + 0.0).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.open.tokens).collect::<UInt64Array>()),
            Arc::new(rows.iter().map(|row| row.open.all_correct()).collect::<BooleanArray>()),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| internal(&e))
    }

    fn ids(&self, rows: &[Row]) -> Result<ArrayRef> {
        let kind = self.schema.field(0).data_type();
        let wrong = || Error::new(ErrorKind::DType, format!("a sequence_id does not fit {kind}"));
        let integer = |row: &Row| match &row.id {
            None => Ok(i128::from(row.number)),
            Some(Key::Int(id)) => Ok(*id),
            Some(_) => Err(wrong()),
        };
        Ok(match kind {
            DataType::Utf8 => Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>()),
            DataType::UInt64 => {
                let ids: Result<Vec<u64>> =
                    rows.iter().map(|row| u64::try_from(integer(row)?).map_err(|_| wrong())).collect();
                Arc::new(UInt64Array::from(ids?))
            }
            _ => {
                let ids: Result<Vec<i64>> =
                    rows.iter().map(|row| i64::try_from(integer(row)?).map_err(|_| wrong())).collect();
                Arc::new(Int64Array::from(ids?))
            }
        })
    }
}

fn text(row: &Row) -> String {
    match &row.id {
        Some(Key::Text(id)) => id.to_string(),
        Some(id) => id.to_string(),
        None => row.number.to_string(),
    }
}

impl Open {
    fn add(&mut self, token: &Token, nonfinite: NonFinite) {
        let score = &token.score;
        if !score.is_known() || (score.flags.invalid() && nonfinite == NonFinite::Omit) {
            self.unjudged = true;
            return;
        }
        self.tokens += 1;
        self.nll.add(score.nll);
        self.wrong |= score.rank > 0 || score.flags.invalid();
        self.unjudged |= score.rank == 0 && !score.is_correct();
    }

    /// Unknown where nothing counted, or where a token was not judged.
    fn all_correct(&self) -> Option<bool> {
        (self.tokens > 0 && !self.unjudged).then_some(!self.wrong)
    }
}
