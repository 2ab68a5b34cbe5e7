import jax
import numpy as np

from tests.members import linear_gaussian_decoder, linear_gaussian_params
from vae_jax.evaluate.batched import example_log_marginals, log_marginal_batches
from vae_jax.evaluate.likelihood import LogMarginal
from vae_jax.measure import resumable as module
from vae_jax.measure.resumable import read_estimates, resumable
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

MODEL, PARAMS = linear_gaussian(), linear_gaussian_params(shift=0.2)
XS = np.asarray(marginal(linear_gaussian_decoder()).sample(jax.random.key(0), (23,)))
KEY = jax.random.key(1)


def batches_from(first: int):
    return log_marginal_batches(MODEL, PARAMS, KEY, XS, num_samples=30, first=first, batch_size=5)


def test_an_interrupted_evaluation_goes_on_where_it_stopped(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SAVE_SECONDS", 0.0)
    path = tmp_path / "partial.npz"
    run = resumable(path, "a", batches_from, size=23, kind=LogMarginal)
    for _ in range(3):
        next(run)
    run.close()
    assert path.is_file()

    asked = []

    def recorded(first: int):
        asked.append(first)
        return batches_from(first)

    *_, done = resumable(path, "a", recorded, size=23, kind=LogMarginal)
    assert asked == [15]
    assert not path.exists()
    whole = example_log_marginals(MODEL, PARAMS, KEY, XS, num_samples=30, batch_size=23)
    for found, expected in zip(done, whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_file_of_another_measurement_is_not_used(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SAVE_SECONDS", 0.0)
    path = tmp_path / "partial.npz"
    run = resumable(path, "k=30", batches_from, size=23, kind=LogMarginal)
    next(run)
    run.close()
    first = next(resumable(path, "k=31", batches_from, size=23, kind=LogMarginal))
    assert len(first.value) == 5


def test_a_file_that_cannot_be_read_is_of_no_measurement(tmp_path) -> None:
    path = tmp_path / "estimates.npz"
    np.savez(path, value=np.zeros(3))
    assert read_estimates(path, "a", LogMarginal) is None
    path.write_bytes(path.read_bytes()[:40])
    assert read_estimates(path, "a", LogMarginal) is None
    path.write_bytes(b"")
    assert read_estimates(path, "a", LogMarginal) is None
