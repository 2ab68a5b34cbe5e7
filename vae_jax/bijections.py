"""Elementary bijections of a vector, as values for `vae_jax.flows`.

Where a bijection has a network inside, its `conditioner` is a `jax.tree_util.Partial(apply, params)`, so that its
parameters can be frozen and stacked. With zero outputs of the conditioner each is the identity.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.checks import check_value
from vae_jax.distributions import Array, freeze


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Planar:
    """`y = z + û tanh(w · z + b)`; `u`, `w`: `[d]`, `b`: `[]`. û is u moved along w until w · û > −1: invertible.

    The inverse is a root in one dimension, found by bisection.

    Source: Variational Inference with Normalizing Flows, arXiv 1505.05770.
    """

    u: Array
    w: Array
    b: Array

    def _parts(self) -> tuple[Array, Array]:
        """`(û, w · û)`."""
        along = jnp.dot(self.w, self.u)
        wanted = jax.nn.softplus(along) - 1.0
        # A w of zero moves nothing, wherever û is.
        u = self.u + (wanted - along) * self.w / (jnp.dot(self.w, self.w) + 1e-12)
        return u, jnp.dot(self.w, u)

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        check_value("Planar.forward", z, jnp.shape(self.w))
        u, along = self._parts()
        h = jnp.tanh(jnp.dot(self.w, z) + self.b)
        return z + u * h, jnp.log1p(along * (1.0 - jnp.square(h)))

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        check_value("Planar.inverse", y, jnp.shape(self.w))
        u, along = self._parts()
        target = jnp.dot(self.w, y) + self.b
        a = _increasing_root(lambda a, along: a + along * jnp.tanh(a), target, along, jnp.abs(along))
        h = jnp.tanh(a)
        return y - u * h, -jnp.log1p(along * (1.0 - jnp.square(h)))

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient`, by Sherman and Morrison's formula."""
        u, along = self._parts()
        slope = 1.0 - jnp.square(jnp.tanh(jnp.dot(self.w, z) + self.b))
        return gradient - slope * self.w * jnp.dot(u, gradient) / (1.0 + slope * along)


def _increasing_root(function: Callable[[Array, Array], Array], target: Array, parameter: Array, reach: Array) -> Array:
    """a with `function(a, parameter) = target`, known to lie within `reach` of the target; differentiable once."""
    fixed, goal = freeze(parameter), freeze(target)

    def halve(ends: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = function(middle, fixed) > goal
        return (jnp.where(above, low, middle), jnp.where(above, middle, high)), None

    reach = freeze(reach)
    (low, high), _ = lax.scan(halve, (goal - reach, goal + reach), None, length=40)
    root = 0.5 * (low + high)
    # One step of Newton's from the root itself changes nothing but carries the derivatives.
    slope = jax.grad(function)(root, fixed)
    return root - (function(root, parameter) - target) / slope


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Radial:
    """`y = z + β̂ (z − c) / (α + |z − c|)`; `centre` c `[d]`, `log_alpha` `[]`, `beta` `[]`.

    β̂ = −α + softplus(`beta`) > −α: invertible, in closed form.

    Source: Variational Inference with Normalizing Flows, arXiv 1505.05770.
    """

    centre: Array
    log_alpha: Array
    beta: Array

    def _stretch(self, r: Array) -> tuple[Array, Array]:
        """Factors by which the map stretches across the radius and along it, at distance `r` of the centre."""
        alpha, inner = jnp.exp(self.log_alpha), jax.nn.softplus(self.beta)
        # Sums of positive numbers: 1 + β̂h would cancel where the flow contracts.
        across = (r + inner) / (alpha + r)
        along = (2.0 * alpha * r + jnp.square(r) + alpha * inner) / jnp.square(alpha + r)
        return across, along

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        check_value("Radial.forward", z, jnp.shape(self.centre))
        offset = z - self.centre
        across, along = self._stretch(_length(offset))
        return self.centre + across * offset, (z.size - 1) * jnp.log(across) + jnp.log(along)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        check_value("Radial.inverse", y, jnp.shape(self.centre))
        alpha, inner = jnp.exp(self.log_alpha), jax.nn.softplus(self.beta)
        offset = y - self.centre
        far = _length(offset)
        # The positive root of r² + (inner − far) r − far α, in the form that does not cancel.
        half = 0.5 * (far - inner)
        root = jnp.sqrt(jnp.square(half) + far * alpha)
        r = jnp.where(half > 0.0, half + root, far * alpha / (root + jnp.abs(half)))
        across, along = self._stretch(r)
        return self.centre + offset / across, -(y.size - 1) * jnp.log(across) - jnp.log(along)

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient`: the Jacobian has one direction of its own, the radius."""
        offset = z - self.centre
        r = _length(offset)
        across, along = self._stretch(r)
        radius = offset / r
        return gradient / across + (1.0 / along - 1.0 / across) * jnp.dot(radius, gradient) * radius


def _length(offset: Array) -> Array:
    # The gradient of a norm at zero is NaN.
    return jnp.sqrt(jnp.sum(jnp.square(offset)) + 1e-24)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class AutoregressiveAffine:
    """`y_j = shift_j(z_<j) + exp(log_scale_j(z_<j)) z_j`: the step of an inverse autoregressive flow.

    `conditioner`: `z [d] -> (shift [d], log_scale [d])`, masked. Forward is one evaluation; the inverse takes d of
    them, and `Inverse(AutoregressiveAffine(…))` is the masked autoregressive flow, whose density is one evaluation.

    Source: Improved Variational Inference with Inverse Autoregressive Flow, arXiv 1606.04934; Masked
    Autoregressive Flow, arXiv 1705.07057.
    """

    conditioner: Callable[[Array], tuple[Array, Array]]

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        shift, log_scale = self.conditioner(z)
        return shift + jnp.exp(log_scale) * z, jnp.sum(log_scale)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`: after n evaluations the first n coordinates are exact."""

        def refine(z: Array, _: None) -> tuple[Array, None]:
            shift, log_scale = self.conditioner(z)
            return (y - shift) * jnp.exp(-log_scale), None

        z, _ = lax.scan(refine, jnp.zeros_like(y), None, length=y.size)
        return z, -jnp.sum(self.conditioner(z)[1])

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient` by Jacobi's sweeps, exact after d of them and mostly good to rounding after a few."""
        scale = jnp.exp(self.conditioner(z)[1])
        _, transposed = jax.vjp(lambda z: self.forward(z)[0], z)
        tolerance = 1e-6 * jnp.max(jnp.abs(gradient / scale))

        def unfinished(state: tuple[Array, Array, Array]) -> Array:
            _, change, sweep = state
            return (change > tolerance) & (sweep < z.size)

        def sweep(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            found, _, number = state
            better = found + (gradient - transposed(found)[0]) / scale
            return better, jnp.max(jnp.abs(better - found)), number + 1

        start = (gradient / scale, jnp.asarray(jnp.inf, z.dtype), jnp.asarray(0))
        return lax.while_loop(unfinished, sweep, start)[0]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class AffineCoupling:
    """The first ⌊d/2⌋ coordinates pass; the others become `shift + exp(log_scale) z`, of a network of the first.

    `conditioner`: `[d // 2] -> (shift, log_scale)`, both `[d − d // 2]`. Both directions are one evaluation.

    Source: Density Estimation Using Real NVP, arXiv 1605.08803.
    """

    conditioner: Callable[[Array], tuple[Array, Array]]

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        fixed, free = _halves(z)
        shift, log_scale = self.conditioner(fixed)
        return jnp.concatenate([fixed, shift + jnp.exp(log_scale) * free]), jnp.sum(log_scale)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        fixed, free = _halves(y)
        shift, log_scale = self.conditioner(fixed)
        return jnp.concatenate([fixed, (free - shift) * jnp.exp(-log_scale)]), -jnp.sum(log_scale)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class SplineCoupling:
    """The first ⌊d/2⌋ coordinates pass; each other one goes through a rational-quadratic spline of K pieces.

    `conditioner`: `[d // 2] -> [d − d // 2, 3K − 1]`: widths and heights of the pieces before a softmax, and the
    slopes between them. The spline acts on ±`bound`; beyond it is the identity. Both directions are one evaluation.

    Source: Neural Spline Flows, arXiv 1906.04032.
    """

    conditioner: Callable[[Array], Any]
    bound: float = field(default=4.0, metadata={"static": True})

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        return self._apply(z, _spline)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        return self._apply(y, _spline_inverse)

    def _apply(self, v: Array, curve: Callable[..., tuple[Array, Array]]) -> tuple[Array, Array]:
        fixed, free = _halves(v)
        inside = jnp.abs(free) < self.bound
        # Outside the pieces their formula has no root, and its gradient would be NaN even where it is not used.
        within = jnp.where(inside, free, 0.0)
        found, log_slopes = jax.vmap(lambda v, raw: curve(v, *_knots(raw, self.bound)))(within, self.conditioner(fixed))
        moved = jnp.where(inside, found, free)
        return jnp.concatenate([fixed, moved]), jnp.sum(jnp.where(inside, log_slopes, 0.0))


def _halves(z: Array) -> tuple[Array, Array]:
    if jnp.ndim(z) != 1 or z.size < 2:
        raise ValueError(f"a coupling needs one vector of at least 2 dimensions, got shape {jnp.shape(z)}.")
    return z[: z.size // 2], z[z.size // 2 :]


# No piece of a spline is narrower than this share of an even one, nor flatter than this slope.
_LEAST = 1e-2


def _knots(raw: Array, bound: float) -> tuple[Array, Array, Array]:
    """Knots x and y `[K + 1]` from −bound to bound and slopes `[K + 1]` at them, 1 at both ends, of `[3K − 1]`."""
    pieces = (raw.size + 1) // 3
    widths, heights, slopes = jnp.split(raw, [pieces, 2 * pieces])

    def places(shares: Array) -> Array:
        shares = _LEAST / pieces + (1.0 - _LEAST) * jax.nn.softmax(shares)
        inner = bound * (2.0 * jnp.cumsum(shares)[:-1] - 1.0)
        return jnp.concatenate([jnp.array([-bound]), inner, jnp.array([bound])])

    # A raw slope of zero is a slope of 1: then the spline of equal pieces is the identity.
    inner = _LEAST + (1.0 - _LEAST) * jax.nn.softplus(slopes) / jnp.log(2.0)
    one = jnp.ones(1)
    return places(widths), places(heights), jnp.concatenate([one, inner, one])


def _piece(v: Array, knots: Array) -> Array:
    return jnp.clip(jnp.searchsorted(knots, v, side="right") - 1, 0, knots.size - 2)


def _spline(v: Array, x: Array, y: Array, slopes: Array) -> tuple[Array, Array]:
    """`(value, log of the slope)` at `v` of the spline through the knots."""
    i = _piece(v, x)
    width, height = x[i + 1] - x[i], y[i + 1] - y[i]
    share = jnp.clip((v - x[i]) / width, 0.0, 1.0)
    steep = height / width
    below = steep + (slopes[i + 1] + slopes[i] - 2.0 * steep) * share * (1.0 - share)
    value = y[i] + height * (steep * jnp.square(share) + slopes[i] * share * (1.0 - share)) / below
    return value, _log_slope(share, steep, slopes[i], slopes[i + 1], below)


def _spline_inverse(v: Array, x: Array, y: Array, slopes: Array) -> tuple[Array, Array]:
    """`(value, log of the slope)` at `v` of the inverse of the spline: the root of a quadratic."""
    i = _piece(v, y)
    width, height = x[i + 1] - x[i], y[i + 1] - y[i]
    steep = height / width
    bend = slopes[i + 1] + slopes[i] - 2.0 * steep
    rise = v - y[i]
    a = height * (steep - slopes[i]) + rise * bend
    b = height * slopes[i] - rise * bend
    c = -steep * rise
    # The form of the root that does not cancel; b > 0 or the discriminant carries it.
    root = 2.0 * c / (-b - jnp.sqrt(jnp.maximum(jnp.square(b) - 4.0 * a * c, 0.0)))
    share = jnp.clip(root, 0.0, 1.0)
    below = steep + bend * share * (1.0 - share)
    return x[i] + share * width, -_log_slope(share, steep, slopes[i], slopes[i + 1], below)


def _log_slope(share: Array, steep: Array, left: Array, right: Array, below: Array) -> Array:
    other = 1.0 - share
    above = right * jnp.square(share) + 2.0 * steep * share * other + left * jnp.square(other)
    return 2.0 * jnp.log(steep) + jnp.log(above) - 2.0 * jnp.log(below)
