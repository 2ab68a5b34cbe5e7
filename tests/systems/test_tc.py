import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.runs import changed
from tests.systems.disentangling import BASE, BATCH, DIGITS, PLAIN, assert_is_the_vae
from vae_jax.config import Codes, Objective
from vae_jax.core.errors import ConfigError
from vae_jax.objectives.aggregate import stratified_log_weights, weighted_log_weights
from vae_jax.systems import tc
from vae_jax.systems.registry import validate


@pytest.mark.parametrize("minibatch", ["weighted", "stratified"])
def test_with_weights_of_one_it_is_the_vae(minibatch: Any) -> None:
    assert_is_the_vae(tc.build(dataclasses.replace(BASE, system="tc", codes=Codes(minibatch=minibatch)), DIGITS))


@pytest.mark.parametrize("scheme", [weighted_log_weights, stratified_log_weights])
def test_the_parts_are_a_draw_of_the_rate(scheme: Any) -> None:
    params = PLAIN.init(jax.random.key(1), BATCH)
    assert isinstance(PLAIN.vae, vj.VAE)
    weights = {"index": 2.0, "total_correlation": 7.0, "dimension_wise": 4.0}
    loss = tc.tc_loss(PLAIN.vae, dataset_size=1000, log_weights=scheme, **weights)
    value, metrics = loss(params, jax.random.key(2), BATCH, jnp.int32(0))
    drawn = jax.vmap(lambda key, x: vj.sampled_terms(PLAIN.vae, params, key, x))(
        jax.random.split(jax.random.key(2), 16), BATCH["x"]
    )
    parts = [metrics[name] for name in ("index_code", "total_correlation", "dimension_wise")]
    np.testing.assert_allclose(sum(parts), jnp.mean(drawn.kl), rtol=1e-4)
    expected = -metrics["bound"] + parts[0] + 6.0 * parts[1] + 3.0 * parts[2]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_each_part_has_the_weight_that_the_config_gives_it() -> None:
    weights = {"objective": Objective(beta=7.0), "codes": Codes(index_weight=2.0, dimension_weight=4.0)}
    system = tc.build(dataclasses.replace(BASE, system="tc", **weights), DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    value, metrics = system.loss(params, jax.random.key(2), BATCH, jnp.int32(0))
    surplus = metrics["index_code"] + 6.0 * metrics["total_correlation"] + 3.0 * metrics["dimension_wise"]
    np.testing.assert_allclose(value, -metrics["bound"] + surplus, rtol=1e-5)


def test_a_batch_of_one_is_refused() -> None:
    config = dataclasses.replace(changed(BASE, "train", batch_size=1), system="tc")
    with pytest.raises(ConfigError, match="--system tc compares the codes of a batch: use --batch-size 2 or more"):
        validate(config)


def test_posteriors_that_do_not_factorise_are_refused() -> None:
    config = dataclasses.replace(changed(BASE, "model", posterior="full"), system="tc")
    with pytest.raises(ConfigError, match="use --posterior diagonal, not full"):
        validate(config)


def test_weights_that_have_no_meaning_are_refused() -> None:
    for wrong in ({"index_weight": -1.0}, {"dimension_weight": float("nan")}):
        with pytest.raises(ConfigError, match="must be at least 0"):
            validate(dataclasses.replace(BASE, system="tc", codes=Codes(**wrong)))
    with pytest.raises(ConfigError, match="--minibatch stratified has no effect with --system vae"):
        validate(dataclasses.replace(BASE, codes=Codes(minibatch="stratified")))
    with pytest.raises(ConfigError, match="--capacity 5.0 has no effect with --system tc"):
        validate(dataclasses.replace(BASE, system="tc", objective=Objective(capacity=5.0)))
