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


def test_the_loss_weighs_the_bound_of_labelled_examples_and_the_cross_entropy() -> None:
    system = m2.build(changed(CONFIG, "labels", label_weight=2.0, classifier_weight=3.0), DIGITS)
    value, found = jax.jit(system.loss)(PARAMS, jax.random.key(2), BATCH, 0)
    expected = -found["bound"] - 2.0 * found["labelled_bound"] + 3.0 * found["cross_entropy"]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.slow
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


def test_a_batch_in_parts_has_the_same_gradient() -> None:
    def step(system):
        loss = lambda params: system.loss(params, jax.random.key(3), BATCH, 0)
        return jax.jit(jax.value_and_grad(loss, has_aux=True))(PARAMS)

    at_once, in_parts = step(SYSTEM), step(m2.build(changed(CONFIG, "compute", accumulate=3), DIGITS))
    for one, other in zip(jax.tree.leaves(at_once), jax.tree.leaves(in_parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


def test_the_relaxed_label_tends_to_the_sum_as_the_temperature_falls() -> None:
    assert SYSTEM.given is not None
    assert SYSTEM.classify is not None
    x, keys = BATCH["x"][0], jax.random.split(jax.random.key(6), 4000)
    exact = m2.marginalised(SYSTEM.given, SYSTEM.classify).unlabelled
    cold = m2.concrete(SYSTEM.given, SYSTEM.classify, temperature=0.02).unlabelled
    found = [jax.jit(jax.vmap(lambda key, f=f: f(PARAMS, key, x, x)))(keys) for f in (exact, cold)]
    error = np.hypot(found[0].std(), found[1].std()) / np.sqrt(4000)
    assert abs(found[0].mean() - found[1].mean()) < 4 * error


@pytest.mark.parametrize("system", [m2, pytest.param(m1m2, marks=pytest.mark.slow)])
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


def test_a_model_with_a_latent_class_has_a_likelihood() -> None:
    found = vj.log_marginal(SYSTEM.vae, PARAMS, jax.random.key(0), BATCH["x"][0], num_samples=200, chunk_size=100)
    assert np.isfinite(found.value)
    assert found.value > found.elbo
