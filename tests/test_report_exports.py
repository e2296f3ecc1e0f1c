"""A report as a dict, as JSON, in Arrow and in HTML; the summaries are built by hand."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from summaries import (
    HOSTILE,
    INF,
    NAN,
    REPORTS,
    SETTINGS,
    chat_summary,
    grouped,
    infinite,
    part,
    report,
    strict,
    summary,
    triple,
)

if TYPE_CHECKING:
    from logitmeter.report import Report


@pytest.fixture(params=list(REPORTS.values()), ids=list(REPORTS))
def any_report(request: pytest.FixtureRequest) -> Report:
    made: Report = request.param()
    return made


# Dict, JSON, Arrow


def test_to_dict_is_flat_and_plain(any_report: Report) -> None:
    found = any_report.to_dict()
    assert {type(value) for value in found.values()} <= {int, float}


def test_to_dict_names_parts_groups_and_intervals() -> None:
    found = grouped("math").to_dict("eval/")
    assert found["eval/loss"] == 2.314719
    assert found["eval/loss_ci_low"] == 2.310619
    assert found["eval/visible/num_tokens"] == 56001
    assert found["eval/task=math/hidden/loss"] == 0.012345
    assert found["eval/num_short_right"] == 3
    assert found["eval/top_5_accuracy"] == 0.516
    assert all(name.startswith("eval/") for name in found)


def test_to_dict_never_gives_two_groups_one_name() -> None:
    keys = ["a", "a/visible", "a,b", "a=b", "<null>", None, "", "%2F", "/"]
    one = len(grouped("a").to_dict()) - len(report().to_dict())
    assert len(grouped(*keys).to_dict()) == len(report().to_dict()) + len(keys) * one


def test_to_json_is_valid(any_report: Report) -> None:
    found = strict(any_report.to_json())
    assert len(found["groups"]) == len(any_report.groups)
    assert found["num_tokens"] == any_report.num_tokens
    assert "\n" not in any_report.to_json()
    assert strict(any_report.to_json(indent=2)) == found


def test_to_json_keeps_every_bit_of_a_figure() -> None:
    found = strict(report(summary(total=triple(whole=part(loss=0.1 + 0.2)))).to_json())
    assert found["loss"] == 0.1 + 0.2


def test_to_json_lists_what_is_not_finite() -> None:
    found = strict(infinite().to_json())
    assert (found["loss"], found["non_finite"]["loss"]) == (None, "inf")
    assert found["non_finite"]["visible/loss_stderr"] == "nan"
    assert "accuracy" not in found["non_finite"]
    assert strict(report(summary(total=triple(hidden=part()))).to_json())["non_finite"] == {}


def test_to_json_finds_non_finite_figures_of_groups() -> None:
    bad = triple(whole=part(loss=-INF, mrr=NAN))
    found = report(summary(by=["task"], groups=[(("a",), triple()), (("b",), bad)]))
    odd = strict(found.to_json())["non_finite"]
    assert (odd["groups/1/loss"], odd["groups/1/mrr"]) == ("-inf", "nan")


def test_to_json_names_groups_settings_and_warnings() -> None:
    base = chat_summary(
        by=["task", "level"],
        groups=[(("数学", None), triple())],
        settings=SETTINGS | {"vocab_mask": b"\x01"},
        warnings=[("InputWarning", "odd")],
    )
    found = strict(report(base).to_json())
    assert found["groups"][0]["key"] == {"task": "数学", "level": None}
    assert found["settings"]["vocab_mask"].startswith("sha256:")
    assert found["warnings"] == [{"kind": "InputWarning", "message": "odd"}]
    assert found["hidden_label_ids"]["100265"] == 1204


def test_arrow_has_a_row_for_each_group_and_part() -> None:
    table = pa.table(grouped("math", None))
    assert table.column_names[:5] == ["task", "level", "part", "loss", "loss_stderr"]
    assert table["task"].to_pylist() == [None] * 3 + ["math"] * 3 + [None] * 3
    assert table["level"].to_pylist() == ["total"] * 3 + ["group"] * 6
    assert table["part"].to_pylist() == ["whole", "visible", "hidden"] * 3
    assert table["num_tokens"].to_pylist() == [58409, 56001, 2408] * 3
    assert table.schema.field("loss").type == pa.float64()
    assert table.schema.field("num_tokens").type == pa.int64()


def test_arrow_of_any_report(any_report: Report) -> None:
    table = pa.table(any_report)
    assert table.num_rows == 3 * (1 + len(any_report.groups))
    assert len(set(table.column_names)) == table.num_columns


def test_arrow_keeps_names_apart() -> None:
    found = grouped(("a", 1, 2), by=("part", "loss", "by_loss"))
    assert pa.table(found).column_names[:3] == ["by_part", "by_loss", "by_by_loss"]


# HTML


class Page(HTMLParser):
    """Collects tags and text, and insists that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


KNOWN_TAGS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


def test_html_is_well_formed_and_brings_everything_along(any_report: Report) -> None:
    page = Page(any_report._repr_html_())
    assert {tag for tag, _ in page.tags} <= KNOWN_TAGS
    assert not {name for _, attrs in page.tags for name in attrs} & {"src", "href", "onclick"}


def test_html_is_a_table_that_can_be_read_aloud() -> None:
    page = Page(report(chat_summary())._repr_html_())
    heads = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert heads == ["col"] * 5 + ["row"] * 3
    assert "loss 2.3147 ± 0.0041 (95%, 1,204 sequences)" in page.words
    assert "0.9979 ± 0.0012" in page.words


def test_html_sets_no_colour_of_its_own() -> None:
    styles = " ".join(re.findall(r'style="([^"]*)"', report()._repr_html_()))
    assert not re.search(r"#|rgb|background|(?<!-)color:", styles)


def test_html_escapes_hostile_names() -> None:
    page = grouped((HOSTILE, HOSTILE), by=("task", HOSTILE))._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    flat = report(summary(by=[HOSTILE], groups=[((HOSTILE,), triple())]))._repr_html_()
    assert "<script" not in flat
    warned = report(summary(warnings=[("InputWarning", HOSTILE)], flags=[HOSTILE]))._repr_html_()
    assert "<script" not in warned
