"""Annealed importance sampling: log p(x) where q(z | x) is too far from the posterior to sample from.

A chain goes from the prior to the posterior through `π_t(z) ∝ p(z) p(x | z)^β_t`, moved by Hamiltonian Monte Carlo
at every temperature, and its weights estimate p(x) without bias: `ais` is a lower bound in expectation. From an exact
posterior draw the same chain runs backwards and estimates 1 / p(x): `reverse_ais` is an upper bound. A model's own
samples come with such a draw, so for them log p(x) is caught between the two (`bdmc`), and their gap says how far to
trust `ais` on data.

Source: On the Quantitative Analysis of Decoder-Based Generative Models, arXiv 1611.04273; Sandwiching the Marginal
Likelihood Using Bidirectional Monte Carlo, arXiv 1511.02543. The transitions are blackjax's.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count, check_key
from vae_jax.core.trees import widened
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.evaluate.hamiltonian import adapted, check_real_codes, first_log_size, move
from vae_jax.evaluate.likelihood import effective_samples
from vae_jax.models.vae import VAE, posterior_and_prior

_PILOT_CHAINS = 4
_STEEPNESS = 4.0


class Annealed(NamedTuple):
    """An estimate of log p(x) for one example from n chains, in nats.

    `value`: a lower bound in expectation from `ais`, an upper bound from `reverse_ais`.
    `standard_error`: of `value`, from the spread of the n weights by the delta method; inf for n = 1. Of `reverse_ais`
    it is too small: all its chains share one start, whose own noise they cannot show.
    `ess`: effective number of chains, of n. `acceptance`: share of accepted moves.
    """

    value: Array
    standard_error: Array
    ess: Array
    acceptance: Array


class Sandwich(NamedTuple):
    """Both bounds on log p(x) for an `x` that the model itself drew."""

    x: Any
    lower: Annealed
    upper: Annealed


class _Path(NamedTuple):
    """`π_t ∝ start · exp(β_t · log_ratio)`."""

    log_start: Callable[[PyTree], Array]
    log_ratio: Callable[[PyTree], Array]
    temperatures: Array


def temperatures(num_temperatures: int) -> Array:
    """`[T + 1]` from 0 to 1, dense at both ends, where the path changes fastest (a sigmoid)."""
    check_count("temperatures", "num_temperatures", num_temperatures)
    levels = jax.nn.sigmoid(_STEEPNESS * jnp.linspace(-1.0, 1.0, num_temperatures + 1))
    return (levels - levels[0]) / (levels[-1] - levels[0])


def ais(
    vae: VAE,
    params: Params,
    key: Key,
    x: PyTree,
    *,
    num_chains: int = 16,
    num_temperatures: int = 1000,
    num_integration_steps: int = 10,
) -> Annealed:
    """log p(x) of one example by annealed importance sampling from the prior: in expectation a lower bound, nats.

    A pilot run with its own draws finds the step sizes. They are then fixed, so that the weights stay unbiased. z must
    be a vector that may hold any real numbers, or a tuple of such vectors (TypeError for choices and directions).
    Memory grows by two numbers for each temperature. One example; `vmap` for many.

    Source: On the Quantitative Analysis of Decoder-Based Generative Models, arXiv 1611.04273.
    """
    check_count("ais", "num_chains", num_chains)
    check_count("ais", "num_integration_steps", num_integration_steps)
    _, prior = posterior_and_prior("ais", vae, params, key, x)
    pilot_key, start_key, chain_key = jax.random.split(key, 3)
    path = _path("ais", vae, params, x, num_temperatures)
    step_sizes = _tuned(path, prior, pilot_key, num_integration_steps)
    z = jax.tree.map(widened, prior.sample(start_key, (num_chains,)))

    def chain(key: Key, z: PyTree) -> tuple[Array, Array]:
        return _anneal(path, key, z, jnp.arange(1, num_temperatures + 1), -1, step_sizes, num_integration_steps)

    log_weights, acceptance = jax.vmap(chain)(jax.random.split(chain_key, num_chains), z)
    return _summary(log_weights, acceptance, sign=1.0)


def reverse_ais(
    vae: VAE,
    params: Params,
    key: Key,
    x: PyTree,
    z: PyTree,
    *,
    num_chains: int = 16,
    num_temperatures: int = 1000,
    num_integration_steps: int = 10,
) -> Annealed:
    """log p(x) from chains that run backwards from `z`: in expectation an upper bound, nats.

    `z` must be an exact draw from p(z | x): there is one where `(x, z)` was drawn from the model itself. All chains
    start at this z, and `standard_error` leaves out its noise: more chains do not replace more draws of z. The other
    arguments, the path, the search for step sizes and the errors are those of `ais`.

    Source: Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo, arXiv 1511.02543.
    """
    check_count("reverse_ais", "num_chains", num_chains)
    check_count("reverse_ais", "num_integration_steps", num_integration_steps)
    _, prior = posterior_and_prior("reverse_ais", vae, params, key, x)
    pilot_key, chain_key = jax.random.split(key)
    path = _path("reverse_ais", vae, params, x, num_temperatures)
    step_sizes = _tuned(path, prior, pilot_key, num_integration_steps)
    z = jax.tree.map(widened, z)

    def chain(key: Key) -> tuple[Array, Array]:
        return _anneal(path, key, z, jnp.arange(num_temperatures - 1, -1, -1), 1, step_sizes, num_integration_steps)

    log_weights, acceptance = jax.vmap(chain)(jax.random.split(chain_key, num_chains))
    return _summary(log_weights, acceptance, sign=-1.0)


def bdmc(
    vae: VAE,
    params: Params,
    key: Key,
    *,
    num_chains: int = 16,
    num_temperatures: int = 1000,
    num_integration_steps: int = 10,
) -> Sandwich:
    """Bidirectional Monte Carlo: draw one `(x, z)` from the model, and bound log p(x) from both sides, nats.

    The mean of `upper.value − lower.value` over many draws bounds the mean error of `ais` on data from the model.
    Arguments and errors are those of `ais`.

    Source: Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo, arXiv 1511.02543.
    """
    check_key("bdmc", key)
    z_key, x_key, up_key, down_key = jax.random.split(key, 4)
    z = vae.prior(params).sample(z_key)
    x = vae.decode(params, z).sample(x_key)
    options = {
        "num_chains": num_chains,
        "num_temperatures": num_temperatures,
        "num_integration_steps": num_integration_steps,
    }
    lower = ais(vae, params, up_key, x, **options)
    return Sandwich(x, lower, reverse_ais(vae, params, down_key, x, z, **options))


def _path(where: str, vae: VAE, params: Params, x: PyTree, num_temperatures: int) -> _Path:
    prior = vae.prior(params)
    check_real_codes(where, prior)
    return _Path(prior.log_prob, lambda z: vae.decode(params, z).log_prob(x), temperatures(num_temperatures))


def _move(path: _Path, beta: Array, key: Key, z: PyTree, step_size: Array, num_steps: int) -> tuple[PyTree, Array]:
    """One HMC move that leaves `π ∝ start · exp(β log_ratio)` invariant, and its acceptance rate."""

    def log_density(z: PyTree) -> Array:
        return path.log_start(z) + beta * path.log_ratio(z)

    return move(log_density, key, z, step_size, num_steps)


def _anneal(
    path: _Path, key: Key, z: PyTree, targets: Array, back: int, step_sizes: Array, num_steps: int
) -> tuple[Array, Array]:
    """`(log weight, mean acceptance)` of one chain through the temperatures numbered `targets`.

    Each step goes from temperature t + `back` to t, and its weight is taken before the chain moves.
    """

    def step(carry: tuple[PyTree, Array, Array], t: Array) -> tuple[tuple[PyTree, Array, Array], None]:
        z, log_weight, accepted = carry
        change = path.temperatures[t] - path.temperatures[t + back]
        log_weight = log_weight + change * path.log_ratio(z)
        z, acceptance = _move(path, path.temperatures[t], jax.random.fold_in(key, t), z, step_sizes[t], num_steps)
        return (z, log_weight, accepted + acceptance), None

    (_, log_weight, accepted), _ = lax.scan(step, (z, jnp.zeros(()), jnp.zeros(())), targets)
    return log_weight, accepted / targets.shape[0]


def _tuned(path: _Path, prior: Any, key: Key, num_steps: int) -> Array:
    """Step sizes `[T + 1]`, adapted by a few pilot chains as they pass each temperature."""
    start_key, chain_key = jax.random.split(key)
    z = jax.tree.map(widened, prior.sample(start_key, (_PILOT_CHAINS,)))

    def step(carry: tuple[PyTree, Array], t: Array) -> tuple[tuple[PyTree, Array], Array]:
        z, log_size = carry
        keys = jax.random.split(jax.random.fold_in(chain_key, t), _PILOT_CHAINS)
        moves = jax.vmap(lambda key, z: _move(path, path.temperatures[t], key, z, jnp.exp(log_size), num_steps))
        z, acceptance = moves(keys, z)
        log_size = adapted(log_size, acceptance)
        return (z, log_size), jnp.exp(log_size)

    numbers = jnp.arange(path.temperatures.shape[0])
    return lax.stop_gradient(lax.scan(step, (z, first_log_size()), numbers)[1])


def _summary(log_weights: Array, acceptance: Array, *, sign: float) -> Annealed:
    """From the log-weights `[n]` of p(x) (`sign` 1) or of 1 / p(x) (`sign` −1)."""
    n = log_weights.shape[0]
    # Weights relative to the largest: at log w = −1e4 the digits of float32 are not enough.
    reference = jnp.max(log_weights)
    relative = log_weights - reference
    log_sum = jax.nn.logsumexp(relative)
    ess, error = effective_samples(log_sum, jax.nn.logsumexp(2.0 * relative), n)
    return Annealed(sign * (reference + log_sum - math.log(n)), error, ess, jnp.mean(acceptance))
