//! Batch metrics of language models over huge logit arrays.

pub mod element;
pub mod error;
pub mod kernel;
pub mod key;
pub mod rows;
pub mod selection;
pub mod settings;
pub mod tally;
