"""The page of a run, as text, and in a browser where there is one: `pip install -e '.[test,browser]'` and Chromium."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runs import changed, experiment, trained
from vae_jax.measure.evaluation import measurements_of
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.likeliest import LIKELIEST
from vae_jax.pictures.run import PICTURES, write_pictures
from vae_jax.pictures.views import VIEWS
from vae_jax.report.page import _SHOWS, _points, write_page

RESULT = {"log_marginal": -21.5, "k": 10, "note": "</script><b>"}


def written(folder: Path, config: Any, result: dict[str, Any]) -> Path:
    subject = subject_of(*trained(folder, config))
    measured = subject.protocol(seed=0) | result if result else {}
    pictures = write_pictures(subject)
    return write_page(subject, measured, measurements_of(config), pictures, version="0")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("page") / "run", experiment(), RESULT)


def data_of(path: Path) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_page_holds_everything_and_fetches_nothing(path: Path) -> None:
    text = path.read_text()
    assert path.stat().st_size < 5e6
    assert not re.search(r"<!-- \w+ -->", text)
    assert set(re.findall(r'(?:src|href)="([^"]{5})', text)) == {"data:"}
    assert not re.search(r"\b(?:fetch|import|XMLHttpRequest)\b\(", text)
    data = data_of(path)
    assert [len(series["points"]) for series in data["curve"]["series"]] == [3, 3]
    assert len(data["plane"]["points"]) == len(data["plane"]["labels"])
    assert "vae-jax train" in text
    assert "data seed 0" in text
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', text))


def test_what_has_no_plane_or_no_numbers_has_a_page_too(tmp_path: Path) -> None:
    path = written(tmp_path / "run", experiment("curve", epochs=1), {})
    assert data_of(path)["plane"] is None
    assert 'id="plane"' not in path.read_text()
    assert "Not measured yet" in path.read_text()


def test_an_epoch_without_a_number_has_no_point() -> None:
    lines = [
        {"epoch": n, "train": {"loss": loss}, "validation": {}} for n, loss in enumerate((1.0, math.nan, math.inf))
    ]
    assert _points(lines, "train", "loss") == [[0, 1.0]]
    assert _points(lines, "validation", "loss") == []


def test_names_with_markup_are_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a<b>&c", changed(experiment(epochs=1), "model", latent_size=3), {})
    assert "<h1>a&lt;b&gt;&amp;c</h1>" in path.read_text()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[browser]'")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as running:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        opened = running.chromium.launch(executable_path=chromium, args=quiet)
        yield opened
        opened.close()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, browser: Any, path: Path):
    width, scheme = request.param
    errors: list[str] = []
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(path.as_uri())
    yield opened
    opened.close()
    assert errors == []


def decoded(page: Any) -> str:
    return page.evaluate("document.getElementById('decoded').toDataURL()")


def test_the_plane_follows_pointer_and_keys(page: Any) -> None:
    canvas = page.locator("#plane")
    box = canvas.bounding_box()
    seen = set()
    for share in (0.3, 0.8):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        seen.add((decoded(page), page.locator("#place").inner_text()))
    assert len(seen) == 2
    assert "nearest example: label" in page.locator("#place").inner_text()
    canvas.focus()
    before = page.locator("#place").inner_text()
    page.keyboard.press("ArrowUp")
    assert page.locator("#place").inner_text() != before


def test_nothing_is_wider_than_the_window(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    words = page.evaluate(
        "[...document.querySelectorAll('#curve text')].map(t => t.getBBox()).map(b => [b.x, b.x + b.width])"
    )
    assert words
    assert all(left >= 0 and right <= 700 for left, right in words)


def test_it_is_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    results = axe.run(page)
    assert results.violations_count == 0, results.generate_report()


def test_it_says_what_every_picture_shows() -> None:
    assert set(_SHOWS) == {picture.name for picture in (*PICTURES, *VIEWS, LIKELIEST)}
