//! Where scores go, besides the tally: columns a token, columns a sequence, rows of log-softmax.

pub mod rows;
pub mod sequences;
pub mod tokens;

use crate::error::{Error, ErrorKind};

/// An array that could not be built: a bug in this crate, reported rather than hidden.
fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, error.to_string())
}
