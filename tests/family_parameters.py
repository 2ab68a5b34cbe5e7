"""The parameters of the distributions in `families.py`, and the references that take more than a line."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as nd
import scipy.special
import scipy.stats

import vae_jax as vj
from tests.references import Enumerated
from vae_jax.languages.grammar import read_grammar
from vae_jax.nets.recurrent import DerivationDecoder

LOC = jnp.array([0.3, -1.2])

SCALE = jnp.array([0.7, 1.9])

TRIL = jnp.array([[0.8, 0.0], [-0.6, 1.1]])

# Entries above the diagonal must be ignored everywhere.
DIRTY = TRIL.at[0, 1].set(5.0)

BITS = jnp.array([-1.5, 0.2, 3.0])

CHOICES = jnp.array([[0.1, -1.0, 2.0], [1.5, 0.0, -0.5]])

GREY = np.array([-30.0, 1e-3, 2.5])

LEVELS = 6

LOGISTIC = (np.array([0.4, 3.2, 5.9]), np.array([0.5, 1.3, 2.0]))

MU = jnp.array([2.0, -1.0, 2.0]) / 3.0

WEIGHTS = jnp.array([0.3, -0.8, 0.1])

CENTRES = jnp.array([[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]])


def linear(params: Any, z: Any) -> Any:
    return vj.DiagNormal(params["weight"] @ z, params["scale"])


LINK = {"weight": jnp.array([[0.8, -0.3], [0.2, 0.5], [-0.6, 0.1]]), "scale": jnp.array([0.5, 0.9, 0.7])}

FIRST = jnp.diag(jnp.square(SCALE))

SECOND = LINK["weight"] @ FIRST @ LINK["weight"].T + jnp.diag(jnp.square(LINK["scale"]))

CROSS = LINK["weight"] @ FIRST

UP = jnp.block([[FIRST, CROSS.T], [CROSS, SECOND]])

DOWN = jnp.block([[SECOND, CROSS], [CROSS.T, FIRST]])


def one_after_the_other(params: Any, v: Any) -> Any:
    flat = jnp.tril(params["weight"], -1) @ jnp.ravel(v) + params["bias"]
    return vj.DiagNormal(flat.reshape(v.shape), params["scale"].reshape(v.shape))


ORDER = {
    "weight": jnp.array([[0.0, 9.0, 9.0, 9.0], [0.7, 0.0, 9.0, 9.0], [-0.4, 0.9, 0.0, 9.0], [0.2, -0.6, 0.5, 0.0]]),
    "bias": jnp.array([0.1, -0.5, 0.3, 1.0]),
    "scale": jnp.array([0.6, 1.2, 0.8, 0.5]),
}


def ordered_normal() -> Any:
    """v = W v + b + s ε, so v is normal: the law that `one_after_the_other` describes step by step."""
    out = jnp.linalg.inv(jnp.eye(4) - jnp.tril(ORDER["weight"], -1))
    joint = nd.MultivariateNormal(out @ ORDER["bias"], scale_tril=out * ORDER["scale"][None, :])

    class Image(NamedTuple):
        def sample(self, key: Any) -> Any:
            return joint.sample(key).reshape(2, 2)

        def log_prob(self, value: Any) -> Any:
            return joint.log_prob(jnp.ravel(value))

    return Image()


def truncated_exponential(v: Any) -> Any:
    """SciPy's exponential cut at 1, mirrored where the logit is positive."""
    size = np.abs(GREY)
    return scipy.stats.truncexpon.logpdf(np.where(GREY > 0, 1 - v, v), b=size, scale=1 / size)


def truncated_exponential_draws(generator: Any, n: int) -> Any:
    size = np.abs(GREY)
    v = scipy.stats.truncexpon.rvs(b=size, scale=1 / size, size=(n, 3), random_state=generator)
    return np.where(GREY > 0, 1 - v, v)


def logistic_bins(v: Any) -> Any:
    loc, scale = LOGISTIC
    cdf = lambda edge: scipy.special.expit((edge - loc) / scale)
    upper = np.where(v == LEVELS, 1.0, cdf(v + 0.5))
    return np.log(upper - np.where(v == 0, 0.0, cdf(v - 0.5)))


def logistic_draws(generator: Any, n: int) -> Any:
    loc, scale = LOGISTIC
    return np.clip(np.round(generator.logistic(loc, scale, (n, 3))), 0, LEVELS)


BASE = vj.DiagNormal(jnp.array([0.2, -0.5, 0.1]), jnp.array([0.8, 1.1, 0.6]))

CONCRETE, TAU = jnp.array([[0.3, -0.6, 0.9], [0.0, 0.4, -0.2]]), 0.7

SPHERE = scipy.stats.vonmises_fisher(np.asarray(MU, np.float64) / np.linalg.norm(MU), 4.0)

GRAMMAR = read_grammar('start: "a" start start | "b" | other\nother: "c" | "d" other')

WRITER = DerivationDecoder(GRAMMAR, 5, 4, 2)

WRITTEN = Enumerated(GRAMMAR, WRITER.apply(WRITER.init(jax.random.key(3), LOC), LOC))
