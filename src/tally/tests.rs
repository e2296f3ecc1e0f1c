//! The tally's laws: merging, bytes, figures.

use super::*;
use crate::kernel::{Flags, RowScore};
use crate::score::Stated;
use crate::settings::{Accuracy, OnShort, Profile};
use proptest::prelude::*;

fn token(i: u64, hidden: bool, weight: f64) -> Token {
    let nll = (i as f64 * 0.618).fract() * 8.0;
    let rank = (i * 7 % 5) as u32;
    let score = RowScore {
        nll,
        lse: 1.0,
        rank,
        greater: rank,
        ties: u32::from(i.is_multiple_of(9)),
        flags: Flags(0),
    };
    let score = if i.is_multiple_of(6) { bounded(i, nll) } else { score.into() };
    Token { position: i, label: (i % 11) as u32, weight, group: (i / 10 % 3) as u32, hidden, score }
}

/// A score within bounds, or none.
fn bounded(i: u64, nll: f64) -> Score {
    let nll = (!i.is_multiple_of(7)).then_some(nll);
    let nll_high = nll.map(|nll| if i.is_multiple_of(5) { f64::INFINITY } else { nll * 1.5 });
    Stated { nll, nll_high, rank: Some(i as i64 % 3), rank_high: Some(4), ..Stated::default() }.into()
}

/// Sequences `from..to`, of ten tokens each, in two groups.
fn tally(from: u64, to: u64) -> Tally {
    pooled(Pooling::Tokens, from, to)
}

/// The same, of a pooling; batches hold four sequences.
fn pooled(pooling: Pooling, from: u64, to: u64) -> Tally {
    let mut tally = Tally::new(Settings { trailing: 1, pooling, ..Settings::default() });
    let mut groups = GroupTable::default();
    for name in ["a", "b", "c"] {
        groups.number(&vec![Some(crate::key::Key::Text(name.into()))]);
    }
    let seen = Seen { columns: Some(50), mask: true, ..Seen::default() };
    tally.see(&seen, &["task".to_owned()]).unwrap();
    let mut open = Open::default();
    for sequence in from..to {
        for i in 0..10 {
            let weight = if i % 4 == 0 { 0.3 } else { 1.0 };
            tally.add(&[token(sequence * 10 + i, i > 7, weight)], &mut open, &groups);
        }
        tally.add_counts(&Counts { rows: 10, runs: 1, ..Counts::default() });
        tally.end_sequence(true, sequence % 4 == 3 || sequence + 1 == to, &mut open, &groups);
    }
    tally
}

fn merged(parts: &[Tally]) -> Tally {
    let mut all = Tally::new(parts[0].settings.clone());
    for part in parts {
        all.merge(part).unwrap();
    }
    all
}

#[test]
fn merging_in_any_order_gives_the_same_bytes() {
    let whole = tally(0, 60).to_bytes();
    let cuts = [(0, 7), (7, 8), (8, 8), (8, 41), (41, 60)].map(|(a, b)| tally(a, b));
    let mut order = [0, 1, 2, 3, 4];
    for round in 0..120 {
        order.rotate_left(1 + round % 4);
        order.swap(round % 5, (round + 2) % 5);
        assert_eq!(merged(&order.map(|i| cuts[i].clone())).to_bytes(), whole);
    }
}

#[test]
fn means_of_means_merge_as_well() {
    for pooling in [Pooling::Sequences, Pooling::Batches, Pooling::Samples] {
        let whole = pooled(pooling, 0, 60).to_bytes();
        let cuts = [(0, 8), (8, 12), (12, 44), (44, 60)].map(|(a, b)| pooled(pooling, a, b));
        for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
            assert_eq!(merged(&order.map(|i| cuts[i].clone())).to_bytes(), whole);
        }
    }
}

#[test]
fn means_of_means_of_a_small_tally() {
    // Sequences (1, 2, 3), (5) and (0, 4), in batches of two and one; of each the first is right.
    let summary = |pooling, accuracy| {
        let mut tally = Tally::new(Settings { pooling, accuracy, ..Settings::default() });
        let (mut open, groups) = (Open::default(), GroupTable::default());
        for (nlls, batch_ends) in [(vec![1.0, 2.0, 3.0], false), (vec![5.0], true), (vec![0.0, 4.0], true)] {
            for (i, nll) in nlls.into_iter().enumerate() {
                let (rank, flags) = (u32::from(i > 0), Flags(0));
                let score = RowScore { nll, lse: 0.0, rank, greater: rank, ties: 0, flags };
                let token = Token {
                    position: 0,
                    label: 1,
                    weight: 1.0,
                    group: 0,
                    hidden: false,
                    score: score.into(),
                };
                tally.add(&[token], &mut open, &groups);
            }
            tally.end_sequence(true, batch_ends, &mut open, &groups);
        }
        tally.summary(None).total.whole
    };
    let sequences = summary(Pooling::Sequences, Accuracy::Tokens);
    assert_eq!((sequences.loss, sequences.loss_stderr), (3.0, 1.0));
    assert_eq!((sequences.num_sequences, sequences.num_batches), (3, 0));
    assert_eq!((sequences.effective_number, sequences.flags), (3.0, vec!["few_sequences"]));
    let batches = summary(Pooling::Batches, Accuracy::Tokens);
    assert_eq!((batches.loss, batches.accuracy), (2.375, 0.5));
    assert_eq!((batches.num_batches, batches.flags), (2, vec!["few_batches"]));
    assert_eq!(batches.loss_stderr_naive.to_bits(), f64::NAN.to_bits());
    assert_eq!(summary(Pooling::Samples, Accuracy::Tokens).loss, (2.0 * 2.75 + 2.0) / 3.0);
    let shares = summary(Pooling::Tokens, Accuracy::Sequences);
    assert_eq!((shares.loss, shares.accuracy), (2.5, 1.0 / 3.0));
    // The standard deviation of 1, 0, 0 by sqrt(3).
    assert!((shares.accuracy_stderr - 1.0 / 3.0).abs() < 1e-15);
}

#[test]
fn bytes_come_back() {
    let check = |tally: Tally| {
        let bytes = tally.to_bytes();
        let back = Tally::from_bytes(&bytes).unwrap();
        assert_eq!(back, tally);
        assert_eq!(back.to_bytes(), bytes);
    };
    check(Tally::new(Settings::default()));
    check(tally(0, 3));
    check(tally(5, 60));
    check(pooled(Pooling::Samples, 2, 9));
}

#[test]
fn settings_come_back() {
    let settings = Settings {
        ignore_index: -1,
        shift: true,
        leading: 3,
        trailing: 4,
        on_short: OnShort::Count,
        hidden: false,
        valid_vocab: Some(9),
        vocab_mask: Some([true, false, true].into()),
        nonfinite: NonFinite::Omit,
        pooling: Pooling::Samples,
        accuracy: Accuracy::Sequences,
        precision: crate::kernel::Precision::Exact,
        profile: Some(Profile { name: "mine".to_owned(), source: "a page".to_owned() }),
    };
    let back = Tally::from_bytes(&Tally::new(settings.clone()).to_bytes()).unwrap();
    assert_eq!(back.settings, settings);
}

#[test]
fn another_format_is_refused_by_its_number() {
    let mut bytes = tally(0, 1).to_bytes();
    bytes[7] = 1;
    let error = Tally::from_bytes(&bytes).map_err(|e| (e.kind(), e.message().to_owned()));
    let message = "a state of format 1; this version reads format 2".to_owned();
    assert_eq!(error, Err((ErrorKind::StateVersion, message)));
}

#[test]
fn every_damaged_byte_and_every_cut_is_an_error() {
    let bytes = tally(0, 4).to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        assert!(Tally::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(Tally::from_bytes(&bytes[..at]).is_err(), "cut {at}");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_with_a_right_checksum(at in 12usize..400, value: u8, cut in 0usize..400) {
        let mut bytes = tally(0, 3).to_bytes();
        bytes.truncate(bytes.len() - 4);
        let len = bytes.len();
        bytes[at % len] = value;
        bytes.truncate(len - cut % len);
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_le_bytes());
        // Either refused, or a state whose bytes these are.
        if let Ok(tally) = Tally::from_bytes(&bytes) {
            prop_assert_eq!(tally.to_bytes(), bytes);
        }
    }
}

#[test]
fn figures_of_a_small_tally() {
    let mut tally = Tally::new(Settings::default());
    let (mut open, groups) = (Open::default(), GroupTable::default());
    for (i, (nll, rank, ties)) in [(1.0, 0, 0), (3.0, 1, 1), (0.5, 0, 1), (1.5, 4, 0)].into_iter().enumerate()
    {
        let score = RowScore { nll, lse: 0.0, rank, greater: rank, ties, flags: Flags(0) }.into();
        let token = Token { position: i as u64, label: 1, weight: 1.0, group: 0, hidden: i == 3, score };
        tally.add(&[token], &mut open, &groups);
        if i % 2 == 1 {
            tally.end_sequence(true, true, &mut open, &groups);
        }
    }
    let total = tally.summary(None).total;
    assert_eq!((total.whole.loss, total.visible.loss, total.hidden.loss), (1.5, 1.5, 1.5));
    assert_eq!((total.whole.accuracy, total.whole.accuracy_strict), (0.5, 0.25));
    assert_eq!(total.whole.mrr, (1.0 + 0.5 + 1.0 + 0.2) / 4.0);
    assert_eq!(total.whole.top_k_accuracy[..5], [0.5, 0.75, 0.75, 0.75, 1.0]);
    assert_eq!((total.whole.num_ties, total.whole.num_sequences), (2, 2));
    // S = (4, 2), n = (2, 2), m = 1.5: residuals (1, -1), SE = sqrt(2 * 2) / 4.
    assert_eq!(total.whole.loss_stderr, 0.5);
    // Tokens: residuals (-0.5, 1.5, -1, 0), SE = sqrt(4/3 * 3.5) / 4.
    assert_eq!(total.whole.loss_stderr_naive, (14.0_f64 / 3.0).sqrt() / 4.0);
    // Two of four are correct: residuals of 1/2, SE = sqrt(4/3 * 1) / 4.
    assert_eq!(total.whole.accuracy_stderr_naive, (4.0_f64 / 3.0).sqrt() / 4.0);
    assert_eq!((total.whole.effective_number, total.hidden.effective_number), (2.0, 1.0));
    assert_eq!(total.whole.flags, ["few_sequences"]);
    assert_eq!(total.hidden.flags, ["one_sequence"]);
    assert_eq!(total.visible.num_sequences, 2);
    assert_eq!(total.hidden.loss_stderr.to_bits(), f64::NAN.to_bits());
}

#[test]
fn invalid_rows_by_policy() {
    for (policy, tokens, judged) in [(NonFinite::Omit, 1, 0.0), (NonFinite::Propagate, 2, 1.0)] {
        let mut tally = Tally::new(Settings { nonfinite: policy, ..Settings::default() });
        let (mut open, groups) = (Open::default(), GroupTable::default());
        let good = RowScore { nll: 2.0, lse: 0.0, rank: 0, greater: 0, ties: 0, flags: Flags(0) };
        let bad = RowScore { nll: f64::NAN, flags: Flags::NAN, ..good };
        for score in [good, bad].map(Score::from) {
            let token = Token { position: 0, label: 0, weight: 1.0, group: 0, hidden: false, score };
            tally.add(&[token], &mut open, &groups);
        }
        tally.end_sequence(true, true, &mut open, &groups);
        let summary = tally.summary(None);
        assert_eq!((summary.facts.nan_rows, summary.total.whole.num_invalid), (1, 1));
        assert_eq!(summary.total.whole.num_tokens, tokens);
        assert_eq!(summary.total.whole.loss.is_nan(), policy == NonFinite::Propagate);
        let exact = summary.total.whole.sequence_accuracy;
        assert!(if judged == 0.0 { exact.is_nan() } else { exact == 0.0 });
    }
}

#[test]
fn intervals_and_tokens_without_a_score() {
    let mut tally = Tally::new(Settings::default());
    let (mut open, groups) = (Open::default(), GroupTable::default());
    let stated =
        |nll, nll_high, rank, rank_high| Stated { nll, nll_high, rank, rank_high, ..Stated::default() };
    for (score, weight) in [
        (stated(Some(1.0), None, Some(0), None), 1.0),
        (stated(Some(2.0), Some(6.0), Some(3), Some(9)), 0.5),
        (stated(Some(0.5), None, Some(0), Some(1)), 2.0),
        (stated(None, None, Some(0), None), 1.0),
    ] {
        let score = Score::from(score);
        let token = Token { position: 0, label: 0, weight, group: 0, hidden: false, score };
        tally.add(&[token], &mut open, &groups);
    }
    tally.end_sequence(true, true, &mut open, &groups);
    let whole = tally.summary(None).total.whole;
    assert_eq!((whole.num_tokens, whole.num_bounded, whole.num_unknown), (3, 2, 1));
    assert_eq!((whole.loss, whole.loss_bounds), (3.0 / 3.5, (3.0 / 3.5, 5.0 / 3.5)));
    assert_eq!((whole.accuracy, whole.accuracy_bounds), (1.0 / 3.5, (1.0 / 3.5, 3.0 / 3.5)));
    assert_eq!((whole.accuracy_strict, whole.accuracy_optimistic), (1.0 / 3.5, 3.0 / 3.5));
    assert_eq!(whole.num_correct, 1);
    // Of a sequence with a token that is not known nobody knows whether all is right.
    assert!(whole.sequence_accuracy.is_nan());
}

#[test]
fn each_part_says_what_limits_it() {
    let mut tally = Tally::new(Settings::default());
    let (mut open, groups) = (Open::default(), GroupTable::default());
    let score = RowScore { nll: 1.0, lse: 0.0, rank: 0, greater: 0, ties: 0, flags: Flags(0) };
    for position in 0..600 {
        let hidden = position == 0;
        let nll = if hidden { f64::INFINITY } else { 1.0 };
        let score = RowScore { nll, ..score };
        tally.add(
            &[Token { position, label: 1, weight: 1.0, group: 0, hidden, score: score.into() }],
            &mut open,
            &groups,
        );
        if position % 2 == 1 {
            tally.end_sequence(true, true, &mut open, &groups);
        }
    }
    let summary = tally.summary(None);
    assert_eq!(summary.total.whole.flags, ["infinite"]);
    assert_eq!(summary.total.hidden.flags, ["one_sequence", "infinite"]);
    // One visible token in the first sequence, two in the others: 599^2 / (1 + 299 * 4) < 300.
    assert_eq!(summary.total.visible.flags, ["few_sequences"]);
    assert_eq!(summary.caution(), None);
    for stderr in [summary.total.whole.loss_stderr, summary.total.whole.loss_stderr_naive] {
        assert_eq!(stderr.to_bits(), f64::NAN.to_bits());
    }
}

/// A token of any kind; most are plain.
fn any_token() -> impl Strategy<Value = Token> {
    let nll = prop_oneof![4 => 0.0..30.0f64, 1 => 0.0..1e-15f64, 1 => Just(0.0), 1 => 0.0..1e5f64];
    let weight = prop_oneof![20 => Just(1.0), 1 => Just(0.3)];
    let kind = prop_oneof![40 => Just(0), 1 => 1..5];
    (nll, 0..300u32, 0..3u32, weight, kind).prop_map(|(nll, rank, ties, weight, kind)| {
        let greater = rank.saturating_sub(ties);
        let flags = if kind == 1 { Flags::NAN } else { Flags(0) };
        let row = RowScore { nll, lse: 0.0, rank: rank / 10, greater: greater / 10, ties: ties / 2, flags };
        let score = if kind == 2 { bounded(u64::from(rank), nll) } else { row.into() };
        Token { position: 0, label: rank, weight, group: 0, hidden: kind == 3, score }
    })
}

proptest! {
    /// Many tokens at once, cut anywhere, are the same sums as one by one.
    #[test]
    fn tokens_at_once_as_one_by_one(
        tokens in prop::collection::vec(any_token(), 0..1500),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        grouped in prop::bool::weighted(0.2),
    ) {
        let mut groups = GroupTable::default();
        groups.number(&vec![Some(crate::key::Key::Text("a".into()))]);
        let by = if grouped { vec!["task".to_owned()] } else { Vec::new() };
        let settings = Settings { nonfinite: NonFinite::Omit, ..Settings::default() };
        let bytes = |parts: &mut dyn Iterator<Item = &[Token]>| {
            let (mut tally, mut open) = (Tally::new(settings.clone()), Open::default());
            tally.see(&Seen::default(), &by).unwrap();
            parts.for_each(|tokens| tally.add(tokens, &mut open, &groups));
            tally.end_sequence(true, true, &mut open, &groups);
            tally.to_bytes()
        };
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(tokens.len() + 1)).collect();
        borders.extend([0, tokens.len()]);
        borders.sort_unstable();
        let mut parts = borders.windows(2).map(|pair| &tokens[pair[0]..pair[1]]);
        prop_assert_eq!(bytes(&mut parts), bytes(&mut tokens.chunks(1)));
    }
}

#[test]
fn what_does_not_merge() {
    let mut a = tally(0, 2);
    let other = Tally::new(Settings { trailing: 2, ..Settings::default() });
    assert_eq!(a.merge(&other).map_err(|e| e.kind()), Err(ErrorKind::StateVersion));
    let mut wide = Tally::new(a.settings.clone());
    wide.see(&Seen { columns: Some(51), ..Seen::default() }, &["task".to_owned()]).unwrap();
    wide.add_counts(&Counts { rows: 1, ..Counts::default() });
    assert_eq!(a.merge(&wide).map_err(|e| e.kind()), Err(ErrorKind::Shape));
}
