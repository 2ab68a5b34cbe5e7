"""What was not observed, given what was."""

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_count
from vae_jax.core.types import Key, Params, PyTree
from vae_jax.distributions import Masked, Observed, sample_and_log_prob
from vae_jax.models.vae import VAE, over_samples, posterior_and_prior


def impute(vae: VAE, params: Params, key: Key, x: Observed, *, num_samples: int = 1000, num_draws: int = 100) -> PyTree:
    """`num_draws` completions of one example: its gaps drawn from p(missing | observed), the rest as it is.

    Sampling importance resampling: `num_samples` draws of z, weighed by p(observed, z) / q(z | x), then as many
    of them as draws are wanted, then x given each. Average the draws for means, count them for choices. The result
    has the shapes of `x.value` with a first axis of `num_draws`. TypeError unless the model's likelihood is `Masked`.

    Source: MIWAE: Deep Generative Modelling and Imputation of Incomplete Data, arXiv 1812.02633.
    """
    check_count("impute", "num_samples", num_samples)
    check_count("impute", "num_draws", num_draws)
    posterior, prior = posterior_and_prior("impute", vae, params, key, x)
    z_key, choice_key, x_key = jax.random.split(key, 3)

    def weighed(key: Key) -> tuple[PyTree, jax.Array]:
        z, log_q = sample_and_log_prob(posterior, key)
        likelihood = vae.decode(params, z)
        if not isinstance(likelihood, Masked):
            raise TypeError(
                f"impute: decode must give a Masked likelihood, got {type(likelihood).__name__}. Wrap it: "
                "Masked(likelihood), with x = Observed(value, mask)."
            )
        return z, prior.log_prob(z) + likelihood.log_prob(x) - log_q

    z, log_w = over_samples(weighed, z_key, num_samples)
    chosen = jax.random.categorical(choice_key, log_w, shape=(num_draws,))

    def complete(key: Key, place: jax.Array) -> PyTree:
        drawn = vae.decode(params, jax.tree.map(lambda leaf: leaf[place], z)).sample(key).value
        return jax.tree.map(lambda v, m, d: jnp.where(m, v, d.astype(jnp.result_type(v))), x.value, x.mask, drawn)

    return jax.vmap(complete)(jax.random.split(x_key, num_draws), chosen)
