//! The worked examples of the page on counting, and what a cut must not change.

use super::*;
use crate::score::Stated;
use crate::settings::{OnShort, Pooling};

/// A small input: labels (-100 is ignored), a mask, ids.
#[derive(Default)]
struct Case {
    labels: Vec<i64>,
    mask: Option<Vec<u8>>,
    /// Roles by their first letters, in place of the mask.
    roles: Option<&'static str>,
    ids: Option<&'static str>,
    batches: Option<&'static str>,
    settings: Settings,
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    positions: Vec<u64>,
    counts: Counts,
    error: Option<i64>,
}

fn piece(case: &Case, from: usize, to: usize) -> Piece {
    let label = |&x: &i64| if x == -100 { Label::Ignored } else { Label::Id(x as u32) };
    let mark = |&x: &u8| if x == 1 { Mark::Yes } else { Mark::No };
    let id = |c: char| Some(Key::Text(c.to_string().into()));
    let role = |c: char| match c {
        'p' => Mark::No,
        'v' => Mark::Yes,
        'h' => Mark::Hidden,
        other => Mark::Other(Key::Text(other.to_string().into())),
    };
    let roles = case.roles.map(|roles| roles.chars().skip(from).take(to - from).map(role).collect());
    let changes = |ids: &str| {
        let ids: Vec<char> = ids.chars().collect();
        (from..to).filter(|&i| i == from || ids[i] != ids[i - 1]).map(|i| (i - from, id(ids[i]))).collect()
    };
    Piece {
        labels: case.labels[from..to].iter().map(label).collect(),
        marks: roles.or(case.mask.as_ref().map(|mask| mask[from..to].iter().map(mark).collect())),
        by_role: case.roles.is_some(),
        ids: case.ids.map(changes),
        batches: case.batches.map(changes),
        ..Piece::default()
    }
}

/// Counts the case in pieces of `step` positions.
fn count(case: &Case, step: usize) -> Outcome {
    let vocab = Vocab::new(10, None, None).unwrap();
    let score = Score::from(Stated { nll: Some(1.0), ..Stated::default() });
    let mut selector = Selector::new(&case.settings);
    let mut outcome = Outcome::default();
    for from in (0..case.labels.len()).step_by(step) {
        let to = (from + step).min(case.labels.len());
        let selected = selector.push(&piece(case, from, to), &vocab);
        for advance in &selected.advance {
            selector.set_score(advance.slot, score);
        }
        outcome.positions.extend(selected.picks.iter().map(|pick| pick.position));
    }
    let selected = selector.finish(&vocab);
    outcome.positions.extend(selected.picks.iter().map(|pick| pick.position));
    outcome.counts = selector.take_counts();
    outcome.error = selector.failure().map(|failure| failure.place.0);
    outcome
}

fn settings(shift: bool, leading: usize, trailing: usize) -> Settings {
    Settings { shift, leading, trailing, on_short: OnShort::Count, ..Settings::default() }
}

fn masked(mask: &[u8], settings: Settings) -> Case {
    Case { labels: vec![1; mask.len()], mask: Some(mask.to_vec()), settings, ..Case::default() }
}

/// Checks the positions and the runs that are short, in pieces of every size.
fn expect(case: &Case, positions: &[u64], short: (u64, u64), unscored: u64) {
    for step in 1..=case.labels.len() {
        let outcome = count(case, step);
        assert_eq!(outcome.positions, positions, "in pieces of {step}");
        assert_eq!((outcome.counts.short_left, outcome.counts.short_right), short);
        assert_eq!(outcome.counts.unscored, unscored);
    }
}

const TWO_RUNS: [u8; 12] = [0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0];

#[test]
fn two_runs() {
    expect(&masked(&TWO_RUNS, settings(false, 0, 0)), &[3, 4, 9], (0, 0), 0);
    expect(&masked(&TWO_RUNS, settings(false, 0, 2)), &[3, 4, 5, 6, 9, 10, 11], (0, 0), 0);
    expect(&masked(&TWO_RUNS, settings(false, 1, 1)), &[2, 3, 4, 5, 8, 9, 10], (0, 0), 0);
    let all: Vec<u64> = (1..12).collect();
    expect(&masked(&TWO_RUNS, settings(false, 2, 3)), &all, (0, 1), 0);
}

#[test]
fn runs_that_stop_each_other() {
    expect(&masked(&[1, 0, 1], settings(false, 0, 2)), &[0, 1, 2], (0, 2), 0);
}

#[test]
fn a_claim_passes_over_an_unusable_label() {
    let mut case = masked(&[0, 1, 0, 0, 0], settings(false, 0, 2));
    case.labels[2] = -100;
    expect(&case, &[1, 3], (0, 1), 0);
}

#[test]
fn a_sequence_ends_all_claims() {
    let mut case = masked(&[0, 0, 1, 0, 1], settings(false, 0, 1));
    case.ids = Some("aaabb");
    expect(&case, &[2, 4], (0, 2), 0);
}

#[test]
fn the_first_token_of_a_shifted_sequence() {
    expect(&masked(&[0, 1, 0, 0], settings(true, 1, 0)), &[1], (1, 0), 0);
    expect(&masked(&[1, 1, 0, 0], settings(true, 1, 0)), &[1], (1, 0), 1);
    expect(&masked(&[1, 0, 0, 0], settings(true, 0, 1)), &[], (0, 0), 1);
}

#[test]
fn the_smallest_position_wins_in_pieces_of_every_size() {
    // The run misses two tokens on its left (at -1), and holds a label outside the vocabulary.
    let mut case = masked(&[0, 1, 1, 1], settings(false, 2, 0));
    case.settings.on_short = OnShort::Raise;
    case.labels[2] = 99;
    for step in 1..=4 {
        assert_eq!(count(&case, step).error, Some(-1));
    }
}

#[test]
fn an_error_waits_until_nothing_can_come_before_it() {
    let vocab = Vocab::new(10, None, None).unwrap();
    let mut selector = Selector::new(&settings(false, 2, 0));
    let mut case = masked(&[0, 0, 0, 0, 1, 1], settings(false, 2, 0));
    case.labels[5] = 99;
    // The run from 4 on is inactive while its labels are ignored: it may still claim 2 and 3.
    case.labels[4] = -100;
    selector.push(&piece(&case, 0, 5), &vocab);
    assert_eq!(selector.horizon(), 2);
    selector.push(&piece(&case, 5, 6), &vocab);
    assert_eq!(selector.failure().map(|failure| failure.place), Some((5, Check::Label)));
    assert_eq!(selector.horizon(), 4);
}

#[test]
fn an_id_that_comes_back() {
    let mut case = masked(&[1, 1, 1, 1], settings(false, 0, 0));
    case.ids = Some("abba");
    for step in 1..=4 {
        assert_eq!(count(&case, step).error, Some(3));
    }
}

#[test]
fn batches_end_sequences_where_they_are_looked_at() {
    let mut case = masked(&[0, 1, 0, 0, 1], settings(false, 0, 2));
    case.batches = Some("aabbb");
    expect(&case, &[1, 2, 3, 4], (0, 1), 0);
    case.settings.pooling = Pooling::Batches;
    expect(&case, &[1, 4], (0, 2), 0);
    // A batch holds whole sequences, and does not come back.
    for (ids, batches, error) in
        [("sssss", "aabbb", Some(2)), ("sstuv", "aabba", Some(4)), ("sstuv", "aabbb", None)]
    {
        (case.ids, case.batches) = (Some(ids), Some(batches));
        for step in 1..=5 {
            assert_eq!(count(&case, step).error, error);
        }
    }
}

#[test]
fn a_claim_beyond_all_bounds_costs_nothing() {
    expect(&masked(&[0, 1, 0, 0], settings(false, 1 << 60, 0)), &[0, 1], (1, 0), 0);
    expect(&masked(&[0, 1, 0, 0], settings(false, 0, 1 << 60)), &[1, 2, 3], (0, 1), 0);
}

#[test]
fn rows_are_numbered_without_placeholders() {
    // Two sequences of 5 labels, each with 4 rows of logits and a placeholder.
    let rows = RowNumbers { shift: true, period: Some(5) };
    assert_eq!((1..5).chain(6..10).map(|p| rows.of(p)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(RowNumbers { shift: true, period: None }.of(0), -1);
}

fn by_role(roles: &'static str, settings: Settings) -> Case {
    Case { labels: vec![1; roles.len()], roles: Some(roles), settings, ..Case::default() }
}

#[test]
fn roles_need_not_touch_the_visible_text() {
    let case = by_role("pphvvhvvhpph", Settings::default());
    expect(&case, &[2, 3, 4, 5, 6, 7, 8, 11], (0, 0), 0);
    for step in 1..=12 {
        assert_eq!(count(&case, step).counts.runs, 2);
    }
    let visible = Settings { hidden: false, ..Settings::default() };
    expect(&by_role("pphvvhvvhpph", visible), &[3, 4, 6, 7], (0, 0), 0);
    expect(&by_role("hvhp", settings(true, 0, 0)), &[1, 2], (0, 0), 1);
}

#[test]
fn an_unknown_role_comes_first_in_pieces_of_every_size() {
    let mut case = by_role("vhxv", Settings::default());
    case.labels[3] = 99;
    for step in 1..=4 {
        assert_eq!(count(&case, step).error, Some(2));
    }
}

#[test]
fn a_held_role_may_still_bring_an_error() {
    let vocab = Vocab::new(10, None, None).unwrap();
    let mut selector = Selector::new(&Settings::default());
    let mut case = by_role("phhvhh", Settings::default());
    case.labels[1] = 99;
    selector.push(&piece(&case, 0, 3), &vocab);
    assert_eq!((selector.horizon(), selector.decided(), selector.failure().is_none()), (1, 1, true));
    selector.push(&piece(&case, 3, 6), &vocab);
    assert_eq!(selector.failure().map(|failure| failure.place), Some((1, Check::Label)));
    // The visible token at 3 may have to lend its weight to what is held.
    assert_eq!(selector.horizon(), 3);
}
