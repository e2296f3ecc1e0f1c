//! Where sequences and batches end and begin.
//!
//! A border of ids, of the scope or of batches ends a sequence. A batch holds whole sequences.

use super::parts::Sequence;
use super::{Piece, Selected, Selector, SequenceEnd};
use crate::key::Key;
use crate::rows::Vocab;

/// What the columns say before a position; `None` where a column has not changed.
pub(super) struct Border<'a> {
    pub(super) scope: Option<i64>,
    pub(super) id: Option<&'a Option<Key>>,
    pub(super) batch: Option<&'a Option<Key>>,
}

/// Whether a column's id is another one than before; a null always is.
fn changes(id: Option<&Option<Key>>, now: Option<&Key>) -> bool {
    id.is_some_and(|id| id.is_none() || id.as_ref() != now)
}

impl Selector {
    /// Ends the sequence and begins one, if a border lies before this position.
    pub(super) fn cross(&mut self, piece: &Piece, border: &Border, out: &mut Selected, vocab: &Vocab) {
        let (new_scope, new_id, new_batch) = match &self.sequence {
            None => (true, true, true),
            Some(now) => {
                let new_scope = border.scope.is_some() && border.scope != now.scope;
                let new_batch = changes(border.batch, self.batch.as_ref());
                (
                    new_scope,
                    changes(border.id, now.id.as_ref()),
                    new_batch || new_scope && piece.scope_ends_batch,
                )
            }
        };
        if !(new_scope || new_id || new_batch) {
            return;
        }
        let now = self.sequence.as_ref();
        let scope = border.scope.or(now.and_then(|now| now.scope));
        let known = piece.ids.is_some();
        // A new scope within a stretch of equal ids: the id goes on, in a sequence of its own.
        let id = match border.id {
            Some(id) => id.clone(),
            None => now.and_then(|now| now.id.clone()).filter(|_| known),
        };
        self.end_sequence(new_batch, out, vocab);
        if new_scope {
            self.seen.clear();
        }
        if new_scope || new_id {
            self.check_id(known, id.as_ref());
        } else if known {
            self.fail_cut(id.as_ref());
        }
        if new_batch && self.rules.batches && piece.batches.is_some() {
            self.begin_batch(border.batch, new_scope && piece.scope_ends_batch);
        }
        self.sequence = Some(Sequence { id, known, scope, first: self.position });
    }

    fn check_id(&mut self, known: bool, id: Option<&Key>) {
        let new = id.map_or(!known, |id| self.seen.insert(id.fingerprint()));
        if !new {
            self.fail_id("sequence", id);
        }
    }

    /// Begins a batch; in a new scope the id may go on as that of another one.
    fn begin_batch(&mut self, id: Option<&Option<Key>>, new_scope: bool) {
        if new_scope {
            self.seen_batches.clear();
        }
        if let Some(id) = id {
            id.clone_into(&mut self.batch);
        }
        let id = self.batch.clone();
        let new = id.as_ref().is_some_and(|id| self.seen_batches.insert(id.fingerprint()));
        if !new {
            self.fail_id("batch", id.as_ref());
        }
    }

    pub(super) fn end_sequence(&mut self, batch_ends: bool, out: &mut Selected, vocab: &Vocab) {
        let Some(sequence) = self.sequence.take() else { return };
        self.end_run(out, vocab);
        self.end_reply(out, vocab);
        self.end_trail();
        self.flush(0, out, vocab);
        let id = sequence.id.filter(|_| sequence.known);
        out.ends.push(SequenceEnd { id, batch_ends, after: out.picks.len() });
    }
}
