from types import SimpleNamespace

import numpy as np
import pytest

from tests.runs import measured
from vae_jax.core.errors import RequestError
from vae_jax.evaluate.batched import mapped
from vae_jax.measure import annealed, resumable
from vae_jax.measure.annealed import ANNEALED, check_annealed


@pytest.mark.slow
def test_an_interrupted_annealing_goes_on(digits, monkeypatch) -> None:
    run, state = digits
    monkeypatch.setattr(annealed, "_BATCH", 2)
    monkeypatch.setattr(resumable, "_SAVE_SECONDS", 0.0)
    options = {"annealed_examples": 5, "temperatures": 10, "seed": 4}
    whole = measured(run, state, ANNEALED, **options)

    def stopped(steps, *args):
        next(steps)
        next(steps)
        steps.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as stop:
        stop.setattr(annealed, "finished", stopped)
        with pytest.raises(KeyboardInterrupt):
            measured(run, state, ANNEALED, **options)
    (partial,) = run.directory.glob("*annealed.partial.npz")
    assert len(np.load(partial)["value"]) == 4
    monkeypatch.setattr(annealed, "mapped", lambda *args, first, **options: recorded(first, *args, **options))
    first_asked = []

    def recorded(first, *args, **options):
        first_asked.append(first)
        return mapped(*args, first=first, **options)

    assert measured(run, state, ANNEALED, **options) == whole
    assert first_asked == [4]
    assert not partial.exists()


def test_a_posterior_without_a_density_has_nothing_to_stand_beside_it() -> None:
    with pytest.raises(RequestError, match="for which this posterior has no density"):
        check_annealed(SimpleNamespace(has_density=False))
