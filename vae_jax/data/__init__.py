"""Data: embedded digits, curve, sprites and table, your own files and folders, strings, and images of TFDS.

Imports config and below.
"""

from vae_jax.data.dataset import Dataset, Split, binarised
from vae_jax.data.images import Square
from vae_jax.data.load import is_embedded, load, settled, stand_in, whole, whole_like
from vae_jax.data.own import Reading, is_own, proposed
from vae_jax.data.strings import UnfitStringsError, is_strings, load_strings, stand_in_strings, whole_strings

__all__ = [
    "Dataset",
    "Reading",
    "Split",
    "Square",
    "UnfitStringsError",
    "binarised",
    "is_embedded",
    "is_own",
    "is_strings",
    "load",
    "load_strings",
    "proposed",
    "settled",
    "stand_in",
    "stand_in_strings",
    "whole",
    "whole_like",
    "whole_strings",
]
