"""The page of `explain` in a headless Chromium that has no network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

RUN = Path(__file__).parent.parent / "data" / "finetune_run_a.json"
SIZES = {"desk": (1100, 900), "phone": (390, 800)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu"]
    with sync_playwright() as play:
        chromium = os.environ["LOGITMETER_CHROMIUM"]
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = json.loads(RUN.read_text(encoding="utf-8"))
    steps = [{**step, "valid_loss": step["train_loss"] * 1.1} for step in run["steps"]]
    found = lm.finetune.explain(steps, run["visible_tokens"], n_epochs=3, batch_size=1)
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(found.to_html(), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_opens_alone_and_fits(
    browser: Browser, page_file: Path, size: str, scheme: Any
) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_file.as_uri())
    assert asked == [page_file.as_uri()]
    assert said == []
    assert "2 hidden tokens" in page.inner_text("p.lead")
    assert [page.locator("svg").nth(number).is_visible() for number in range(2)] == [True, True]
    assert page.locator("svg polyline").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for text in page.locator("svg text").all():
        assert text.bounding_box() is not None
    picture = os.environ.get("LOGITMETER_PICTURE")
    if picture:
        page.screenshot(path=f"{picture}-{size}-{scheme}.png", full_page=True)
    context.close()
