"""A digest of what a number depends on, by which a measurement that was made before is known again."""

import dataclasses
import hashlib
import json
from typing import Any

import jax
import numpy as np

from vae_jax.config.fields import Data, Experiment
from vae_jax.config.files import GRAMMAR_OF_FORMAT_1
from vae_jax.models.vae import VAE, log_weights

# Fields of a config that version 0.1.0 did not have.
_LATER_FIELDS = (
    *(("data", name) for name in ("image_colour", "columns", "standardise")),
    *(("model", name) for name in ("latent_layers", "autoregressive_reach", "autoregressive_context")),
    *(("optimizer", name) for name in ("skip_norm", "spectral_weight")),
    *(("train", name) for name in ("track", "start_from", "on_nonfinite", "most_skips")),
)
_LEFT_ALONE = Experiment("", Data(""))
# How much is measured decides no number. Written as version 0.1.0 wrote it, so that what it measured is known again.
_NO_EVALUATION = {"evaluation_samples": 1000, "evaluation_size": None}


def behaviour(vae: VAE, params: Any, x: Any) -> str:
    """A log-weight of one example, by which a model is known again whose code may change and is in no config."""
    # So that another device says the same.
    with jax.default_matmul_precision("highest"):
        log_weight = log_weights(vae, params, jax.random.key(0), x, num_samples=1)
    return f"{float(log_weight[0]):.4g}"


def fingerprint(config: Experiment, params: Any, x: Any, model: str = "") -> str:
    """The digest of a config (but for k), of parameters as a checkpoint holds them, of examples, and of the `model`
    where the config does not say what it is.
    """
    fields = dataclasses.asdict(config) | {"evaluate": _NO_EVALUATION}
    # How the parameters came about is in the parameters.
    del fields["compute"], fields["data"]["mirror"], fields["data"]["shift"]
    grammar = fields["strings"]["grammar"]
    fields["strings"]["grammar"] = GRAMMAR_OF_FORMAT_1.get(grammar, grammar)
    # Fields that came later say nothing where they are left alone. Where a run is tracked, and what it began with, say
    # nothing ever.
    for section, name in _LATER_FIELDS:
        value = fields[section][name]
        if name in ("track", "start_from") or not value or value == getattr(getattr(_LEFT_ALONE, section), name):
            del fields[section][name]
    digest = hashlib.sha256((json.dumps(fields, indent=2) + "\n").encode())
    for leaf in (*jax.tree.leaves(params), *jax.tree.leaves(x)):
        digest.update(repr(np.shape(leaf)).encode() + np.asarray(leaf).tobytes())
    digest.update(model.encode())
    return digest.hexdigest()
