"""The tables of members: every property test runs over every row."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jax.tree_util import Partial

import vae_jax as vj
from vae_jax.linear_gaussian import Decoder, Encoder, LinearGaussian, exact_encoder, linear_gaussian

DRAWS = 40_000

BOUNDS: dict[str, Any] = {
    "elbo": vj.elbo,
    "iwae": vj.iwae,
    "renyi(0.5)": vj.renyi(0.5),
    "renyi(2)": vj.renyi(2.0),
    "miwae(2)": vj.miwae(2),
    "ciwae(0.5)": vj.ciwae(0.5),
}
ESTIMATORS: dict[str, Any] = {"total": vj.total, "stl": vj.stl, "dreg": vj.dreg, "score": vj.score}


class Family(NamedTuple):
    """A distribution with everything that the property tests need to know of it."""

    value: Any
    reference: Any
    """The same distribution in numpyro."""
    reparameterised: bool
    extremes: tuple[Callable[[Any], Any], ...] = ()
    """Distributions at extreme parameters, as functions of one number."""


_LOC = jnp.array([0.3, -1.2])
_SCALE = jnp.array([0.7, 1.9])
_TRIL = jnp.array([[0.8, 0.0], [-0.6, 1.1]])
# Entries above the diagonal must be ignored everywhere.
_DIRTY = _TRIL.at[0, 1].set(5.0)
_BITS = jnp.array([-1.5, 0.2, 3.0])
_CHOICES = jnp.array([[0.1, -1.0, 2.0], [1.5, 0.0, -0.5]])


class _Layers(NamedTuple):
    """A normal on the two layers of a chain, joined; `first` is how many of its numbers are the lowest layer."""

    joint: Any
    first: int

    def sample(self, key: Any) -> Any:
        value = self.joint.sample(key)
        return value[: self.first], value[self.first :]

    def log_prob(self, value: Any) -> Any:
        return self.joint.log_prob(jnp.concatenate(value))


def _linear(params: Any, z: Any) -> Any:
    return vj.DiagNormal(params["weight"] @ z, params["scale"])


_LINK = {"weight": jnp.array([[0.8, -0.3], [0.2, 0.5], [-0.6, 0.1]]), "scale": jnp.array([0.5, 0.9, 0.7])}
_FIRST = jnp.diag(jnp.square(_SCALE))
_SECOND = _LINK["weight"] @ _FIRST @ _LINK["weight"].T + jnp.diag(jnp.square(_LINK["scale"]))
_CROSS = _LINK["weight"] @ _FIRST
_UP = jnp.block([[_FIRST, _CROSS.T], [_CROSS, _SECOND]])
_DOWN = jnp.block([[_SECOND, _CROSS], [_CROSS.T, _FIRST]])

DISTRIBUTIONS: dict[str, Family] = {
    "DiagNormal": Family(
        vj.DiagNormal(_LOC, _SCALE),
        nd.Normal(_LOC, _SCALE).to_event(1),
        True,
        (lambda s: vj.DiagNormal(jnp.zeros(2), jnp.exp(s * jnp.array([20.0, -20.0]))),),
    ),
    "DiagNormal, isotropic": Family(
        vj.DiagNormal(_LOC, jnp.array(0.4)), nd.Normal(_LOC, 0.4 * jnp.ones(2)).to_event(1), True
    ),
    "FullNormal": Family(
        vj.FullNormal(_LOC, _DIRTY),
        nd.MultivariateNormal(_LOC, scale_tril=_TRIL),
        True,
        (lambda s: vj.FullNormal(jnp.zeros(2), jnp.diag(jnp.exp(s * jnp.array([20.0, -20.0])))),),
    ),
    "Chain, bottom up": Family(
        vj.bottom_up(vj.DiagNormal(_LOC, _SCALE), Partial(_linear, _LINK)),
        _Layers(nd.MultivariateNormal(jnp.concatenate([_LOC, _LINK["weight"] @ _LOC]), _UP), 2),
        True,
    ),
    "Chain, top down": Family(
        vj.top_down(vj.DiagNormal(_LOC, _SCALE), Partial(_linear, _LINK)),
        _Layers(nd.MultivariateNormal(jnp.concatenate([_LINK["weight"] @ _LOC, _LOC]), _DOWN), 3),
        True,
    ),
    "Bernoulli": Family(
        vj.Bernoulli(_BITS),
        nd.Bernoulli(logits=_BITS).to_event(1),
        False,
        (lambda s: vj.Bernoulli(s * jnp.array([1e4, -1e4, 0.0])),),
    ),
    "Categorical": Family(
        vj.Categorical(_CHOICES),
        nd.Categorical(logits=_CHOICES).to_event(1),
        False,
        (lambda s: vj.Categorical(s * jnp.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]])),),
    ),
}


def linear_gaussian_decoder() -> Decoder:
    """Three observed, two latent dimensions."""
    weight = jnp.array([[1.0, -0.3], [0.4, 0.8], [-0.7, 0.5]])
    return Decoder(weight, jnp.array([0.2, -0.1, 0.4]), jnp.array(0.6))


def linear_gaussian_params(*, shift: float = 0.0, width: float = 1.0) -> LinearGaussian:
    """The model with an encoder off the exact posterior by `shift` in the mean and a factor `width` in the scale."""
    decoder = linear_gaussian_decoder()
    exact = exact_encoder(decoder)
    encoder = Encoder(exact.weight, exact.bias + shift, width * exact.scale_tril)
    return LinearGaussian(decoder, encoder)


X = jnp.array([0.9, -0.4, 0.3])


def mean_and_error(values: Any) -> tuple[Any, Any]:
    """Mean over the first axis and its standard error."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / jnp.sqrt(float(values.shape[0]))


def z_score(values: Any, expected: Any = 0.0) -> float:
    """Largest |mean − expected| over the coordinates, in standard errors; rounding counts as nothing."""
    mean, error = mean_and_error(values)
    return float(jnp.max(jnp.abs(mean - expected) / (error + 1e-6)))


@functools.cache
def estimate_of(estimator: str, bound: str) -> Any:
    """A member of the table, the same object each time, so that its program is compiled once."""
    return ESTIMATORS[estimator](BOUNDS[bound])


@functools.cache
def _program(estimate: Any, num_samples: int) -> Any:
    model = linear_gaussian()

    def one(params: LinearGaussian, key: Any) -> Any:
        return jax.value_and_grad(lambda p: estimate(model, p, key, X, num_samples=num_samples))(params)

    def join(part: Any) -> Any:
        return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(part)], axis=1)

    def many(params: LinearGaussian, keys: Any) -> Any:
        values, slopes = jax.vmap(one, in_axes=(None, 0))(params, keys)
        # The upper triangle of scale_tril is not a parameter: its gradient is zero for every estimator.
        return values, LinearGaussian(join(slopes.decoder), join(slopes.encoder))

    return jax.jit(many)


def gradients(
    estimate: Any, params: LinearGaussian, *, num_samples: int = 4, draws: int = DRAWS, seed: int = 0
) -> LinearGaussian:
    """Gradients of an estimate at `X`: `decoder` and `encoder`, each `[draws, number of parameters]`."""
    return _program(estimate, num_samples)(params, jax.random.split(jax.random.key(seed), draws))[1]


def values(estimate: Any, params: LinearGaussian, *, num_samples: int = 4, draws: int = DRAWS, seed: int = 0) -> Any:
    """Values `[draws]` of an estimate at `X`."""
    return _program(estimate, num_samples)(params, jax.random.split(jax.random.key(seed), draws))[0]
