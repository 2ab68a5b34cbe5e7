"""The search in the latent space of a run on strings: its target, and the files that it leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.errors import RequestError
from vae_jax.core.files import check_ending, write_json
from vae_jax.evaluate.usage import latent_means
from vae_jax.languages import expressions, molecules
from vae_jax.measure.strings import likely_strings, texts
from vae_jax.measure.subject import Subject
from vae_jax.pictures.plots import save_figure
from vae_jax.pictures.strings import drawn
from vae_jax.search.bayesian import Found, search
from vae_jax.train.files import SEARCH

# Molecules that log P, accessibility and rings are measured on to have a unit.
_UNIT_MOLECULES = 10_000
_SHOWN = 6


class Target(NamedTuple):
    """A score of strings: its name, and whether small or large numbers are good."""

    name: str
    sign: float
    """1 where small numbers are good, −1 where large ones are."""
    value: Callable[[str], float]

    def score(self, string: str) -> float:
        """What the search makes small."""
        return self.sign * self.value(string)

    def shown(self, score: float) -> float:
        """The number that a score stands for, with its own sign."""
        return self.sign * score


def search_run(
    subject: Subject,
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
    vae, params = subject.density, subject.params
    random = np.random.default_rng(seed)
    x = subject.run.dataset.train.x
    rows = random.permutation(len(x))[:start]
    strings = texts(subject.language, x[rows])
    codes = latent_means(vae, params, jax.random.key(seed), jnp.asarray(x[rows], jnp.int32))

    def decode(z: np.ndarray) -> list[str]:
        return likely_strings(subject, np.asarray(z, np.float32))

    def say(number: int, best: Found) -> None:
        on_round(f"round {number}/{rounds}  best new {target.name} {target.shown(best.score):.4f}  {best.string}")

    return search(target.score, decode, codes, strings, random, rounds=rounds, batch=batch, on_round=say)


def search_file(subject: Subject, out: Path | None) -> Path:
    """Where the strings are written to. RequestError where that is no .json, before there is anything to write."""
    return check_ending(out or subject.run.directory / SEARCH, ".json")


def write_search(subject: Subject, target: Target, scored: list[Found], path: Path) -> list[Path]:
    """A .json file of every string with its number and its round, the best first; and a picture of the best."""
    write_json(path, [{"string": s.string, target.name: target.shown(s.score), "round": s.round} for s in scored])
    best: list[Any] = [(s.string, f"{target.shown(s.score):.4f}") for s in scored if s.round][:_SHOWN]
    if not best:
        # Every string that was decoded is one of the data.
        return [path]
    figure = drawn(subject, [best], f"the best new strings, and their {target.name}")
    return [path, save_figure(path.with_suffix(".png"), figure)]


def target_of(subject: Subject) -> Target:
    """The score that suits the strings of a run. RequestError where there is none."""
    run = subject.run
    kind = run.config.strings.valid_as
    if kind == "equations":
        return Target("log(1 + MSE)", 1.0, expressions.distance)
    if kind != "molecules" or subject.grammar is None:
        raise RequestError(
            f"{run.directory} has no strings with a score: a search is for runs whose --valid-as is equations or "
            "molecules."
        )
    sample = texts(subject.grammar, run.dataset.train.x[:_UNIT_MOLECULES])
    penalised = molecules.PenalisedLogP(list(filter(molecules.is_valid, sample)))
    return Target(
        "penalised log P", -1.0, lambda smiles: penalised(smiles) if molecules.is_valid(smiles) else -float("inf")
    )
