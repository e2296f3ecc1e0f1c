//! Batch metrics of language models over huge logit arrays.
//!
//! One straight line, and nothing flows back:
//!
//! ```text
//! source -> Arrow batches -> selection -> kernel -> tally -> report
//! (Python)   [`arrow`]      [`selection`] [`kernel`] [`tally`] (Python)
//! ```
//!
//! - [`arrow`] is the one door: a stream of record batches becomes pieces, checked before anything
//!   is read. Whatever users have, a small Python source turns into such a stream.
//! - [`selection`] decides which tokens count before a logit is read; its state carries over every
//!   cut of the input.
//! - [`kernel`] scores rows, and knows neither Arrow nor Python. Every tier gives the same bits.
//! - [`scoring`] spreads a piece's rows over the threads of the call ([`parallel`]). A stream may
//!   hold tokens that somebody else scored in place of logits ([`score`]); the kernel is not asked.
//! - [`tally`] adds up exactly: merging is associative and commutative to the bit. It is the only
//!   thing that crosses threads, shards and machines.
//! - [`sinks`] are the other ends of the line: columns a token, a sequence, rows of log-softmax.
//! - [`pipeline`] is the line as code; [`meter`] feeds it, merges and asks; [`warnings`] watch it.
//! - `python` holds the only pyo3 code: one operation, one file, no logic.

pub mod arrow;
pub mod element;
pub mod error;
pub mod kernel;
pub mod key;
pub mod meter;
pub mod parallel;
pub mod pipeline;
#[cfg(feature = "python")]
mod python;
pub mod rows;
pub mod score;
pub mod scoring;
pub mod selection;
pub mod settings;
pub mod sinks;
pub mod tally;
pub mod warnings;
