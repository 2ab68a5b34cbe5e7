"""Arithmetic expressions in x as functions, and their distance from the one that a search is for."""

import functools
from typing import Any

import numpy as np

from vae_jax.languages.grammar import Grammar, load_grammar

# What is sought, and where: Grammar Variational Autoencoder, arXiv 1703.01925, section 4.2.
TARGET = "1/3+x+sin(x*x)"
_NAMES = {"__builtins__": {}, "sin": np.sin, "exp": np.exp}


def inputs() -> np.ndarray:
    """The 1,000 values of x at which expressions are compared, evenly spaced in −10..10."""
    return np.linspace(-10.0, 10.0, 1000)


@functools.cache
def _grammar() -> Grammar:
    return load_grammar("equations")


def is_valid(expression: str) -> bool:
    """Whether the string is an expression of the grammar "equations"."""
    return _grammar().accepts(expression)


def evaluate(expression: str, x: Any) -> np.ndarray:
    """The expression at each of `x`, of its shape; infinite or NaN where it has no value.

    NotInLanguageError for a string that is not of the grammar "equations".
    """
    _grammar().parse(expression)
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        # What the grammar lets through is sums, products, quotients, sin and exp of x, 1, 2 and 3, and nothing else.
        return np.broadcast_to(np.asarray(eval(expression, _NAMES, {"x": x}), np.float64), x.shape)


def distance(expression: str, target: str = TARGET) -> float:
    """log(1 + mean squared difference from `target` at `inputs()`); infinite where the expression has no value."""
    x = inputs()
    with np.errstate(all="ignore"):
        error = np.mean(np.square(evaluate(expression, x) - evaluate(target, x)))
        return float(np.log1p(error)) if np.isfinite(error) else float("inf")
