//! Many plain tokens at once: the same sums as one by one, in a fraction of the time.

use super::{OpenPart, Part};
use crate::tally::Token;
use crate::tally::exact_sum::Buckets;

/// Tokens that share buckets, at most; fewer than so many are added one by one sooner.
pub(in crate::tally) const STRETCH: usize = Buckets::ROOM as usize;
const FEW: usize = 12;

/// How many of the first tokens can be added at once: visible ones of weight 1 with an exact score.
pub(in crate::tally) fn plain(tokens: &[Token]) -> usize {
    let count = tokens.iter().take(STRETCH).take_while(|token| is_plain(token)).count();
    if count < FEW { 0 } else { count }
}

fn is_plain(token: &Token) -> bool {
    let exact = token.score.is_ordinary() && !token.score.is_bounded();
    exact && !token.hidden && token.weight == 1.0
}

impl Part {
    /// What `Part::add`, `Squares::add` and `OpenPart::add` do, for as many tokens as `plain` says.
    pub(in crate::tally) fn add_plain(&mut self, open: &mut OpenPart, tokens: &[Token]) {
        let (mut losses, mut reciprocals) = (Buckets::default(), Buckets::default());
        let (mut correct, mut ties, mut strict, mut optimistic) = (0, 0, 0, 0);
        for Token { score, .. } in tokens {
            correct += u64::from(score.rank == 0);
            ties += u64::from(score.ties > 0);
            strict += u64::from(score.rank == 0 && score.ties == 0);
            optimistic += u64::from(score.greater == 0);
            let reciprocal = 1.0 / (f64::from(score.rank) + 1.0);
            if score.rank > 0 && !reciprocals.add(reciprocal) {
                self.reciprocal.add(reciprocal);
            }
            self.add_rank(score.rank, 1.0);
            if !losses.add_with_square(score.nll) {
                open.loss.add(score.nll);
                self.squares.sn.add(score.nll);
                self.squares.ss.add_product(score.nll, score.nll);
            }
        }
        losses.add_values_to(&mut open.loss);
        losses.add_values_to(&mut self.squares.sn);
        losses.add_squares_to(&mut self.squares.ss);
        reciprocals.add_values_to(&mut self.reciprocal);
        let tokens = tokens.len() as u64;
        self.num_tokens += tokens;
        self.num_correct += correct;
        self.num_ties += ties;
        self.strict.ones += strict;
        self.optimistic.ones += optimistic;
        self.squares.nn.ones += tokens;
        self.squares.cc.ones += correct;
        open.tokens += tokens;
        open.weight.ones += tokens;
        open.correct.ones += correct;
        open.wrong |= correct < tokens;
    }
}
