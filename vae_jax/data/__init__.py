"""Data: embedded digits, curve and sprites, your own files, strings, and images of TFDS. Imports config and below."""

from vae_jax.data.dataset import Dataset, Split, binarised
from vae_jax.data.images import Square
from vae_jax.data.load import load, stand_in, whole
from vae_jax.data.strings import UnfitStringsError, is_strings, load_strings, stand_in_strings, whole_strings

__all__ = [
    "Dataset",
    "Split",
    "Square",
    "UnfitStringsError",
    "binarised",
    "is_strings",
    "load",
    "load_strings",
    "stand_in",
    "stand_in_strings",
    "whole",
    "whole_strings",
]
