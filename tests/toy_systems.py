"""Small systems, each with one thing that the trainer must carry."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from vae_jax.core.trees import freeze
from vae_jax.systems.system import System
from vae_jax.train import assign


def identity(key: Any, batch: Any) -> Any:
    """Data that are seen as they are stored."""
    return batch


def points(size: int = 64) -> dict[str, Any]:
    """`x` `[n, 2]` around (1, −2), with labels."""
    x = jnp.array([[1.0, -2.0]]) + 0.5 * jax.random.normal(jax.random.key(7), (size, 2))
    return {"x": x, "label": (x[:, 0] > 1.0).astype(jnp.int32)}


def mean_system(rate: Any = 1.0) -> System:
    """One parameter that is drawn to `rate` times the data mean."""

    def loss(params: Any, key: Any, batch: Any, step: Any) -> Any:
        noise = 0.01 * jax.random.normal(key, (2,))
        error = jnp.mean(jnp.sum(jnp.square(params["mean"][None] + noise[None] - rate * batch["x"]), axis=1))
        return error, {"error": error, "step": step.astype(jnp.float32)}

    return System(init=lambda key, batch: {"mean": jax.random.normal(key, (2,))}, loss=loss, vae=None)


def codebook_system(decay: float) -> System:
    """A running mean set without a gradient, beside a parameter that has one."""

    def loss(params: Any, key: Any, batch: Any, step: Any) -> Any:
        batch_mean = jnp.mean(batch["x"], axis=0)
        fitted = jnp.sum(jnp.square(params["free"] - freeze(params["code"])))
        return fitted + assign(params["code"], batch_mean), {}

    def groups(tx: Any) -> Any:
        # Clipping belongs inside the model's own group: outside, it would shrink the assignment too.
        rules = {"model": tx, "assigned": optax.sgd(1.0 - decay)}
        return optax.partition(rules, {"free": "model", "code": "assigned"})

    return System(lambda key, batch: {"free": jnp.zeros(2), "code": jnp.zeros(2)}, loss, None, groups)


class _Critic(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(1)(nn.tanh(nn.Dense(8)(x)))[0]


def adversarial_system() -> System:
    """A generator `shift + noise` against a critic, in one loss by stop-gradients."""
    critic = _Critic()

    def init(key: Any, batch: Any) -> Any:
        return {"generator": jnp.zeros(2), "critic": critic.init(key, jnp.zeros(2))}

    def loss(params: Any, key: Any, batch: Any, step: Any) -> Any:
        fake = params["generator"][None] + 0.5 * jax.random.normal(key, batch["x"].shape)

        def judge(weights: Any, x: Any) -> Any:
            return jax.vmap(lambda x: critic.apply(weights, x))(x)

        real_logit, fake_logit = judge(params["critic"], batch["x"]), judge(params["critic"], freeze(fake))
        critic_loss = jnp.mean(nn.softplus(-real_logit) + nn.softplus(fake_logit))
        generator_loss = -jnp.mean(judge(freeze(params["critic"]), fake))
        return critic_loss + generator_loss, {"critic": critic_loss, "generator": generator_loss}

    def groups(tx: Any) -> Any:
        return optax.partition({"a": tx, "b": optax.adam(5e-3)}, {"generator": "a", "critic": "b"})

    return System(init, loss, None, groups)


def batch_term_system() -> System:
    """A term of the whole batch, its variance, and the labels beside x."""

    def loss(params: Any, key: Any, batch: Any, step: Any) -> Any:
        codes = batch["x"] @ params
        spread = jnp.square(jnp.var(codes) - 1.0)
        hits = jnp.mean((codes > 0) == (batch["label"] > 0))
        return spread, {"accuracy": hits}

    return System(lambda key, batch: jax.random.normal(key, (2,)), loss, None)
