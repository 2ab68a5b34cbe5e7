"""Four fits of p(x) to the points near a curve: one normal, k-means, a mixture of normals, and a VAE.

    vae-jax train curve --out runs/curve
    python benchmarks/densities.py runs/curve [--out docs/densities.png]

Prints the test log p(x) of each in nats per example, ± the standard error over the examples, and how many numbers it
has; that of the VAE is importance-weighted with k = 1,000, in expectation a lower bound. k-means is taken as a mixture
of one normal for each cluster, with its share and covariance. The number of clusters and of components is that of the
best validation log p(x). The picture shows every density, and the test examples on the first.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

import vae_jax as vj
from vae_jax.commands.parse import opened

SIZES = range(2, 31, 4)
# No covariance is smaller, or a component could shrink onto a point.
FLOOR = 1e-4
K = 1000


def by_clusters(x: np.ndarray, size: int) -> GaussianMixture:
    """A mixture whose components are the clusters of k-means."""
    clusters: Any = KMeans(size, random_state=0).set_params(n_init=5)
    label = clusters.fit_predict(x)
    mixture: Any = GaussianMixture(size, covariance_type="full")
    parts = [x[label == i] for i in range(size)]
    mixture.weights_ = np.array([len(part) / len(x) for part in parts])
    mixture.means_ = np.stack([part.mean(axis=0) for part in parts])
    mixture.covariances_ = np.stack([np.cov(part.T, bias=True) + FLOOR * np.eye(x.shape[1]) for part in parts])
    mixture.precisions_cholesky_ = np.stack([np.linalg.inv(np.linalg.cholesky(c)).T for c in mixture.covariances_])
    return mixture


def by_mixture(x: np.ndarray, size: int) -> GaussianMixture:
    return GaussianMixture(size, reg_covar=FLOOR, n_init=5, random_state=0).fit(x)


def numbers(size: int, dimensions: int) -> int:
    """Free numbers of a mixture with full covariances."""
    return size - 1 + size * (dimensions + dimensions * (dimensions + 1) // 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/densities.png"))
    arguments = parser.parse_args()
    subject = opened(arguments.run)
    dataset, vae, params = subject.run.dataset, subject.density, subject.params
    train, validation, test = (np.asarray(split.x, np.float64) for split in dataset.splits)

    @jax.jit
    def log_p(x: Any) -> Any:
        keys = jax.random.split(jax.random.key(0), len(x))
        return jax.vmap(lambda key, x: vj.log_marginal(vae, params, key, x, num_samples=K).value)(keys, x)

    fits: dict[str, Any] = {"one normal": by_mixture(train, 1)}
    for name, fit in (("k-means", by_clusters), ("mixture", by_mixture)):
        tried: list[Any] = [fit(train, size) for size in SIZES]
        best = max(tried, key=lambda mixture: mixture.score(validation))
        fits[f"{name}, {len(best.weights_)}"] = best
    densities: dict[str, Any] = {name: fit.score_samples for name, fit in fits.items()}
    densities["VAE, one dimension"] = lambda x: np.asarray(log_p(np.asarray(x, np.float32)))
    sizes = [numbers(len(fit.weights_), train.shape[1]) for fit in fits.values()]
    sizes.append(sum(leaf.size for leaf in jax.tree.leaves(params)))
    print(f"{dataset.name}, {len(test)} test examples, nats per example, seed 0")
    for (name, density), size in zip(densities.items(), sizes, strict=True):
        values = density(test)
        print(f"{name:20} {values.mean():7.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}   {size} numbers")
    picture(densities, test).savefig(arguments.out, dpi=110)
    return 0


def picture(densities: dict[str, Any], test: np.ndarray) -> Figure:
    first, second = np.meshgrid(np.linspace(-1.3, 1.3, 130), np.linspace(-0.9, 0.9, 90))
    plane = np.stack([first.ravel(), second.ravel()], axis=-1)
    figure = Figure(figsize=(10.0, 2.4), layout="constrained")
    panels = figure.subplots(1, len(densities), sharey=True)
    meshes = []
    for axes, (name, density) in zip(panels, densities.items(), strict=True):
        values = np.asarray(density(plane)).reshape(first.shape)
        meshes.append(axes.pcolormesh(first, second, values, vmin=-6.0, vmax=1.5, cmap="magma", rasterized=True))
        axes.set(aspect="equal", title=name)
    panels[0].plot(*test.T, ".", color="white", markersize=1)
    figure.colorbar(meshes[0], ax=panels, label="log p(x), nats", extend="min", shrink=0.8)
    return figure


if __name__ == "__main__":
    sys.exit(main())
