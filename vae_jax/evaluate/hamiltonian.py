"""Hamiltonian Monte Carlo over z: moves that leave a density invariant, and draws from the posterior p(z | x) itself.

The costly alternative to an encoder: a chain for every example, with a gradient of the decoder for every step of it.
The transitions are blackjax's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count
from vae_jax.core.trees import widened
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    Concrete,
    ContinuousBernoulli,
    DiscretisedLogistic,
    NegativeBinomial,
    OneHotCategorical,
    Poisson,
    RelaxedBernoulli,
    StraightThrough,
    UniformSphere,
    VonMisesFisher,
)
from vae_jax.distributions.kinds import parts_of
from vae_jax.models.vae import VAE, posterior_and_prior

# Step sizes are steered towards this share of accepted moves, the usual choice for HMC.
_ACCEPTANCE, _FIRST_SIZE, _RATE = 0.65, 0.2, 0.2

# Families whose values are only some of all vectors: bits, counts, simplices, intervals, spheres.
_ELSEWHERE = (
    *(Bernoulli, ContinuousBernoulli, OneHotCategorical, Concrete, RelaxedBernoulli, StraightThrough),
    *(UniformSphere, VonMisesFisher, Binomial, Categorical, DiscretisedLogistic, NegativeBinomial, Poisson),
)


class PosteriorDraws(NamedTuple):
    """Draws `z` `[n, …]` of one chain, one after the other, and the share of accepted moves."""

    z: Any
    acceptance: Array


def posterior_draws(
    vae: VAE,
    params: Params,
    key: Key,
    x: PyTree,
    *,
    num_draws: int = 1000,
    num_warmup: int = 500,
    num_integration_steps: int = 10,
) -> PosteriorDraws:
    """Draws from p(z | x) of one example, by a chain that starts at a draw from q(z | x).

    The step size is adapted in `num_warmup` moves, which are thrown away, and then fixed. Neighbouring draws are
    alike, so their effective number is smaller. Where p(z | x) has parts far from one another, a chain sees one of
    them. z must be a vector of any real numbers, or a tuple of such (TypeError). One example; `vmap` for many.
    ValueError for counts below 1.

    Source: MCMC using Hamiltonian dynamics (Neal, arXiv 1206.1901); as the alternative to an encoder: Auto-Encoding
    Variational Bayes, arXiv 1312.6114, appendix E.
    """
    counts = {"num_draws": num_draws, "num_warmup": num_warmup, "num_integration_steps": num_integration_steps}
    for name, count in counts.items():
        check_count("posterior_draws", name, count)
    posterior, prior = posterior_and_prior("posterior_draws", vae, params, key, x)
    check_real_codes("posterior_draws", prior)
    start_key, warmup_key, chain_key = jax.random.split(key, 3)

    def log_joint(z: PyTree) -> Array:
        return prior.log_prob(z) + vae.decode(params, z).log_prob(x)

    def adapt(carry: tuple[PyTree, Array], key: Key) -> tuple[tuple[PyTree, Array], Array]:
        z, log_size = carry
        z, acceptance = move(log_joint, key, z, jnp.exp(log_size), num_integration_steps)
        log_size = adapted(log_size, acceptance)
        return (z, log_size), log_size

    # In half precision most moves would end where they began.
    start = jax.tree.map(widened, posterior.sample(start_key)), first_log_size()
    (z, _), log_sizes = lax.scan(adapt, start, jax.random.split(warmup_key, num_warmup))
    # The mean of the second half: the last one alone may be too large by chance, and the chain would stand still.
    log_size = jnp.mean(log_sizes[num_warmup // 2 :])

    def draw(z: PyTree, key: Key) -> tuple[PyTree, tuple[PyTree, Array]]:
        z, acceptance = move(log_joint, key, z, jnp.exp(log_size), num_integration_steps)
        return z, (z, acceptance)

    _, (draws, acceptance) = lax.scan(draw, z, jax.random.split(chain_key, num_draws))
    return PosteriorDraws(draws, jnp.mean(acceptance))


def move(
    log_density: Callable[[PyTree], Array], key: Key, z: PyTree, step_size: Array, num_steps: int
) -> tuple[PyTree, Array]:
    """One move that leaves the density invariant, and its acceptance rate."""
    # Imported here, so that `import vae_jax` does not load it. It makes arrays as it is loaded, which must not belong
    # to the trace that this is called in.
    with jax.ensure_compile_time_eval():
        from blackjax.mcmc import hmc

    size, kind = sum(leaf.size for leaf in jax.tree.leaves(z)), jnp.result_type(*jax.tree.leaves(z))
    kernel: Any = hmc.build_kernel()
    state, info = kernel(
        key, hmc.init(z, log_density), log_density, step_size.astype(kind), jnp.ones(size, kind), num_steps
    )
    return state.position, info.acceptance_rate


def adapted(log_size: Array, acceptance: Array) -> Array:
    """The logarithm of the step size after a move, or some, of this acceptance rate."""
    return log_size + _RATE * (jnp.mean(acceptance) - _ACCEPTANCE)


def first_log_size() -> Array:
    """Where an adaptation begins."""
    # Of a type of its own, which the rates of acceptance do not change.
    return jnp.log(jnp.array(_FIRST_SIZE, float))


def check_real_codes(where: str, prior: Any) -> None:
    """TypeError for a prior whose set of values Hamiltonian dynamics would leave: choices, directions."""
    z = jax.eval_shape(prior.sample, jax.random.key(0))
    elsewhere = [type(part).__name__ for part in parts_of(prior, _ELSEWHERE)]
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(z)):
        elsewhere = [type(prior).__name__]
    if elsewhere:
        raise TypeError(
            f"{where}: z is moved by Hamiltonian dynamics, which leave the values of a {elsewhere[0]} prior: z must be "
            "a vector of any real numbers. log_marginal measures this model."
        )
