"""Bias and variance of gradients through choices: Gumbel-Softmax, straight-through, the score function and VIMCO.

    python benchmarks/discrete_gradients.py [FOLDER]

A model small enough to enumerate: two choices among three, normal x in four dimensions; the gradient is that of the
logits of q(z | x). Gumbel-Softmax and straight-through, with one sample, are measured against the exact gradient of the
ELBO at several temperatures; the score function with the other samples as baseline (`score(elbo)`), and VIMCO
(`score(iwae)`), against the exact gradient of their own bound at several k, by the sum over all k-tuples of codes.
Exact marginalisation has neither bias nor variance. In units of the norm of the exact gradient; 100,000 keys.
"""

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj
from vae_jax.pictures import plots

KEYS = 100_000
TEMPERATURES = (0.03, 0.1, 0.3, 0.6, 1.0, 2.0)
SAMPLES = (2, 3, 4, 5)
TABLE = jax.random.normal(jax.random.key(2), (2, 3, 4))
LOGITS = jnp.array([[0.5, -0.3, 0.1], [-0.8, 0.4, 0.2]])
X = jnp.array([0.4, -0.2, 0.9, 0.1])
CODES = jnp.stack([jax.nn.one_hot(jnp.array(pair), 3) for pair in product(range(3), repeat=2)])


def model(posterior: Callable[[Any], Any]) -> vj.VAE:
    return vj.VAE(
        encode=lambda logits, x: posterior(logits),
        decode=lambda logits, z: vj.DiagNormal(jnp.einsum("ik,ikd->d", z, TABLE), jnp.array(0.7)),
        prior=lambda logits: vj.OneHotCategorical(jnp.zeros((2, 3))),
    )


CHOICES = model(vj.OneHotCategorical)


def exact(bound: Any, k: int) -> Any:
    """The gradient of E bound(log_w) over k independent codes."""
    tuples = jnp.array(list(product(range(len(CODES)), repeat=k)))

    def value(logits: Any) -> Any:
        log_q = jax.vmap(vj.OneHotCategorical(logits).log_prob)(CODES)
        prior = CHOICES.prior(logits)
        log_p = jax.vmap(lambda z: prior.log_prob(z) + CHOICES.decode(logits, z).log_prob(X))(CODES)
        weights = jnp.exp(jnp.sum(log_q[tuples], axis=1))
        return jnp.sum(weights * jax.vmap(lambda rows: bound((log_p - log_q)[rows]))(tuples))

    return jax.grad(value)(LOGITS)


def spread(estimate: Callable[[Any, Any], Any], truth: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """(bias, its standard error) and (standard deviation, its own), as shares of the norm of the exact gradient."""
    slopes = jax.jit(jax.vmap(lambda key: jax.grad(estimate)(LOGITS, key)))(jax.random.split(jax.random.key(0), KEYS))
    slopes, truth = np.asarray(slopes, np.float64).reshape(KEYS, -1), np.asarray(truth, np.float64).ravel()
    size, off = np.linalg.norm(truth), slopes.mean(axis=0) - truth
    deviation = np.sqrt(slopes.var(axis=0).sum())
    # The squared norm of a mean of noise is not zero but its variance.
    noise = slopes.var(axis=0).sum() / KEYS
    bias = np.sqrt(max(off @ off - noise, 0.0))
    return (bias / size, np.sqrt(noise) / size), (deviation / size, deviation / size / np.sqrt(2 * KEYS))


def relaxed(posterior: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def bound(logits: Any, key: Any) -> Any:
        terms = vj.elbo_terms(model(posterior), logits, key, X)
        return terms.log_likelihood - jnp.sum(terms.kl)

    return bound


def sampled(bound: Any, k: int) -> Callable[[Any, Any], Any]:
    return lambda logits, key: vj.score(bound)(CHOICES, logits, key, X, num_samples=k)


def main(folder: Path) -> None:
    truth = exact(vj.elbo, 1)
    by_temperature: dict[str, list[Any]] = {"Gumbel-Softmax": [], "straight-through": []}
    for temperature in TEMPERATURES:
        tau = jnp.array(temperature)
        by_temperature["Gumbel-Softmax"].append(spread(relaxed(lambda ls, tau=tau: vj.Concrete(ls, tau)), truth))
        hard = relaxed(lambda ls, tau=tau: vj.StraightThrough(vj.Concrete(ls, tau)))
        by_temperature["straight-through"].append(spread(hard, truth))
    bounds = {"score function (ELBO)": vj.elbo, "VIMCO (IWAE)": vj.iwae}
    by_samples = {name: [spread(sampled(bound, k), exact(bound, k)) for k in SAMPLES] for name, bound in bounds.items()}
    for values, found, name, file in (
        (TEMPERATURES, by_temperature, "temperature", "discrete_temperature.png"),
        (SAMPLES, by_samples, "k", "discrete_samples.png"),
    ):
        print(f"| estimator | {name} | bias | standard deviation |\n|---|---|---|---|")
        for estimator, rows in found.items():
            for value, ((bias, error), (deviation, _)) in zip(values, rows, strict=True):
                print(f"| {estimator} | {value:g} | {bias:.4f} ± {error:.4f} | {deviation:.3f} |")
        panels = {
            "bias / exact gradient": {estimator: [row[0] for row in rows] for estimator, rows in found.items()},
            "standard deviation / exact gradient": {
                estimator: [row[1] for row in rows] for estimator, rows in found.items()
            },
        }
        plots.error_bars(values, panels, name=name).savefig(folder / file, dpi=150)
        print(f"written: {folder / file}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
