"""How well codes separate known factors: scores of plain arrays, `codes` `[n, d]` and `factors` `[n, f]`.

No model is needed, so codes of any library can be scored. A factor of whole numbers, stored as integers or not, is one
of classes: they are only told apart, never compared, so a score does not change when they are renamed. Any other
factor is a real number, and each score says what it does with one. A code or a factor whose numbers differ by their
rounding alone is constant (`factors.py`). ValueError, saying what to mend, for fewer than two examples, numbers that
are not finite, arrays of different length, and a factor of one value. What is drawn is drawn from `key`, by default
`jax.random.key(0)`.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from vae_jax.core.checks import check_key
from vae_jax.core.types import Key
from vae_jax.evaluate.factors import Factor, checked, pieces, varies

# Every code may be asked at every split: where one tells the factor, no other gets a share.
_FOREST: dict[str, Any] = {"n_estimators": 10, "max_features": None}
# In the primal a machine is deterministic, and fast for one feature.
_MACHINE: dict[str, Any] = {"C": 0.01, "class_weight": "balanced", "dual": False}
# Most examples that a classifier is trained and tested on.
_TRAIN, _TEST = 10_000, 5_000
# Numbers that are looked up at once.
_BLOCK = 2**20


class DCI(NamedTuple):
    """Three shares between 0 and 1.

    `disentanglement`: whether a code serves one factor. `completeness`: whether a factor is served by one code.
    `informativeness`: how much better than the commonest value, or the mean, the factors are told from the codes.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def mutual_information(codes: Any, factors: Any) -> tuple[np.ndarray, np.ndarray]:
    """`(I(z_j; factor) [d, f], H(factor) [f])` in nats, of codes cut into 20 pieces between their extremes.

    A factor that is a real number is cut in the same way. A plug-in estimate: codes that say nothing have about
    `19 (values − 1) / 2n` nats.
    """
    codes, known = checked("mutual_information", codes, factors)
    cut, classes = [pieces(code) for code in codes.T], [factor.pieces for factor in known]
    entropies = np.array([_entropy(np.bincount(each)) for each in classes])
    information = np.zeros((len(cut), len(classes)))
    for i, piece in enumerate(cut):
        for j, each in enumerate(classes):
            joint = np.bincount(piece * (each.max() + 1) + each)
            information[i, j] = _entropy(np.bincount(piece)) + entropies[j] - _entropy(joint)
    return np.maximum(information, 0.0), entropies


def mig(codes: Any, factors: Any) -> float:
    """Mutual information gap: how much more the best code says of a factor than the next, as a share of its entropy.

    Of codes `[n, d]` and factors `[n, f]`, the mean over factors. 1 where each factor has one code to itself that
    tells it, 0 where two say it equally well. Of a factor that is a real number it is that of 20 pieces of equal width.

    Source: Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942.
    """
    information, entropies = mutual_information(codes, factors)
    return float(np.mean(_gap(information) / entropies))


def modularity(codes: Any, factors: Any) -> float:
    """Whether each code speaks of one factor, however many codes do: the mean over codes of `1 − Σ others² / best²`.

    Of codes `[n, d]` and factors `[n, f]`. The sum is divided by the number of the others. 1 where each code has one
    factor; a code that says nothing counts as 0. ValueError for fewer than two factors. One that is a real number is
    cut into 20 pieces of equal width.

    Source: Learning Deep Disentangled Embeddings with the F-Statistic Loss, arXiv 1802.05312.
    """
    information, _ = mutual_information(codes, factors)
    if information.shape[1] < 2:
        raise ValueError("modularity: one factor cannot be mixed with others; at least two are needed.")
    squared = np.square(information)
    best = squared.max(axis=1)
    others = (squared.sum(axis=1) - best) / (information.shape[1] - 1)
    return float(np.mean(np.where(best > 0.0, 1.0 - others / np.where(best > 0.0, best, 1.0), 0.0)))


def sap(codes: Any, factors: Any, *, key: Key | None = None) -> float:
    """Separated attribute predictability: how much better one code alone tells a factor than the next best code.

    Of codes `[n, d]` and factors `[n, f]`, the mean over factors of the gap in test accuracy of linear support-vector
    machines of one code each, C = 0.01 and balanced classes, as in the study that compared the metrics (arXiv
    1811.12359). Half of the examples train. The machines are penalised, so codes of another scale have another score.
    Of a factor that is a real number it is the gap in R² of linear regression on one code each, the squared correlation
    over all examples.

    Source: Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, arXiv 1711.00848.
    """
    codes, known = checked("sap", codes, factors)
    train, test = _halves("sap", known, _generator("sap", key))
    moving = varies(codes)
    told = np.zeros((codes.shape[1], len(known)))
    for j, factor in enumerate(known):
        if factor.real:
            told[moving, j] = [np.square(np.corrcoef(code, factor.values)[0, 1]) for code in codes[:, moving].T]
        else:
            told[:, j] = [_machine_accuracy(code[:, None], factor.values, train, test) for code in codes.T]
    return float(np.mean(_gap(told)))


def _machine_accuracy(code: np.ndarray, classes: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    from sklearn.svm import LinearSVC

    machine: Any = LinearSVC(**_MACHINE)
    return _fitted(machine, code[train], classes[train]).score(code[test], classes[test])


def dci(codes: Any, factors: Any, *, key: Key | None = None) -> DCI:
    """Disentanglement, completeness and informativeness, of the importances of codes in a random forest per factor.

    Of codes `[n, d]` and factors `[n, f]`. Half of the examples train. A forest is the paper's choice; the study that
    compared the metrics (arXiv 1811.12359) boosted trees instead, whose numbers differ. Disentanglement weighs codes by
    their importance. Informativeness is `1 − error / error of a guess without codes` on the other half, at least 0, the
    mean over the factors that have two values there, NaN where none has. The error of classes is how often they are
    mistaken, and the guess their commonest; that of a factor that is a real number is the mean square, and the guess
    its mean.

    Source: A Framework for the Quantitative Evaluation of Disentangled Representations (ICLR 2018).
    """
    codes, known = checked("dci", codes, factors)
    random = _generator("dci", key)
    train, test = _halves("dci", known, random)
    importance, informed = np.zeros((codes.shape[1], len(known))), []
    for j, factor in enumerate(known):
        forest = _fitted(_forest(factor, int(random.integers(2**31))), codes[train], factor.values[train])
        importance[:, j] = forest.feature_importances_
        guesses, right = forest.predict(codes[test]), factor.values[test]
        if factor.real:
            error, chance = np.mean(np.square(guesses - right)), np.var(right)
        else:
            error, chance = np.mean(guesses != right), 1.0 - np.max(np.bincount(right)) / len(right)
        if chance > 0.0:
            informed.append(1.0 - error / chance)
    weights = importance.sum(axis=1) / max(importance.sum(), 1e-12)
    return DCI(
        disentanglement=float(np.sum(weights * _concentration(importance))),
        completeness=float(np.mean(_concentration(importance.T))),
        informativeness=float(np.mean(np.clip(informed, 0.0, 1.0))) if informed else float("nan"),
    )


def _fitted(model: Any, codes: np.ndarray, values: np.ndarray) -> Any:
    """The model, fitted. Of a factor that has nearly as many values as there are examples scikit-learn would warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes is greater")
        return model.fit(codes, values)


def _forest(factor: Factor, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if factor.real else RandomForestClassifier)(**_FOREST, random_state=seed)


def beta_vae_score(codes: Any, factors: Any, *, key: Key | None = None, pairs: int = 64) -> float:
    """Accuracy of a linear classifier that tells which factor two groups of examples shared.

    Of codes `[n, d]` and factors `[n, f]`. For each of 10,000 training and 5,000 test points a factor is chosen, and
    `pairs` pairs that share its value (where it is a real number, one of 20 pieces of equal width); the point is the
    mean of `|z − z'|`, and logistic regression tells the factor. 1 is perfect, 1/f is chance.

    Source: beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (ICLR 2017).
    """
    from sklearn.linear_model import LogisticRegression

    codes, known = checked("beta_vae_score", codes, factors)
    random = _generator("beta_vae_score", key)
    points, chosen = np.zeros((_TRAIN + _TEST, codes.shape[1])), random.integers(len(known), size=_TRAIN + _TEST)
    for j, factor in enumerate(known):
        same = _Same(factor.pieces)
        rows = np.flatnonzero(chosen == j)
        first = random.integers(len(codes), size=(len(rows), pairs))
        second = same.draw(first, random)
        points[rows] = _in_blocks(lambda z, other: np.abs(z - other).mean(axis=1), codes, first, second)
    if len(known) == 1:
        return 1.0
    model = _fitted(LogisticRegression(max_iter=2000), points[:_TRAIN], chosen[:_TRAIN])
    return float(model.score(points[_TRAIN:], chosen[_TRAIN:]))


def factor_vae_score(codes: Any, factors: Any, *, key: Key | None = None, group: int = 64) -> float:
    """Accuracy of a vote on which factor was held still, by the code that moved least.

    Of codes `[n, d]` and factors `[n, f]`. For each of 10,000 training and 5,000 test votes a factor is chosen and
    `group` examples that share one value of it (where it is a real number, one of 20 pieces of equal width); the vote
    is the code of least variance, in units of its variance over all examples. Each code speaks for the factor it was
    most often chosen with. Codes that never move do not vote. 1 is perfect, 1/f is chance. ValueError where no code
    moves.

    Source: Disentangling by Factorising, arXiv 1802.05983.
    """
    codes, known = checked("factor_vae_score", codes, factors)
    # A code that never moves would always move least.
    codes = codes[:, varies(codes)]
    if codes.shape[1] == 0:
        raise ValueError("factor_vae_score: all codes are constant, so there is nothing to vote with.")
    codes = codes / codes.std(axis=0)
    random = _generator("factor_vae_score", key)
    chosen = random.integers(len(known), size=_TRAIN + _TEST)
    votes = np.zeros(len(chosen), int)
    for j, factor in enumerate(known):
        same = _Same(factor.pieces)
        rows = np.flatnonzero(chosen == j)
        fixed = np.repeat(random.integers(len(codes), size=(len(rows), 1)), group, axis=1)
        votes[rows] = _in_blocks(lambda z: z.var(axis=1).argmin(axis=1), codes, same.draw(fixed, random))
    table = np.zeros((codes.shape[1], len(known)))
    np.add.at(table, (votes[:_TRAIN], chosen[:_TRAIN]), 1)
    return float(np.mean(table.argmax(axis=1)[votes[_TRAIN:]] == chosen[_TRAIN:]))


def _in_blocks(of: Callable[..., np.ndarray], codes: np.ndarray, *drawn: np.ndarray) -> np.ndarray:
    """`of` the codes `[points, group, d]` of drawn rows `[points, group]`, a few points at a time."""
    points, group = drawn[0].shape
    step = max(1, _BLOCK // (group * codes.shape[1]))
    starts = range(0, max(points, 1), step)
    return np.concatenate([of(*(codes[rows[first : first + step]] for rows in drawn)) for first in starts])


class _Same:
    """Draws, for given rows, other rows (or the same) with the same value of a factor."""

    def __init__(self, factor: np.ndarray) -> None:
        _, self._rank, self._count = np.unique(factor, return_inverse=True, return_counts=True)
        self._order = np.argsort(self._rank, kind="stable")
        self._start = np.concatenate([[0], np.cumsum(self._count)[:-1]])

    def draw(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        rank = self._rank[rows]
        return self._order[self._start[rank] + (random.random(rows.shape) * self._count[rank]).astype(int)]


def _gap(scores: np.ndarray) -> np.ndarray:
    """`[f]`: the largest minus the next of each column of `[d, f]`; a code that is not there says nothing."""
    ordered = np.sort(np.concatenate([scores, np.zeros((1, scores.shape[1]))]), axis=0)
    return ordered[-1] - ordered[-2]


def _concentration(importance: np.ndarray) -> np.ndarray:
    """`[rows]`: 1 − the entropy of a row's shares by the largest it can be; 0 for a row of zeros, 1 for one column."""
    rows, columns = importance.shape
    if columns == 1:
        return np.ones(rows)
    total = importance.sum(axis=1, keepdims=True)
    shares = np.where(total > 0.0, importance / np.where(total > 0.0, total, 1.0), 1.0 / columns)
    return 1.0 + np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1) / np.log(columns)


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-np.sum(shares * np.log(shares)))


def _generator(name: str, key: Key | None) -> np.random.Generator:
    """What numpy and scikit-learn draw from, seeded by a JAX key."""
    key = jax.random.key(0) if key is None else key
    check_key(name, key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def _halves(name: str, factors: list[Factor], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and to test on: half each, up to 10,000 and 5,000."""
    size = len(factors[0].values)
    order = random.permutation(size)
    half = size // 2
    train, test = order[: min(half, _TRAIN)], order[half : half + _TEST]
    for j, factor in enumerate(factors):
        if len(np.unique(factor.values[train])) < 2:
            raise ValueError(
                f"{name}: {size} examples are too few: factor {j} has one value among the {len(train)} that train."
            )
    return train, test
