"""Rows of a table: a product under a mask, as one array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj

LOC, SCALE = jnp.array([0.1, -0.4]), jnp.array([0.5, 2.0])
LOGITS = jnp.array([[0.2, 0.1, -1e9], [0.0, 1.0, 2.0]])
ROWS = vj.Columns(
    {"reals": vj.DiagNormal(LOC, SCALE), "categories": vj.Categorical(LOGITS)},
    (("reals", (2, 0)), ("categories", (1, 3))),
)


def test_a_row_has_the_density_of_its_product_and_a_gap_none() -> None:
    row = jnp.array([1.0, 0.0, 0.3, 2.0])
    product = vj.Product(ROWS.groups)
    parts = product.log_probs({"reals": row[jnp.array([2, 0])], "categories": jnp.array([0, 2])})
    each = jnp.array([parts["reals"][1], parts["categories"][0], parts["reals"][0], parts["categories"][1]])
    np.testing.assert_allclose(ROWS.log_probs(row), each, rtol=1e-6)
    np.testing.assert_allclose(ROWS.log_prob(row), each.sum(), rtol=1e-6)
    for j in range(4):
        gap = row.at[j].set(jnp.nan)
        np.testing.assert_allclose(ROWS.log_prob(gap), each.sum() - each[j], rtol=1e-5)
    assert ROWS.log_prob(jnp.full(4, jnp.nan)) == 0.0


def test_gaps_do_not_reach_the_gradient_and_impossible_choices_never_come() -> None:
    row = jnp.array([jnp.nan, 0.0, 0.3, jnp.nan])

    def log_prob(loc, logits):
        return vj.Columns(
            {"reals": vj.DiagNormal(loc, SCALE), "categories": vj.Categorical(logits)}, ROWS.places
        ).log_prob(row)

    slopes = jax.grad(log_prob, argnums=(0, 1))(LOC, LOGITS)
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert slopes[0][1] == 0.0
    assert not slopes[1][1].any()
    assert ROWS.sample(jax.random.key(0), (500,))[:, 1].max() == 1.0


def test_a_row_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value must be one event of shape \(4,\), got \(5, 4\)"):
        ROWS.log_prob(jnp.zeros((5, 4)))


@pytest.mark.parametrize(
    "places",
    [(("a", (0, 2)),), (("a", (0, 1)), ("b", (1,))), (("b", (0, 1)),), (("a", (0, 0)),)],
)
def test_places_that_skip_or_repeat_a_column_are_refused(places) -> None:
    columns = vj.Columns({"a": vj.DiagNormal(jnp.zeros(2), jnp.ones(2))}, places)
    with pytest.raises(ValueError, match=r"Columns: places must be 0\.\.\d, each once, of a, got"):
        columns.log_prob(jnp.zeros(columns.event_shape))
