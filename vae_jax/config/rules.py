"""Rules that every config keeps, whatever its system: numbers in their ranges, and fields that go together.

What a system asks beyond these is in its `Spec`.
"""

import dataclasses
import types
import typing
from collections.abc import Callable
from numbers import Integral
from operator import index
from typing import Any, Literal, Union

from vae_jax.config.fields import Data, Experiment, Objective, Train, sections
from vae_jax.core.errors import ConfigError

# Fields of the objective that weigh the KL.
ON_THE_RATE = ("beta", "beta_warmup", "beta_cycles", "free_bits", "capacity", "most_distortion")


_AS_IT_IS = Experiment("", Data(""))
# Fields that are read only beside some values of others: section and name, whether they are, and with which.
_READ_WITH: tuple[tuple[str, str, Callable[[Experiment], bool], str], ...] = (
    ("objective", "alpha", lambda config: config.objective.bound == "renyi", "--bound renyi"),
    (
        *("model", "likelihood_scale", lambda config: config.model.likelihood in ("normal", "bounded_normal")),
        "--likelihood normal or bounded_normal",
    ),
    *(
        ("model", name, lambda config: config.model.autoregressive_layers > 0, "--autoregressive-layers")
        for name in ("autoregressive_reach", "autoregressive_context")
    ),
    ("data", "columns", lambda config: config.model.likelihood == "columns", "--likelihood columns"),
    (
        *("quantisation", "scalar_levels", lambda config: config.quantisation.codebook == "finite_scalar"),
        "--codebook finite_scalar",
    ),
)


def flag(name: str) -> str:
    """A field as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def setting(name: str, value: Any) -> str:
    """A field and its value as they are written on the command line."""
    values = value if isinstance(value, tuple) else (value,)
    return " ".join([flag(name), *map(str, values)])


def plain(value: Any) -> Any:
    """A whole number of another library, such as NumPy's, as Python's own, which a config holds; others as they are."""
    return index(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


def check_types(config: Experiment) -> None:
    """ConfigError where a value is not of the type of its field, which a Python file may hold."""
    for part in (config, *sections(config).values()):
        for name, hint in typing.get_type_hints(type(part)).items():
            value = getattr(part, name)
            if not _is_of(value, hint):
                field = name if part is config and name != "system" else flag(name)
                raise ConfigError(f"{field} must be {_says(hint)}, got {value!r}.")


def _is_of(value: Any, hint: Any) -> bool:
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind in (Union, types.UnionType):
        return any(_is_of(value, part) for part in parts)
    if kind is Literal:
        return isinstance(value, str) and value in parts
    if kind is tuple:
        return isinstance(value, tuple) and all(_is_of(item, parts[0]) for item in value)
    if hint not in (int, float) or not isinstance(value, int):
        return isinstance(value, hint)
    # A whole number is a real one, a truth value is not. None is larger than an array can hold.
    return not isinstance(value, bool) and abs(value) < 2**31


def _says(hint: Any) -> str:
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind in (Union, types.UnionType):
        return " or ".join(map(_says, parts))
    if kind is Literal:
        return f"one of {', '.join(parts)}"
    if kind is tuple:
        return f"a tuple, each item {_says(parts[0])}"
    if dataclasses.is_dataclass(hint):
        return f"a config.{typing.cast(type, hint).__name__}"
    return {
        int: "a whole number below 2**31",
        float: "a number (a large one with a point: 1e30)",
        bool: "True or False",
        str: "a string",
    }.get(hint, "None")


def check_ranges(config: Experiment) -> None:
    """ConfigError where a number is out of the range that stands beside its field."""
    for part in sections(config).values():
        for name, hint in typing.get_type_hints(type(part), include_extras=True).items():
            value = getattr(part, name)
            for allowed in getattr(hint, "__metadata__", ()):
                for number in value if isinstance(value, tuple) else (value,):
                    if number is not None and not allowed.holds(number):
                        raise ConfigError(f"{flag(name)} must be {allowed.says}, got {number}.")


def check_rules(config: Experiment) -> None:
    """ConfigError where fields do not go together."""
    _check_rate(config.objective)
    _check_growth(config.objective)
    objective, optimizer = config.objective, config.optimizer
    if objective.estimator == "score" and objective.num_samples < 2:
        raise ConfigError("--estimator score takes its baseline from the other samples: use --num-samples 2 or more.")
    if config.data.image_crop is not None and config.data.image_size is None:
        raise ConfigError("--image-crop is cut out before images are scaled to --image-size: give both.")
    if not config.model.hidden and config.model.network != "mlp":
        raise ConfigError(f"--hidden needs at least one layer for --network {config.model.network}, got none.")
    if config.train.patience is not None and config.stages.second_stage_at is not None:
        raise ConfigError(
            f"--patience {config.train.patience} might stop before the second stage begins, at "
            f"{config.stages.second_stage_at:.0%} of the epochs: use --patience None."
        )
    if config.train.on_nonfinite == "halt" and config.train.most_skips != Train().most_skips:
        raise ConfigError(f"--most-skips {config.train.most_skips} has no effect without --on-nonfinite skip.")
    corruption, level = config.codes.corruption, config.codes.corruption_level
    if (corruption in ("masking", "salt_pepper") and level > 1.0) or (corruption == "dropout" and level >= 1.0):
        bound = "below 1" if corruption == "dropout" else "at most 1"
        raise ConfigError(f"--corruption-level is a share of the elements for {corruption}, {bound}; got {level}.")
    if optimizer.weight_decay and optimizer.optimizer not in ("adamw", "muon"):
        raise ConfigError(f"--weight-decay has no effect with {optimizer.optimizer}: use --optimizer adamw or muon.")
    if optimizer.schedule == "exponential" and optimizer.final_fraction == 0:
        raise ConfigError("--schedule exponential never reaches 0: use --final-fraction 0.01, or --schedule cosine.")


def check_effects(config: Experiment) -> None:
    """ConfigError where a new config has a field that nothing reads, or two that work against each other.

    Configs of runs that were made before may have them.
    """
    for section, name, is_read, instead in _READ_WITH:
        value, default = (getattr(getattr(of, section), name) for of in (config, _AS_IT_IS))
        if value != default and not is_read(config):
            raise ConfigError(f"{setting(name, value)} has no effect without {instead}.")
    if config.model.likelihood == "columns" and config.model.prior == "vamp":
        raise ConfigError(
            "--prior vamp learns rows, but of a choice or a count in them it learns nothing: use --prior mixture."
        )
    if config.objective.capacity is not None and config.objective.beta <= 1:
        raise ConfigError(
            f"--capacity {config.objective.capacity:g} holds the KL with the weight --beta, and with "
            f"{config.objective.beta:g} what a larger KL gains in distortion outweighs it: use --beta 10."
        )
    norm = config.optimizer.skip_norm
    if norm is not None and config.objective.most_distortion is not None:
        raise ConfigError(
            "--skip-norm leaves out steps of the model, while the multiplier of --most-distortion goes on: use "
            f"--skip-norm None --clip-norm {norm:g}."
        )


def _check_rate(objective: Objective) -> None:
    changed = [name for name in ON_THE_RATE if getattr(objective, name) != getattr(Objective(), name)]
    if changed and objective.bound != "elbo":
        raise ConfigError(
            f"{flag(changed[0])} {getattr(objective, changed[0])} weighs the KL of the ELBO, which --bound "
            f"{objective.bound} does not have apart: use --bound elbo --estimator analytic."
        )
    if changed and objective.estimator not in ("analytic", "sampled"):
        raise ConfigError(
            f"{flag(changed[0])} {getattr(objective, changed[0])} needs the KL by itself: use --estimator analytic or "
            "sampled."
        )
    alone = [name for name in ("free_bits", "capacity", "most_distortion") if name in changed]
    if len(alone) > 1:
        raise ConfigError(f"{' and '.join(map(flag, alone))} exclude each other.")
    weights = [name for name in ("beta", "beta_warmup") if name in changed]
    if weights and objective.most_distortion is not None:
        raise ConfigError(f"{flag(weights[0])} has no effect with --most-distortion, which finds the weight by itself.")
    if objective.beta_cycles > 1 and not objective.beta_warmup:
        raise ConfigError(f"--beta-cycles {objective.beta_cycles} needs a rise in each: --beta-warmup 0.5.")


def _check_growth(objective: Objective) -> None:
    ks, grow_at = [objective.num_samples, *objective.grow_to], objective.grow_at
    if ks != sorted(set(ks)):
        raise ConfigError(
            f"--grow-to must rise from --num-samples {objective.num_samples}, got {' '.join(map(str, ks[1:]))}. For a "
            "k that does not grow: --grow-to --grow-at, both without a value."
        )
    if len(grow_at) != len(objective.grow_to):
        raise ConfigError(
            f"--grow-to and --grow-at go together, one fraction for each number: got {len(objective.grow_to)} numbers "
            f"and {len(grow_at)} fractions."
        )
    if list(grow_at) != sorted(set(grow_at)):
        raise ConfigError(f"--grow-at must be rising fractions of the run, got {' '.join(map(str, grow_at))}.")
