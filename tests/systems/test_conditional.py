import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Data, Experiment, Model, Objective
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.systems import conditional
from vae_jax.train import fit

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3), system="conditional")
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(8)).batch())


@pytest.mark.parametrize(
    "objective", [Objective(), Objective(bound="iwae", estimator="dreg", num_samples=3)], ids=["elbo", "dreg(iwae)"]
)
def test_the_loss_is_that_of_each_example_given_its_label(objective: Objective) -> None:
    system = conditional.build(dataclasses.replace(CONFIG, objective=objective), DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    key = jax.random.key(2)
    loss, _ = system.loss(params, key, BATCH, jnp.int32(0))
    assert system.given is not None

    def one(key: Any, x: Any, label: Any) -> Any:
        vae = system.given(jax.nn.one_hot(label, 10))
        if objective.estimator == "analytic":
            terms = vj.elbo_terms(vae, params, key, x)
            return terms.log_likelihood - terms.kl.sum()
        return vj.total(vj.iwae)(vae, params, key, x, num_samples=3)

    expected = [one(k, x, y) for k, x, y in zip(jax.random.split(key, 8), BATCH["x"], BATCH["label"], strict=True)]
    np.testing.assert_allclose(-loss, np.mean(expected), rtol=1e-5)


def test_a_constraint_has_its_multiplier() -> None:
    objective = Objective(most_distortion=30.0)
    system = conditional.build(dataclasses.replace(CONFIG, objective=objective), DIGITS)
    assert not system.comparable
    params = system.init(jax.random.key(1), BATCH)
    gradient = jax.grad(lambda p: system.loss(p, jax.random.key(2), BATCH, jnp.int32(0))[0])(params)
    assert gradient["log_multiplier"] != 0.0


def test_every_split_must_have_its_conditions(tmp_path) -> None:
    x = np.zeros((40, 4), np.float32)
    np.savez(tmp_path / "some.npz", x=x, condition=np.zeros((40, 2), np.float32), x_test=x)
    with pytest.raises(ConfigError, match="is told the condition of every example, but these have none"):
        conditional.build(CONFIG, load(str(tmp_path / "some.npz")))


def test_data_without_labels_and_parts_without_a_condition_are_refused() -> None:
    unlabelled = dataclasses.replace(DIGITS, train=DIGITS.train._replace(label=None))
    with pytest.raises(ValueError, match="learns from labels, but digits has none"):
        conditional.build(CONFIG, unlabelled)
    negative = dataclasses.replace(DIGITS, train=DIGITS.train._replace(label=DIGITS.train.label - 1))
    with pytest.raises(ValueError, match="but 123 of 1797 of digits have none .* Leave those examples out"):
        conditional.build(CONFIG, negative)
    with pytest.raises(ConfigError, match="a prior that does not see the encoder"):
        conditional.build(changed(CONFIG, "model", prior="vamp"), DIGITS)


def test_conditions_of_a_file_are_told_to_the_model(tmp_path) -> None:
    """x is 2 y_0 - y_1 and noise: told y, nothing is left but the noise."""
    random = np.random.default_rng(0)
    y = random.uniform(-1, 1, (600, 2)).astype(np.float32)
    x = (y @ np.array([[2.0], [-1.0]]) + 0.1 * random.standard_normal((600, 1))).astype(np.float32)
    np.savez(tmp_path / "pairs.npz", x=x, condition=y)
    data = load(str(tmp_path / "pairs.npz"))
    model = Model(hidden=(32,), latent_size=1, likelihood="normal", initial_scale=1.0)
    config = dataclasses.replace(
        CONFIG, data=Data(str(tmp_path / "pairs.npz"), binarisation="none"), model=model, objective=Objective()
    )
    system = conditional.build(config, data)
    run = functools.partial(fit, system, optax.adam(1e-2), data.prepare, batch_size=60, num_steps=400)
    state = jax.jit(run)(data.train.batch(), jax.random.key(0))
    assert system.given is not None
    assert system.conditions is not None
    assert system.conditions.shape == data.train.condition.shape
    pairs = system.example(data.test.batch())
    assert isinstance(system.vae, vj.VAE)
    terms = jax.vmap(lambda key, pair: vj.elbo_terms(system.vae, state.params, key, pair))(
        jax.random.split(jax.random.key(1), len(data.test.x)), pairs
    )
    bounds = terms.log_likelihood - terms.kl.sum(axis=1)
    exact = -0.5 - np.log(0.1 * np.sqrt(2 * np.pi))
    # Without y the entropy of x alone would be above 1 nat.
    assert exact - 0.5 < bounds.mean() < exact + 0.2
