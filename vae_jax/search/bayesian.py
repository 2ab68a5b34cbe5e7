"""Bayesian optimisation in a latent space: a Gaussian process guesses the scores of codes, and picks the next to try.

The process is scikit-learn's. Source: Grammar Variational Autoencoder, arXiv 1703.01925, section 4.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

# The process sees at most so many strings, half of them the best: its cost grows with the cube of their number.
_SEEN = 1000
# A round has so many candidates. Half of them are moved from the best codes found so far, of which there are so many.
_CANDIDATES, _BEST = 2000, 20
# After each pick the improvement is guessed anew for so many candidates.
_SHORTLIST = 300


class Found(NamedTuple):
    """A string with its score, and the round in which it was found: 0 where it was given."""

    string: str
    score: float
    round: int


def expected_improvement(mean: Any, deviation: Any, best: float) -> np.ndarray:
    """The expected improvement `E max(best − score, 0)`, where a score is normal with this mean and deviation."""
    mean, deviation = np.asarray(mean, np.float64), np.maximum(np.asarray(deviation, np.float64), 1e-12)
    gap = best - mean
    return gap * norm.cdf(gap / deviation) + deviation * norm.pdf(gap / deviation)


def search(
    score: Callable[[str], float],
    decode: Callable[[np.ndarray], Sequence[str]],
    codes: np.ndarray,
    strings: Sequence[str],
    random: np.random.Generator,
    *,
    rounds: int = 10,
    batch: int = 50,
    on_round: Callable[[int, Found], None] = lambda number, best: None,
) -> list[Found]:
    """Strings with the lowest scores first: those given, and `batch` new ones a round.

    `score(string)`: to be made small; infinite where there is none; the process sees the order of scores alone.
    `decode(z [n, d])`: a string for each code. `codes` `[n, d]` and `strings`: where the search starts. Candidates are
    codes moved from the best and drawn from a normal like all codes; a round scores those of them that no code gave
    before and that are expected to improve most, each as if those picked before it had scored what was guessed of
    them. `on_round(number, best)`: told the best new string so far. ValueError where no score is finite.
    """
    scored: dict[str, Found] = {}
    for string in strings:
        scored.setdefault(string, Found(string, score(string), 0))
    z, tried = np.asarray(codes, np.float64), list(strings)
    centre, spread = z.mean(axis=0), z.std(axis=0)
    for number in range(1, rounds + 1):
        y = normal_scores([scored[string].score for string in tried])
        # New ones among all candidates, each string once.
        candidates = _candidates(z, y, centre, spread, random)
        fresh = {string: i for i, string in enumerate(decode(candidates)) if string not in scored}
        if not fresh:
            break
        names, places = list(fresh), np.array(list(fresh.values()))
        rows = _shown(y, random)
        for i in _picked(z[rows], y[rows], candidates[places], batch):
            scored[names[i]] = Found(names[i], score(names[i]), number)
            z, tried = np.concatenate([z, candidates[places[i]][None]]), [*tried, names[i]]
        on_round(number, min((string for string in scored.values() if string.round), key=_score))
    return sorted(scored.values(), key=_score)


def _score(found: Found) -> float:
    return found.score


def normal_scores(scores: Sequence[float]) -> np.ndarray:
    """Scores as quantiles of a normal, in the same order. Equal scores stay equal; strings without a score come last.

    The worst scores may be larger by orders of magnitude, and would otherwise decide the whole fit.
    ValueError where no score is finite.
    """
    if not np.isfinite(scores).any():
        raise ValueError("search: no score of the strings that it starts from is finite.")
    return norm.ppf((rankdata(scores) - 0.5) / len(scores))


def _shown(y: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The rows that the process sees: the best, and as many of the others."""
    order = np.argsort(y)
    half = _SEEN // 2
    return order if len(y) <= _SEEN else np.concatenate([order[:half], random.permutation(order[half:])[:half]])


def _candidates(
    z: np.ndarray, y: np.ndarray, centre: np.ndarray, spread: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    best = z[np.argsort(y)[:_BEST]]
    moved = best[random.integers(len(best), size=_CANDIDATES // 2)]
    # Steps of all sizes, as it is not known how far the next string is.
    size = np.exp(random.uniform(np.log(0.02), np.log(1.0), size=(len(moved), 1)))
    moved = moved + size * spread * random.normal(size=moved.shape)
    drawn = centre + spread * random.normal(size=(_CANDIDATES - len(moved), z.shape[1]))
    return np.concatenate([moved, drawn])


def _picked(z: np.ndarray, y: np.ndarray, candidates: np.ndarray, batch: int) -> list[int]:
    """Candidates in the order of their expected improvement. For each, the guesses of earlier picks count as scores."""
    kernel = ConstantKernel(1.0) * Matern(np.sqrt(z.shape[1]), (1e-2, 1e3), nu=2.5) + WhiteKernel(1e-2, (1e-6, 1e1))
    process = GaussianProcessRegressor(kernel, normalize_y=True)
    with warnings.catch_warnings():
        # A length or a noise at the end of its range is an answer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(z, y)
    fixed = GaussianProcessRegressor(process.kernel_, optimizer=None, normalize_y=True)  # pyright: ignore[reportArgumentType]
    best = float(y.min())
    shortlist = np.argsort(_gain(process, candidates, best)[0])[::-1][: max(batch, _SHORTLIST)]
    picked: list[int] = []
    while len(picked) < min(batch, len(shortlist)):
        gain, mean = _gain(process, candidates[shortlist], best)
        gain[picked] = -1.0
        picked.append(int(np.argmax(gain)))
        z, y = np.concatenate([z, candidates[shortlist[picked[-1:]]]]), np.append(y, mean[picked[-1]])
        process = fixed.fit(z, y)
    return shortlist[picked].tolist()


def _gain(process: GaussianProcessRegressor, codes: np.ndarray, best: float) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = process.predict(codes, return_std=True)  # pyright: ignore[reportAssignmentType]
    return expected_improvement(mean, deviation, best), mean
