import re
from pathlib import Path

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
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(program, names)
    assert names["x"].shape == (7, 8, 8, 1)
    assert Path("README.md").is_file()
