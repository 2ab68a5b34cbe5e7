"""M1 under M2: each is trained in its stage, and together they are one model of x given its class."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Data, Experiment, Labels, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.systems import m1m2
from vae_jax.systems.parts.stages import second_stage_start
from vae_jax.systems.registry import validate

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment(
    "a test",
    Data("digits"),
    Model(hidden=(16,), latent_size=3, upper_hidden=(16,)),
    labels=Labels(labelled=50),
    system="m2",
)
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(16)).batch())


def test_the_layer_above_the_features_has_a_size_of_its_own() -> None:
    config = dataclasses.replace(changed(CONFIG, "model", upper_latent_sizes=(2,)), system="m1m2")
    config = changed(config, "stages", second_stage_at=0.5)
    built = m1m2.build(changed(config, "codes", corruption="gaussian"), DIGITS)
    params = built.init(jax.random.key(1), BATCH)
    style = built.vae.encode(params, BATCH["x"][0])
    assert style.event_shape == (3,)
    # Mean and scale of two dimensions.
    assert {leaf.shape[-1] for leaf in jax.tree.leaves(params["m2"]["encoder"]["head"])} == {4}
    losses = [built.loss(params, jax.random.key(seed), BATCH, 0)[0] for seed in (2, 2, 3)]
    assert losses[0] == losses[1] != losses[2]
    with pytest.raises(ConfigError, match="M1 . M2 has one layer above z.*takes one number"):
        validate(changed(config, "model", upper_latent_sizes=(2, 2)))


def test_both_together_are_a_model_of_x_given_its_class() -> None:
    """Its density is that of M1's decoder on what M2 writes, summed over grids of both codes."""
    config = dataclasses.replace(
        changed(CONFIG, "model", hidden=(8,), latent_size=1, upper_latent_sizes=(1,)), system="m1m2"
    )
    built = m1m2.build(changed(config, "stages", second_stage_at=0.5), DIGITS)
    params, x = built.init(jax.random.key(1), BATCH), BATCH["x"][0]
    y = jnp.eye(10)[3]
    model = built.given(y)
    posterior, prior = model.encode(params, x), model.prior(params)
    z = posterior.sample(jax.random.key(3))
    assert posterior.log_prob(z) == built.vae.encode(params, x).log_prob(z[0]) + posterior.factors[1](z[0]).log_prob(
        z[1]
    )
    # Draws of the prior: untrained posteriors are too narrow to find the sum by.
    wide = model._replace(encode=lambda params, x: prior)
    found = vj.log_marginal(wide, params, jax.random.key(2), x, num_samples=4000)

    lower, upper = jnp.linspace(-30.0, 30.0, 3001)[:, None], jnp.linspace(-8.0, 8.0, 401)[:, None]
    seen = jax.vmap(lambda z: built.vae.decode(params, z).log_prob(x))(lower)
    pairs = jax.vmap(lambda z1: jax.vmap(lambda z2: prior.log_prob((z1, z2)))(upper))(lower)
    exact = jax.nn.logsumexp(seen[:, None] + pairs) + jnp.log(60 / 3000) + jnp.log(16 / 400)
    assert abs(found.value - exact) < 4 * found.standard_error + 1e-3
    # Under another class the same noise is another code, and another picture.
    other = built.given(jnp.eye(10)[4]).prior(params).sample(jax.random.key(5))
    mine = prior.sample(jax.random.key(5))
    assert other[1] == mine[1]
    assert other[0] != mine[0]


def test_what_m1_is_decides_for_both() -> None:
    config = changed(dataclasses.replace(CONFIG, system="m1m2"), "stages", second_stage_at=0.5)
    assert m1m2.build(config, DIGITS).comparable
    assert not m1m2.build(changed(config, "objective", most_distortion=30.0), DIGITS).comparable
    without_mean = changed(changed(config, "model", posterior="planar"), "objective", estimator="sampled")
    with pytest.raises(ConfigError, match="the posterior planar has none: use --posterior diagonal"):
        m1m2.build(without_mean, DIGITS)


def test_the_classifier_is_shown_shifted_images_and_the_bound_is_not() -> None:
    config = changed(dataclasses.replace(CONFIG, system="m1m2"), "stages", second_stage_at=0.5)
    start = second_stage_start(config, DIGITS)
    still, moved = (m1m2.build(changed(config, "codes", corruption_shift=shift), DIGITS) for shift in (0, 3))
    params = still.init(jax.random.key(1), BATCH)
    shown = [built.loss(params, jax.random.key(2), BATCH, start)[1] for built in (still, moved)]
    assert shown[0]["m2_cross_entropy"] != shown[1]["m2_cross_entropy"]
    for name in ("m2_labelled_bound", "accuracy"):
        assert shown[0][name] == shown[1][name]


def test_what_rises_has_risen_when_m1_stands_still() -> None:
    config = changed(dataclasses.replace(CONFIG, system="m1m2"), "stages", second_stage_at=0.5)
    start = second_stage_start(config, DIGITS)
    plain = m1m2.build(config, DIGITS)
    params = plain.init(jax.random.key(1), BATCH)
    for rising in ({"beta_warmup": 0.8}, {"beta_warmup": 0.5, "beta_cycles": 2}):
        built = m1m2.build(changed(config, "objective", **rising), DIGITS)
        first, last = (built.loss(params, jax.random.key(2), BATCH, step)[0] for step in (0, start - 1))
        assert first < last == plain.loss(params, jax.random.key(2), BATCH, start - 1)[0]


def test_m1_is_trained_first_and_then_stands_still() -> None:
    config = changed(dataclasses.replace(CONFIG, system="m1m2"), "stages", second_stage_at=0.5)
    built = m1m2.build(config, DIGITS)
    params = built.init(jax.random.key(1), BATCH)
    start = second_stage_start(config, DIGITS)
    slopes = [
        jax.jit(jax.grad(lambda p, step=step: built.loss(p, jax.random.key(2), BATCH, step)[0]))(params)
        for step in (start - 1, start)
    ]
    moved = [
        {name: any(leaf.any() for leaf in jax.tree.leaves(part)) for name, part in slope.items()} for slope in slopes
    ]
    assert moved == [
        {"encoder": True, "decoder": True, "m2": False},
        {"encoder": False, "decoder": False, "m2": True},
    ]
