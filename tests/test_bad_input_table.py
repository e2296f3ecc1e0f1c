"""Every line of the lists of bad and awkward input has a test, or says why it has none yet.

The lists are `data/bad_input_list.txt`; `TABLE` names, for each of their lines, tests that trigger
it. A line that is missing here, or a test that does not exist, fails.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

HERE = Path(__file__).parent

TABLE: dict[str, dict[str, list[str]]] = {
    "A named error": {
        "label out of range (row and value)": [
            "test_formats.py::test_a_bad_label_is_found_first_where_labels_lie_apart",
            "test_sequence_rows.py::test_labels_are_checked_before_a_logit_is_read",
            "test_bad_labels.py::test_a_label_out_of_range",
            "test_bad_labels.py::test_under_shift_the_row_is_the_one_before",
            "test_bad_labels.py::test_the_smallest_position_wins_and_at_one_position_the_order_of_the_law",
            "test_metrics_api.py::test_a_bad_label_is_found_before_a_logit_is_read",
            "test_metrics_api.py::test_an_error_names_its_file",
        ],
        "negative label that is not ignore_index": [
            "test_bad_labels.py::test_a_negative_label_that_is_not_ignored",
            "test_bad_labels.py::test_an_unsigned_label_that_was_negative_once",
        ],
        "NaN or inf logits (policy: raise | omit | propagate)": [
            "test_bad_logits.py::test_nonfinite_rows_raise",
            "test_bad_logits.py::test_nonfinite_rows_are_omitted_and_counted",
            "test_bad_logits.py::test_nonfinite_rows_propagate",
            "test_bad_logits.py::test_a_label_of_no_probability_is_a_loss_of_inf_and_no_error",
        ],
        "null logits": [
            "test_sequence_rows.py::test_null_sequences_are_named",
            "test_bad_logits.py::test_null_logits_are_never_scored",
            "test_bad_logits.py::test_null_logits_that_do_not_count_are_fine",
            "test_bad_logits.py::test_null_lists_that_take_no_room",
        ],
        'null labels (`null_labels="ignore"` only if asked)': [
            "test_bad_labels.py::test_null_labels_are_ignored_only_if_asked",
            "test_bad_labels.py::test_null_labels_that_are_ignored",
        ],
        "nulls in mask or ids": [
            "test_bad_labels.py::test_a_null_in_the_mask",
            "test_bad_labels.py::test_a_null_id",
        ],
        "mask of wrong length, type or value": [
            "test_formats.py::test_arrays_lie_beside_a_file",
            "test_sequence_rows.py::test_lengths_that_differ_are_named_by_row",
            "test_bad_labels.py::test_a_mask_of_another_shape",
            "test_bad_labels.py::test_a_mask_of_another_length_beside_a_stream",
            "test_bad_labels.py::test_a_mask_of_another_type",
            "test_bad_labels.py::test_a_mask_of_other_values",
        ],
        "float or bool labels": [
            "test_npy.py::test_other_kinds_of_labels_are_refused",
            "test_bad_labels.py::test_labels_of_another_type",
        ],
        "weights negative, not finite, or of length V": [
            "test_bad_labels.py::test_a_weight_that_is_none",
            "test_bad_labels.py::test_a_null_weight",
            "test_bad_labels.py::test_weights_of_the_vocabulary_s_length",
        ],
        "zero vocabulary": [
            "test_npy.py::test_other_shapes_are_refused",
            "test_bad_logits.py::test_an_empty_vocabulary",
            "test_bad_logits.py::test_an_array_without_a_vocabulary",
            "test_bad_logits.py::test_opaque_bytes_of_no_width",
        ],
        "V differs between files": [
            "test_safetensors.py::test_a_series_of_several_vocabularies_is_refused",
            "test_bad_logits.py::test_the_vocabulary_differs_between_files",
            "test_bad_logits.py::test_the_vocabulary_differs_between_updates",
            "test_bad_logits.py::test_a_batch_of_another_length",
        ],
        "list of varying length": [
            "test_sequence_rows.py::test_lengths_that_differ_are_named_by_row",
            "test_bad_logits.py::test_lists_of_varying_length",
        ],
        "`[B,V,T]`": [
            "test_bad_logits.py::test_a_vocabulary_in_the_middle",
            "test_bad_logits.py::test_sequences_of_logits_need_sequences_of_labels",
        ],
        "truncated or corrupt file (path and offset)": [
            "test_formats.py::test_a_file_cut_short_is_named_with_its_end",
            "test_formats.py::test_flipped_bytes_are_an_error_or_other_values_but_never_a_crash",
            "test_npy.py::test_ill_headers_are_refused_with_their_place",
            "test_npy.py::test_files_cut_in_their_header",
            "test_safetensors.py::test_ill_headers_are_refused_with_their_place",
            "test_safetensors.py::test_files_cut_in_their_header",
            "test_stores.py::test_damage_is_named_with_its_place",
            "test_pipe.py::test_a_stream_cut_short_is_named_with_its_end",
            "test_bad_files.py::test_a_file_cut_short",
            "test_bad_files.py::test_a_file_that_is_something_else",
            "test_sources_files.py::test_a_file_cut_short_is_named_with_its_end",
            "test_sources_files.py::test_flipped_bytes_are_an_error_or_other_values_but_never_a_crash",
            "test_bad_logits.py::test_an_index_beyond_its_dictionary",
            "test_bad_logits.py::test_text_that_is_not_unicode",
        ],
        "a declared size larger than the file": [
            "test_npy.py::test_a_declared_header_longer_than_the_file",
            "test_npy.py::test_long_headers_are_refused_unparsed",
            "test_safetensors.py::test_long_headers_are_refused_unread",
            "test_pipe.py::test_a_declared_size_takes_no_memory",
            "test_bad_files.py::test_a_declared_size_larger_than_the_file",
            "test_bad_files.py::test_more_rows_declared_than_there_are",
        ],
        "a file that changes while it is read": [
            "test_formats.py::test_a_file_that_changes_while_it_is_read_is_named",
            "test_formats.py::test_a_file_that_shrinks_while_it_is_read_kills_nothing",
            "test_stores.py::test_an_object_that_changes_is_named",
            "test_bad_files.py::test_a_file_that_changes_while_it_is_read",
            "test_sources_files.py::test_a_file_that_changes_while_it_is_read_is_named",
        ],
        "a consumed reader read again": [
            "test_pipe.py::test_a_stream_is_read_once",
            "test_bad_files.py::test_a_consumed_reader",
            "test_bad_files.py::test_a_stream_of_one_read",
        ],
        "torch pickles": [
            "test_npy.py::test_pickles_are_refused_unread",
            "test_bad_files.py::test_torch_pickles_are_refused_unread",
            "test_sources_files.py::test_a_torch_archive_says_how_to_load_it",
        ],
        "`numpy.ma`": [
            "test_bad_files.py::test_masked_arrays",
            "test_sources.py::test_masked_arrays_are_refused_everywhere",
        ],
        "an id that comes back": [
            "test_writer.py::test_ids_that_come_back_are_refused",
            "test_sequence_rows.py::test_packed_sequences_have_ids_within",
            "test_bad_labels.py::test_an_id_that_comes_back",
            "test_bad_labels.py::test_an_id_comes_back_over_updates_until_the_last_one",
            "test_bad_labels.py::test_ids_are_compared_within_one_file",
        ],
        "a missing column (those present are listed)": [
            "test_safetensors.py::test_tensors_are_found_by_name",
            "test_bad_labels.py::test_a_missing_column_is_named_with_those_present",
            "test_bad_labels.py::test_no_column_of_logits_or_labels",
        ],
        "unknown element type of 16-bit integers": [
            "test_npy.py::test_bfloat16_must_be_stated",
            "test_bad_logits.py::test_16_bit_integers_of_unknown_element_type",
            "test_sources.py::test_16_bit_integers_need_their_element_type_stated",
        ],
    },
    "Must work, same bits": {
        "sliced arrays with offsets": [
            "test_sequence_rows.py::test_tensors_are_sequences_of_one_length",
            "test_awkward_input.py::test_sliced_tables_with_offsets",
            "test_awkward_input.py::test_readers_of_sliced_batches",
            "test_awkward_input.py::test_arrays_beside_a_slice",
            "test_awkward_input.py::test_lists_whose_values_are_a_slice",
            "test_awkward_input.py::test_log_softmax_and_top_k_of_a_slice",
        ],
        "negative strides and other layouts": [
            "test_npy.py::test_every_layout_is_read",
            "test_npy.py::test_labels_may_have_any_layout",
            "test_awkward_input.py::test_logits_of_any_layout",
            "test_awkward_input.py::test_cubes_of_any_layout",
            "test_awkward_input.py::test_data_of_any_layout",
        ],
        "big-endian arrays": [
            "test_npy.py::test_every_layout_is_read",
            "test_awkward_input.py::test_logits_of_any_layout",
        ],
        "read-only buffers": ["test_awkward_input.py::test_logits_of_any_layout"],
        "misaligned buffers": [
            "test_awkward_input.py::test_logits_of_any_layout",
            "test_awkward_input.py::test_misaligned_arrow_buffers",
        ],
        "more than 2^31 elements": [
            "test_awkward_input.py::test_more_than_2_31_elements",
            "test_awkward_input.py::test_more_than_2_31_elements_of_arrow",
        ],
        'zero rows and everything masked (count 0, nan and a flag; `on_empty="raise"` raises)': [
            "test_formats.py::test_no_rows_are_no_error",
            "test_sequence_rows.py::test_empty_sequences_have_no_positions",
            "test_awkward_input.py::test_zero_rows",
            "test_awkward_input.py::test_everything_masked",
            "test_awkward_input.py::test_cubes_without_rows",
            "test_awkward_input.py::test_empty_batches_between_others",
        ],
        "rows that do not count holding anything": [
            "test_awkward_input.py::test_rows_that_do_not_count_hold_anything",
            "test_awkward_input.py::test_rows_that_do_not_count_may_be_null",
            "test_awkward_input.py::test_ignored_labels_and_weights_of_0_are_not_read",
        ],
    },
    "A warning, never another result": {
        "labels that fit better one place left or right": [
            "test_input_warnings.py::test_labels_that_fit_better_one_place_away",
        ],
        "the end token inside the mask": [
            "test_input_warnings.py::test_the_end_token_inside_the_mask",
        ],
        "log-probabilities or probabilities given as logits": [
            "test_input_warnings.py::test_what_looks_like_no_logits",
        ],
    },
}

NOT_YET: dict[str, str] = {}
"""Lines without a test, and why. Which source shows which line is in `bad_inputs.py`."""


def listed() -> dict[str, list[str]]:
    """Give the lines of the lists, by group."""
    text = (HERE / "data" / "bad_input_list.txt").read_text(encoding="utf-8")
    groups = [group.splitlines() for group in text.strip().split("\n\n")]
    return {name: "".join(lines).split(" · ") for name, *lines in groups}


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    """Give the names of the test functions in a file."""
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


LINES = [(group, line) for group, lines in listed().items() for line in lines]


def test_the_lists_are_whole() -> None:
    assert [len(lines) for lines in listed().values()] == [22, 8, 3]


@pytest.mark.parametrize(("group", "line"), LINES)
def test_every_line_has_a_test_that_exists(group: str, line: str) -> None:
    tests = TABLE[group].get(line, [])
    assert tests or NOT_YET.get(line), f"no test for: {line}"
    for test in tests:
        file, name = test.split("::")
        assert name.startswith("test_")
        assert name in functions_of(file), f"{test} does not exist"


def test_the_table_has_no_other_lines() -> None:
    assert set(TABLE) == set(listed())
    assert {line for lines in TABLE.values() for line in lines} <= {line for _, line in LINES}
    assert set(NOT_YET) <= {line for _, line in LINES}
