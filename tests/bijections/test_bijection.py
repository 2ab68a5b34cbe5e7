"""What holds of every bijection, and of those that compose several or turn one around."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.bijections.table import BIJECTIONS, SIZE, iaf, planar, stacked
from vae_jax.bijections.bijection import Bijection, Composed, Inverse, Reverse, permute, push_through

rows = pytest.mark.parametrize("bijection", BIJECTIONS.values(), ids=BIJECTIONS)
POINTS = 1.5 * jax.random.normal(jax.random.key(0), (20, SIZE))


@rows
def test_the_inverse_undoes_the_map_and_the_determinant_is_that_of_the_jacobian(bijection: Bijection) -> None:
    assert isinstance(bijection, Bijection)

    @jax.jit
    @jax.vmap
    def check(z):
        y, log_det = bijection.forward(z)
        back, inverse_log_det = bijection.inverse(y)
        jacobian = jax.jacfwd(lambda z: bijection.forward(z)[0])(z)
        inverse_jacobian = jax.jacfwd(lambda y: bijection.inverse(y)[0])(y)
        return (y, back, bijection.forward(back)[0]), log_det, inverse_log_det, jacobian, inverse_jacobian

    (y, back, again), log_det, inverse_log_det, jacobian, inverse_jacobian = check(POINTS)
    # Where the map is flat its inverse is only as good as its image.
    np.testing.assert_allclose(again, y, atol=2e-5)
    np.testing.assert_allclose(back, POINTS, atol=2e-3)
    assert np.median(np.abs(back - POINTS)) < 2e-6
    np.testing.assert_allclose(log_det, np.linalg.slogdet(np.float64(jacobian))[1], rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=2e-3)
    np.testing.assert_allclose(inverse_jacobian @ jacobian, np.broadcast_to(np.eye(SIZE), jacobian.shape), atol=1e-2)


# The others compile for seconds; they run with `pytest -m slow`.
FAST = {"Planar", "Radial, expanding", "Inverse", "AffineCoupling"}


@pytest.mark.parametrize(
    "bijection",
    [pytest.param(BIJECTIONS[name], id=name, marks=() if name in FAST else pytest.mark.slow) for name in BIJECTIONS],
)
def test_the_inverse_has_second_derivatives(bijection: Bijection) -> None:
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), bijection)
        y, step = jnp.array([0.3, -0.8, 0.5]), 1e-5 * jnp.eye(SIZE)

        def number(y):
            z, log_det = wide.inverse(y)
            return log_det + jnp.sum(jnp.sin(z))

        @jax.jit
        def both(y):
            slope = jax.grad(number)
            differences = jax.vmap(lambda h: (slope(y + h) - slope(y - h)) / 2e-5)(step)
            return jax.hessian(number)(y), differences

        hessian, differences = both(y)
    np.testing.assert_allclose(hessian, differences, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "numbers", "point"),
    [
        pytest.param(name, *kinds, marks=() if name in FAST and kinds == ("bfloat16", "bfloat16") else pytest.mark.slow)
        for name in BIJECTIONS
        for kinds in (("bfloat16", "bfloat16"), ("float32", "bfloat16"), ("float64", "float32"))
    ],
)
def test_a_code_may_be_narrower_than_the_numbers_of_a_layer(name: str, numbers: str, point: str) -> None:
    """As in half precision, and under x64 where a network gave the code in 32 bits."""
    bijection = BIJECTIONS[name]
    with jax.enable_x64(numbers == "float64"):
        cast = jax.tree.map(lambda leaf: leaf.astype(numbers), bijection)
        z, gradient = POINTS[0].astype(point), jnp.ones(SIZE, point)
        y, log_det, pushed = jax.jit(push_through)(cast, z, gradient)
        back, _ = jax.jit(lambda y: cast.inverse(y))(y)
    expected = push_through(bijection, POINTS[0], jnp.ones(SIZE))
    for found, exact in zip((y, log_det, pushed, back), (*expected, POINTS[0]), strict=True):
        np.testing.assert_allclose(np.float64(found), exact, rtol=0.3, atol=0.3)


def test_inverse_turns_around() -> None:
    one, two = planar(1), iaf(2)
    z = jnp.array([0.1, -0.4, 0.8])
    by_hand = two.forward(one.forward(z)[0])[0]
    turned = Inverse(Composed((one, two)))
    np.testing.assert_allclose(turned.forward(by_hand)[0], z, atol=1e-5)
    np.testing.assert_allclose(turned.inverse(z)[0], by_hand, atol=1e-6)


def test_equal_layers_stacked_are_the_same_layers_composed() -> None:
    layers = [planar(seed) for seed in (1, 2, 3)]
    one, other = stacked(*layers), Composed(tuple(layers))
    z, gradient = jnp.array([0.1, -0.4, 0.8]), jnp.array([1.0, -2.0, 0.5])
    everything = jax.jit(lambda layers: (layers.forward(z), layers.inverse(z), layers.push(z, gradient)))
    for a, b in zip(*map(jax.tree.leaves, map(everything, (one, other))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_gradient_is_pushed_through_several_by_the_jacobian_of_all() -> None:
    composed, z, gradient = Composed((planar(1), permute([2, 0, 1]))), POINTS[0], jnp.array([1.0, -2.0, 0.5])
    y, log_det, pushed = jax.jit(push_through)(composed, z, gradient)
    jacobian, slope = (np.asarray(part, np.float64) for part in jax.jit(jax.jacobian(composed.forward))(z))
    np.testing.assert_allclose(y, composed.forward(z)[0], rtol=1e-6)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-4)
    np.testing.assert_allclose(pushed, np.linalg.solve(jacobian.T, np.asarray(gradient) - slope), rtol=1e-4)


def test_orders_of_coordinates_are_undone() -> None:
    z = jnp.array([1.0, 2.0, 3.0])
    assert permute([2, 0, 1]).forward(z)[0].tolist() == [3.0, 1.0, 2.0]
    assert Reverse().forward(z)[0].tolist() == [3.0, 2.0, 1.0]
    for order in (permute([2, 0, 1]), Reverse()):
        y, log_det = order.forward(z)
        assert order.inverse(y)[0].tolist() == z.tolist()
        assert log_det == order.inverse(y)[1] == 0.0


def test_bad_shapes_and_permutations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"permute: order must hold each of 0..2 once, got \(0, 0, 2\)"):
        permute([0, 0, 2])
    with pytest.raises(ValueError, match=r"must be one event of shape \(3,\), got \(4,\)"):
        permute([2, 0, 1]).forward(jnp.zeros(4))
    with pytest.raises(ValueError, match=r"Permute.inverse: y must be one event of shape \(3,\), got \(4,\)"):
        permute([2, 0, 1]).inverse(jnp.zeros(4))


@pytest.mark.parametrize("name", ["Planar", "Radial, expanding", "Permute"])
def test_a_batch_is_refused_with_advice_that_helps(name: str) -> None:
    bijection = BIJECTIONS.get(name, permute([2, 0, 1]))
    for method, point in (("forward", "z"), ("inverse", "y")):
        with pytest.raises(ValueError, match=rf"\.{method}: {point} must be one event of .* For a batch: ") as refused:
            getattr(bijection, method)(POINTS)
        advice = str(refused.value).partition("For a batch: ")[2].rstrip(".")
        images, _ = eval(advice, {"jax": jax, "bijection": bijection, point: POINTS})
        np.testing.assert_allclose(images[0], getattr(bijection, method)(POINTS[0])[0], rtol=1e-5)
