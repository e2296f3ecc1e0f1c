//! Scores a token, as an Arrow stream in the order of positions.

use super::internal;
use crate::error::Result;
use crate::kernel::fpstate::Guard;
use crate::pipeline::Scored;
use crate::selection::RowNumbers;
use crate::tally::Token;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::collections::VecDeque;
use std::sync::Arc;

/// Turns scored tokens into record batches.
pub struct TokenSink {
    schema: SchemaRef,
    /// Every position gets a row, not only those that count.
    all: bool,
    rows: RowNumbers,
    /// Rows without a distribution do not count.
    omit: bool,
    /// Tokens come scored, perhaps within bounds.
    scored: bool,
    next: u64,
    end: u64,
    kept: VecDeque<(u64, RecordBatch)>,
}

impl TokenSink {
    /// A sink that passes these columns through.
    #[must_use]
    pub fn new(keep: &Schema, all: bool, rows: RowNumbers, omit: bool, scored: bool) -> Self {
        let field = |name: &str, kind| Field::new(name, kind, true);
        let mut fields = vec![
            Field::new("position", DataType::UInt64, false),
            field("row", DataType::UInt64),
            field("hidden", DataType::Boolean),
            field("nll", DataType::Float64),
            field("logprob", DataType::Float64),
            field("lse", DataType::Float64),
            field("rank", DataType::UInt32),
            field("ties", DataType::UInt32),
        ];
        if scored {
            fields.extend([field("nll_high", DataType::Float64), field("rank_high", DataType::UInt32)]);
        }
        fields.extend(keep.fields().iter().map(|kept| kept.as_ref().clone().with_nullable(true)));
        let schema = Arc::new(Schema::new(fields));
        Self { schema, all, rows, omit, scored, next: 0, end: 0, kept: VecDeque::new() }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch of the tokens that a piece decided.
    ///
    /// # Errors
    /// Kept columns that change their type in mid-stream.
    pub fn push(&mut self, scored: &mut Scored) -> Result<RecordBatch> {
        let _state = Guard::new();
        if let Some((start, batch)) = scored.kept.take() {
            self.end = start + batch.num_rows() as u64;
            self.kept.push_back((start, batch));
        }
        if self.omit {
            scored.tokens.retain(|token| !token.score.flags.invalid());
        }
        let decided = match (&scored.failure, scored.tokens.last()) {
            // What lies behind an error is not known.
            (Some(_), last) => last.map_or(self.next, |token| token.position + 1),
            (None, _) => scored.decided.min(self.end),
        };
        let batch = self.batch(&self.rows(&scored.tokens, decided))?;
        self.next = decided.max(self.next);
        while self.kept.front().is_some_and(|(start, batch)| start + batch.num_rows() as u64 <= self.next) {
            self.kept.pop_front();
        }
        Ok(batch)
    }

    /// Positions and what is known of each.
    fn rows<'t>(&self, tokens: &'t [Token], decided: u64) -> Vec<(u64, Option<&'t Token>)> {
        if !self.all {
            return tokens.iter().map(|token| (token.position, Some(token))).collect();
        }
        let mut tokens = tokens.iter().peekable();
        let found = |position| (position, tokens.next_if(|token| token.position == position));
        (self.next..decided).map(found).collect()
    }

    fn batch<'t>(&self, rows: &[(u64, Option<&'t Token>)]) -> Result<RecordBatch> {
        let row_of = |token: &Token| self.rows.of(token.position as i64) as u64;
        let invalid = |token: &Token| token.score.flags.invalid();
        let known = |(_, token): &(u64, Option<&'t Token>)| token.filter(|token| token.score.is_known());
        let real = |of: fn(&Token) -> f64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| known(row).map(of)).collect::<Float64Array>())
        };
        let count = |of: fn(&Token) -> u32| -> ArrayRef {
            let one = |token: &Token| (!invalid(token)).then(|| of(token));
            Arc::new(rows.iter().map(|row| known(row).and_then(one)).collect::<UInt32Array>())
        };
        let lse = |row| known(row).map(|token| token.score.lse).filter(|lse| !(self.scored && lse.is_nan()));
        let place = |(_, token): &(u64, Option<&Token>)| token.map(row_of);
        let hidden = rows.iter().map(|(_, token)| token.map(|token| token.hidden));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|(position, _)| *position).collect::<UInt64Array>()),
            Arc::new(rows.iter().map(place).collect::<UInt64Array>()),
            Arc::new(hidden.collect::<BooleanArray>()),
            real(|token| token.score.nll),
            // + 0.0 turns the -0.0 of a certain token into 0.0.
            real(|token| -token.score.nll + 0.0),
            Arc::new(rows.iter().map(lse).collect::<Float64Array>()),
            count(|token| token.score.rank),
            count(|token| token.score.ties),
        ];
        if self.scored {
            columns.extend([real(|token| token.score.nll_high), count(|token| token.score.rank_high)]);
        }
        columns.extend(self.kept_columns(rows)?);
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|e| internal(&e))
    }

    /// The kept columns at these positions, gathered from the pieces that hold them.
    fn kept_columns(&self, rows: &[(u64, Option<&Token>)]) -> Result<Vec<ArrayRef>> {
        let width = self.kept.front().map_or(0, |(_, batch)| batch.num_columns());
        if width == 0 {
            let absent = &self.schema.fields()[if self.scored { 10 } else { 8 }..];
            return Ok(absent
                .iter()
                .map(|field| arrow_array::new_null_array(field.data_type(), rows.len()))
                .collect());
        }
        let mut places = Vec::with_capacity(rows.len());
        let mut piece = 0;
        for (position, _) in rows {
            while self.kept.get(piece + 1).is_some_and(|(start, _)| start <= position) {
                piece += 1;
            }
            let start = self.kept.get(piece).map_or(0, |(start, _)| *start);
            places.push((piece, (position - start) as usize));
        }
        let gather = |column: usize| {
            let arrays: Vec<_> = self.kept.iter().map(|(_, batch)| batch.column(column).as_ref()).collect();
            arrow_select::interleave::interleave(&arrays, &places).map_err(|e| internal(&e))
        };
        (0..width).map(gather).collect()
    }
}
