//! Which tokens count where each position has a role: prompt, visible or hidden.
//!
//! A *reply* is a maximal stretch of visible and hidden positions within one sequence; there may be
//! hidden tokens inside it, as in a tool call, and none is ever missing. A hidden token takes the
//! weight of the nearest visible position of its reply, of two equally near ones the earlier;
//! without any it keeps its own. So hidden positions are held until the next visible one, or the
//! end of the reply; then all of them are decided.

use super::parts::{Edge, Held, HeldRow, valid};
use super::{Label, Mark, RowAt, Selected, Selector};
use crate::rows::Vocab;

/// The reply that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    first: Edge,
    /// Its last visible position, which lends its weight.
    pub(super) visible: Option<Edge>,
    counted: bool,
}

impl Selector {
    pub(super) fn step_by_role(
        &mut self,
        mark: &Mark,
        at: Edge,
        label: Label,
        row: RowAt,
        vocab: &Vocab,
        out: &mut Selected,
    ) {
        if !matches!(mark, Mark::Yes | Mark::Hidden) {
            return self.end_reply(out, vocab);
        }
        let first = self.reply.get_or_insert(Reply { first: at, visible: None, counted: false }).first;
        if first.group != at.group {
            self.fail_group(at.position, first.position);
        }
        let at = Edge { group: first.group, ..at };
        if *mark == Mark::Yes {
            let before = out.picks.len();
            self.lend(Some(at), out, vocab);
            self.visible(at, label, row, vocab, out);
            self.count_reply(before, out);
            if let Some(reply) = &mut self.reply {
                reply.visible = Some(at);
            }
        } else if self.rules.hidden && label.usable() {
            let row = if label.id(vocab).is_some() { HeldRow::At(row) } else { HeldRow::Unscored };
            self.gap.push_back(Held {
                position: at.position,
                row,
                label,
                claim: Some((at.weight, at.group)),
            });
        }
    }

    pub(super) fn end_reply(&mut self, out: &mut Selected, vocab: &Vocab) {
        let before = out.picks.len();
        self.lend(None, out, vocab);
        self.count_reply(before, out);
        self.reply = None;
    }

    /// Decides the held tokens: what is visible next to them lends its weight.
    fn lend(&mut self, right: Option<Edge>, out: &mut Selected, vocab: &Vocab) {
        let Some(reply) = self.reply else { return };
        let mut gap = std::mem::take(&mut self.gap);
        for held in &mut gap {
            let nearest = match (reply.visible, right) {
                (Some(l), Some(r)) if r.position - held.position < held.position - l.position => Some(r),
                (left, right) => left.or(right),
            };
            let own = held.claim.map_or(f64::NAN, |(weight, _)| weight);
            let lender = nearest.unwrap_or(Edge { position: held.position, weight: own, ..reply.first });
            if !valid(lender.weight) {
                self.fail_weight(lender);
            }
            held.claim = Some((lender.weight, reply.first.group));
        }
        self.gap = gap;
        self.flush(0, out, vocab);
    }

    /// A reply counts as one once a token of it does.
    fn count_reply(&mut self, before: usize, out: &Selected) {
        if let Some(reply) = self.reply.as_mut().filter(|reply| !reply.counted && out.picks.len() > before) {
            reply.counted = true;
            self.counts.runs += 1;
        }
    }
}
