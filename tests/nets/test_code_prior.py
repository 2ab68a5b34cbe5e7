from itertools import product

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj
from vae_jax.distributions.hierarchy import top_down
from vae_jax.nets.code_prior import CodePrior

PRIOR = CodePrior(codes=2, layers=2, width=4)


def started(sides: tuple[int, int], *, is_highest: bool) -> object:
    """Parameters away from the uniform start."""
    params = PRIOR.start(jax.random.key(0), sides, is_highest=is_highest)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    return jax.tree.map(lambda leaf: leaf + 0.5 * jax.random.normal(next(keys), leaf.shape), params)


def test_it_starts_uniform() -> None:
    start = PRIOR.start(jax.random.key(0), (3, 2), is_highest=True)
    p = PRIOR.distribution(start, (3, 2))
    codes = jax.random.randint(jax.random.key(1), (3, 2), 0, 2)
    np.testing.assert_allclose(p.log_prob(codes), -6 * np.log(2.0), rtol=1e-6)


def test_it_sums_to_one_over_all_codes_and_is_sampled_as_it_says() -> None:
    p = PRIOR.distribution(started((2, 2), is_highest=True), (2, 2))
    codes = jnp.array(list(product(range(2), repeat=4))).reshape(-1, 2, 2)
    probabilities = jnp.exp(jax.vmap(p.log_prob)(codes))
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)
    assert probabilities.max() > 2 * probabilities.min()
    drawn = p.sample(jax.random.key(2), (4000,)).reshape(4000, 4) @ np.array([8, 4, 2, 1])
    shares = np.bincount(np.asarray(drawn), minlength=16) / 4000
    np.testing.assert_allclose(shares, probabilities, atol=4 * np.sqrt(0.25 / 4000))


def test_two_grids_sum_to_one_and_the_lower_follows_the_upper() -> None:
    upper, lower = started((1, 1), is_highest=True), started((2, 2), is_highest=False)
    p = top_down(PRIOR.distribution(upper, (1, 1)), PRIOR.conditional(lower, (2, 2)))
    low = jnp.array(list(product(range(2), repeat=4))).reshape(-1, 2, 2)
    of_upper = [jnp.exp(jax.vmap(lambda z, a=a: p.log_prob((z, jnp.full((1, 1), a))))(low)) for a in range(2)]
    np.testing.assert_allclose(sum(each.sum() for each in of_upper), 1.0, rtol=1e-5)
    assert jnp.abs(of_upper[0] / of_upper[0].sum() - of_upper[1] / of_upper[1].sum()).max() > 1e-2
    assert jax.tree.map(jnp.shape, p.sample(jax.random.key(0))) == ((2, 2), (1, 1))


def test_freezing_holds_the_parameters_and_two_calls_are_of_one_structure() -> None:
    params = started((2, 2), is_highest=True)
    codes = jnp.array([[0, 1], [1, 1]])
    slope = jax.grad(lambda params: jax.lax.stop_gradient(PRIOR.distribution(params, (2, 2))).log_prob(codes))(params)
    assert all(not leaf.any() for leaf in jax.tree.leaves(slope))
    one, other = PRIOR.distribution(params, (2, 2)), CodePrior(2, 2, 4).distribution(params, (2, 2))
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert isinstance(one, vj.Autoregressive)
    assert not one.reparameterised
