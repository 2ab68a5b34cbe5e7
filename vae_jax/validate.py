"""Whether a config can be run, found out before any data are touched."""

import dataclasses

from vae_jax.config import Codes, ConfigError, Experiment, Labels, Objective, Quantisation, Stages, Strings
from vae_jax.data.strings import is_strings
from vae_jax.distributions import OneHotCategorical
from vae_jax.legality import apart, objection
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.parts import POSTERIORS, prior_name

_POSITIVE = (
    *("model.latent_size", "model.hidden", "model.initial_scale", "objective.num_samples"),
    *("model.upper_latent_sizes", "model.upper_hidden", "model.prior_components", "model.prior_temperature"),
    *("model.flow_layers", "model.flow_hidden", "model.classes", "model.temperature", "objective.beta_cycles"),
    *("objective.most_distortion",),
    *("objective.grow_to", "objective.grow_at"),
    *("optimizer.learning_rate", "optimizer.clip_norm", "optimizer.adam_epsilon", "train.epochs", "train.batch_size"),
    *(
        "labels.classifier_channels",
        "codes.corruption_level",
        "codes.critic_hidden",
        "codes.critic_rate",
        "codes.sparsity",
    ),
    *("labels.labelled", "labels.label_batch"),
    *("train.patience", "train.snapshots", "train.chunk_seconds", "evaluate.evaluation_samples", "data.levels"),
    *("data.image_size", "data.image_crop"),
    *("quantisation.grids", "quantisation.code_prior_layers", "quantisation.code_prior_width"),
    *("stages.second_stage_at", "stages.second_stage_rate", "strings.max_rules", "strings.recurrent_size"),
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
    *(
        "codes.corruption_shift",
        "codes.penalty_weight",
        "codes.critic_weight",
        *("codes.index_weight", "codes.dimension_weight", "codes.off_diagonal_weight", "codes.diagonal_weight"),
        "labels.label_weight",
        "labels.classifier_weight",
        "quantisation.commitment",
    ),
    *(
        "labels.label_seed",
        "model.autoregressive_layers",
        "strings.rule_embedding",
        "optimizer.weight_decay",
        "train.save_seconds",
        "train.seed",
        "data.data_seed",
    ),
)


# What each system reads of these three sections: all fields, or those that are named.
_ALL_OBJECTIVE = tuple(field.name for field in dataclasses.fields(Objective))
_READ: dict[str, tuple[str, ...]] = {
    "vae": _ALL_OBJECTIVE,
    "conditional": _ALL_OBJECTIVE,
    "autoencoder": ("penalty", "penalty_weight", "sparsity", "corruption", "corruption_level", "corruption_shift"),
    "info": ("divergence", "info_alpha", "info_lambda"),
    "adversarial": ("critic_hidden", "critic_rate", "critic_weight"),
    "tc": ("beta", "index_weight", "dimension_weight", "minibatch"),
    "vq": tuple(field.name for section in (Quantisation, Stages) for field in dataclasses.fields(section)),
    "strings": (*_ALL_OBJECTIVE, *(field.name for field in dataclasses.fields(Strings))),
    "factor": ("critic_hidden", "critic_rate", "critic_weight"),
    "dip": ("covariance_of", "off_diagonal_weight", "diagonal_weight"),
    "m2": (
        *("label_batch", "label_weight", "classifier_weight", "label_gradient", "classifier_channels"),
        *("corruption", "corruption_level", "corruption_shift"),
    ),
    "m1m2": (
        *(*_ALL_OBJECTIVE, "label_batch", "label_weight", "classifier_weight", "label_gradient"),
        *("corruption", "corruption_level", "corruption_shift"),
        *("second_stage_at", "second_stage_rate"),
    ),
}
# The linear probe of every system has the labels that these allow.
_READ_BY_ALL = ("labelled", "label_seed")

# Those whose optimiser can set the standard deviation of a normal likelihood.
_OPTIMAL_SCALE = ("vae", "m1m2")

# What else than the KL and the likelihood these have is a function of the codes drawn.
_DIFFERENTIATE_CODES = ("autoencoder", "info", "adversarial", "tc", "factor", "dip")

# Fields of the objective that weigh the KL.
_ON_THE_RATE = ("beta", "beta_warmup", "beta_cycles", "free_bits", "capacity", "most_distortion")

_OF = {
    "bits": "bits",
    "counts": "counts, integers as they are stored",
    "intensities": "intensities between 0 and 1",
    "reals": "real numbers",
}


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
    _check_read(config)
    _check_strings(config)
    _check_combination(config)
    _check_codebook(config)
    changed = [name for name in _ON_THE_RATE if getattr(objective, name) != getattr(Objective(), name)]
    if changed and objective.estimator not in ("analytic", "sampled"):
        flag = changed[0].replace("_", "-")
        raise ConfigError(
            f"--{flag} {getattr(objective, changed[0])} needs the KL by itself: use --estimator analytic or sampled."
        )
    if config.data.image_crop is not None and config.data.image_size is None:
        raise ConfigError("--image-crop is what is scaled to --image-size: give both.")
    model = config.model
    optimal = model.likelihood == "normal" and model.likelihood_scale == "optimal"
    if optimal and "most_distortion" in changed:
        raise ConfigError(
            "--likelihood-scale optimal finds the best σ for the likelihood itself, which --most-distortion weighs: "
            "use --likelihood-scale fixed."
        )
    if optimal and config.system in _READ and config.system not in _OPTIMAL_SCALE:
        raise ConfigError(
            f"--likelihood-scale optimal is for --system {' or '.join(_OPTIMAL_SCALE)}: with {config.system} use "
            "--likelihood-scale shared."
        )
    if config.train.patience is not None and config.stages.second_stage_at is not None:
        raise ConfigError(
            f"--patience {config.train.patience} might stop before the second stage begins, at "
            f"{config.stages.second_stage_at:.0%} of the epochs: use --patience None."
        )
    alone = [name for name in ("free_bits", "capacity", "most_distortion") if name in changed]
    if len(alone) > 1:
        raise ConfigError(f"--{' and --'.join(name.replace('_', '-') for name in alone)} exclude each other.")
    if config.codes.sparsity >= 1.0:
        raise ConfigError(f"--sparsity is a share of the examples, between 0 and 1; got {config.codes.sparsity}.")
    corruption, level = config.codes.corruption, config.codes.corruption_level
    if (corruption in ("masking", "salt_pepper") and level > 1.0) or (corruption == "dropout" and level >= 1.0):
        bound = "below 1" if corruption == "dropout" else "at most 1"
        raise ConfigError(f"--corruption-level is a share of the elements for {corruption}, {bound}; got {level}.")
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
    if not config.model.hidden and config.model.network != "mlp":
        raise ConfigError(f"--hidden needs at least one layer for --network {config.model.network}, got none.")
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


def _check_read(config: Experiment) -> None:
    """Refuse a field that the system of the config does not look at."""
    if config.system not in _READ:
        return
    sections = (
        (config.objective, Objective()),
        (config.codes, Codes()),
        (config.labels, Labels()),
        (config.quantisation, Quantisation()),
        (config.stages, Stages()),
        (config.strings, Strings()),
    )
    for section, default in sections:
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if value != getattr(default, field.name) and field.name not in (*_READ[config.system], *_READ_BY_ALL):
                readers = " or ".join(name for name, fields in _READ.items() if field.name in fields)
                raise ConfigError(
                    f"--{field.name.replace('_', '-')} {value} has no effect with --system {config.system}: it is for "
                    f"--system {readers}."
                )


def _check_codebook(config: Experiment) -> None:
    quantisation, at = config.quantisation, config.stages.second_stage_at
    if at is not None and at >= 1.0:
        raise ConfigError(f"--second-stage-at is a share of the run, between 0 and 1; got {at}.")
    if quantisation.codebook_size < 2:
        raise ConfigError(f"--codebook-size must be at least 2, got {quantisation.codebook_size}.")
    if not quantisation.scalar_levels or min(quantisation.scalar_levels) < 2:
        given = " ".join(map(str, quantisation.scalar_levels)) or "none"
        raise ConfigError(f"--scalar-levels must be at least 2 each, got {given}.")
    for name in ("codebook_decay", "least_use"):
        if not 0.0 <= getattr(quantisation, name) < 1.0:
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag} must be at least 0 and below 1, got {getattr(quantisation, name)}.")


def _check_strings(config: Experiment) -> None:
    model, objective = config.model, config.objective
    if config.system != "strings":
        if is_strings(config.data.dataset):
            raise ConfigError(
                f"{config.data.dataset} holds strings, which are for --system strings, not {config.system}."
            )
        return
    if model.likelihood != "categorical":
        raise ConfigError(f"--system strings chooses rules: use --likelihood categorical, not {model.likelihood}.")
    if model.network != "mlp" or model.autoregressive_layers or model.upper_latent_sizes or model.prior == "vamp":
        raise ConfigError(
            "--system strings has networks of its own and one layer of codes: leave out --network, "
            "--autoregressive-layers and --upper-latent-sizes, and use another prior than vamp."
        )
    if POSTERIORS[model.posterior].space != "vectors":
        raise ConfigError(f"--system strings decodes a vector: --posterior {model.posterior} is none; use diagonal.")
    if config.strings.published_scaling and (model.posterior != "diagonal" or objective != Objective()):
        raise ConfigError(
            "--published-scaling is a loss of its own, for --posterior diagonal: leave out the fields of the objective."
        )


def _check_combination(config: Experiment) -> None:
    """Refuse a posterior, prior, likelihood, bound and estimator that do not go together."""
    model, objective = config.model, config.objective
    # The others have losses of their own, and say themselves what they cannot do.
    if "bound" in _READ.get(config.system, ("bound",)):
        reason = objection(model.posterior, prior_name(model), model.likelihood, objective.bound, objective.estimator)
    else:
        reason = apart(model.posterior, prior_name(model))
    if reason is not None:
        raise ConfigError(f"{reason}.")
    if config.system in _DIFFERENTIATE_CODES and POSTERIORS[model.posterior].kind is OneHotCategorical:
        raise ConfigError(
            f"samples of a {model.posterior} posterior carry no gradient, which --system {config.system} needs: use "
            "--posterior concrete, or --system vae --estimator score."
        )
    kind, binarisation = LIKELIHOODS[model.likelihood].of, config.data.binarisation
    if binarisation != "none" and kind != "bits":
        raise ConfigError(
            f"--likelihood {model.likelihood} is for {_OF[kind]}, but --binarisation {binarisation} gives bits: use "
            "--binarisation none, or --likelihood bernoulli."
        )
    # The layer above the features of M1 + M2 belongs to M2.
    if model.upper_latent_sizes and config.system != "m1m2":
        if config.system != "vae" and config.system in _READ:
            raise ConfigError(f"--upper-latent-sizes are for --system vae; {config.system} has one layer of codes.")
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
    if model.network == "grid" and model.posterior not in ("diagonal", "point", "unit_point"):
        raise ConfigError(
            f"--network grid has a vector at each place, independent of the others: --posterior {model.posterior} has "
            "no such form; use diagonal (or point, for an autoencoder)."
        )
    if model.network == "conv" and POSTERIORS[model.posterior].space == "choices":
        raise ConfigError("--network conv decodes a vector: for choices use --network mlp.")
    if model.posterior in ("coupling", "spline") or model.prior in ("coupling", "spline"):
        least = min((model.latent_size, *model.upper_latent_sizes))
        if least < 2:
            raise ConfigError(f"a coupling needs at least 2 dimensions: --latent-size {least} is too small.")
    if model.posterior == "sphere" and model.latent_size < 2:
        raise ConfigError("a direction needs at least 2 dimensions: use --latent-size 2 or more.")
