"""Experiments as data: their fields, the rules that numbers must keep, the files they come from. Imports core alone."""

from vae_jax.config.compute import Compute
from vae_jax.config.fields import (
    Binarisation,
    Codes,
    Data,
    Evaluate,
    Experiment,
    Labels,
    Model,
    Objective,
    Optimizer,
    Quantisation,
    Stages,
    Strings,
    Train,
)
from vae_jax.config.trial import quick
from vae_jax.core.errors import ConfigError

__all__ = [
    "Binarisation",
    "Codes",
    "Compute",
    "ConfigError",
    "Data",
    "Evaluate",
    "Experiment",
    "Labels",
    "Model",
    "Objective",
    "Optimizer",
    "Quantisation",
    "Stages",
    "Strings",
    "Train",
    "quick",
]
