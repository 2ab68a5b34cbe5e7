"""Search in the latent space of a run on strings: what is scored, and what comes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax import expressions, molecules
from vae_jax.atomic import write_whole
from vae_jax.config import ConfigError
from vae_jax.evaluate.collapse import latent_means
from vae_jax.measure import density
from vae_jax.measure_strings import likely_strings, texts
from vae_jax.model import Params
from vae_jax.pictures_strings import drawer
from vae_jax.plots import string_grid
from vae_jax.search import Found, search
from vae_jax.train.run import Run

# Molecules that log P, accessibility and rings are measured on to have a unit.
_UNIT_MOLECULES = 10_000
_SHOWN = 6


class Target(NamedTuple):
    """What a string is measured by."""

    name: str
    sign: float
    """1 where small numbers are good, −1 where large ones are."""
    value: Callable[[str], float]

    def score(self, string: str) -> float:
        """What the search makes small."""
        return self.sign * self.value(string)

    def shown(self, score: float) -> float:
        """The number itself again."""
        return self.sign * score


def search_run(
    run: Run,
    params: Params,
    target: Target,
    *,
    rounds: int,
    batch: int,
    start: int,
    seed: int,
    on_round: Callable[[str], None] = lambda line: None,
) -> list[Found]:
    """All strings that were scored, the best first, which have the smallest score (`search`).

    A line on every round goes to `on_round`.
    """
    vae, grammar = density(run), run.dataset.grammar
    assert grammar is not None
    random = np.random.default_rng(seed)
    x = run.dataset.train.x
    rows = random.permutation(len(x))[:start]
    strings = texts(grammar, x[rows])
    codes = latent_means(vae, params, jax.random.key(seed), jnp.asarray(x[rows], jnp.int32))

    def decode(z: np.ndarray) -> list[str]:
        return likely_strings(run, params, np.asarray(z, np.float32))

    def say(number: int, best: Found) -> None:
        on_round(f"round {number}/{rounds}  best new {target.name} {target.shown(best.score):.4f}  {best.string}")

    return search(target.score, decode, codes, strings, random, rounds=rounds, batch=batch, on_round=say)


def search_file(run: Run, out: Path | None) -> Path:
    """Where the strings are written to. ConfigError where that is no .json, before there is anything to write."""
    path = out or run.directory / "search.json"
    if path.suffix != ".json":
        raise ConfigError(f"--out must end in .json, got {path}.")
    return path


def write_search(run: Run, target: Target, found: list[Found], path: Path) -> list[Path]:
    """The .json of every string with what it was measured by and its round, the best first; and a picture of the best
    new ones beside it.
    """
    # JSON has no infinity: what cannot be measured is null.
    values = [target.shown(one.score) if np.isfinite(one.score) else None for one in found]
    lines = [
        {"string": one.string, target.name: value, "round": one.round} for one, value in zip(found, values, strict=True)
    ]
    write_whole(path, json.dumps(lines, indent=1, allow_nan=False) + "\n")
    draw, _ = drawer(run)
    best: list[Any] = [(one.string, f"{target.shown(one.score):.4f}") for one in found if one.round][:_SHOWN]
    picture = path.with_suffix(".png")
    string_grid([best], draw, title=f"the best new strings, and their {target.name}").savefig(picture, dpi=150)
    return [path, picture]


def target_of(run: Run) -> Target:
    """What the strings of a run are searched for. ConfigError where that is not known."""
    kind = run.config.strings.valid_as
    if kind == "equations":
        return Target("log(1 + MSE)", 1.0, expressions.distance)
    if kind != "molecules" or run.dataset.grammar is None:
        raise ConfigError(
            f"{run.directory} has no strings with a score: a search is for runs whose --valid-as is equations or "
            "molecules."
        )
    sample = texts(run.dataset.grammar, run.dataset.train.x[:_UNIT_MOLECULES])
    penalised = molecules.PenalisedLogP(list(filter(molecules.is_valid, sample)))
    return Target(
        "penalised log P", -1.0, lambda smiles: penalised(smiles) if molecules.is_valid(smiles) else -float("inf")
    )
