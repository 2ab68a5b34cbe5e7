from pathlib import Path

import pytest
import scipy.stats

from tests.runs import changed, equations, few_strings, lines, measured, trained
from vae_jax.measure.strings import STRINGS
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures


def test_a_decoder_of_a_grammar_writes_its_language_alone(monkeypatch: pytest.MonkeyPatch, strings_run) -> None:
    few_strings(monkeypatch)
    found = measured(*strings_run, STRINGS, decodings=2)
    # A grammar's decoder writes nothing else.
    assert found["prior_valid"] == 1.0
    assert 0.0 <= found["reconstructed"] <= 1.0
    again = measured(*strings_run, STRINGS, decodings=2)
    assert found == again


def test_a_posterior_without_a_mean_and_few_strings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few_strings(monkeypatch)
    config = changed(equations(), "model", posterior="planar", flow_layers=1)
    config = changed(config, "objective", estimator="sampled")
    file = lines(tmp_path / "few.txt", *("x+1", "sin(x)", "x*x", "x", "1+2", "x/3") * 2, *("exp(x)",) * 4)
    config = changed(config, "train", batch_size=4)
    config = changed(config, "data", dataset=file, stand_in=False, validation_size=0)
    run, state = trained(tmp_path / "run", config)
    assert len(run.dataset.test.x) == 3
    assert 0.0 <= measured(run, state, STRINGS, decodings=2)["likely_reconstructed"] <= 1.0
    assert {"interpolation", "neighbourhood"} <= {path.stem for path in write_pictures(subject_of(run, state))}


def test_characters_are_measured_by_what_they_should_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits
) -> None:
    few_strings(monkeypatch)
    run, state = trained(tmp_path / "run", equations(grammar="characters"))
    found = measured(run, state, STRINGS, decodings=2)
    share = found["prior_valid"]
    assert share < 1.0
    count = found["prior_codes"] * found["string_decodings"]
    assert found["prior_valid_binomial_error"] == pytest.approx(scipy.stats.binom(count, share).std() / count)
    # Draws of one code agree, so that codes differ by more than independent draws would.
    assert found["prior_valid_error"] >= found["prior_valid_binomial_error"]
    assert not STRINGS.answers(subject_of(*digits))
