"""The estimator is one of scikit-learn, and its numbers are those of the model."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from vae_jax.commands.estimator import VAETransformer

SMALL = VAETransformer(hidden=(4,), epochs=2, num_samples=2, random_state=0)
RANDOM = np.random.default_rng(0)
# Rows of a normal with a full covariance, in units from 0.01 to 1000.
MIX = RANDOM.normal(size=(5, 5))
SCALES = np.array([0.01, 0.1, 1.0, 30.0, 1000.0])
ROWS = (RANDOM.normal(size=(400, 5)) @ MIX) * SCALES + SCALES


@pytest.mark.slow
@parametrize_with_checks([SMALL])
def test_it_keeps_every_rule_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def test_codes_reconstructions_samples_and_densities_have_their_shapes() -> None:
    model = clone(SMALL).fit(ROWS)
    codes = model.transform(ROWS[:7])
    assert codes.shape == (7, 2)
    assert model.inverse_transform(codes).shape == (7, 5)
    assert model.sample(3).shape == (3, 5)
    assert model.score_samples(ROWS[:7]).shape == (7,)
    assert model.score(ROWS[:7]) == pytest.approx(model.score_samples(ROWS[:7]).mean())
    # A row's numbers do not depend on those beside it.
    np.testing.assert_array_equal(codes[:2], model.transform(ROWS[:2]))
    assert list(model.get_feature_names_out()) == ["vaetransformer0", "vaetransformer1"]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(ROWS[:7]), codes)


def test_the_density_is_of_the_data_in_their_own_units() -> None:
    """A model of the standardised rows finds the same up to the logs of the scales."""
    own = clone(SMALL).set_params(epochs=30).fit(ROWS)
    scaled = (ROWS - ROWS.mean(0)) / ROWS.std(0)
    other = clone(own).fit(scaled)
    expected = other.score_samples(scaled[:50]) - np.log(ROWS.std(0)).sum()
    np.testing.assert_allclose(own.score_samples(ROWS[:50]), expected, atol=0.02)


@pytest.mark.slow
def test_it_works_in_a_pipeline_a_search_and_with_names() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(load_breast_cancer().data[:120, :4], columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), clone(SMALL)).set_output(transform="pandas")
    assert list(pipeline.fit_transform(frame).columns) == ["vaetransformer0", "vaetransformer1"]
    search = GridSearchCV(clone(SMALL), {"n_components": [1, 2]}, cv=2).fit(frame)
    assert search.best_params_["n_components"] in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "student_t"])
def test_other_likelihoods_take_their_data(likelihood: str) -> None:
    x = RANDOM.random((40, 3))
    model = clone(SMALL).set_params(likelihood=likelihood).fit(x)
    assert np.isfinite(model.score((x > 0.5) if likelihood == "bernoulli" else x))
    if likelihood != "student_t":
        with pytest.raises(ValueError, match=r"is for values between 0 and 1; X holds"):
            model.fit(2 * x)


def test_a_model_of_bits_scores_bits_of_grey_rows() -> None:
    grey = RANDOM.uniform(size=(60, 5))
    model = clone(SMALL).set_params(likelihood="bernoulli").fit(grey)
    scores = model.score_samples(grey)
    # Probabilities of bits, none of which a density of grey values has to be: the same for a row wherever it stands.
    bits = np.array([[(i >> j) & 1 for j in range(5)] for i in range(32)])
    # All rows share the draws of z, so their errors do not cancel.
    np.testing.assert_allclose(np.exp(model.set_params(num_samples=20_000).score_samples(bits)).sum(), 1.0, atol=0.05)
    model.set_params(num_samples=2)
    assert np.isin(scores.round(4), model.score_samples(bits).round(4)).all()
    np.testing.assert_allclose(model.score_samples(grey[::-1])[::-1], scores, rtol=1e-5)
    np.testing.assert_allclose(model.transform(grey[3:5]), model.transform(grey)[3:5], rtol=1e-4)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="--latent-size must be greater than 0"):
        VAETransformer(n_components=0).fit(ROWS)
    model = clone(SMALL).fit(ROWS)
    with pytest.raises(ValueError, match=r"Z must have shape \(n, 2\), got \(4,\)"):
        model.inverse_transform(np.zeros(4))
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="Z holds no codes"):
        model.inverse_transform(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="hidden must be a tuple with the size of each layer, got 4"):
        clone(SMALL).set_params(hidden=4).fit(ROWS)


def test_what_is_set_later_does_not_change_what_was_fitted() -> None:
    model = clone(SMALL).fit(ROWS)
    codes = model.transform(ROWS)
    model.set_params(n_components=3, likelihood="bernoulli")
    np.testing.assert_array_equal(model.transform(ROWS), codes)
    assert model.inverse_transform(codes).shape == ROWS.shape
    assert len(model.get_feature_names_out()) == 2


def test_sizes_may_be_whole_numbers_of_numpy() -> None:
    search = GridSearchCV(clone(SMALL), {"n_components": np.arange(1, 3), "hidden": [np.array([4, 3])]}, cv=2)
    assert search.fit(ROWS).best_params_["n_components"] in (1, 2)


def test_a_row_that_is_farther_than_float32_tells_has_the_least_score() -> None:
    model = clone(SMALL).fit(ROWS)
    scores = model.score_samples(np.concatenate([ROWS[:3], 1e30 * ROWS[:3]]))
    assert not np.isnan(scores).any()
    assert (scores[3:] == -np.inf).all()
