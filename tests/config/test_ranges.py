import typing

import pytest

from vae_jax.config.ranges import InnerShare, NotNegative, Positive, Several, Share, ShareBelowOne


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (Positive[float], (1e-9, 3), (0, -1, float("nan"))),
        (NotNegative[float], (0, 3), (-1e-9, float("nan"))),
        (Several[int], (2, 9), (1, 0)),
        (Share[float], (0, 0.5, 1), (-0.1, 1.1, float("nan"))),
        (ShareBelowOne[float], (0, 0.99), (1, -0.1, float("nan"))),
        (InnerShare[float], (0.01, 0.99), (0, 1, float("nan"))),
    ],
)
def test_a_range_holds_what_it_says(kind: typing.Any, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    (allowed,) = kind.__metadata__
    assert all(allowed.holds(number) for number in inside)
    assert not any(allowed.holds(number) for number in outside)
    assert allowed.says
