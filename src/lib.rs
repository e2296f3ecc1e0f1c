//! Batch metrics of language models over huge logit arrays.

pub mod element;
pub mod error;
pub mod kernel;
pub mod rows;
