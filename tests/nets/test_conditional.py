import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.config import Data, Experiment, Model
from vae_jax.data import load
from vae_jax.nets import priors
from vae_jax.nets.conditional import Conditional
from vae_jax.nets.conditional import conditional as conditional_nets
from vae_jax.nets.posteriors import DiagNormalHead
from vae_jax.nets.priors import Prior
from vae_jax.systems import conditional

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3), system="conditional")
PRIORS = {"normal": priors.normal(2), "scaled": priors.scaled(2)}
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(8)).batch())


def test_the_condition_reaches_encoder_and_decoder() -> None:
    system = conditional.build(CONFIG, DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    assert system.given is not None
    a, b = (system.given(jax.nn.one_hot(i, 10)) for i in (0, 1))
    assert not np.allclose(a.encode(params, BATCH["x"][0]).mean, b.encode(params, BATCH["x"][0]).mean)
    assert not np.allclose(a.decode(params, jnp.zeros(3)).mean, b.decode(params, jnp.zeros(3)).mean)


def test_a_condition_of_another_shape_is_refused() -> None:
    system = conditional.build(CONFIG, DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    assert system.given is not None
    with pytest.raises(ValueError, match=r"a condition of shape \(10,\), got \(3,\)"):
        system.given(jnp.zeros(3)).encode(params, BATCH["x"][0])
    with pytest.raises(ValueError, match=r"a condition of shape \(10,\), got \(\)"):
        system.given(jnp.array(3)).decode(params, jnp.zeros(3))


def small(prior: Prior) -> Conditional:
    encoder = nn.Sequential([nn.Dense(4), DiagNormalHead(2)])
    decoder = nn.Sequential([nn.Dense(3), lambda out: vj.DiagNormal(out, jnp.ones(3))])
    return conditional_nets(encoder, decoder, prior, latent_size=2, condition_size=3, activation=nn.tanh)


def test_parameters_of_the_prior_are_there_where_it_has_some() -> None:
    x, y = jnp.zeros(5), jnp.zeros(3)
    shapes = {name: jax.eval_shape(small(p).init, jax.random.key(0), x, y) for name, p in PRIORS.items()}
    assert set(shapes["normal"]) == {"encoder", "decoder"}
    assert shapes["scaled"]["prior"]["log_scale"].shape == (2,)
    # The decoder sees z and y as one vector.
    assert shapes["normal"]["decoder"]["layers_0"]["kernel"].shape == (2 + 3, 3)


def test_a_prior_made_of_the_encoder_has_no_condition_to_be_told() -> None:
    nets = small(priors.vamp(np.zeros((4, 5), np.float32)))
    params = nets.init(jax.random.key(0), jnp.zeros(5), jnp.zeros(3))
    with pytest.raises(ValueError, match=r"a prior made of the encoder \(vamp\) needs a condition"):
        nets.given(jnp.zeros(3)).prior(params)
