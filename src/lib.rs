//! Batch metrics of language models over huge logit arrays.

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
pub mod scoring;
pub mod selection;
pub mod settings;
pub mod sinks;
pub mod tally;
pub mod warnings;
