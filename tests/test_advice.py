"""What a message advises is followed here, and ends with success."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.runs import experiment
from vae_jax.cli import main
from vae_jax.config.fields import Experiment, sections
from vae_jax.train.run import create

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (60, 8, 8)).astype(np.uint8)
REALS = RANDOM.standard_normal((60, 5))
LABELS = np.arange(60) % 3


class Case(NamedTuple):
    """Arrays and fields that are refused with `message`, and what the message says to change."""

    arrays: dict[str, Any]
    fields: dict[str, Any]
    message: str
    new_arrays: dict[str, Any] = {}
    new_fields: dict[str, Any] = {}


REAL = {"binarisation": "none", "likelihood": "normal"}
CASES = {
    "small integers": Case({"x": PIXELS % 5}, {}, "--levels 4, or --levels 255", new_fields={"levels": 4}),
    "dark images": Case({"x": PIXELS % 5}, {}, "--levels 4, or --levels 255", new_fields={"levels": 255}),
    "large counts": Case(
        {"x": PIXELS.astype(int) * 9},
        {"binarisation": "none", "likelihood": "binomial"},
        f"--levels {9 * int(PIXELS.max())}",
        new_fields={"levels": 9 * int(PIXELS.max())},
    ),
    "levels too small": Case({"x": PIXELS}, {"levels": 16}, "which holds counts up to 25", new_fields={"levels": 255}),
    "real numbers as counts": Case(
        {"x": REALS}, {"binarisation": "none", "likelihood": "poisson"}, "--likelihood normal", new_fields=REAL
    ),
    "real numbers as bits": Case({"x": REALS}, {}, "--binarisation none --likelihood normal", new_fields=REAL),
    "shares as bits": Case(
        {"x": PIXELS / 255},
        {"binarisation": "none"},
        "--binarisation dynamic",
        new_fields={"binarisation": "dynamic"},
    ),
    "real numbers as intensities": Case(
        {"x": REALS},
        {"binarisation": "none", "likelihood": "continuous_bernoulli"},
        "--likelihood normal",
        new_fields=REAL,
    ),
    "intensities above 1": Case(
        {"x": PIXELS.astype(float)},
        {"binarisation": "none", "likelihood": "continuous_bernoulli"},
        "Divide them by the largest that there can be",
        new_arrays={"x": PIXELS / 255},
    ),
    "pixels as real numbers": Case(
        {"x": PIXELS.astype(np.float32)}, REAL, "save x / 255", new_arrays={"x": PIXELS.astype(np.float32) / 255}
    ),
    "a table of another scale": Case(
        {"x": 300 * REALS},
        REAL | {"standardise": False},
        "save (x - x.mean(0)) / np.maximum(x.std(0), 1e-6)",
        new_arrays={"x": (REALS - REALS.mean(0)) / np.maximum(REALS.std(0), 1e-6)},
    ),
    "colours first": Case(
        {"x": np.repeat(PIXELS[:, None], 3, axis=1)},
        {"network": "conv", "hidden": (4,)},
        "save x.transpose(0, 2, 3, 1)",
        new_arrays={"x": np.repeat(PIXELS[:, None], 3, axis=1).transpose(0, 2, 3, 1)},
    ),
    "objects": Case(
        {"x": PIXELS, "label": np.array(list("abc") * 20, object)},
        {},
        "label.astype(float), or .astype(str)",
        new_arrays={"label": np.array(list("abc") * 20, object).astype(str)},
    ),
    "an array that is not read": Case(
        {"x": PIXELS, "lable": LABELS}, {}, "the arrays lable are not read", new_arrays={"lable": None}
    ),
    "labels of no split": Case(
        {"x": PIXELS, "y_test": LABELS}, {}, "holds y_test, but no x_test", new_arrays={"x_test": 255 - PIXELS}
    ),
    "a validation split": Case(
        {"x": PIXELS, "x_val": 255 - PIXELS[:9]},
        {"validation_size": 5},
        "leave --validation-size out",
        new_fields={"validation_size": None},
    ),
    "examples without a class": Case(
        {"x": PIXELS, "label": LABELS - 1},
        {"system": "conditional"},
        "20 of 60 of .* have none (−1). Leave those examples out",
        new_arrays={"x": PIXELS[LABELS > 0], "label": LABELS[LABELS > 0] - 1},
    ),
    "no labels": Case(
        {"x": PIXELS}, {"system": "conditional"}, "Put them into your file as `label`", new_arrays={"label": LABELS}
    ),
    "too many classes": Case(
        {"x": RANDOM.integers(0, 256, (1200, 8, 8)).astype(np.uint8), "label": np.arange(1200).astype(str)},
        {"system": "conditional"},
        "put `condition` beside x",
        new_arrays={"label": None, "condition": np.arange(1200.0)},
    ),
    "a probability above 1": Case(
        {"x": PIXELS}, {"most_distortion": -9.0}, "must be greater than 0", new_fields={"most_distortion": 9.0}
    ),
    "a biased estimator": Case(
        {"x": PIXELS},
        {"bound": "iwae", "estimator": "stl", "num_samples": 5},
        "Unbiased: --estimator dreg",
        new_fields={"estimator": "dreg"},
    ),
    "a model too large": Case(
        {"x": PIXELS}, {"hidden": (10**6, 10**6)}, "Make it smaller: fewer --hidden", new_fields={"hidden": (9,)}
    ),
}


def config_of(path: Path, fields: dict[str, Any]) -> Experiment:
    config = dataclasses.replace(experiment(batch_size=16), system=fields.get("system", "vae"))
    for name, part in sections(config).items():
        own = {field: value for field, value in fields.items() if hasattr(part, field)}
        own |= {"dataset": str(path), "stand_in": False} if name == "data" else {}
        config = dataclasses.replace(config, **{name: dataclasses.replace(part, **own)})
    return config


@pytest.mark.parametrize("name", CASES)
def test_the_advice_of_a_message_leads_to_a_run(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = tmp_path / "data.npz"
    np.savez(path, **case.arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, UserWarning)) as caught:
            create(config_of(path, case.fields), tmp_path / "run")
        said = str(caught.value).replace(str(path), ".*")
        assert case.message in said
        assert "\n" not in said
        arrays = {name: array for name, array in {**case.arrays, **case.new_arrays}.items() if array is not None}
        np.savez(path, **arrays)
        create(config_of(path, {**case.fields, **case.new_fields}), tmp_path / "mended")
    assert (tmp_path / "mended" / "config.json").is_file()


@pytest.mark.filterwarnings("ignore:the elements of .*raw.npz have values up to")
def test_a_model_that_is_worse_than_a_constant_is_a_failure(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("raw.npz", x=12 * REALS)
    np.savez("mended.npz", x=(REALS - REALS.mean(0)) / np.maximum(REALS.std(0), 1e-6))
    flags = ["--binarisation", "none", "--likelihood", "normal", "--latent-size", "2", "--hidden", "8"]
    flags += ["--epochs", "1", "--batch-size", "16", "--standardise", "False"]
    for name, status in (("raw", 1), ("mended", 0)):
        assert main(["train", "vae", "--dataset", f"{name}.npz", *flags, "--out", name]) == status
        printed = capsys.readouterr().out.replace("│", "")
        if name == "raw":
            assert "save (x - x.mean(0)) / np.maximum(x.std(0), 1e-6)" in " ".join(printed.split())
            assert "worse than a constant" in printed
