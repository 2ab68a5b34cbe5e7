"""The pages: their Python runs, and what they name is there. The README and CONTRIBUTING are two of them."""

import importlib
import inspect
import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax
import vae_jax.evaluate
from vae_jax.cli import main
from vae_jax.commands.train import _experiment, _SweepOptions, _TrainOptions
from vae_jax.config.files import config_names
from vae_jax.models.linear_gaussian import marginal
from vae_jax.systems.registry import validate

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = {str(path.relative_to(DOCS)): path for path in sorted(DOCS.rglob("*.md"))}
PAGES = SITE | {f"../{name}": ROOT / name for name in ("README.md", "CONTRIBUTING.md")}
# Of these rooms the names that they hand on are public.
FACES = ("evaluate", "flows", "bijections", "nets", "train", "config", "data")


def text(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def flat(page: str) -> list[str]:
    """Everything that a page prints as code."""
    return ["".join(pair) for pair in re.findall(r"```\w*\n(.*?)```|`([^`]+)`", text(page), re.DOTALL)]


def anchors(page: Path) -> set[str]:
    """The places in a page that a link may name, as Python-Markdown calls them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        plain = unicodedata.normalize("NFKD", title.replace("`", "")).encode("ascii", "ignore").decode()
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


def public() -> dict[str, Any]:
    """Every public symbol by the shortest name that it has."""
    names = {f"vae_jax.{name}": getattr(vae_jax, name) for name in vae_jax.__all__}
    for face in FACES:
        module = importlib.import_module(f"vae_jax.{face}")
        names |= {f"vae_jax.{face}.{name}": getattr(module, name) for name in module.__all__}
    first: dict[int, str] = {}
    return {name: value for name, value in names.items() if first.setdefault(id(value), name) == name}


@pytest.mark.parametrize("page", [page for page in SITE if "```python" in text(page)])
def test_the_python_of_a_page_runs_as_printed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    if 'open_run("runs/digits")' in text(page):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "digits").symlink_to(request.getfixturevalue("digits")[0].directory)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", text(page), re.DOTALL):
        exec(compile(block, page, "exec"), names)
    made = [value for name, value in names.items() if not name.startswith("__")]
    numbers = [leaf for leaf in jax.tree.leaves(made) if isinstance(leaf, jax.Array)]
    assert all(np.isfinite(number).all() for number in numbers if jnp.issubdtype(number.dtype, jnp.number))
    if page == "devices.md":
        # By the exact posterior every weight is p(x).
        np.testing.assert_allclose(names["value"], marginal(names["decoder"]).log_prob(jnp.zeros(3)), rtol=1e-5)


def test_the_functions_that_read_files_of_a_run_read_them(digits) -> None:
    run, _ = digits
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", text("how/metrics.md"), re.DOTALL):
        exec(compile(block, "metrics.md", "exec"), names)
    assert [line["epoch"] for line in names["lines"](run.directory)] == [1, 2, 3]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = "\n".join(flat(page))
    main(["--help"])
    commands = re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE)
    for command in set(re.findall(r"\bvae-jax ([a-z]+)", printed)):
        assert command in commands
    for file in set(re.findall(r"(?:benchmarks|tests|vae_jax)/[a-z\d_/]+\.py\b", printed)):
        assert (ROOT / file).is_file(), file
    for file, test in set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", printed)):
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
    for module, name in set(re.findall(r"^(vae_jax(?:\.\w+)*)\.(\w+)$", printed, re.MULTILINE)):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
    for name in set(re.findall(r"\bvj\.(\w+)", printed)):
        assert hasattr(vae_jax, name), f"vj.{name}"
    configs = re.findall(r"[Cc]onfigs? (`\w+`(?:(?:, | and |; with the recipes of papers )`\w+`)*)", text(page))
    for config in set(re.findall(r"\w+", " ".join(configs).replace("with the recipes of papers", " "))) - {"and"}:
        assert config in config_names(), config


def commands(page: str) -> list[list[str]]:
    """The words of every `vae-jax` command of a page, without those that leave something open."""
    printed = "\n".join(flat(page)).replace("\\\n", " ")
    found = [line.partition(" # ")[0] for line in re.findall(r"\bvae-jax ([a-z]+ [^#\n&`)]*(?:#\d)?)", printed)]
    return [shlex.split(words) for words in found if "…" not in words and "FIELD" not in words]


@pytest.mark.parametrize("page", PAGES)
def test_the_flags_of_its_commands_exist(page: str) -> None:
    parts = re.split(r"^## (\w+)$", text("command_line.md"), flags=re.MULTILINE)[1:]
    flags = {name: set(re.findall(r"--[a-z][\w-]*", part)) for name, part in zip(parts[::2], parts[1::2], strict=True)}
    for verb, *words in commands(page):
        known = flags[verb] | (flags["train"] if verb == "sweep" else set()) | {"--help", "--help-all"}
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize("page", [page for page in PAGES if page != "command_line.md"])
def test_what_its_commands_train_could_be_trained(page: str) -> None:
    for verb, *words in commands(page):
        if verb in ("train", "sweep") and words and words[0] in config_names():
            # Numbers of a sentence, as a seed S, and what only the machine or a file can say.
            words = ["0" if word in ("S", "N") else word for word in words]
            chosen = _experiment(verb, _TrainOptions if verb == "train" else _SweepOptions, words)
            assert chosen is None or validate(chosen[0].experiment), words


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_its_place(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text(page)):
        file, _, place = target.partition("#")
        path = (PAGES[page].parent / file).resolve() if file else PAGES[page]
        assert path.exists(), target
        # The site has no other files.
        assert page not in SITE or path.is_relative_to(DOCS), target
        assert not place or place in anchors(path), target


@pytest.mark.parametrize("page", [page for page in PAGES if "\n|" in text(page)])
def test_every_row_stands_under_the_head_of_its_table(page: str) -> None:
    prose = re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        cells = [len(re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) for line in table.splitlines()]
        assert re.match(r"\|.*\n\|[\s:|-]+\n", table), table
        assert set(cells) == {cells[0]}, table


def test_the_site_has_every_page_once() -> None:
    nav = re.findall(r"[\w/]+\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(nav) == sorted(SITE)


def test_every_public_symbol_is_in_the_reference() -> None:
    written = [line for page in SITE for line in re.findall(r"^::: (\S+)$", text(page), re.MULTILINE)]
    assert sorted(written) == sorted(set(written))
    values = {id(value): name for name, value in public().items()}
    shown = set()
    for name in written:
        module, _, symbol = name.rpartition(".")
        shown.add(id(getattr(importlib.import_module(module), symbol)))
    assert {name for key, name in values.items() if key not in shown} == set()


@pytest.mark.parametrize("name", public())
def test_a_public_symbol_says_what_it_is_and_what_it_raises(name: str) -> None:
    value = public()[name]
    if not inspect.isclass(value) and not inspect.isfunction(value):
        return
    said = inspect.getdoc(value) or ""
    assert len(said.splitlines()[0]) > 10
    if inspect.isfunction(value):
        for error in set(re.findall(r"^\s+raise (\w+Error)\b", inspect.getsource(value), re.MULTILINE)):
            assert error in said or f"{error} " in said, error


# What is in every textbook, or is the house's own.
OF_NO_PAPER = {
    *("Autoencoder", "Bernoulli", "Binomial", "Categorical", "Certain", "DiagNormal", "FullNormal", "LogMarginal"),
    *("MapLatent", "Mixture", "NegativeBinomial", "Observed", "OneHotCategorical", "PointMass", "Poisson", "Product"),
    *("StudentT", "System", "Terms", "UniformSphere", "generate", "interpolate", "map_latent", "nearest"),
    *("reconstruct", "register_kl", "standard_normal", "GradientMoments", "PosteriorDraws", "encode_dataset"),
    *("example_log_marginals", "gradient_bias", "gradient_moments", "kl_per_dimension", "kl_per_layer", "DCI"),
    *("latent_means", "linear_probe", "map_batches", "mean_log_marginal", "mutual_information"),
    *("naive_log_marginal", "reconstruction_errors"),
}
# All but what trains.
MATHEMATICS = {
    name: value
    for name, value in ((name, getattr(vae_jax, name)) for name in vae_jax.__all__)
    if not value.__module__.startswith(("vae_jax.commands", "vae_jax.train"))
} | {name: getattr(vae_jax.evaluate, name) for name in vae_jax.evaluate.__all__}


@pytest.mark.parametrize("name", [name for name, value in MATHEMATICS.items() if inspect.isfunction(value)])
def test_a_function_of_the_mathematics_says_of_what_shape_or_in_which_unit(name: str) -> None:
    said = inspect.getdoc(MATHEMATICS[name]) or ""
    assert re.search(r"`\[.*?\]|`?\(\)|\bscalars?\b|\bnats\b|one example|shape", said), said


def test_every_other_symbol_of_the_mathematics_names_its_source() -> None:
    unsaid = set()
    for name, value in MATHEMATICS.items():
        module = inspect.getmodule(value)
        said = f"{inspect.getdoc(value)} {module and module.__doc__}"
        if not re.search(r"arXiv\s+\d{4}\.\d{4,5}|\b(19|20)\d\d\b", said):
            unsaid.add(name)
    assert unsaid == OF_NO_PAPER


# American spellings, in lower case: titles of papers stay as they are.
AMERICAN = (
    r"\b(?!(?:re)?siz|priz|seiz)[a-z]+iz(?:e[drs]?|ers|ing|ations?)\b"
    r"|\b(?:colors?|colored|behaviors?|centers?|centered|gray)\b"
)


@pytest.mark.parametrize("page", PAGES)
def test_words_are_spelled_one_way(page: str) -> None:
    prose = re.sub(
        r"```.*?```|`[^`]*`|\]\([^)]*\)|^ {4}.*$|^:::.*$|https?://\S+", " ", text(page), flags=re.DOTALL | re.MULTILINE
    )
    assert re.findall(AMERICAN, prose) == []
