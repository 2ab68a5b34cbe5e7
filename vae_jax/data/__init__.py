"""Data: embedded digits and curve, your own files, and the image datasets of TFDS."""

from vae_jax.data.dataset import Dataset, Split
from vae_jax.data.load import load, stand_in

__all__ = ["Dataset", "Split", "load", "stand_in"]
