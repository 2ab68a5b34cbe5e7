"""Independent elements: the log-density of an example under a marginal for each of its elements, fitted to others.

What a model of the whole example must exceed. All take training values `[n, …]` and test values `[m, …]`, NumPy arrays,
and give nats `[m, …]`, of each element. Training values are many and may be bytes: none of them are copied at once.
Where there are `levels`, training values are shares of it.
"""

import numpy as np
from scipy import special

from vae_jax.core.moments import moments

# A constant has no standard deviation: it gets this share of the largest, as do pixels with less.
_LEAST_SPREAD = 0.01


def independent_bits(train: np.ndarray, test: np.ndarray, levels: int = 1) -> np.ndarray:
    """Of Bernoulli variables with the training means, which may be shares; half an example is added to each side."""
    size = len(train)
    p = (train.sum(axis=0, dtype=np.float64) / levels + 0.5) / (size + 1.0)
    return np.where(test > 0.5, np.log(p), np.log1p(-p))


def independent_choices(train: np.ndarray, test: np.ndarray, levels: int) -> np.ndarray:
    """Of the training frequencies of 0..`levels`; half an example is added to each."""
    flat, shape = train.reshape(len(train), -1), test.shape
    elements = np.arange(flat.shape[1])
    counts = np.zeros((flat.shape[1], levels + 1))
    for row in flat:
        counts[elements, row.astype(np.int64)] += 1.0
    log_p = np.log(counts + 0.5) - np.log(len(train) + 0.5 * (levels + 1))
    return log_p[elements[None], test.reshape(len(test), -1).astype(np.int64)].reshape(shape)


def independent_counts(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Of negative binomials with the training mean and variance, or Poisson variables where that is no larger."""
    found = moments(train)
    mean = np.maximum(found.mean, 0.5 / len(train))
    excess = np.maximum(found.variance - mean, 1e-6 * mean)
    concentration = np.square(mean) / excess
    v = test.astype(np.float64)
    combinations = special.gammaln(v + concentration) - special.gammaln(concentration) - special.gammaln(v + 1.0)
    return combinations - (concentration + v) * np.log1p(mean / concentration) + v * np.log(mean / concentration)


def independent_normals(train: np.ndarray, test: np.ndarray, levels: int = 1) -> np.ndarray:
    """Of normals with the training moments. The columns of a table `[n, d]` may be of any scale, pixels are of one.

    NaN is a gap: training values leave it out, and of a test value it is NaN.
    """
    found = moments(train, lambda some: some / levels)
    spread = np.sqrt(found.variance)
    least = max(_LEAST_SPREAD * np.nanmax(spread), np.finfo(np.float32).tiny)
    largest = np.maximum(np.abs(found.least), np.abs(found.most))
    # In steps of float32, a column that varies at all has more.
    too_small = spread <= 1e-7 * largest if train.ndim == 2 else spread < least
    spread = np.where(too_small, least, spread)
    z = (test.astype(np.float64) - found.mean) / spread
    return -0.5 * np.square(z) - np.log(spread) - 0.5 * np.log(2.0 * np.pi)
