"""Experiments as frozen dataclasses: one file of `configs/` each, changed field by field on the command line.

A config is data. It is checked by `validate` where it is loaded, not when it is made, so that inside a sweep
its numbers may be tracers.
"""

import dataclasses
import difflib
import importlib.util
import json
import traceback
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vae_jax.data.dataset import Binarisation


@dataclass(frozen=True)
class Data:
    """Which examples, and how they are shown to the model."""

    dataset: str
    """digits, curve, frey_faces, the path of an .npz or .npy file, or an image dataset of TFDS."""
    data_dir: str | None = None
    """Folder of prepared TFDS datasets (array_record), or of frey_faces.npz."""
    binarisation: Binarisation = "dynamic"
    """dynamic: bits drawn afresh at every step; static: drawn once; none."""
    validation_size: int | None = None
    """Examples cut off for validation; by default a tenth."""
    data_seed: int = 0
    """Fixes the splits, the static binarisation and the bits of validation and test."""
    levels: int | None = None
    """Largest count in your own file of integers; by default 255, or 1 where all are 0 or 1."""
    stand_in: bool = False
    """Put a small embedded dataset in the place of this one (what --quick does)."""


@dataclass(frozen=True)
class Model:
    """Networks, posterior and likelihood."""

    network: Literal["mlp", "conv"] = "mlp"
    """Fully connected or convolutional."""
    hidden: tuple[int, ...] = (500,)
    """Hidden sizes of the mlp, or channels of the conv pair (one halving each)."""
    activation: Literal["tanh", "relu", "silu", "gelu", "softplus"] = "tanh"
    """Activation of the hidden layers."""
    latent_size: int = 20
    """Dimension of z."""
    upper_latent_sizes: tuple[int, ...] = ()
    """Dimensions of further stochastic layers above z, from the lowest up; by default z is the only one."""
    upper_hidden: tuple[int, ...] = (100, 100)
    """Hidden sizes of the networks between two stochastic layers."""
    posterior: Literal[
        "diagonal",
        "isotropic",
        "full",
        "planar",
        "radial",
        "iaf",
        "coupling",
        "spline",
        "sphere",
        "concrete",
        "straight_through",
        "categorical",
    ] = "diagonal"
    """q(z | x): a normal, a flow on a diagonal one, von Mises-Fisher, or choices."""
    prior: Literal[
        "default",
        "normal",
        "scaled",
        "mixture",
        "vamp",
        "autoregressive",
        "coupling",
        "spline",
        "uniform_sphere",
        "uniform_choices",
        "relaxed_choices",
    ] = "default"
    """p(z); by default the standard normal, or uniform on the sphere or over choices, as the posterior needs."""
    prior_components: int = 500
    """Components of a mixture, or pseudo-inputs of vamp."""
    prior_temperature: float = 0.5
    """Temperature of relaxed_choices."""
    flow_layers: int = 4
    """Layers of a flow, in the posterior or the prior."""
    flow_hidden: tuple[int, ...] = (64,)
    """Hidden sizes of the networks inside a flow."""
    classes: int = 10
    """Choices of each of latent_size variables, for a posterior over choices."""
    temperature: float = 0.67
    """Temperature of relaxed samples."""
    likelihood: Literal[
        "bernoulli",
        "normal",
        "student_t",
        "continuous_bernoulli",
        "binomial",
        "categorical",
        "logistic",
        "logistic_mixture",
        "poisson",
        "negative_binomial",
    ] = "bernoulli"
    """p(x | z): of bits, of real numbers, of intensities 0..1, or of counts."""
    autoregressive_layers: int = 0
    """Layers of masked convolutions in the decoder, which give each pixel those before it; 0 is none, and none before."""
    likelihood_scale: Literal["fixed", "shared", "predicted"] = "shared"
    """Standard deviation of a normal likelihood: fixed, one learned number, or an output of the network."""
    initial_scale: float = 0.1
    """The fixed standard deviation, or where the learned one starts."""


@dataclass(frozen=True)
class Objective:
    """What is maximised, and by which gradient."""

    bound: Literal["elbo", "iwae", "renyi"] = "elbo"
    """The bound on log p(x)."""
    estimator: Literal["total", "stl", "dreg", "score", "analytic", "sampled"] = "analytic"
    """The gradient estimator; analytic is the ELBO with the KL in closed form, sampled the ELBO with a drawn KL."""
    num_samples: int = 1
    """Samples of z per example (L, or k)."""
    grow_to: tuple[int, ...] = ()
    """Later values of num_samples: cheap gradients first, a tight bound at the end."""
    grow_at: tuple[float, ...] = ()
    """Where each of grow_to begins, as a fraction of the run."""
    alpha: float = 0.5
    """Order of the Rényi bound."""
    beta: float = 1.0
    """Weight of the KL; this and all that follow need the KL by itself: the estimator analytic or sampled."""
    beta_warmup: float = 0.0
    """Share of the run, or of each cycle, in which the weight of the KL (or the capacity) rises from 0."""
    beta_cycles: int = 1
    """How often the weight rises again from 0."""
    free_bits: float = 0.0
    """Nats below which no dimension's KL, on the mean of the batch, is pressed."""
    capacity: float | None = None
    """Hold the KL at this many nats, with the weight beta."""
    most_distortion: float | None = None
    """Find the weight (GECO): the least KL whose -log p(x | z) is at most this many nats."""


@dataclass(frozen=True)
class Optimizer:
    """How a gradient becomes a step."""

    optimizer: Literal["adam", "adamw", "adamax", "rmsprop", "adagrad", "sgd", "muon"] = "adam"
    """Rule, by its name in optax."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    schedule: Literal["constant", "cosine", "linear", "exponential", "ladder"] = "constant"
    """Shape of the learning rate over the run; ladder is that of Burda et al., 8 stairs from 1 down to 1/10."""
    final_fraction: float = 0.01
    """Where cosine, linear and exponential end, as a fraction of the peak."""
    warmup_steps: int = 0
    """Steps of a linear rise to the peak."""
    clip_norm: float | None = None
    """Largest global norm of the gradient."""
    weight_decay: float = 0.0
    """Decoupled weight decay (adamw and muon)."""
    adam_epsilon: float = 1e-8
    """ε of adam, adamw, adamax and of muon's Adam."""


@dataclass(frozen=True)
class Train:
    """How long, and with what safety nets."""

    epochs: int = 100
    """Passes over the training split."""
    batch_size: int = 128
    """Examples per step."""
    average_decay: float | None = None
    """Measure a running mean of the parameters over about 1 / (1 - decay) steps; by default the last ones."""
    patience: int | None = None
    """Stop after this many epochs without a better validation loss; by default never."""
    seed: int = 0
    """Seed of the parameters, the order of the data and the noise."""
    snapshots: tuple[int, ...] = ()
    """Epochs after which the parameters are kept, to be measured later: vae-jax evaluate RUN --epoch N."""
    save_seconds: float = 30.0
    """Least time between checkpoints; one is always written at the end."""
    chunk_seconds: float = 1.5
    """About how long the compiled program runs between looks at clock, signals and display."""


@dataclass(frozen=True)
class Evaluate:
    """How the trained model is measured."""

    evaluation_samples: int = 1000
    """k of the importance-weighted log p(x)."""
    evaluation_size: int | None = None
    """Test examples to measure on; by default all."""


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a run."""

    description: str
    """One line on what it is."""
    data: Data
    model: Model = field(default_factory=Model)
    objective: Objective = field(default_factory=Objective)
    optimizer: Optimizer = field(default_factory=Optimizer)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)
    system: str = "vae"
    """File of vae_jax/systems that assembles the model."""


def quick(config: Experiment) -> Experiment:
    """The same experiment for a few steps on a small embedded stand-in for its data."""
    replace = dataclasses.replace
    return replace(
        config,
        data=replace(config.data, stand_in=True),
        train=replace(config.train, epochs=2, batch_size=min(config.train.batch_size, 16)),
        evaluate=replace(config.evaluate, evaluation_samples=25),
    )


class ConfigError(ValueError):
    """A config that cannot be run; the message says what to change."""


_POSITIVE = (
    *("model.latent_size", "model.hidden", "model.initial_scale", "objective.num_samples"),
    *("model.upper_latent_sizes", "model.upper_hidden", "model.prior_components", "model.prior_temperature"),
    *("model.flow_layers", "model.flow_hidden", "model.classes", "model.temperature", "objective.beta_cycles"),
    *("objective.most_distortion",),
    *("objective.grow_to", "objective.grow_at"),
    *("optimizer.learning_rate", "optimizer.clip_norm", "optimizer.adam_epsilon", "train.epochs", "train.batch_size"),
    *("train.patience", "train.snapshots", "train.chunk_seconds", "evaluate.evaluation_samples", "data.levels"),
)
_NOT_NEGATIVE = (
    *(
        "data.validation_size",
        "objective.beta",
        "objective.free_bits",
        "objective.capacity",
        "optimizer.final_fraction",
        "optimizer.warmup_steps",
    ),
    *("model.autoregressive_layers", "optimizer.weight_decay", "train.save_seconds", "train.seed", "data.data_seed"),
)


def validate(config: Experiment) -> Experiment:
    """The config itself, if it can be run. ConfigError, naming the field, otherwise. Touches no data."""
    for names, holds, expected in (
        (_POSITIVE, lambda v: v > 0, "greater than 0"),
        (_NOT_NEGATIVE, lambda v: v >= 0, "at least 0"),
    ):
        for name in names:
            section, leaf = name.split(".")
            value = getattr(getattr(config, section), leaf)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and not holds(number):
                    raise ConfigError(f"--{leaf.replace('_', '-')} must be {expected}, got {number}.")
    objective = config.objective
    _validate_combination(config)
    changed = [name for name in _ON_THE_RATE if getattr(objective, name) != getattr(Objective(), name)]
    if changed and objective.estimator not in ("analytic", "sampled"):
        flag = changed[0].replace("_", "-")
        raise ConfigError(
            f"--{flag} {getattr(objective, changed[0])} needs the KL by itself: use --estimator analytic or sampled."
        )
    alone = [name for name in ("free_bits", "capacity", "most_distortion") if name in changed]
    if len(alone) > 1:
        raise ConfigError(f"--{' and --'.join(name.replace('_', '-') for name in alone)} exclude each other.")
    if not 0.0 <= objective.beta_warmup <= 1.0:
        raise ConfigError(f"--beta-warmup is a share of the run, between 0 and 1; got {objective.beta_warmup}.")
    if objective.beta_cycles > 1 and not objective.beta_warmup:
        raise ConfigError(f"--beta-cycles {objective.beta_cycles} needs a rise in each: --beta-warmup 0.5.")
    ks = [objective.num_samples, *objective.grow_to]
    if ks != sorted(set(ks)):
        raise ConfigError(
            f"--grow-to must rise from --num-samples {objective.num_samples}, got {' '.join(map(str, ks[1:]))}. For a "
            "k that does not grow: --grow-to --grow-at, both without a value."
        )
    grow_at = objective.grow_at
    if len(grow_at) != len(objective.grow_to):
        raise ConfigError(
            f"--grow-to and --grow-at go together, one fraction for each number: got {len(objective.grow_to)} numbers "
            f"and {len(grow_at)} fractions."
        )
    if list(grow_at) != sorted(set(grow_at)) or (grow_at and grow_at[-1] >= 1):
        raise ConfigError(f"--grow-at must be rising fractions of the run, below 1; got {' '.join(map(str, grow_at))}.")
    decay = config.train.average_decay
    if decay is not None and not 0.0 <= decay < 1.0:
        raise ConfigError(f"--average-decay must be at least 0 and below 1, got {decay}; 0.998 remembers 500 steps.")
    if not config.model.hidden:
        raise ConfigError("--hidden needs at least one layer, got none.")
    if config.evaluate.evaluation_size is not None and config.evaluate.evaluation_size < 2:
        raise ConfigError(f"--evaluation-size must be at least 2, got {config.evaluate.evaluation_size}.")
    optimizer = config.optimizer
    if optimizer.weight_decay and optimizer.optimizer not in ("adamw", "muon"):
        raise ConfigError(f"--weight-decay has no effect with {optimizer.optimizer}: use --optimizer adamw or muon.")
    if optimizer.schedule == "exponential" and optimizer.final_fraction == 0:
        raise ConfigError("--schedule exponential never reaches 0: use --final-fraction 0.01, or --schedule cosine.")
    if objective.estimator == "score" and objective.num_samples < 2:
        raise ConfigError("--estimator score takes its baseline from the other samples: use --num-samples 2 or more.")
    return config


# Fields of the objective that weigh the KL.
_ON_THE_RATE = ("beta", "beta_warmup", "beta_cycles", "free_bits", "capacity", "most_distortion")

_OF = {
    "bits": "bits",
    "counts": "counts, integers as they are stored",
    "intensities": "intensities between 0 and 1",
    "reals": "real numbers",
}


def prior_name(model: Model) -> str:
    """The prior of a model, with `default` resolved by the space of its posterior."""
    from vae_jax.systems.parts import DEFAULT_PRIORS, POSTERIORS

    return DEFAULT_PRIORS[POSTERIORS[model.posterior].space] if model.prior == "default" else model.prior


def _validate_combination(config: Experiment) -> None:
    """Refuse a posterior, prior, likelihood, bound and estimator that do not go together."""
    # Imported here: the rules look at the networks' types, and somebody who reads a config needs none of them.
    from vae_jax.legality import objection
    from vae_jax.nets.likelihoods import LIKELIHOODS
    from vae_jax.systems.parts import POSTERIORS

    model, objective = config.model, config.objective
    reason = objection(model.posterior, prior_name(model), model.likelihood, objective.bound, objective.estimator)
    if reason is not None:
        raise ConfigError(f"{reason}.")
    kind, binarisation = LIKELIHOODS[model.likelihood].of, config.data.binarisation
    if binarisation != "none" and kind != "bits":
        raise ConfigError(
            f"--likelihood {model.likelihood} is for {_OF[kind]}, but --binarisation {binarisation} gives bits: use "
            "--binarisation none, or --likelihood bernoulli."
        )
    if model.upper_latent_sizes:
        if objective.estimator == "analytic":
            raise ConfigError(
                "--estimator analytic needs a KL in closed form, which several stochastic layers lack: use total or "
                "dreg."
            )
        if POSTERIORS[model.posterior].space != "vectors" or prior_name(model) == "vamp":
            raise ConfigError(
                f"several stochastic layers are vectors with a prior of their own: --posterior {model.posterior} "
                f"--prior {prior_name(model)} cannot be the lowest and the highest of them."
            )
    if model.network == "conv" and POSTERIORS[model.posterior].space == "choices":
        raise ConfigError("--network conv decodes a vector: for choices use --network mlp.")
    if model.posterior in ("coupling", "spline") or model.prior in ("coupling", "spline"):
        least = min((model.latent_size, *model.upper_latent_sizes))
        if least < 2:
            raise ConfigError(f"a coupling needs at least 2 dimensions: --latent-size {least} is too small.")
    if model.posterior == "sphere" and model.latent_size < 2:
        raise ConfigError("a direction needs at least 2 dimensions: use --latent-size 2 or more.")


def config_folder() -> Path:
    """Where the shipped configs lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Names of the shipped configs, sorted."""
    return sorted(path.stem for path in config_folder().glob("*.py"))


def load_config(name: str) -> Experiment:
    """The experiment of a name in `configs/`, or of the path of a Python file with `get_config()`."""
    path = Path(name) if name.endswith(".py") else config_folder() / f"{name}.py"
    if not path.is_file():
        close = difflib.get_close_matches(name, config_names(), n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(
            f"no config {name!r}.{hint} There are {', '.join(config_names())}; or give a path ending in .py."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno if error.__traceback__ else None
        where = f"line {error.lineno if isinstance(error, SyntaxError) else line}"
        raise ConfigError(f"{path}, {where}: {type(error).__name__}: {error}") from error
    if not hasattr(module, "get_config"):
        raise ConfigError(f"{path} defines no get_config().")
    config = module.get_config()
    if not isinstance(config, Experiment):
        raise ConfigError(f"get_config() of {path} must return an Experiment, got {type(config).__name__}.")
    return config


def to_json(config: Experiment) -> str:
    """The resolved config, every field written out."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Experiment:
    """The inverse of `to_json`. ConfigError if a field is unknown to this version."""
    return _build(Experiment, json.loads(text))


def _build(cls: Any, values: dict[str, Any]) -> Any:
    types = typing.get_type_hints(cls)
    if unknown := sorted(set(values) - set(types)):
        raise ConfigError(f"the saved config has the fields {unknown}, which this version's {cls.__name__} lacks.")

    def convert(kind: Any, value: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return _build(kind, value)
        return tuple(value) if isinstance(value, list) else value

    return cls(**{name: convert(types[name], value) for name, value in values.items()})
