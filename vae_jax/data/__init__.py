"""Data: embedded digits, curve and sprites, your own files, and the image datasets of TFDS."""

from vae_jax.data.dataset import Dataset, Split, binarised
from vae_jax.data.load import load, stand_in, whole
from vae_jax.data.scaled import Square

__all__ = ["Dataset", "Split", "Square", "binarised", "load", "stand_in", "whole"]
