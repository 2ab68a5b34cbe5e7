"""Why the ELBO is below log p(x): a family of posteriors that is too small, or an encoder that misses its best member.

    log p(x) − ELBO  =  [log p(x) − ELBO(q*)]  +  [ELBO(q*) − ELBO(q)]
                         approximation gap         amortisation gap

q* is the best q(z) of the encoder's own family, found by gradient for each example alone.

Source: Inference Suboptimality in Variational Autoencoders, arXiv 1801.03558.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import DiagNormal, FullNormal
from vae_jax.evaluate.likelihood import LogMarginal, log_marginal
from vae_jax.models.vae import VAE, posterior_and_prior
from vae_jax.objectives.bounds import elbo
from vae_jax.objectives.estimators import stl


class Gaps(NamedTuple):
    """Both gaps of one example, nats, and the two estimates whose differences they are.

    `optimised`: the estimate with q*, whose `value` stands for log p(x). `amortised`: that with the encoder's q.
    """

    approximation: Array
    amortisation: Array
    optimised: LogMarginal
    amortised: LogMarginal


def _free_diagonal(q: DiagNormal) -> tuple[Any, Callable[[Any], DiagNormal]]:
    # `scale` keeps its shape: one number for an isotropic family.
    return (q.mean, jnp.log(q.scale)), lambda free: DiagNormal(free[0], jnp.exp(free[1]))


def _free_full(q: FullNormal) -> tuple[Any, Callable[[Any], FullNormal]]:
    def build(free: Any) -> FullNormal:
        loc, log_diagonal, below = free
        return FullNormal(loc, jnp.diag(jnp.exp(log_diagonal)) + jnp.tril(below, -1))

    # Columns change sign until the diagonal is positive; the covariance stays the same.
    tril = q.tril * jnp.broadcast_to(jnp.sign(jnp.diagonal(q.tril)), q.tril.shape)
    return (q.loc, jnp.log(jnp.diagonal(tril)), jnp.tril(tril, -1)), build


# `q -> (free numbers, free numbers -> q)`: each family in terms of numbers that may take any value.
FAMILIES: dict[type, Callable[[Any], tuple[Any, Callable[[Any], Any]]]] = {
    DiagNormal: _free_diagonal,
    FullNormal: _free_full,
}


def optimise_posterior(
    vae: VAE,
    params: Params,
    key: Key,
    x: PyTree,
    *,
    num_steps: int = 1000,
    num_samples: int = 10,
    learning_rate: float = 1e-2,
) -> Any:
    """The best q(z) for one example in the encoder's family, by Adam on the ELBO from the encoder's q(z | x).

    The gradient is that of `stl(elbo)`, which has no noise where the family contains the true posterior. TypeError for
    a family other than `DiagNormal` and `FullNormal`. One example; `vmap` for many.

    Source: Inference Suboptimality in Variational Autoencoders, arXiv 1801.03558.
    """
    check_count("optimise_posterior", "num_steps", num_steps)
    # Imported here, so that `import vae_jax` does not load it.
    import optax

    posterior, _ = posterior_and_prior("optimise_posterior", vae, params, key, x)
    if type(posterior) not in FAMILIES:
        known = ", ".join(kind.__name__ for kind in FAMILIES)
        raise TypeError(f"optimise_posterior: the posterior must be one of {known}, got {type(posterior).__name__}.")
    start, build = FAMILIES[type(posterior)](posterior)
    estimate = stl(elbo)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))

    def loss(free: Any, key: Key) -> Array:
        local = vae._replace(encode=lambda free, x: build(free), decode=lambda free, z: vae.decode(params, z))
        local = local._replace(prior=lambda free: vae.prior(params))
        return -estimate(local, free, key, x, num_samples=num_samples)

    def step(i: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        free, state = carry
        updates, state = optimizer.update(jax.grad(loss)(free, jax.random.fold_in(key, i)), state)
        return optax.apply_updates(free, updates), state

    free, _ = lax.fori_loop(0, num_steps, step, (start, optimizer.init(start)))
    return build(free)


def inference_gaps(
    vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 1000, num_steps: int = 1000
) -> Gaps:
    """The approximation and the amortisation gap of one example, nats; their sum is log p(x) − ELBO.

    Both ELBOs are means over `num_samples` draws. log p(x) is the importance-weighted estimate with the draws of q*,
    which is a lower bound in expectation. One example; `vmap` for many. Errors are those of `optimise_posterior`.

    Source: Inference Suboptimality in Variational Autoencoders, arXiv 1801.03558.
    """
    fit_key, measure_key = jax.random.split(key)
    best = optimise_posterior(vae, params, fit_key, x, num_steps=num_steps)
    with_best = vae._replace(encode=lambda params, x: best)
    optimised = log_marginal(with_best, params, measure_key, x, num_samples=num_samples)
    amortised = log_marginal(vae, params, measure_key, x, num_samples=num_samples)
    return Gaps(optimised.value - optimised.elbo, optimised.elbo - amortised.elbo, optimised, amortised)
