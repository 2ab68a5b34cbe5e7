import math

import pytest

from vae_jax.report.template import fill

VALUES = {
    "rate": 2.5,
    "k": 10,
    "share_above_0.7": 0.125,
    "active": [25, 3],
    "size": [50, 20],
    "unknown": math.nan,
    "null": None,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{rate:.2f} nats, k = {k}", "2.50 nats, k = 10"),
        ("{share_above_0.7:.1%} of examples", "12.5% of examples"),
        ("{active} of {size}", "25 of 50 + 3 of 20"),
        ("{active} of {k}", "25 of 10 + 3 of 10"),
        ("{rate:.1f} ± {unknown:.3f}", "2.5 ± not known"),
        ("{null:.2%}", "not known"),
        ("without a field", "without a field"),
        ("{rate} of {nothing}", None),
    ],
)
def test_lines_with_numbers(template: str, text: str | None) -> None:
    assert fill(template, VALUES) == text
