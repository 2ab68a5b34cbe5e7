"""The table of an evaluation, of measurements and numbers that are written by hand."""

import types
from typing import Any

import pytest

from tests.runs import console
from vae_jax.measure.measurement import Measurement
from vae_jax.report.table import evaluation_table, tables

RESULT = {
    "rate": 2.5,
    "units": 7,
    "dataset": "digits",
    "binarisation": "dynamic",
    "data_seed": 0,
    "evaluation_seed": 4,
    "train_examples": 100,
    "validation_examples": 20,
    "test_examples": 30,
    "step": 36,
    "num_steps": 40,
    "parameters_of_epoch": 3,
    "training_seconds": 1.2,
    "train_seed": 5,
}


def printed(*parts: Any) -> list[str]:
    shown = console()
    shown.print(*parts)
    text: str = shown.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_rows_of_one_title_stand_together_and_what_was_not_measured_is_left_out() -> None:
    sections = [
        ("code", (("rate", "{rate:.1f}", "nats"), ("distortion", "{distortion:.1f}", "nats"))),
        ("nothing", (("mig", "{mig}", ""),)),
        ("codes used", (("units", "{units}", "of {rate}"),)),
        ("code", (("more", "{units}", "more of it"),)),
    ]
    assert printed(*tables(sections, RESULT)) == [
        "code",
        "rate 2.5 nats",
        "more 7 more of it",
        "codes used",
        "units 7 of 2.5",
    ]


@pytest.mark.parametrize("warning", [None, "the decoder ignores z"])
def test_only_measurements_that_answer_have_rows_and_the_protocol_is_always_there(warning: str | None) -> None:
    row = (("rate", "{rate:.1f}", "nats"),)
    yes = Measurement("yes", lambda subject: True, lambda *_: {}, (("answered", row),))
    no = Measurement("no", lambda subject: False, lambda *_: {}, (("not answered", row),))
    subject: Any = types.SimpleNamespace(run=types.SimpleNamespace(directory="runs/mine"))
    lines = printed(evaluation_table(subject, RESULT | ({"warning": warning} if warning else {}), [yes, no]))
    assert lines[:3] == ["runs/mine", "answered", "rate 2.5 nats"]
    assert "not answered" not in lines
    assert "data digits binarisation dynamic, data seed 0" in lines
    assert "training step 36 of 40 parameters of epoch 3, 1 s, seed 5" in lines
    assert (lines[-1] == "warning: the decoder ignores z") == (warning is not None)
