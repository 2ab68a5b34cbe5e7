import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data.columns import Column
from vae_jax.data.units import Units
from vae_jax.nets.columns import ColumnsHead, OneRow

COLUMNS = (
    Column("age", "reals"),
    Column("sex", "bits", ("f", "m")),
    Column("city", "categories", ("Köln", "Oslo", "Rome")),
    Column("visits", "counts"),
    Column("income", "reals"),
)
UNITS = Units(np.array([40, 0.6, 1.1, 2.0, 3e4], np.float32), np.array([12, 0.5, 0.8, 1.4, 9e3], np.float32))


def test_a_network_sees_numbers_near_one_and_which_were_observed() -> None:
    row = jnp.array([52.0, 1.0, 2.0, 2.0, jnp.nan])
    seen = OneRow(COLUMNS, UNITS).apply({}, row)
    expected = [1, 1, 1, 1, 0, *[1.0], *[0, 0, 1], *[0.0], *[1.0, 0.0]]
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    nothing = OneRow(COLUMNS, UNITS).apply({}, jnp.full(5, jnp.nan))
    np.testing.assert_array_equal(nothing, 0.0)
    with pytest.raises(ValueError, match=r"must be one row of 5 columns, got shape \(2, 5\)"):
        OneRow(COLUMNS, UNITS).apply({}, jnp.zeros((2, 5)))


def test_a_head_starts_at_the_marginals_and_learns_every_column() -> None:
    head = ColumnsHead(COLUMNS, UNITS, 1.0)
    assert head.outputs == (1, 1, 3, 1, 1)
    out = jnp.zeros(7)
    variables = jax.jit(head.init)(jax.random.key(0), out)
    x = jax.jit(lambda v, key: head.apply(v, out).sample(key, (4000,)))(variables, jax.random.key(1))
    assert x.shape == (4000, 5)
    np.testing.assert_allclose(x.mean(axis=0)[jnp.array([0, 1, 3, 4])], UNITS.centre[[0, 1, 3, 4]], rtol=0.06)
    np.testing.assert_allclose(x.std(axis=0)[jnp.array([0, 4])], UNITS.spread[[0, 4]], rtol=0.05)
    slope = jax.jit(jax.grad(lambda v, out: head.apply(v, out).log_prob(x[0]), argnums=(0, 1)))(variables, out)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert (jnp.abs(slope[1]) > 0).all()


def test_each_column_of_a_wide_table_is_asked_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Column, "choices", property(lambda column: asked.append(1) or len(column.values)))
    columns = tuple(Column(str(j), "categories", ("a", "b", "c")[: 2 + j % 2]) for j in range(60))
    units = Units(np.zeros(60, np.float32), np.ones(60, np.float32))
    # Number i of the network's is i, so each column's logits say where they come from.
    logits = ColumnsHead(columns, units, 1.0).apply({}, jnp.arange(150.0)).groups["categories"].logits
    np.testing.assert_array_equal(logits[:3], [[0, 1, -1e9], [2, 3, 4], [5, 6, -1e9]])
    np.testing.assert_array_equal(logits[-1], [147, 148, 149])
    assert len(asked) <= 3 * len(columns)
