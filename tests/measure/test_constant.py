import math

import numpy as np
import scipy.stats

from tests.runs import experiment
from vae_jax.measure.constant import CONSTANT
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.train.run import create


def test_a_constant_has_the_density_of_one_normal_for_each_element(tmp_path) -> None:
    run = create(experiment("curve"), tmp_path / "run")
    subject = subject_of(run, run.initial())
    assert CONSTANT.answers(subject)
    train, test = run.dataset.train.x.astype(float), run.dataset.test.x.astype(float)
    expected = scipy.stats.norm.logpdf(test, train.mean(0), train.std(0)).sum(axis=1).mean()
    for found, is_worse in ((expected - 1.0, True), (expected + 1.0, False)):
        result = CONSTANT.measure(subject, Options(), {"log_marginal": found})
        assert math.isclose(result["constant_log_prob"], expected, rel_tol=1e-6)
        assert ("worse_than_constant" in result) == is_worse
    assert np.isfinite(expected)


def test_counts_and_bits_have_no_such_constant(tmp_path) -> None:
    run = create(experiment("digits"), tmp_path / "run")
    assert not CONSTANT.answers(subject_of(run, run.initial()))
