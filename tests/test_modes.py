"""Every system trains and is measured in the modes of JAX that other packages ask for."""

from contextlib import AbstractContextManager
from itertools import product
from typing import Any

import jax
import pytest

from vae_jax.cli import main
from vae_jax.config.files import config_names, load_config

MODES: dict[str, Any] = {"x64": jax.enable_x64, "debug_nans": jax.debug_nans}
# One config of each system. These pairs are tried in every run of the tests, the others with `pytest -m slow`.
SYSTEMS = {load_config(name).system: name for name in reversed(config_names())}
QUICK = {("x64", "vae")}


@pytest.mark.parametrize(
    ("mode", "system"),
    [pair if pair in QUICK else pytest.param(*pair, marks=pytest.mark.slow) for pair in product(MODES, SYSTEMS)],
)
def test_every_system_trains_in_every_mode(mode: str, system: str, tmp_path, capsys) -> None:
    in_mode: AbstractContextManager = MODES[mode](True)
    with in_mode:
        assert main(["train", SYSTEMS[system], "--quick", "--epochs", "1", "--out", str(tmp_path / "run")]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["x64", "debug_nans"])
def test_a_run_is_used_in_every_mode(mode: str, tmp_path, capsys) -> None:
    run = str(tmp_path / "run")
    assert main(["train", "digits", "--quick", "--epochs", "1", "--out", run]) == 0
    with MODES[mode](True):
        for command in (["evaluate", run, "--gaps", "2"], ["sample", run, "--count", "3"], ["encode", run, "digits"]):
            assert main(command) == 0, command


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts",
    [
        *(f"--posterior {name} --bound elbo --estimator sampled" for name in ("planar", "coupling", "spline", "iaf")),
        *(
            f"--prior {name} --bound elbo --estimator sampled"
            for name in ("autoregressive", "coupling", "spline", "vamp")
        ),
        "--posterior iaf --bound elbo --estimator stl",
        "--posterior spline --bound iwae --estimator dreg --num-samples 2",
    ],
)
def test_every_flow_trains_in_numbers_of_64_bits(parts: str, tmp_path) -> None:
    run = str(tmp_path / "run")
    with jax.enable_x64(True):
        assert main(["train", "digits", *parts.split(), "--quick", "--epochs", "1", "--out", run]) == 0
        assert main(["evaluate", run, "--gaps", "2"]) == 0
