import tracemalloc

import jax
import numpy as np
import pytest

import vae_jax as vj
from tests.members import linear_gaussian_decoder, linear_gaussian_params
from vae_jax.evaluate.batched import (
    batches,
    codes_at_once,
    encode_dataset,
    example_log_marginals,
    examples_at_once,
    join,
    mean_log_marginal,
)
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

MODEL, PARAMS = linear_gaussian(), linear_gaussian_params(shift=0.2)
XS = np.asarray(marginal(linear_gaussian_decoder()).sample(jax.random.key(0), (23,)))


def test_slices_cover_everything_once() -> None:
    assert [(s.start, s.stop) for s in batches(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert list(batches(0, 3)) == []


@pytest.mark.parametrize("batch_size", [1, 10, 23, 100])
def test_the_batch_changes_nothing_and_the_remainder_counts(batch_size: int) -> None:
    key = jax.random.key(0)
    found = example_log_marginals(MODEL, PARAMS, key, XS, num_samples=20, batch_size=batch_size)
    assert found.value.shape == (23,)
    expected = vj.log_marginal(MODEL, PARAMS, jax.random.fold_in(key, 22), XS[22], num_samples=20)
    np.testing.assert_allclose(found.value[22], expected.value, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "codes", "together"),
    [
        ((28, 28, 1), 100, 100),
        ((3,), 100, 100),
        ((64, 64, 3), 100, 6),
        ((128, 128, 3), 100, 1),
        ((2000, 2000, 3), 1, 1),
    ],
)
def test_large_examples_go_a_few_at_a_time(shape: tuple[int, ...], codes: int, together: int) -> None:
    x = np.zeros((2, *shape), np.uint8)
    assert codes_at_once(x) == codes
    assert examples_at_once(x, codes) == together


def test_bad_arguments() -> None:
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="the dataset is empty"):
        encode_dataset(MODEL, PARAMS, XS[:0])
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        encode_dataset(MODEL, PARAMS, XS, batch_size=0)
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        example_log_marginals(MODEL, PARAMS, key, XS[:0], num_samples=0)


def test_examples_without_a_tail_are_left_out_of_its_share() -> None:
    found = example_log_marginals(MODEL, PARAMS, jax.random.key(0), XS, num_samples=50)
    tails = np.r_[np.full(10, np.nan), np.full(5, 0.9), np.full(8, 0.1)]
    assert mean_log_marginal(found._replace(pareto_k=tails), num_samples=50).unreliable == pytest.approx(5 / 13)
    assert np.isnan(mean_log_marginal(found._replace(pareto_k=tails[:10]), num_samples=50).unreliable)


def test_the_two_errors_are_kept_apart() -> None:
    found = mean_log_marginal(
        example_log_marginals(MODEL, PARAMS, jax.random.key(0), XS, num_samples=50), num_samples=50
    )
    exact = jax.vmap(marginal(linear_gaussian_decoder()).log_prob)(XS)
    assert abs(found.value - float(exact.mean())) < 4 * found.monte_carlo_error
    assert found.examples_error == pytest.approx(float(exact.std(ddof=1)) / 23**0.5, rel=0.1)
    assert found.elbo < found.value
    assert (found.num_samples, found.num_examples) == (50, 23)


def test_encoding_keeps_the_distribution() -> None:
    q = encode_dataset(MODEL, PARAMS, XS, batch_size=10)
    assert q.loc.shape == (23, 2)
    np.testing.assert_allclose(jax.vmap(lambda one: one.mean)(q)[5], MODEL.encode(PARAMS, XS[5]).mean, rtol=1e-5)


def test_no_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="the dataset is empty"):
        join([])


def test_batches_of_a_known_number_are_not_held_beside_their_whole() -> None:
    parts = lambda: (np.full((100, 1000), i, np.float32) for i in range(40))
    tracemalloc.start()
    joined = join(({"x": part, "i": part[:, 0]} for part in parts()), 4000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * joined["x"].nbytes
    np.testing.assert_array_equal(joined["x"], join(parts()))
    np.testing.assert_array_equal(joined["i"], np.repeat(np.arange(40), 100))
