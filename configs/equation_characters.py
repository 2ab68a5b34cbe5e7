"""The baseline of the Grammar-VAE: the same networks, writing one character after the other."""

import dataclasses

from vae_jax.config import Experiment
from vae_jax.config.files import load_config


def get_config() -> Experiment:
    base = load_config("equations")
    return dataclasses.replace(
        base,
        description="100,000 expressions as characters, 25 dimensions, 20 epochs",
        strings=dataclasses.replace(base.strings, grammar="characters"),
    )
