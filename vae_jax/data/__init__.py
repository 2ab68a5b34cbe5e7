"""Data: embedded digits and curve, your own files, and the image datasets of TFDS."""

from vae_jax.data.dataset import Dataset, Split, binarised
from vae_jax.data.load import load, stand_in, whole

__all__ = ["Dataset", "Split", "binarised", "load", "stand_in", "whole"]
