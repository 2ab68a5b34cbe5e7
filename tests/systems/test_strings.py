import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import changed, equations
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.data import stand_in_strings
from vae_jax.distributions import DiagNormal
from vae_jax.distributions.divergences import kl
from vae_jax.systems.registry import build_system, validate
from vae_jax.systems.strings import PUBLISHED_NOISE, narrowed, published_loss


def test_the_published_loss_is_what_its_paper_computes() -> None:
    config, data = equations(published_scaling=True), stand_in_strings("equations", grammar="equations")
    config = changed(config, "objective", beta=1.0)
    system = build_system(validate(config), data)
    plain = build_system(validate(equations()), data).vae
    assert plain is not None
    params = system.init(jax.random.key(0), {"x": jnp.asarray(data.train.x[:2], jnp.int32)})
    x, key = jnp.asarray(data.train.x[0], jnp.int32), jax.random.key(1)
    loss, metrics = published_loss(plain, params, key, x)  # pyright: ignore
    posterior = plain.encode(params, x)
    z = posterior.loc + PUBLISHED_NOISE * posterior.scale * jax.random.normal(key, (3,))
    standard = DiagNormal(jnp.zeros(3), jnp.ones(3))
    expected = kl(posterior, standard) / 3.0 - plain.decode(params, z).log_prob(x)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["mean_kl"], kl(posterior, standard) / 3.0, rtol=1e-5)
    # What is measured is the posterior that was drawn from.
    assert system.vae is not None
    np.testing.assert_allclose(system.vae.encode(params, x).scale, PUBLISHED_NOISE * posterior.scale, rtol=1e-6)
    np.testing.assert_allclose(narrowed(plain).encode(params, x).loc, posterior.loc)  # pyright: ignore


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        ("model", {"likelihood": "bernoulli"}, "use --likelihood categorical, not bernoulli"),
        ("model", {"network": "conv"}, "has networks of its own"),
        ("model", {"prior": "vamp"}, "another prior than vamp"),
        ("model", {"posterior": "categorical"}, "decodes a vector: --posterior categorical is none"),
        ("strings", {"published_scaling": True}, "--published-scaling is a loss of its own"),
        ("strings", {"max_rules": 0}, "--max-rules must be greater than 0, got 0"),
        ("strings", {"recurrent_size": 0}, "--recurrent-size must be greater than 0"),
    ],
)
def test_configs_that_do_not_fit(section: str, fields: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(changed(equations(), section, **fields))


def test_strings_and_their_system_go_together(digits) -> None:
    with pytest.raises(ConfigError, match="equations holds strings, which are for --system strings, not vae"):
        validate(dataclasses.replace(load_config("vae"), data=load_config("equations").data))
    with pytest.raises(ConfigError, match="--max-rules 5 has no effect with --system vae"):
        validate(changed(load_config("vae"), "strings", max_rules=5))
    with pytest.raises(ConfigError, match="--system strings is for strings"):
        build_system(equations(), digits[0].dataset)
