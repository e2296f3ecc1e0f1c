//! What is known of a token: exactly, from its row of logits; or as somebody else scored it, then
//! perhaps only within bounds, or not at all.
//!
//! Loss and rank each have a low and a high end, equal where they are exact. A figure of a report
//! is its own low end: the loss of the low end of each nll, the accuracy of the high end of each
//! rank.

use crate::kernel::{Flags, RowScore};

/// The score of a token's label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Negative log-likelihood of the label in nats, the low end.
    pub nll: f64,
    /// Its high end, perhaps +inf.
    pub nll_high: f64,
    /// ln of the sum of exp over all allowed entries; NaN where it was not given.
    pub lse: f64,
    /// Entries above the label, and equal ones at a lower index, the low end: 0 is best.
    pub rank: u32,
    /// Its high end; [`NOWHERE`] where there is none.
    pub rank_high: u32,
    /// Entries above the label.
    pub greater: u32,
    /// Other entries equal to the label.
    pub ties: u32,
    /// Facts about the row of logits.
    pub flags: Flags,
    /// Whether the rest has a meaning.
    pub standing: Standing,
}

// There is one a counted token, in several lists.
const _: () = assert!(size_of::<Score>() == 48);

/// The high end of a rank of which nothing is known.
pub const NOWHERE: u32 = u32::MAX;

/// Whether a score can be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// It can.
    Known,
    /// Nothing is known of the token.
    Unknown,
    /// It was given, and this number of it cannot be right: an error where it counts. It is `nll`
    /// then, and the bound that it breaks is `nll_high`.
    Faulty(Given),
}

/// The numbers that can be given of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the columns, which `Stated` documents")]
pub enum Given {
    Nll,
    NllHigh,
    Rank,
    RankHigh,
    Greater,
    Ties,
}

/// A token as somebody else scored it; `None` where a number is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stated {
    /// Its nll, the low end; without it nothing is known of the token.
    pub nll: Option<f64>,
    /// The high end of its nll, if that is not exact.
    pub nll_high: Option<f64>,
    /// Its rank, the low end.
    pub rank: Option<i64>,
    /// The high end of its rank, if that is not exact.
    pub rank_high: Option<i64>,
    /// Entries above the label.
    pub greater: Option<i64>,
    /// Other entries equal to the label.
    pub ties: Option<i64>,
    /// The lse.
    pub lse: Option<f64>,
}

impl From<RowScore> for Score {
    fn from(row: RowScore) -> Self {
        let RowScore { nll, lse, rank, greater, ties, flags } = row;
        let (nll_high, rank_high, standing) = (nll, rank, Standing::Known);
        Self { nll, nll_high, lse, rank, rank_high, greater, ties, flags, standing }
    }
}

impl From<Stated> for Score {
    fn from(stated: Stated) -> Self {
        // Beyond any vocabulary is nowhere. What is negative is found here, and is no score.
        let whole = |x: i64| u32::try_from(x.max(0)).unwrap_or(NOWHERE);
        let rank = whole(stated.rank.unwrap_or(0));
        let ties = whole(stated.ties.unwrap_or(0));
        let (nll, nll_high, standing) = match (stated.nll, stated.fault()) {
            (None, _) => (f64::NAN, f64::NAN, Standing::Unknown),
            (_, Some((what, got, bound))) => (got, bound, Standing::Faulty(what)),
            (Some(nll), None) => (nll, stated.nll_high.unwrap_or(nll), Standing::Known),
        };
        Self {
            nll,
            nll_high,
            lse: stated.lse.unwrap_or(f64::NAN),
            rank,
            rank_high: stated.rank_high.map_or(stated.rank.map_or(NOWHERE, whole), whole),
            // Not given: as few as rank and ties allow.
            greater: stated.greater.map_or(rank.saturating_sub(ties), whole),
            ties,
            flags: Flags(0),
            standing,
        }
    }
}

impl Stated {
    /// The first number that cannot be right, what it is and the bound that it breaks.
    fn fault(&self) -> Option<(Given, f64, f64)> {
        let (nll, rank) = (self.nll.unwrap_or(0.0), self.rank.unwrap_or(0));
        // A rank that is not known bounds nothing.
        let most = self.rank.unwrap_or(i64::MAX);
        let count = |what, got: Option<i64>, least: i64| {
            got.filter(|got| *got < least).map(|got| (what, got as f64, least as f64))
        };
        let real = |what, got: Option<f64>, least: f64| {
            got.filter(|got| got.is_nan() || *got < least).map(|got| (what, got, least))
        };
        real(Given::Nll, self.nll, 0.0)
            .or_else(|| real(Given::NllHigh, self.nll_high, nll))
            .or_else(|| count(Given::Rank, self.rank, 0))
            .or_else(|| count(Given::RankHigh, self.rank_high, rank))
            .or_else(|| count(Given::Ties, self.ties, 0))
            .or_else(|| {
                let greater = self.greater.filter(|greater| !(0..=most).contains(greater));
                greater.map(|greater| (Given::Greater, greater as f64, most as f64))
            })
    }
}

impl Score {
    /// Whether anything is known of the token.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.standing != Standing::Unknown
    }

    /// Whether it can be used and its row held nothing odd: then no more is to be asked.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        self.standing == Standing::Known && self.flags == Flags(0)
    }

    /// Whether its loss or its rank is an interval.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.nll_high > self.nll || self.rank_high > self.rank
    }

    /// Whether the label has the largest logit, for certain; of equal ones the first.
    #[must_use]
    pub fn is_correct(&self) -> bool {
        self.rank_high == 0
    }

    /// What cannot be right: the number's name, what it is and what it should be.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, String, String)> {
        let Standing::Faulty(what) = self.standing else { return None };
        let bound = self.nll_high;
        let expected = match what {
            Given::Nll => "a number >= 0, or null where it is not known".to_owned(),
            Given::NllHigh => format!("at least nll, {bound}"),
            Given::Rank | Given::Ties => "at least 0, or null where it is not known".to_owned(),
            Given::RankHigh => format!("at least rank, {bound}"),
            Given::Greater => "at least 0, and at most rank".to_owned(),
        };
        Some((what.name(), self.nll.to_string(), expected))
    }
}

impl Given {
    const fn name(self) -> &'static str {
        match self {
            Self::Nll => "nll",
            Self::NllHigh => "nll_high",
            Self::Rank => "rank",
            Self::RankHigh => "rank_high",
            Self::Greater => "greater",
            Self::Ties => "ties",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nll(nll: f64) -> Stated {
        Stated { nll: Some(nll), ..Stated::default() }
    }

    #[test]
    fn a_row_of_logits_is_exact() {
        let row = RowScore { nll: 2.0, lse: 3.0, rank: 4, greater: 3, ties: 1, flags: Flags(0) };
        let score = Score::from(row);
        assert!(score.is_known() && !score.is_bounded() && score.fault().is_none());
        assert_eq!((score.nll_high, score.rank_high), (2.0, 4));
    }

    #[test]
    fn what_is_not_given_follows() {
        let bare = Score::from(nll(2.0));
        assert_eq!((bare.nll_high, bare.rank, bare.rank_high), (2.0, 0, NOWHERE));
        assert!(bare.is_bounded() && !bare.is_correct());
        let ranked = Score::from(Stated { rank: Some(5), ties: Some(2), ..nll(2.0) });
        assert_eq!((ranked.rank_high, ranked.greater), (5, 3));
        assert!(!ranked.is_bounded());
        let beyond = Score::from(Stated { rank: Some(20), rank_high: Some(i64::MAX), ..nll(2.0) });
        assert_eq!((beyond.rank, beyond.rank_high), (20, NOWHERE));
        assert!(!Score::from(Stated { nll: None, ..nll(0.0) }).is_known());
    }

    #[test]
    fn what_cannot_be_right() {
        let ranked = Stated { rank: Some(2), ..nll(1.0) };
        for (stated, what, got) in [
            (nll(-0.5), "nll", "-0.5"),
            (nll(f64::NAN), "nll", "NaN"),
            (Stated { nll_high: Some(0.5), ..nll(1.0) }, "nll_high", "0.5"),
            (Stated { nll_high: Some(f64::NAN), ..nll(1.0) }, "nll_high", "NaN"),
            (Stated { rank: Some(-1), ..nll(1.0) }, "rank", "-1"),
            (Stated { rank_high: Some(1), ..ranked }, "rank_high", "1"),
            (Stated { rank_high: Some(-1), ..nll(1.0) }, "rank_high", "-1"),
            (Stated { greater: Some(3), ..ranked }, "greater", "3"),
            (Stated { greater: Some(-3), ..nll(1.0) }, "greater", "-3"),
            (Stated { ties: Some(-2), ..ranked }, "ties", "-2"),
        ] {
            let found = Score::from(stated).fault().map(|(what, got, _)| (what, got));
            assert_eq!(found, Some((what, got.to_owned())));
        }
        // Of what is not known nothing is asked.
        assert_eq!(Score::from(Stated { nll: None, rank: Some(-1), ..nll(0.0) }).fault(), None);
        assert_eq!(Score::from(nll(f64::INFINITY)).fault(), None);
    }
}
