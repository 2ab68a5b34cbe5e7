"""The README as printed: its Python runs, and it stays a page."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

import vae_jax

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_python_runs_as_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(BLOCKS) == 2
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert np.isfinite(names["gradient"]["encoder"]["params"]["kernel"]).all()
    assert re.search(r"log p\(x\) = -\d+\.\d\d ± \d\.\d\d nats, k = 5000", capsys.readouterr().out)
    assert names["pictures"]


def test_the_composed_bound_is_traced_once_under_every_transformation() -> None:
    names: dict = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    loss, params = names["loss"], names["params"]
    eager = loss.__wrapped__(params, jax.random.key(3))
    np.testing.assert_allclose(names["value"], eager, rtol=1e-5)
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(loss, in_axes=(None, 0))(params, keys)
    _, scanned = jax.lax.scan(lambda carry, key: (carry, loss(params, key)), 0, keys)
    np.testing.assert_allclose(many, scanned, rtol=1e-5)


def test_one_version_is_named_everywhere() -> None:
    changes = re.findall(
        r"^## \[(\d.+?)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    cited = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert [changes[0], *cited] == [vae_jax.__version__, vae_jax.__version__]


def test_it_is_one_page_and_begins_with_the_two_commands() -> None:
    assert len(README.splitlines()) <= 150
    first, second = re.findall(r"```bash\n(.*?)\n```", README, re.DOTALL)[:2]
    assert first.endswith("vae-jax train digits")
    assert second.endswith("pytest")
    assert all(command.startswith("python -m venv") for command in (first, second))
