import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.runs import changed
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.data import Square
from vae_jax.train.run import create
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


@pytest.mark.parametrize("source", ["digits", "x.npy"])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_colour", "grey", "--image-colour grey has no effect on .*: it is for a folder of images"),
        ("standardise", True, "--standardise True has no effect on .*: it is for real numbers"),
        ("label", "age", "--label age (has no effect on .*, which has no columns|chooses among several labels)"),
    ],
)
def test_what_data_are_not_read_by_is_refused_of_a_new_run(
    source: str, field: str, value: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (40, 6, 6)).astype(np.uint8))
    with pytest.raises(ValueError, match=message):
        create(changed(DIGITS, "data", dataset=source, stand_in=False, **{field: value}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_columns_with_families_are_always_standardised(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n}.5,{n % 3}\n" for n in range(40)))
    config = changed(load_config("table"), "data", dataset=str(tmp_path / "t.csv"), standardise=False)
    with pytest.raises(ValueError, match="--standardise False: columns with families of their own are always"):
        settled(config)


def test_a_biased_gradient_is_warned_of_and_what_ships_is_as_it_is_meant(recwarn: pytest.WarningsRecorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_faults(DIGITS, load_data(DIGITS))
    biased = changed(DIGITS, "objective", estimator="stl")
    with pytest.warns(UserWarning, match="--estimator stl is biased.*--estimator dreg"):
        warn_of_faults(biased, load_data(biased))
