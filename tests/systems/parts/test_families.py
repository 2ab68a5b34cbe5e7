import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.config import Codes, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.systems.parts.families import POSTERIORS, PRIORS, corruption_of, prior_name

KEY = jax.random.key(0)
DIGITS = load("digits")


def test_a_shift_comes_before_the_corruption_that_a_config_names() -> None:
    named = corruption_of(Codes(corruption="gaussian", corruption_level=0.1, corruption_shift=1), DIGITS)
    there = named(KEY, jnp.zeros((6, 6, 1)).at[3, 3].set(5.0))
    assert (there > 2.0).sum() == 1
    assert there.std() > 0.05


MODEL = Model(hidden=(4,), latent_size=3, classes=4, prior_components=2, flow_layers=1, flow_hidden=(4,))
FEATURES = jnp.zeros(5)


@pytest.mark.parametrize("name", POSTERIORS)
def test_a_posterior_is_of_the_kind_and_the_space_that_it_says(name: str) -> None:
    part = POSTERIORS[name]
    posterior, _ = jax.eval_shape(part.make(MODEL).init_with_output, KEY, FEATURES)
    assert isinstance(posterior, part.kind)
    z = jax.eval_shape(lambda q, key: q.sample(key), posterior, KEY)
    assert z.shape == ((3, 4) if part.space == "choices" else (3,))


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_is_of_the_kind_and_the_space_that_it_says(name: str) -> None:
    part = PRIORS[name]
    prior = part.make(MODEL, np.zeros((6, 5), np.float32))

    def value(key: jax.Array) -> object:
        return prior.value(prior.init(key), lambda x: vj.DiagNormal(x[:3], jnp.ones(3)))

    found = jax.eval_shape(value, KEY)
    assert isinstance(found, part.kind)
    z = jax.eval_shape(lambda p, key: p.sample(key), found, KEY)
    assert z.shape == ((3, 4) if part.space == "choices" else (3,))


@pytest.mark.parametrize(
    ("posterior", "prior", "expected"),
    [
        ("diagonal", "default", "normal"),
        ("iaf", "default", "normal"),
        ("sphere", "default", "uniform_sphere"),
        ("concrete", "default", "uniform_choices"),
        ("concrete", "relaxed_choices", "relaxed_choices"),
        ("diagonal", "vamp", "vamp"),
    ],
)
def test_a_prior_that_is_not_named_is_that_of_the_posteriors_space(posterior: str, prior: str, expected: str) -> None:
    assert prior_name(Model(posterior=posterior, prior=prior)) == expected  # pyright: ignore


def test_no_corruption_leaves_an_example_alone() -> None:
    x = jnp.arange(4.0)
    assert corruption_of(Codes(), DIGITS)(KEY, x) is x
    assert (corruption_of(Codes(corruption="masking", corruption_level=1.0), DIGITS)(KEY, x) == 0.0).all()


def test_what_is_no_image_is_not_moved() -> None:
    with pytest.raises(ConfigError, match=r"moves images, but an example of cancer has the shape \(30,\): use --corr"):
        corruption_of(Codes(corruption_shift=2), load("cancer"))
