"""The tables of members: every property test runs over every row."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

import vae_jax as vj
from vae_jax.models.linear_gaussian import Decoder, Encoder, LinearGaussian, exact_encoder, linear_gaussian

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
