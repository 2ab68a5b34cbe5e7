"""Likelihood heads: from an array `[*shape, outputs]` to p(x | z), by name.

Each adds a bias for every element of x. Except in `CategoricalHead` it starts where p(x | z) has about the mean of
the training data, so that the first gradient steps are not spent on learning that.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from vae_jax.config.fields import Kind
from vae_jax.core.types import Array
from vae_jax.data.columns import Column
from vae_jax.data.units import Units
from vae_jax.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    ContinuousBernoulli,
    DiagNormal,
    DiscretisedLogistic,
    ElementMixture,
    NegativeBinomial,
    Poisson,
    StudentT,
)
from vae_jax.nets.columns import ColumnsHead
from vae_jax.nets.starts import continuous_start_logits, start_log_counts, start_logits

# The scale of a discretised logistic starts at a tenth of the range, and is never below a fiftieth of a bin.
_START_SCALE, _LEAST_SCALE = 0.1, 0.02


class BernoulliHead(nn.Module):
    """p(x | z), independent bits: `[*shape, 1] -> Bernoulli` of `shape`. `mean`: the data mean, `shape`."""

    mean: np.ndarray
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> Bernoulli:
        bias = self.param("bias", lambda key: start_logits(self.mean))
        return Bernoulli((jnp.ravel(out) + jnp.ravel(bias)).reshape(self.mean.shape))


class NormalHead(nn.Module):
    """p(x | z) = N(μ(z), σ²) with σ fixed, shared or predicted: `[*shape, outputs] -> DiagNormal` of `shape`.

    `mean`: the data mean, `shape`. `scale`: the value of σ where it is "fixed", else its start. σ is one number for
    all elements, which the gradient learns ("shared") or the optimiser sets to its optimum ("optimal"), or the network
    gives a σ for every element ("predicted"). `units`: those that the network and σ are in; p(x | z) is of x in
    its own.
    """

    mean: np.ndarray
    scale: float
    learned: Literal["fixed", "shared", "optimal", "predicted"]
    units: Units | None = None

    @property
    def outputs(self) -> int:
        """Numbers that the network must give per element of x."""
        return 2 if self.learned == "predicted" else 1

    @nn.compact
    def __call__(self, out: Array) -> DiagNormal:
        loc = self.location(out[..., 0])
        log_scale = jnp.log(jnp.asarray(self.scale, jnp.float32))
        if self.learned in ("shared", "optimal"):
            log_scale = self.param("log_scale", lambda key: log_scale)
        if self.learned == "predicted":
            log_scale = log_scale + out[..., 1]
        scale = jnp.exp(log_scale)
        return DiagNormal(loc, scale if self.units is None else jnp.asarray(self.units.spread) * scale)

    @nn.nowrap
    def location(self, out: Array) -> Array:
        """The mean of x."""
        return in_own_units(self, out)


def in_own_units(head: Any, out: Array) -> Array:
    """The location of x from what a network gives for it, with a bias that starts at the data mean."""
    if head.units is None:
        return out + head.param("bias", lambda key: jnp.asarray(head.mean, jnp.float32))
    bias = head.param("bias", nn.initializers.zeros_init(), head.units.centre.shape)
    return head.units.centre + head.units.spread * (out + bias)


class BoundedNormalHead(NormalHead):
    """The same with μ(z) between 0 and 1, where intensities lie, as arXiv 1312.6114 has it for the Frey faces."""

    @nn.nowrap
    def location(self, out: Array) -> Array:
        """The mean of x."""
        return nn.sigmoid(out + self.param("bias", lambda key: start_logits(self.mean)))


class ContinuousBernoulliHead(nn.Module):
    """Densities on [0, 1]: `[*shape, 1] -> ContinuousBernoulli` of `shape`."""

    mean: np.ndarray
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> ContinuousBernoulli:
        bias = self.param("bias", lambda key: jnp.asarray(continuous_start_logits(self.mean), jnp.float32))
        return ContinuousBernoulli(out[..., 0] + bias)


class BinomialHead(nn.Module):
    """Counts out of `levels`: `[*shape, 1] -> Binomial` of `shape`."""

    mean: np.ndarray
    levels: int
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> Binomial:
        bias = self.param("bias", lambda key: start_logits(self.mean))
        return Binomial(out[..., 0] + bias, self.levels)


class CategoricalHead(nn.Module):
    """Any of `levels` + 1 values, without an order: `[*shape, levels + 1] -> Categorical` of `shape`."""

    mean: np.ndarray
    levels: int

    @property
    def outputs(self) -> int:
        """Numbers that the network must give per element of x."""
        return self.levels + 1

    @nn.compact
    def __call__(self, out: Array) -> Categorical:
        return Categorical(out + self.param("bias", nn.initializers.zeros_init(), out.shape))


class LogisticHead(nn.Module):
    """Counts 0..`levels` as bins of a logistic: `[*shape, 2] -> DiscretisedLogistic` of `shape`."""

    mean: np.ndarray
    levels: int
    outputs: ClassVar[int] = 2

    @nn.compact
    def __call__(self, out: Array) -> DiscretisedLogistic:
        bias = self.param("bias", lambda key: jnp.asarray(self.mean, jnp.float32))
        return _logistic(out[..., 0], out[..., 1], bias, self.levels)


class LogisticMixtureHead(nn.Module):
    """Counts 0..`levels` by a mixture of C logistics for each element: `[*shape, 3 C] -> ElementMixture` of `shape`."""

    mean: np.ndarray
    levels: int
    components: int = 5

    @property
    def outputs(self) -> int:
        """Numbers that the network must give per element of x."""
        return 3 * self.components

    @nn.compact
    def __call__(self, out: Array) -> ElementMixture:
        logits, loc, log_scale = jnp.split(out, 3, axis=-1)
        # The components start spread over the range around the data mean.
        spread = np.linspace(-0.25, 0.25, self.components, dtype=np.float32)
        start = jnp.asarray(self.mean[..., None] + spread.reshape((1,) * self.mean.ndim + (-1,)), jnp.float32)
        return ElementMixture(logits, _logistic(loc, log_scale, self.param("bias", lambda key: start), self.levels))


def _logistic(loc: Array, log_scale: Array, bias: Array, levels: int) -> DiscretisedLogistic:
    """`loc` and `bias` are in units of the range, 0..1; the distribution is one of counts."""
    scale = levels * _START_SCALE * jnp.exp(log_scale) + _LEAST_SCALE
    return DiscretisedLogistic(levels * (loc + bias), scale, levels)


class PoissonHead(nn.Module):
    """Counts without a limit: `[*shape, 1] -> Poisson` of `shape`. `mean`: of the counts divided by `levels`."""

    mean: np.ndarray
    levels: int
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> Poisson:
        return Poisson(out[..., 0] + self.param("bias", lambda key: start_log_counts(self.mean, self.levels)))


class NegativeBinomialHead(nn.Module):
    """Counts wider than Poisson's, a concentration learned for each element: `[*shape, 1] -> NegativeBinomial`."""

    mean: np.ndarray
    levels: int
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> NegativeBinomial:
        bias = self.param("bias", lambda key: start_log_counts(self.mean, self.levels))
        concentration = self.param("log_concentration", nn.initializers.zeros_init(), self.mean.shape)
        return NegativeBinomial(out[..., 0] + bias, concentration)


class StudentTHead(nn.Module):
    """Heavy tails: `[*shape, 1] -> StudentT` of `shape`; all elements share a learned scale and degrees of freedom."""

    mean: np.ndarray
    scale: float
    units: Units | None = None
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> StudentT:
        loc = in_own_units(self, out[..., 0])
        log_scale = self.param("log_scale", lambda key: jnp.log(jnp.asarray(self.scale, jnp.float32)))
        # Above 2 degrees of freedom, so that there is a variance; 5 at the start.
        log_excess = self.param("log_df", lambda key: jnp.log(jnp.asarray(3.0)))
        scale = jnp.exp(log_scale)
        scale = scale if self.units is None else jnp.asarray(self.units.spread) * scale
        return StudentT(2.0 + jnp.exp(log_excess), loc, scale)


# Those with a standard deviation, `log_scale`.
NORMALS = ("normal", "bounded_normal")

# The kinds of data in words.
KINDS: dict[Kind, str] = {
    "bits": "bits",
    "reals": "real numbers",
    "intensities": "values between 0 and 1",
    "counts": "counts up to a largest",
    "unbounded": "counts without a largest",
    "columns": "columns of a table",
}


class Elements(NamedTuple):
    """What networks must know of x: its mean (counts as shares of `levels`), the largest count, their units."""

    mean: np.ndarray
    levels: Any = None
    units: Units | None = None
    columns: tuple[Column, ...] | None = None


class Likelihood(NamedTuple):
    """`of`: the kind of data that a likelihood is for. `make(elements, scale, learned)` gives its head."""

    of: Kind
    make: Callable[[Elements, float, Any], Any]

    @property
    def is_discrete(self) -> bool:
        """Whether p(x | z) is a probability, not a density."""
        return self.of in ("bits", "counts", "unbounded")

    @property
    def sees_counts(self) -> bool:
        """Whether x is the counts themselves, not shares of the largest."""
        return self.of in ("counts", "unbounded")


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Likelihood("bits", lambda x, scale, learned: BernoulliHead(x.mean)),
    "normal": Likelihood("reals", lambda x, scale, learned: NormalHead(x.mean, scale, learned, x.units)),
    "bounded_normal": Likelihood("intensities", lambda x, scale, learned: BoundedNormalHead(x.mean, scale, learned)),
    "student_t": Likelihood("reals", lambda x, scale, learned: StudentTHead(x.mean, scale, x.units)),
    "continuous_bernoulli": Likelihood("intensities", lambda x, scale, learned: ContinuousBernoulliHead(x.mean)),
    "binomial": Likelihood("counts", lambda x, scale, learned: BinomialHead(x.mean, x.levels)),
    "categorical": Likelihood("counts", lambda x, scale, learned: CategoricalHead(x.mean, x.levels)),
    "logistic": Likelihood("counts", lambda x, scale, learned: LogisticHead(x.mean, x.levels)),
    "logistic_mixture": Likelihood("counts", lambda x, scale, learned: LogisticMixtureHead(x.mean, x.levels)),
    "poisson": Likelihood("unbounded", lambda x, scale, learned: PoissonHead(x.mean, x.levels)),
    "negative_binomial": Likelihood("unbounded", lambda x, scale, learned: NegativeBinomialHead(x.mean, x.levels)),
    "columns": Likelihood("columns", lambda x, scale, learned: ColumnsHead(x.columns, x.units, scale)),
}
