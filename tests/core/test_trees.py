import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.core.trees import by_name, first_difference, first_example, freeze, num_examples, summed


def test_freeze_leaves_integers_and_functions_alone() -> None:
    tree = {"a": jnp.ones(2), "n": jnp.arange(2), "f": len}
    frozen = freeze(tree)
    assert frozen["f"] is len
    np.testing.assert_array_equal(frozen["n"], tree["n"])


def test_freeze_holds_the_gradient_of_every_leaf_back() -> None:
    tree = {"a": jnp.array([1.0, 2.0]), "b": (jnp.array(3.0),)}
    product = lambda tree: jnp.sum(tree["a"]) * tree["b"][0]
    value, slope = jax.value_and_grad(lambda tree: product(freeze(tree)) + product(tree))(tree)
    assert value == 2.0 * product(tree)
    assert [leaf.tolist() for leaf in jax.tree.leaves(slope)] == [[3.0, 3.0], 3.0]


def test_examples_are_counted_and_the_first_is_taken_from_every_array() -> None:
    stacked = {"x": np.arange(6.0).reshape(3, 2), "label": np.array([7, 8, 9])}
    assert num_examples(stacked) == 3
    first = first_example(stacked)
    assert first["x"].tolist() == [0.0, 1.0]
    assert first["label"] == 7


def test_arrays_of_several_lengths_are_no_examples() -> None:
    with pytest.raises(ValueError, match=r"must have the same length, got lengths \[2, 3\]"):
        num_examples({"x": np.zeros((3, 2)), "label": np.zeros(2)})


def test_a_sum_keeps_the_digits_of_narrow_numbers() -> None:
    narrow = jnp.full(10_000, 1.1, jnp.bfloat16)
    assert summed(narrow).dtype == jnp.float32
    np.testing.assert_allclose(summed(narrow), 10_000 * float(narrow[0]), rtol=1e-5)
    assert summed(jnp.arange(3.0)).dtype == jnp.arange(3.0).dtype


def test_leaves_have_names_and_the_first_that_differs_is_told() -> None:
    tree = {"params": {"Dense_0": {"kernel": np.ones((2, 3))}}, "layers": [np.ones(4), jax.random.key(0)]}
    assert list(by_name(tree)) == ["layers.0", "layers.1", "params.Dense_0.kernel"]
    assert first_difference(tree, jax.tree.map(lambda leaf: leaf, tree)) is None
    other = tree | {"params": {"Dense_0": {"kernel": np.ones((2, 4))}}}
    assert first_difference(tree, other) == ("params.Dense_0.kernel", "(2, 3)", "(2, 4)")
    assert first_difference(tree, {"params": tree["params"]}) == ("layers.0", "(4,)", "none")
    assert first_difference({"params": tree["params"]}, tree) == ("layers.0", "none", "(4,)")
