"""The README as printed: its Python runs, its commands exist, its files are there."""

import importlib
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import trained
from vae_jax.cli import main
from vae_jax.config.files import config_names
from vae_jax.models.linear_gaussian import marginal

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_runs_as_printed(capsys, tmp_path, monkeypatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 5
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert np.isfinite(names["gradient"]["encoder"]["params"]["kernel"]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(names["slope"]))
    run, _ = trained(tmp_path / "run")
    assert names["codes"](run.directory, jnp.asarray(run.dataset.test.x[:3] > 8, jnp.float32)).shape == (3, 2)
    assert re.search(r"log p\(x\) = -\d+\.\d\d ± \d\.\d\d nats, k = 5000", capsys.readouterr().out)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_as_printed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)
    numbers = [value for value in names.values() if isinstance(value, jax.Array)]
    assert all(np.isfinite(number).all() for number in numbers)
    if page.stem == "devices":
        # By the exact posterior every weight is p(x).
        np.testing.assert_allclose(names["value"], marginal(names["decoder"]).log_prob(jnp.zeros(3)), rtol=1e-5)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page.read_text()
    main(["--help"])
    usage = capsys.readouterr().out
    for command in set(re.findall(r"vae-jax ([a-z]+) ", text)):
        assert f"  {command} " in usage
    for file in set(re.findall(r"(?:benchmarks|tests)/[\w/]+\.py", text)):
        assert (ROOT / file).is_file(), file
    for file, test in set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)):
        assert f"def {test}(" in (ROOT / file).read_text(), test
    for module, name in set(re.findall(r"`(vae_jax(?:\.\w+)*)\.(\w+)`", text)):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
    for config in set(re.findall(r"config `(\w+)`", text)):
        assert config in config_names()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target


def test_the_composed_bound_is_traced_once_under_every_transformation() -> None:
    names: dict = {}
    exec(compile(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0], "README.md", "exec"), names)
    loss, params = names["loss"], names["params"]
    eager = loss.__wrapped__(params, jax.random.key(3))
    np.testing.assert_allclose(names["value"], eager, rtol=1e-5)
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(loss, in_axes=(None, 0))(params, keys)
    _, scanned = jax.lax.scan(lambda carry, key: (carry, loss(params, key)), 0, keys)
    np.testing.assert_allclose(many, scanned, rtol=1e-5)


def test_every_command_of_the_readme_exists(capsys) -> None:
    main(["--help"])
    usage = capsys.readouterr().out
    for command in set(re.findall(r"vae-jax ([a-z]+)", README)):
        assert f"  {command} " in usage


def test_every_link_and_picture_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_benchmark_of_the_readme_is_there() -> None:
    scripts = set(re.findall(r"python (benchmarks/\w+\.py)", README))
    assert scripts
    for script in scripts:
        assert (ROOT / script).is_file()
