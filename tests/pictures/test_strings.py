import types
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from vae_jax.languages import expressions
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures
from vae_jax.pictures.strings import drawer


def test_a_run_on_strings_has_pictures_of_its_own(strings_run) -> None:
    names = [path.name for path in write_pictures(subject_of(*strings_run))]
    assert {"interpolation.png", "neighbourhood.png"} <= set(names)


def drawn(valid_as: str | None, string: str) -> Any:
    strings = types.SimpleNamespace(valid_as=valid_as)
    run: Any = types.SimpleNamespace(config=types.SimpleNamespace(strings=strings))
    axes = Figure().subplots()
    drawer(types.SimpleNamespace(run=run))(axes, string)  # pyright: ignore[reportArgumentType]
    return axes


def test_an_expression_is_its_curve_with_holes_where_it_is_not_finite() -> None:
    axes = drawn("equations", "1/x")
    (line,) = axes.lines
    x = expressions.inputs()
    np.testing.assert_allclose(line.get_ydata(), np.where(x == 0.0, np.nan, 1.0 / np.where(x == 0.0, 1.0, x)))
    assert axes.get_xlabel() == "1/x"
    assert np.isnan(drawn("equations", "exp(exp(exp(x)))").lines[0].get_ydata()).any()


def test_a_molecule_is_its_picture() -> None:
    (image,) = drawn("molecules", "CCO").images
    assert image.get_array().shape[2] == 3


@pytest.mark.parametrize(("string", "shown"), [("abc", "abc"), ("a" * 40, "\n".join(["a" * 18, "a" * 18, "aaaa"]))])
def test_other_strings_are_written_and_long_ones_broken(string: str, shown: str) -> None:
    (text,) = drawn(None, string).texts
    assert text.get_text() == shown
