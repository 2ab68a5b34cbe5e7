import numpy as np
import pytest

from vae_jax.languages.expressions import TARGET, distance, evaluate, inputs, is_valid
from vae_jax.languages.grammar import NotInLanguageError


def test_values() -> None:
    x = np.array([0.5, 2.0])
    np.testing.assert_allclose(evaluate("1/3+x+sin(x*x)", x), 1 / 3 + x + np.sin(x * x))
    np.testing.assert_allclose(evaluate("exp((x))/2*3", x), np.exp(x) / 2 * 3)
    np.testing.assert_allclose(evaluate("3", x), [3.0, 3.0])


def test_distances_of_the_paper() -> None:
    assert distance(TARGET) == 0.0
    # The best of arXiv 1703.01925, table 2, to its two digits.
    assert round(distance("x/1+sin(3)+sin(x*x)"), 2) == 0.04
    # A constant away, of which the mean square is known.
    assert distance("x/1+sin(3)+sin(x*x)") == pytest.approx(np.log1p((np.sin(3.0) - 1 / 3) ** 2))
    assert distance("1/2+(x)+sin(x*x)") == pytest.approx(np.log1p(1 / 36))
    x = np.linspace(-10.0, 10.0, 1000)
    away = np.mean(np.square(1 / 2 + np.sin(3.0 * x) - (1 / 3 + np.sin(x * x))))
    assert distance("1/2+(x)+sin(3*x)") == pytest.approx(np.log1p(away))
    assert distance("exp(exp(exp(x)))") == float("inf")
    assert len(inputs()) == 1000


def test_nothing_but_expressions_is_evaluated() -> None:
    assert is_valid("x+1")
    assert not is_valid("__import__('os')")
    with pytest.raises(NotInLanguageError):
        evaluate("__import__('os')", inputs())
    with pytest.raises(NotInLanguageError):
        distance("x+")
