from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from vae_jax.search.bayesian import _shown, expected_improvement, normal_scores, search


def test_expected_improvement_is_its_integral() -> None:
    for mean, deviation, best in ((0.3, 0.5, 0.0), (-1.0, 0.2, 0.5), (2.0, 1.0, -0.4)):
        expected = scipy.stats.norm(mean, deviation).expect(
            lambda y, best=best: np.maximum(best - y, 0.0), lb=-15.0, ub=best
        )
        np.testing.assert_allclose(expected_improvement(mean, deviation, best), expected, rtol=1e-6, atol=1e-9)
    assert expected_improvement(1.0, 0.0, 0.0) == pytest.approx(0.0)


def test_normal_scores_keep_the_order_alone() -> None:
    found = normal_scores([3.0, -1.0, float("inf"), 3.0, 1e9])
    np.testing.assert_allclose(found, scipy.stats.norm.ppf([0.4, 0.1, 0.9, 0.4, 0.7]))


def _rounded(z: Any) -> list[str]:
    return [" ".join(f"{value:.1f}" for value in row) for row in np.asarray(z)]


def test_finds_the_bottom_of_a_bowl_and_scores_nothing_twice() -> None:
    scored: list[str] = []

    def score(string: str) -> float:
        scored.append(string)
        return sum((float(part) - 0.7) ** 2 for part in string.split())

    random = np.random.default_rng(0)
    codes = random.normal(size=(20, 2))
    best: list[float] = []
    found = search(
        score,
        _rounded,
        codes,
        _rounded(codes),
        random,
        rounds=4,
        batch=5,
        on_round=lambda n, one: best.append(one.score),
    )
    assert found[0].string == "0.7 0.7"
    assert found[0].round > 0
    assert len(scored) == len(set(scored)) == len(found)
    assert [one.round for one in found].count(4) == 5
    assert best == sorted(best, reverse=True)
    assert [one.score for one in found] == sorted(one.score for one in found)


def test_of_many_strings_the_best_and_some_others_are_seen() -> None:
    y = np.random.default_rng(0).normal(size=5000)
    shown = _shown(y, np.random.default_rng(1))
    assert len(set(shown.tolist())) == len(shown) == 1000
    assert set(np.argsort(y)[:500].tolist()) <= set(shown.tolist())


def test_what_has_no_score_is_kept_as_such_and_the_rest_goes_on() -> None:
    random = np.random.default_rng(0)
    codes = random.normal(size=(12, 2))

    def score(string: str) -> float:
        return float("inf") if string.startswith("-") else abs(float(string.split()[0]))

    found = search(score, _rounded, codes, _rounded(codes), random, rounds=2, batch=4)
    assert np.isinf(found[-1].score)
    assert np.isfinite(found[0].score)
    with pytest.raises(ValueError, match="no score of the strings that it starts from is finite"):
        search(lambda string: float("inf"), _rounded, codes, _rounded(codes), random)


def test_ends_where_nothing_new_can_be_written() -> None:
    codes = np.random.default_rng(0).normal(size=(5, 2))
    found = search(len, lambda z: ["a"] * len(z), codes, ["a"] * 5, np.random.default_rng(0), rounds=3)
    assert [one.string for one in found] == ["a"]
