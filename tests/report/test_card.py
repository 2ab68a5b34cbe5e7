import re
from pathlib import Path
from typing import Any

import pytest

from tests.runs import changed, experiment, trained
from vae_jax.measure.evaluation import evaluate, first_measurements
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.report.card import model_card
from vae_jax.report.export import write_export


def test_the_card_says_protocol_and_numbers_and_its_program_runs(digits, tmp_path, monkeypatch) -> None:
    subject = subject_of(*digits)
    measured = evaluate(subject, first_measurements(subject.run.config), Options())
    text = model_card(subject, measured, k=5, version="1.2.3")
    assert text.startswith("---\nlibrary_name: vae_jax\n")
    for words in (
        f"log p(x): {measured['log_marginal']:.2f} nats per test example, importance-weighted, k = 10",
        "the model sees bits",
        "data seed 0",
        "vae_jax 1.2.3",
        '"format": 3',
        "license",
    ):
        assert words in text
    write_export(subject, tmp_path, k=5)
    assert "Nothing yet: `vae-jax evaluate RUN`" in model_card(subject, None, k=5, version="1")
    monkeypatch.chdir(tmp_path)
    assert seven(text).shape == (7, 8, 8, 1)
    assert Path("README.md").is_file()


PARTS = [{"latent_layers": (2,), "hidden": (16,)}, {"posterior": "concrete", "classes": 3}]


@pytest.mark.parametrize("parts", PARTS, ids=["layers", "choices"])
def test_its_program_runs_whatever_a_code_is(parts: dict, tmp_path, monkeypatch) -> None:
    config = changed(changed(experiment(epochs=1), "objective", bound="elbo", estimator="analytic"), "model", **parts)
    subject = subject_of(*trained(tmp_path / "run", changed(config, "objective", num_samples=1)))
    write_export(subject, tmp_path, k=5)
    monkeypatch.chdir(tmp_path)
    assert seven(model_card(subject, {}, k=5, version="1")).shape == (7, 8, 8, 1)


def seven(card: str) -> Any:
    """What the program of a card decodes, in the folder of the export."""
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict = {}
    exec(program, names)
    return names["x"]
