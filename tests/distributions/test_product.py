import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import vae_jax as vj
from vae_jax.distributions.product import Product

TABLE = Product(
    {
        "class": vj.Categorical(jnp.log(jnp.array([[0.2, 0.5, 0.3]]))),
        "count": vj.Poisson(jnp.log(jnp.array([4.0]))),
        "size": vj.DiagNormal(jnp.array([1.0, 2.0]), jnp.array([0.5, 2.0])),
    }
)
ROW = {"class": jnp.array([1]), "count": jnp.array([3]), "size": jnp.array([1.2, -1.0])}


def test_the_density_is_the_sum_over_columns() -> None:
    expected = np.log(0.5) + stats.poisson(4.0).logpmf(3) + stats.norm([1.0, 2.0], [0.5, 2.0]).logpdf([1.2, -1.0]).sum()
    np.testing.assert_allclose(TABLE.log_prob(ROW), expected, rtol=1e-5)
    np.testing.assert_allclose(sum(jnp.sum(v) for v in TABLE.log_probs(ROW).values()), expected, rtol=1e-5)
    assert TABLE.log_probs(ROW)["size"].shape == (2,)


def test_samples_have_the_columns_and_their_means() -> None:
    drawn = TABLE.sample(jax.random.key(0), (4000,))
    assert {name: column.shape for name, column in drawn.items()} == {
        "class": (4000, 1),
        "count": (4000, 1),
        "size": (4000, 2),
    }
    np.testing.assert_allclose(drawn["count"].mean(), 4.0, atol=4 * 2 / np.sqrt(4000))
    np.testing.assert_allclose(np.bincount(drawn["class"][:, 0]) / 4000, [0.2, 0.5, 0.3], atol=0.04)
    assert not TABLE.reparameterised


def test_columns_are_independent_and_do_not_depend_on_the_order_of_the_dict() -> None:
    turned = Product(dict(reversed(list(TABLE.columns.items()))))
    ours, theirs = TABLE.sample(jax.random.key(1)), turned.sample(jax.random.key(1))
    for name in TABLE.columns:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize(("value", "got"), [({"count": jnp.array([3])}, r"\['count'\]"), (jnp.zeros(3), "ArrayImpl")])
def test_other_columns_are_refused(value, got: str) -> None:
    with pytest.raises(ValueError, match=rf"must be a dict of \['class', 'count', 'size'\], got {got}"):
        TABLE.log_prob(value)
