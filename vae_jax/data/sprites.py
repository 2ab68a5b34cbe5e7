"""Sprites: pictures of one shape each, every combination of known factors once, drawn here and not downloaded.

In the manner of dSprites (beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR
2017), with smaller grids: `sprites` are white on black, `colour_sprites` have a hue.
"""

import colorsys
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.types import Array

# How many values each factor has, the last varying fastest.
SPRITES = {
    "sprites": {"shape": 3, "scale": 6, "rotation": 20, "x": 16, "y": 16},
    "colour_sprites": {"hue": 6, "shape": 3, "scale": 2, "rotation": 8, "x": 8, "y": 8},
}
# Points per side of a pixel at which the shape is asked for.
_SAMPLES = 3
# Half the width of the largest sprite, in half-widths of the picture, and of the smallest as a share of it.
_LARGEST, _SMALLEST = 0.35, 0.5
_BLOCK = 1024


def factors(sizes: dict[str, int]) -> np.ndarray:
    """`[n, factors]`: every combination of values, in order."""
    return np.indices(tuple(sizes.values())).reshape(len(sizes), -1).T.astype(np.int32)


def draw(values: Array, sizes: dict[str, int], side: int) -> Array:
    """The picture `[side, side, 1 or 3]` in 0..1 of one combination `[factors]` of `sizes`. Pure."""
    value = dict(zip(sizes, values, strict=True))
    share = {name: value[name] / max(1, sizes[name] - 1) for name in ("scale", "x", "y")}
    scale = _LARGEST * (_SMALLEST + (1.0 - _SMALLEST) * share["scale"])
    angle = 2.0 * math.pi * value["rotation"] / sizes["rotation"]
    # So that the largest sprite never leaves the picture.
    reach = 1.0 - 1.5 * _LARGEST
    points = (jnp.arange(side * _SAMPLES) + 0.5) / (0.5 * side * _SAMPLES) - 1.0
    right = (points[None, :] - reach * (2.0 * share["x"] - 1.0)) / scale
    down = (points[:, None] - reach * (2.0 * share["y"] - 1.0)) / scale
    across, up = jnp.cos(angle) * right + jnp.sin(angle) * down, jnp.sin(angle) * right - jnp.cos(angle) * down
    square = (jnp.abs(across) < 0.9) & (jnp.abs(up) < 0.9)
    ellipse = across**2 + (2.0 * up) ** 2 < 1.2
    # The curve (u² + v² − 1)³ = u² v³.
    u, v = 1.1 * across, 1.1 * up + 0.1
    heart = (u**2 + v**2 - 1.0) ** 3 < u**2 * v**3
    inside = jnp.select([value["shape"] == 0, value["shape"] == 1], [square, ellipse], heart).astype(jnp.float32)
    grey = inside.reshape(side, _SAMPLES, side, _SAMPLES).mean(axis=(1, 3))[..., None]
    return grey * _colours(sizes)[value["hue"]][None, None] if "hue" in sizes else grey


def _colours(sizes: dict[str, int]) -> Array:
    return jnp.asarray([colorsys.hsv_to_rgb(hue / sizes["hue"], 1.0, 1.0) for hue in range(sizes["hue"])])


def pictures(values: np.ndarray, sizes: dict[str, int], side: int) -> np.ndarray:
    """Of combinations `[n, factors]` of `sizes`: uint8 `[n, side, side, 1 or 3]`."""
    drawn = jax.jit(jax.vmap(functools.partial(draw, sizes=sizes, side=side)))
    blocks = [values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK)]
    return np.concatenate([np.asarray(jnp.round(255.0 * drawn(block)), np.uint8) for block in blocks])
