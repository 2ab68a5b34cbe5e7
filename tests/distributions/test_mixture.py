"""Mixtures of normals against float64: however narrow their components are, beside how far they lie apart."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

import vae_jax as vj

# Components, dimensions, the spread of their means, their σ.
CASES = [
    (500, 40, 1.0, 1.0),
    (500, 50, 1.0, 0.3),
    (500, 50, 1.0, 0.05),
    (500, 50, 4.0, 0.05),
    (500, 50, 4.0, 0.01),
    (500, 50, 10.0, 0.01),
    (2, 2, 10.0, 0.01),
    (7, 5, 100.0, 0.05),
    (3, 4, 1e4, 1e-3),
    (1, 6, 50.0, 1e-3),
]


def mixture_and_values(case: tuple[int, int, float, float], count: int = 20) -> tuple[Any, Any, Any]:
    """Means, standard deviations (each its own, about σ) and values: near a component, between two, far from all."""
    components, size, spread, stddev = case
    random = np.random.default_rng(0)
    mean = (spread * random.normal(size=(components, size)) + 3.0).astype(np.float32)
    widths = (stddev * np.exp(0.3 * random.normal(size=mean.shape))).astype(np.float32)
    near = mean[random.integers(components, size=count)] + stddev * random.normal(size=(count, size))
    between = 0.5 * (mean[random.integers(components, size=2)] + mean[0])
    far = 1e3 * spread * random.normal(size=(2, size))
    return mean, widths, np.concatenate([near, between, far]).astype(np.float32)


def exact(mean: Any, stddev: Any, values: Any) -> tuple[Any, Any, Any, Any]:
    """Log-densities, and the gradients of their sum: in float64, by differences."""
    mean, stddev, values = (np.asarray(part, np.float64) for part in (mean, stddev, values))
    z = (values[:, None] - mean[None]) / stddev[None]
    each = -0.5 * np.square(z).sum(-1) - np.log(stddev).sum(-1) - 0.5 * mean.shape[1] * np.log(2 * np.pi)
    log_probs = logsumexp(each, axis=1) - np.log(len(mean))
    share = np.exp(each - each.max(axis=1, keepdims=True))
    share = (share / share.sum(axis=1, keepdims=True))[:, :, None]
    pull = share * z / stddev[None]
    return log_probs, pull.sum(0), (share * (np.square(z) - 1.0) / stddev[None]).sum(0), -pull.sum(1)


def log_prob(mean: Any, stddev: Any, value: Any) -> Any:
    return vj.Mixture(jnp.zeros(mean.shape[0]), vj.DiagNormal(mean, stddev)).log_prob(value)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_density_and_its_gradient_keep_their_digits(case: tuple[int, int, float, float]) -> None:
    mean, stddev, values = (jnp.asarray(part) for part in mixture_and_values(case))
    total = lambda *arguments: jnp.sum(jax.vmap(log_prob, in_axes=(None, None, 0))(*arguments))
    found = jax.jit(jax.vmap(log_prob, in_axes=(None, None, 0)))(mean, stddev, values)
    expected, *gradients = exact(mean, stddev, values)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-3)
    for got, right in zip(jax.jit(jax.grad(total, argnums=(0, 1, 2)))(mean, stddev, values), gradients, strict=True):
        scale = np.abs(right).max(axis=-1, keepdims=True)
        assert (np.abs(got - right) <= 2e-3 * scale + 2e-3 / case[3]).all()


@pytest.mark.parametrize("case", [CASES[1], CASES[5]], ids=str)
def test_alone_compiled_in_a_batch_and_over_mixtures_it_is_the_same(case: tuple[int, int, float, float]) -> None:
    mean, stddev, values = (jnp.asarray(part) for part in mixture_and_values(case, 3))
    # A second mixture whose components are all at one place: alone it would be computed by products.
    means, widths = jnp.stack([mean, 0.0 * mean + mean[:1]]), jnp.stack([stddev, 1.0 + 0.0 * stddev])
    each = jax.vmap(log_prob, in_axes=(None, None, 0))
    expected = np.array([exact(m, s, values)[0] for m, s in zip(means, widths, strict=True)])
    both = jax.jit(jax.vmap(each, in_axes=(0, 0, None)))(means, widths, values)
    slopes = jax.vmap(jax.vmap(jax.grad(log_prob, argnums=2), in_axes=(None, None, 0)), in_axes=(0, 0, None))
    np.testing.assert_allclose(both, expected, rtol=2e-6, atol=2e-3)
    assert np.isfinite(slopes(means, widths, values)).all()
    for i in range(2):
        np.testing.assert_allclose(log_prob(means[i], widths[i], values[0]), expected[i, 0], rtol=2e-6, atol=2e-3)
        np.testing.assert_allclose(each(means[i], widths[i], values), expected[i], rtol=2e-6, atol=2e-3)


def test_memory_is_not_that_of_all_differences() -> None:
    """Of narrow components, whose distances are not products: a batch of 100 under 500 of 40 dimensions."""
    mean, stddev, values = jnp.ones((500, 40)), jnp.ones((500, 40)), jnp.ones((100, 40))
    total = lambda *arguments: jnp.sum(jax.vmap(log_prob, in_axes=(None, None, 0))(*arguments))
    compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2))).lower(mean, stddev, values).compile()
    analysis = compiled.memory_analysis()
    assert analysis is not None
    # All differences are 8 MB, and their gradient three times that.
    assert analysis.temp_size_in_bytes < 3e6


@pytest.mark.parametrize("stddev", [jnp.array(1.0), jnp.ones(2)], ids=["scalar", "of another length"])
def test_components_that_are_not_stacked_are_refused(stddev: jax.Array) -> None:
    mixture = vj.Mixture(jnp.zeros(4), vj.DiagNormal(jnp.zeros((4, 2)), stddev))
    for call in (lambda: mixture.sample(jax.random.key(0)), lambda: mixture.log_prob(jnp.zeros(2))):
        with pytest.raises(
            ValueError, match=r"every leaf of the components must be stacked, .*jnp.full\(\(C, d\), scale"
        ):
            call()


def test_a_rare_component_is_drawn_as_often_from_logits_of_half_precision() -> None:
    logits = jnp.array([0.0, -6.9], jnp.bfloat16)
    drawn = vj.Mixture(logits, vj.DiagNormal(jnp.array([[0.0], [100.0]]), jnp.ones((2, 1)))).sample(
        jax.random.key(0), (200_000,)
    )
    share = 1.0 / (1.0 + np.exp(-float(logits[1])))
    assert abs(np.mean(np.asarray(drawn) > 50.0) - share) < 4.5 * np.sqrt(share / 200_000)


def test_pseudo_inputs_may_be_structured() -> None:
    inputs = {"a": jnp.zeros((3, 2)), "b": jnp.ones((3, 2))}
    prior = vj.vamp_prior(lambda scale, x: vj.DiagNormal(scale * (x["a"] + x["b"]), jnp.ones(2)), 2.0, inputs)
    np.testing.assert_allclose(
        prior.log_prob(jnp.full(2, 2.0)), vj.standard_normal(2).log_prob(jnp.zeros(2)), rtol=1e-6
    )
