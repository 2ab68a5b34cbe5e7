"""Data: embedded digits, curve and sprites, your own files, strings, and images of TFDS. Imports config and below."""

from vae_jax.data.dataset import Dataset, Split, binarised
from vae_jax.data.images import Square
from vae_jax.data.load import is_embedded, is_own_file, load, own_levels, stand_in, whole, whole_like
from vae_jax.data.strings import UnfitStringsError, is_strings, load_strings, stand_in_strings, whole_strings

__all__ = [
    "Dataset",
    "Split",
    "Square",
    "UnfitStringsError",
    "binarised",
    "is_embedded",
    "is_own_file",
    "is_strings",
    "load",
    "load_strings",
    "own_levels",
    "stand_in",
    "stand_in_strings",
    "whole",
    "whole_like",
    "whole_strings",
]
