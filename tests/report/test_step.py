import io

import numpy as np
from rich.console import Console

from vae_jax.report.step import step_report
from vae_jax.train.nonfinite import Examined

GOOD = Examined(
    step=7,
    rows=list(range(20)),
    key=[1, 2],
    loss=3.5,
    metrics={"bound": -3.5},
    batch={"x": 1.0},
    params={"decoder.kernel": 0.25},
    terms={"log p(x | z)": -3.0},
    gradient={"decoder.kernel": 0.125},
    origin=None,
)


def printed(examined: Examined) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(step_report(examined))
    return console.file.getvalue()


def test_a_whole_step_is_said_to_be_one() -> None:
    text = printed(GOOD)
    assert "step 7: all of it is finite" in text
    assert "20 rows of the training split: 0, 1, 2, 3, 4, 5, 6, 7, …" in text
    for number in ("3.5", "-3", "0.25", "0.125"):
        assert number in text


def test_the_first_kind_that_is_not_finite_is_named_with_its_origin() -> None:
    bad = GOOD._replace(terms={"log p(x | z)": -np.inf}, loss=np.nan, origin="invalid value (inf) encountered in exp")
    assert bad.summary == "terms: log p(x | z); invalid value (inf) encountered in exp"
    assert f"step 7: not finite, in the order of computing: {bad.summary}" in printed(bad)
    assert GOOD.summary == "what the optimiser made of a finite gradient"
    many = GOOD._replace(gradient={f"layer{number}": np.nan for number in range(5)})
    assert many.summary == "gradient: layer0, layer1, layer2 and 2 more"
