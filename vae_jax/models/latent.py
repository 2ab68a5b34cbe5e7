"""Points in latent space: grids and paths for pictures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_array, check_count
from vae_jax.core.trees import widened
from vae_jax.core.types import Array, Key
from vae_jax.distributions import DiagNormal, PointMass, VonMisesFisher, standard_normal
from vae_jax.flows import Transformed


def manifold_grid(num: int, *, tail: float = 0.02, prior: Any = None) -> Array:
    """`[num, num, 2]`: codes at equal steps of the probability of a `prior`, by default the standard normal.

    Row 0 is the top of a picture (largest second coordinate). `tail` is the probability left outside at each
    end. ValueError for num < 1, TypeError for a prior without `quantiles`. Source: Auto-Encoding Variational Bayes,
    arXiv 1312.6114, appendix A.
    """
    check_count("manifold_grid", "num", num)
    steps = jnp.linspace(tail, 1.0 - tail, num)
    grid = jnp.stack(jnp.meshgrid(steps, steps[::-1]), axis=-1)
    of_prior = standard_normal(2) if prior is None else prior
    return jax.vmap(jax.vmap(lambda probabilities: quantiles(of_prior, probabilities)))(grid)


def interpolate(start: Array, end: Array, num: int) -> Array:
    """`[num, d]`: equal steps on the line from `start` `[d]` to `end` `[d]`, ends included. ValueError for num < 1."""
    _check_codes("interpolate", start=start, end=end)
    check_count("interpolate", "num", num)
    weight = jnp.linspace(0.0, 1.0, num)[:, None]
    return (1.0 - weight) * start[None] + weight * end[None]


def interpolate_sphere(start: Array, end: Array, num: int) -> Array:
    """`[num, d]`: equal steps of angle on the arc around 0 from `start` `[d]` to `end` `[d]`, ends included.

    In many dimensions draws of a normal prior lie near a sphere of radius √d. The middle of the line between two of
    them has only about 0.7 of that norm, where hardly a draw lies; the middle of the arc keeps it. Where there is no
    one arc, since the codes point the same way or opposite ways or one of them is 0, it is the line. ValueError for
    num < 1. Source: Sampling Generative Networks, arXiv 1609.04468, section 2.1.
    """
    start, end = _check_codes("interpolate_sphere", start=start, end=end)
    check_count("interpolate_sphere", "num", num)
    weight = jnp.linspace(0.0, 1.0, num)[:, None]
    # Also what is not chosen must be finite, for the sake of gradients.
    squares = jnp.sum(jnp.square(start)) * jnp.sum(jnp.square(end))
    cosine = jnp.sum(start * end) / jnp.sqrt(jnp.where(squares > 0.0, squares, 1.0))
    has_arc = (squares > 0.0) & (jnp.abs(cosine) < 1.0 - 1e-6)
    angle = jnp.arccos(jnp.where(has_arc, cosine, 0.0))
    arc = (jnp.sin((1.0 - weight) * angle) * start[None] + jnp.sin(weight * angle) * end[None]) / jnp.sin(angle)
    return jnp.where(has_arc, arc, (1.0 - weight) * start[None] + weight * end[None])


def analogy(a: Array, b: Array, c: Array) -> Array:
    """The code `[d]` that is to `c` what `b` is to `a`: c + b − a. Source: arXiv 1609.04468, section 2.2."""
    a, b, c = _check_codes("analogy", a=a, b=b, c=c)
    return c + b - a


def j_diagram(corner: Array, right: Array, below: Array, num: int) -> Array:
    """`[num, num, d]`: codes between three, and beyond them their analogy.

    The first row leads from `corner` to `right`, the first column from `corner` to `below`, and in the corner across
    stands `analogy(corner, right, below)`. ValueError for num < 1. Source: Sampling Generative Networks, arXiv
    1609.04468, section 2.2.
    """
    corner, right, below = _check_codes("j_diagram", corner=corner, right=right, below=below)
    check_count("j_diagram", "num", num)
    weight = jnp.linspace(0.0, 1.0, num)
    across, down = weight[None, :, None], weight[:, None, None]
    return corner[None, None] + across * (right - corner)[None, None] + down * (below - corner)[None, None]


def attribute_vector(codes: Array, has: Array, others: Array | None = None) -> Array:
    """`[d]`: the mean code of the examples that have an attribute, less the mean code of those that have not.

    `codes`: `[n, d]`. `has`: `[n]`, 1 or True where an example has it. `others`: `[n]`, numbers of a class or of
    another attribute that goes along with it in the data. With them the vector is the mean over their values of what
    it is among the examples of each, as if every combination were equally frequent, so that it says nothing of them;
    values that have examples of one kind alone are left out. Not for `jit`: which values there are must be known.
    ValueError where no two examples can be compared. Source: Sampling Generative Networks, arXiv 1609.04468, sections
    3.2 and 3.3.
    """
    check_array("attribute_vector", "codes", codes, rank=2)
    with_it = np.asarray(has)
    groups = np.zeros(len(codes)) if others is None else np.asarray(others)
    for name, values in (("has", with_it), ("others", groups)):
        if values.shape != (len(codes),):
            raise ValueError(f"attribute_vector: {name} must be [n] = [{len(codes)}], got {list(values.shape)}.")
    if not np.isin(with_it, (0, 1)).all():
        raise ValueError("attribute_vector: has must hold 0 and 1 alone: whether an example has the attribute.")
    with_it = with_it.astype(bool)
    mixed = [group for group in np.unique(groups) if len(set(with_it[groups == group])) == 2]
    if not mixed:
        raise ValueError("attribute_vector: it needs examples that have the attribute and some that have not, alike.")
    vectors = [
        codes[(groups == group) & with_it].mean(axis=0) - codes[(groups == group) & ~with_it].mean(axis=0)
        for group in mixed
    ]
    return jnp.stack(vectors).mean(axis=0)


def variations(posterior: Any, key: Key, num: int, *, spread: float = 1.0) -> Array:
    """`[num, d]`: codes of what is like an example without being the same.

    Draws from its `posterior` q(z | x), whose distance from the mean is multiplied by `spread`. At 1 all are codes of
    the example itself, and differ by what the model is not sure of. TypeError where there is no mean to spread around,
    where all draws are the same, or where codes are directions and the spread is not 1; ValueError for num < 1 or a
    spread that is not positive.
    """
    check_count("variations", "num", num)
    if not spread > 0.0:
        raise ValueError(f"variations: spread must be greater than 0, got {spread}.")
    if isinstance(posterior, PointMass):
        raise TypeError("variations: the code of an example is one point, so there is nothing to draw.")
    codes = posterior.sample(key, (num,))
    if spread == 1.0:
        return codes
    if isinstance(posterior, VonMisesFisher):
        raise TypeError("variations: draws on a sphere cannot be moved away from their mean by a factor: use spread 1.")
    if not hasattr(posterior, "mean") or not jnp.issubdtype(jnp.result_type(codes), jnp.floating):
        raise TypeError(
            f"variations: {type(posterior).__name__} has no mean that its draws could be moved away from: use spread 1."
        )
    return posterior.mean[None] + spread * (codes - posterior.mean[None])


def quantiles(prior: Any, probabilities: Array) -> Array:
    """The code `[d]` at these `probabilities` `[d]` of the prior: uniform numbers become draws, a grid one as dense.

    Of a normal with a diagonal covariance each dimension has its probability below it. Of a flow it is what the flow
    makes of that code of its base, so the lines of a grid bend. TypeError for other priors, which have no inverse
    distribution function in closed form.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, appendix A.
    """
    if isinstance(prior, DiagNormal):
        return prior.mean + prior.stddev * jax.scipy.stats.norm.ppf(probabilities)
    if isinstance(prior, Transformed):
        return prior.bijection.forward(quantiles(prior.base, probabilities))[0]
    raise TypeError(f"quantiles: a {type(prior).__name__} prior has no inverse distribution function in closed form.")


def has_quantiles(prior: Any) -> bool:
    """Whether `quantiles` knows this prior."""
    return isinstance(prior, DiagNormal) or (isinstance(prior, Transformed) and has_quantiles(prior.base))


def nearest(codes: Array, queries: Array, num: int) -> Array:
    """`[q, num]`: the rows of `codes` `[n, d]` that are nearest to each of `queries` `[q, d]`, the nearest first.

    ValueError where num is less than 1 or more than n.
    """
    check_array("nearest", "codes", codes, rank=2)
    check_array("nearest", "queries", queries, rank=2)
    check_count("nearest", "num", num)
    if num > len(codes) or codes.shape[1] != queries.shape[1]:
        raise ValueError(
            f"nearest: {num} of {len(codes)} codes of {codes.shape[1]} numbers were asked for, for queries of "
            f"{queries.shape[1]}."
        )

    # Differences of small integers would wrap around.
    codes, queries = widened(codes), widened(queries)

    def of_one(query: Array) -> Array:
        return jax.lax.top_k(-jnp.sum(jnp.square(codes - query[None]), axis=1), num)[1]

    return jax.lax.map(of_one, queries)


def _check_codes(function: str, **codes: Array) -> list[Array]:
    """The codes as floats: sums and squares of small integers would wrap around."""
    for name, code in codes.items():
        check_array(function, name, code, rank=1)
    shapes = [code.shape for code in codes.values()]
    if len(set(shapes)) > 1:
        raise ValueError(f"{function}: codes must be of one size, got {' and '.join(map(str, shapes))}.")
    return [jnp.asarray(code, jnp.result_type(code, float)) for code in codes.values()]


def traverse(code: Array, values: Array) -> Array:
    """`[d, v, d]`: entry `[j, i]` is the `code` `[d]` with dimension j set to `values[i]`, or to `values[i, j]`."""
    size = code.shape[0]
    values = jnp.broadcast_to(values[:, None], (len(values), size)) if values.ndim == 1 else values
    return jnp.where(jnp.eye(size, dtype=bool)[:, None, :], values[None], code[None, None, :])
