"""How well codes are separated where no factor is known: from one model's codes, or from several models'."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vae_jax.evaluate.factors import varies


def gaussian_total_correlation(codes: Any) -> float:
    """Total correlation in nats of the normal with the covariance of `codes` `[n, d]`: `−½ log det correlations`.

    0 where no two codes are correlated, infinite where one is a linear function of the others, as always for n <= d. A
    code that never moves, but for its rounding, is left out: it depends on nothing.

    Source: Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations, arXiv
    1811.12359.
    """
    codes, moves = _checked("gaussian_total_correlation", codes)
    moving = codes[:, moves]
    if moving.shape[1] < 2:
        return 0.0
    variances = np.linalg.eigvalsh(np.corrcoef(moving.T))
    # What a linear function leaves of the determinant is rounding, of either sign.
    dependent = variances[0] <= max(moving.shape) * np.finfo(np.float64).eps * variances[-1]
    return float("inf") if dependent else float(-0.5 * np.log(variances).sum())


def udr(models: Sequence[Any], *, informative: Sequence[Any] | None = None) -> np.ndarray:
    """Unsupervised disentanglement ranking: `[models]`, how well each model's codes are found again in the others'.

    `models`: the codes `[n, d_m]` of the same n examples under at least two models (that differ in their seed).
    `informative`: for each model which codes count, `[d_m]` of bool; the paper takes those of KL above 0.01. By default
    those that move. Codes are compared by the size of Spearman's rank correlation; a pair of models scores 1 where
    codes match one to one, up to order and sign, and a model's score is the median over the others. ValueError for
    fewer than two models, for codes of unequal n, or masks of other shapes.

    Source: Unsupervised Model Selection for Variational Disentangled Representation Learning, arXiv 1905.12614.
    """
    from scipy.stats import rankdata

    if len(models) < 2:
        raise ValueError(f"udr: a model is ranked by others, so at least two are needed, got {len(models)}.")
    codes, counted = (list(part) for part in zip(*(_checked("udr", means) for means in models), strict=True))
    if len({len(means) for means in codes}) > 1:
        raise ValueError(f"udr: all models must code the same examples, got {[len(means) for means in codes]} of them.")
    if informative is not None:
        shapes = [np.shape(mask) for mask in informative]
        if shapes != [(means.shape[1],) for means in codes]:
            raise ValueError(f"udr: informative must hold one mask [d] for each model, got shapes {shapes}.")
        counted = [np.asarray(mask, bool) & moves for mask, moves in zip(informative, counted, strict=True)]
    ranks = [rankdata(means[:, mask], axis=0) for means, mask in zip(codes, counted, strict=True)]
    scores = np.zeros((len(ranks), len(ranks)))
    for i, a in enumerate(ranks):
        for j, b in enumerate(ranks[:i]):
            scores[i, j] = scores[j, i] = _match(a, b)
    return np.array([np.median(np.delete(row, i)) for i, row in enumerate(scores)])


def _match(a: np.ndarray, b: np.ndarray) -> float:
    """How nearly the columns of one are those of the other: of each column of both, its best match by its share."""
    if not (a.shape[1] and b.shape[1]):
        return 0.0
    similar = np.abs(np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :])
    shares = [np.square(r.max(axis=0)) / np.maximum(r.sum(axis=0), 1e-300) for r in (similar, similar.T)]
    return float(sum(share.sum() for share in shares) / (a.shape[1] + b.shape[1]))


def _checked(name: str, codes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Codes `[n, d]` of float64, and which of them move."""
    codes = np.asarray(codes)
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(f"{name}: codes must have shape (n, d) with n >= 2, got {codes.shape}.")
    if not np.isfinite(codes).all():
        raise ValueError(f"{name}: the codes are not finite.")
    return codes.astype(np.float64), varies(codes)
