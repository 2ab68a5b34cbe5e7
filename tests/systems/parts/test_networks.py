import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from tests.runs import changed
from vae_jax.config import Data, Experiment, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.data.units import Units
from vae_jax.nets.likelihoods import Elements
from vae_jax.systems.parts.networks import (
    check_data,
    code_size,
    highest_prior,
    likelihood_head,
    reader,
    stochastic_layers,
)
from vae_jax.systems.vae import build

CONFIG = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3))


def test_data_that_are_not_bits_are_refused_under_a_bernoulli() -> None:
    with pytest.raises(ConfigError, match=r"for bits, but digits holds counts 0..16. Use --binarisation dynamic"):
        build(CONFIG, load("digits"))
    with pytest.raises(ConfigError, match=r"but curve holds real numbers.*--likelihood normal"):
        build(CONFIG, load("curve"))


def test_likelihoods_that_do_not_fit_the_data_are_refused() -> None:
    counts = load("curve")
    config = changed(CONFIG, "model", likelihood="poisson")
    with pytest.raises(ConfigError, match="a poisson likelihood is for counts without a largest, but curve"):
        build(config, counts)
    with pytest.raises(ConfigError, match="a bernoulli likelihood is for bits, but digits holds counts 0..16"):
        build(CONFIG, load("digits"))


def test_the_sizes_of_the_layers_are_those_of_the_config() -> None:
    config = changed(CONFIG, "model", upper_latent_sizes=(2, 1), upper_hidden=(4,)).model
    layers = stochastic_layers(config, (8, 8, 1), Elements(np.full((8, 8, 1), 0.3)))
    assert [layer.latent_shape for layer in layers] == [(3,), (2,), (1,)]
    choices = dataclasses.replace(CONFIG.model, posterior="concrete", classes=4)
    assert stochastic_layers(choices, (8, 8, 1), Elements(np.full((8, 8, 1), 0.3)))[0].latent_shape == (3, 4)
    # A grid has a vector at each of its places, and the prior one number for each of all.
    grid = dataclasses.replace(CONFIG.model, network="grid", hidden=(4, 4))
    assert code_size(grid, (8, 8, 1)) == 2 * 2 * 3
    assert code_size(CONFIG.model, (8, 8, 1)) == 3


@pytest.mark.parametrize(("likelihood", "levels", "divisor"), [("binomial", 16, 16), ("bernoulli", 16, 1)])
def test_counts_are_divided_by_their_largest_before_a_network_sees_them(
    likelihood: Any, levels: int, divisor: int
) -> None:
    model = dataclasses.replace(CONFIG.model, likelihood=likelihood)
    network = reader(model, (8, 8, 1), Elements(np.full((8, 8, 1), 0.3), levels))
    np.testing.assert_allclose(network.apply({}, np.full((8, 8, 1), 16.0)), 16.0 / divisor)


def test_pixels_that_see_those_before_see_them_in_the_units_of_their_own_density() -> None:
    model = dataclasses.replace(CONFIG.model, likelihood="normal", autoregressive_layers=1)
    units = Units(np.full((8, 8, 1), 500.0, np.float32), np.full((8, 8, 1), 1000.0, np.float32))
    head = likelihood_head(model, Elements(units.centre, units=units))
    assert head.units is units
    assert head.likelihood.units is units


def test_pixels_that_see_those_before_are_for_images() -> None:
    model = dataclasses.replace(CONFIG.model, autoregressive_layers=2, likelihood="normal")
    with pytest.raises(ConfigError, match=r"--autoregressive-layers 2 is for images, but .* has the shape \(2,\)"):
        check_data(model, load("curve"))
    check_data(dataclasses.replace(model, likelihood="bernoulli"), load("digits", binarisation="dynamic"))


def test_a_vamp_prior_starts_at_training_examples() -> None:
    data = load("digits", binarisation="static")
    prior = highest_prior(dataclasses.replace(CONFIG.model, prior="vamp", prior_components=4), data)
    start = prior.init(jax.random.key(0))["pseudo_inputs"]
    seen = {row.tobytes() for row in np.asarray(data.train.x, np.float32)}
    assert start.shape == (4, 8, 8, 1)
    assert all(np.asarray(row).tobytes() in seen for row in start)
