import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.runs import changed
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.data import Square
from vae_jax.train.source import ARRAYS, load_data, reading_of, settled, square_of, warn_of_faults

DIGITS = quick(load_config("digits"))


def test_data_that_were_given_in_python_cannot_be_loaded() -> None:
    with pytest.raises(ConfigError, match=r"given in Python as arrays: open it there with vj.open_run"):
        load_data(changed(DIGITS, "data", dataset=ARRAYS))


def test_a_likelihood_of_counts_sees_counts() -> None:
    counts = changed(changed(DIGITS, "data", binarisation="none"), "model", likelihood="binomial")
    assert load_data(counts).as_counts
    assert not load_data(DIGITS).as_counts
    assert reading_of(counts).kind == "counts"
    assert reading_of(DIGITS).kind == "bits"


def test_the_square_of_images() -> None:
    assert square_of(DIGITS.data) is None
    assert square_of(changed(DIGITS, "data", image_size=16, image_crop=24).data) == Square(16, 24)


def test_a_new_run_writes_out_what_its_own_data_are(tmp_path: Path) -> None:
    # What ships is known by its name.
    assert settled(DIGITS) is DIGITS
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (40, 6, 6)).astype(np.uint8))
    own = changed(load_config("vae"), "data", dataset=str(tmp_path / "x.npy"))
    assert settled(own).data.levels == 255


def test_a_biased_gradient_is_warned_of_and_what_ships_is_as_it_is_meant(recwarn: pytest.WarningsRecorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_faults(DIGITS, load_data(DIGITS))
    biased = changed(DIGITS, "objective", estimator="stl")
    with pytest.warns(UserWarning, match="--estimator stl is biased.*--estimator dreg"):
        warn_of_faults(biased, load_data(biased))
