import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Data, Experiment, Labels, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.systems import m1m2, m2
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
SYSTEM = m2.build(CONFIG, DIGITS)
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(16)).batch())
PARAMS = SYSTEM.init(jax.random.key(1), BATCH)


def bound(y: Any, key: Any, x: Any) -> Any:
    assert SYSTEM.given is not None
    terms = vj.elbo_terms(SYSTEM.given(y), PARAMS, key, x)
    return terms.log_likelihood - terms.kl.sum() + np.log(0.1)


def test_marginalised_is_the_sum_over_labels_by_brute_force() -> None:
    assert SYSTEM.given is not None
    assert SYSTEM.classify is not None
    losses = m2.marginalised(SYSTEM.given, SYSTEM.classify)
    x, key = BATCH["x"][0], jax.random.key(5)
    q = np.asarray(jax.nn.softmax(SYSTEM.classify(PARAMS, x)), np.float64)
    bounds = [float(bound(jax.nn.one_hot(c, 10), key, x)) for c in range(10)]
    expected = sum(q[c] * (bounds[c] - np.log(q[c])) for c in range(10))
    np.testing.assert_allclose(-losses.unlabelled(PARAMS, key, x, x), expected, rtol=1e-5)
    np.testing.assert_allclose(-losses.labelled(PARAMS, key, x, jax.nn.one_hot(3, 10)), bounds[3], rtol=1e-5)


def test_it_is_the_expected_elbo_of_the_model_with_a_latent_class() -> None:
    assert SYSTEM.given is not None
    assert SYSTEM.classify is not None
    losses = m2.marginalised(SYSTEM.given, SYSTEM.classify)
    x, keys = BATCH["x"][0], jax.random.split(jax.random.key(6), 4000)
    summed = -jax.jit(jax.vmap(lambda key: losses.unlabelled(PARAMS, key, x, x)))(keys[:400])
    drawn = jax.jit(jax.vmap(lambda key: vj.log_weights(SYSTEM.vae, PARAMS, key, x, num_samples=1)[0]))(keys)
    error = np.hypot(summed.std() / 20, drawn.std() / np.sqrt(4000))
    assert abs(summed.mean() - drawn.mean()) < 4 * error
    # Summing over the class takes its noise away.
    assert summed.std() < drawn.std()


def test_a_classifier_of_corrupted_examples_still_gives_the_bound_of_the_clean_one() -> None:
    assert SYSTEM.given is not None
    assert SYSTEM.classify is not None
    seen = BATCH["x"][1]
    losses = m2.marginalised(SYSTEM.given, SYSTEM.classify)
    x, key = BATCH["x"][0], jax.random.key(5)
    q = np.asarray(jax.nn.softmax(SYSTEM.classify(PARAMS, seen)), np.float64)
    bounds = [float(bound(jax.nn.one_hot(c, 10), key, x)) for c in range(10)]
    expected = sum(q[c] * (bounds[c] - np.log(q[c])) for c in range(10))
    np.testing.assert_allclose(-losses.unlabelled(PARAMS, key, x, seen), expected, rtol=1e-5)


def test_the_classifier_may_have_convolutions_of_its_own() -> None:
    config = changed(CONFIG, "labels", classifier_channels=(4, 8))
    built = m2.build(changed(config, "codes", corruption="dropout", corruption_shift=1), DIGITS)
    assert built.classify is not None
    params = built.init(jax.random.key(1), BATCH)
    assert built.classify(params, BATCH["x"][0]).shape == (10,)
    assert sum(leaf.size for leaf in jax.tree.leaves(params["classifier"])) != sum(
        leaf.size for leaf in jax.tree.leaves(PARAMS["classifier"])
    )
    losses = [built.loss(params, jax.random.key(seed), BATCH, 0)[0] for seed in (2, 2, 3)]
    assert losses[0] == losses[1] != losses[2]


def test_the_relaxed_label_tends_to_the_sum_as_the_temperature_falls() -> None:
    assert SYSTEM.given is not None
    assert SYSTEM.classify is not None
    x, keys = BATCH["x"][0], jax.random.split(jax.random.key(6), 4000)
    exact = m2.marginalised(SYSTEM.given, SYSTEM.classify).unlabelled
    cold = m2.concrete(SYSTEM.given, SYSTEM.classify, temperature=0.02).unlabelled
    found = [jax.jit(jax.vmap(lambda key, f=f: f(PARAMS, key, x, x)))(keys) for f in (exact, cold)]
    error = np.hypot(found[0].std(), found[1].std()) / np.sqrt(4000)
    assert abs(found[0].mean() - found[1].mean()) < 4 * error


@pytest.mark.parametrize("system", [m2, m1m2])
def test_few_labels_are_learned_and_the_others_are_not_looked_at(system: Any) -> None:
    config = changed(
        dataclasses.replace(CONFIG, system=system.__name__.split(".")[-1]), "model", hidden=(64,), latent_size=8
    )
    if system is m1m2:
        config = changed(config, "stages", second_stage_at=0.1)
    built = system.build(changed(config, "labels", classifier_weight=10.0), DIGITS)
    tx = optax.adam(3e-3)
    data = DIGITS.train.take(slice(1024))

    @jax.jit
    def train(label: Any) -> Any:
        def step(carry: Any, i: Any) -> Any:
            params, state = carry
            key = jax.random.fold_in(jax.random.key(3), i)
            rows = jax.random.randint(key, (64,), 0, 1024)
            batch = DIGITS.prepare(key, {"x": jnp.asarray(data.x)[rows], "label": label[rows]})
            (_, metrics), slope = jax.value_and_grad(built.loss, has_aux=True)(params, key, batch, i)
            updates, state = tx.update(slope, state)
            return (optax.apply_updates(params, updates), state), metrics

        start = built.init(jax.random.key(1), BATCH)
        (params, _), metrics = jax.lax.scan(step, (start, tx.init(start)), jnp.arange(500))
        return params, metrics

    params, metrics = train(jnp.asarray(data.label))
    other, _ = train(jnp.zeros(1024, jnp.int32))
    jax.tree.map(np.testing.assert_array_equal, params, other)
    accuracy = metrics["accuracy"]
    # A tenth would be chance.
    assert accuracy[-50:].mean() > 0.4 > accuracy[:5].mean()


@pytest.mark.parametrize(
    ("labelled", "message"),
    [
        (None, "needs their number: --labelled 100"),
        (55, "a multiple of 10, got 55"),
        (5, "a multiple of 10, got 5"),
        (10_000, "wants 1000 examples of class 0, which has only"),
    ],
)
def test_bad_numbers_of_labels_are_refused(labelled: int | None, message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        m2.build(dataclasses.replace(CONFIG, labels=Labels(labelled=labelled)), DIGITS)


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
    with pytest.raises(ConfigError, match="a planar posterior has none: use --posterior diagonal"):
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


def test_a_model_with_a_latent_class_has_a_likelihood() -> None:
    found = vj.log_marginal(SYSTEM.vae, PARAMS, jax.random.key(0), BATCH["x"][0], num_samples=200, chunk_size=100)
    assert np.isfinite(found.value)
    assert found.value > found.elbo
