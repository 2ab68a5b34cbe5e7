"""What the pictures of strings show: the limits of expressions, the boxed string, and text that is no mathematics."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from vae_jax.languages import expressions
from vae_jax.measure.subject import subject_of
from vae_jax.pictures import strings
from vae_jax.pictures.picture import Shown
from vae_jax.pictures.plots import save_figure
from vae_jax.pictures.run import write_pictures


def test_a_run_on_strings_has_pictures_of_its_own(strings_run) -> None:
    names = [path.name for path in write_pictures(subject_of(*strings_run))]
    assert {"interpolation.png", "neighbourhood.png"} <= set(names)


def subject(valid_as: str | None = None, valid: Any = lambda string: True) -> Any:
    run = SimpleNamespace(config=SimpleNamespace(strings=SimpleNamespace(valid_as=valid_as)))
    return SimpleNamespace(run=run, is_valid=valid, language=None)


def drawn(valid_as: str | None, string: str) -> Any:
    return strings.drawn(subject(valid_as), [[(string, "")]], "a title").axes[0]


def test_an_expression_is_its_curve_with_holes_where_it_is_not_finite() -> None:
    axes = drawn("equations", "1/x")
    (line,) = axes.lines
    x = expressions.inputs()
    np.testing.assert_allclose(line.get_ydata(), np.where(x == 0.0, np.nan, 1.0 / np.where(x == 0.0, 1.0, x)))
    assert axes.get_xlabel().startswith("1/x\ny -")
    assert np.isnan(drawn("equations", "exp(exp(exp(x)))").lines[0].get_ydata()).any()


def test_a_molecule_is_its_picture() -> None:
    (image,) = drawn("molecules", "CCO").images
    assert image.get_array().shape[2] == 3


@pytest.mark.parametrize(("string", "shown"), [("abc", "abc"), ("a" * 40, "\n".join(["a" * 18, "a" * 18, "aaaa"]))])
def test_other_strings_are_written_and_long_ones_broken(string: str, shown: str) -> None:
    (text,) = drawn(None, string).texts
    assert text.get_text() == shown


def curve_of(expression: str) -> tuple[np.ndarray, float, float, str]:
    """Its finite values, the limits of the axis, and what is said of them."""
    axes = strings.drawn(subject("equations"), [[(expression, "")]], "a title").axes[0]
    y = expressions.evaluate(expression, expressions.inputs())
    return y[np.isfinite(y)], *axes.get_ylim(), axes.get_xlabel().split("\n")[-1]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("x", "y -10 to 10"),
        ("3", "y 3"),
        ("x/x+2", "y 3"),
        ("(1*(3*x)*3/x*3)/x/1*x", "y 27"),
        ("3*3*3*3*3*3*3*3", "y 6.56e+03"),
        ("x*x*x", "y -1e+03 to 1e+03"),
        ("sin(x)", "y -1 to 1"),
        ("exp(x)", "y 4.54e-05 to 2.2e+04"),
    ],
)
def test_the_limits_are_those_of_the_values(expression: str, said: str) -> None:
    y, low, high, label = curve_of(expression)
    assert label == said
    assert low < y.min() <= y.max() < high
    # And not much more: a curve fills its axis.
    assert y.max() - y.min() > 0.9 * (high - low) or np.ptp(y) < 1e-9 * np.abs(y).max()


@pytest.mark.parametrize("expression", ["1/x", "2+1+2/x", "sin(3)/x/x", "exp(x*x)", "exp(exp(x))", "x*x*x+1/x/x/x"])
def test_where_a_few_values_are_far_away_the_axis_is_cut_and_says_so(expression: str) -> None:
    y, low, high, label = curve_of(expression)
    assert label.endswith(", cut")
    assert 0.89 < np.mean((low < y) & (y < high)) < 1.0


def test_values_that_are_not_finite_or_nearly_so_are_no_values() -> None:
    assert curve_of("exp(exp(exp(exp(3))))")[3] == "nowhere finite"
    # exp(705) is near the largest number: a margin above it would be infinite.
    assert np.isfinite(curve_of("exp(x*x*(2+3+2))")[1:3]).all()


TESTED = [f"test {i}" for i in range(6)]


def boxed(monkeypatch: pytest.MonkeyPatch, own: list[str], valid: Any = lambda string: True) -> tuple[str, str]:
    """The string in the box and the title, where test strings have these codes' strings."""
    codes = 0.01 * np.random.default_rng(0).normal(size=(6, 4)) + np.arange(6.0)[:, None]
    monkeypatch.setattr(strings, "texts", lambda grammar, x: [TESTED[i] for i in x])
    monkeypatch.setattr(strings, "likely_strings", lambda subject, z: [own[round(row.mean())] for row in z])
    figure: Figure = strings._neighbourhood(subject(valid=valid), Shown(None, np.arange(6), codes))  # pyright: ignore
    assert figure._suptitle is not None
    (box,) = [axes for axes in figure.axes if axes.spines["left"].get_linewidth() == 2.0]
    return box.texts[0].get_text(), figure._suptitle.get_text()


def test_the_boxed_string_is_a_test_string_where_the_title_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["a", "b", "test 2", "test 3", "e", "f"]
    assert boxed(monkeypatch, own)[0] == "test 2"
    string, title = boxed(monkeypatch, own, valid=lambda string: string == "test 3")
    assert string == "test 3"
    assert "boxed: the string itself, which its own code decodes to" in title


def test_where_none_is_given_again_the_title_says_what_is_boxed(monkeypatch: pytest.MonkeyPatch) -> None:
    string, title = boxed(monkeypatch, ["other"] * 6)
    assert string == "other"
    assert "boxed: what its own code decodes to: another string (so with all 6 that were tried)" in title
    assert "the string itself: test 0" in title
    # Rather one that can be drawn, and otherwise it is not valid, and the title does not say that it is a test string.
    assert boxed(monkeypatch, list("abcdef"), valid=lambda string: string == "d")[0] == "d"
    string, title = boxed(monkeypatch, list("abcdef"), valid=lambda string: False)
    assert string == "not valid:\na"
    assert "what its own code decodes to" in title


@pytest.mark.parametrize("valid", [True, False])
def test_dollars_are_bonds_and_no_mathematics(valid: bool, tmp_path: Path) -> None:
    string = r"C$C\frac$"
    figure = strings.drawn(subject(valid=lambda string: valid), [[(string, "")]], string)
    assert save_figure(tmp_path / "some.png", figure).is_file()


def test_a_code_of_one_number_has_no_neighbourhood_in_a_plane() -> None:
    subjects = (SimpleNamespace(grammar=object(), code_size=size) for size in (1, 2))
    assert [strings.NEIGHBOURHOOD.suits(subject) for subject in subjects] == [False, True]
