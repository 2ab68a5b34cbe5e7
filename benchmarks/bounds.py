"""The figure of the README: bounds against k, and the noise of every gradient estimator, where all is known.

    python benchmarks/bounds.py [OUT.png]

A linear-Gaussian model with an encoder that is off the posterior. Left: the expectation of each bound and the
exact log p(x). Right: the standard deviation of the gradient for the encoder, averaged over its bias and the
diagonal of its scale.
Means and deviations are over DRAWS keys.
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import vae_jax as vj
from vae_jax.models.linear_gaussian import Decoder, Encoder, LinearGaussian, exact_encoder, linear_gaussian, marginal

DRAWS = 4000
KS = [1, 2, 4, 8, 16, 32, 64, 128]
MODEL = linear_gaussian()


def problem() -> tuple[LinearGaussian, Any]:
    """Ten observed, four latent dimensions; the encoder's mean is shifted and its scale 1.2 times too wide."""
    weight = jax.random.normal(jax.random.key(0), (10, 4)) * 0.7
    decoder = Decoder(weight, jnp.zeros(10), jnp.array(0.8))
    exact = exact_encoder(decoder)
    encoder = Encoder(exact.weight, exact.bias + 0.3, 1.2 * exact.scale_tril)
    return LinearGaussian(decoder, encoder), marginal(decoder).sample(jax.random.key(1))


def moments(estimate: Any, params: LinearGaussian, x: Any, k: int) -> tuple[float, float]:
    """Mean of the value, and mean over the encoder's parameters of the gradient's standard deviation."""

    def one(key: Any) -> Any:
        value, slope = jax.value_and_grad(lambda p: estimate(MODEL, p, key, x, num_samples=k))(params)
        return value, jnp.concatenate([slope.encoder.bias, jnp.diagonal(slope.encoder.scale_tril)])

    values, slopes = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=500))(
        jax.random.split(jax.random.key(k), DRAWS)
    )
    return float(values.mean()), float(slopes.std(axis=0).mean())


def main() -> None:
    params, x = problem()
    exact = float(marginal(params.decoder).log_prob(x))
    print(f"exact log p(x) = {exact:.4f} nats, {DRAWS} draws")
    bounds = {"ELBO": vj.elbo, "Rényi α = 0.5": vj.renyi(0.5), "IWAE": vj.iwae}
    estimators = {
        "score(iwae)": (vj.score(vj.iwae), "C3"),
        "total(iwae)": (vj.total(vj.iwae), "C0"),
        "stl(iwae), biased": (vj.stl(vj.iwae), "0.6"),
        "dreg(iwae)": (vj.dreg(vj.iwae), "C2"),
    }
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.axhline(exact, color="black", linestyle="--", label="exact log p(x)")
    for name, bound in bounds.items():
        found = [moments(vj.total(bound), params, x, k)[0] for k in KS]
        print(f"{name:14}", *(f"{value:9.4f}" for value in found))
        left.plot(KS, found, marker="o", markersize=4, label=name)
    for name, (estimate, colour) in estimators.items():
        ks = [k for k in KS if k > 1 or not name.startswith("score")]
        found = [moments(estimate, params, x, k)[1] for k in ks]
        print(f"{name:18}", *(f"{value:9.5f}" for value in found))
        style = "--" if "biased" in name else "-"
        right.plot(ks, found, marker="o", markersize=4, label=name, color=colour, linestyle=style)
    left.set(xscale="log", xlabel="samples k", ylabel="nats", title="bounds on log p(x)")
    right.set(xscale="log", yscale="log", xlabel="samples k", title="noise of the encoder's gradient")
    right.set_ylabel("standard deviation")
    for axes in (left, right):
        axes.set_xticks(KS, labels=[str(k) for k in KS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.35))
    right.legend(frameon=False)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "docs/bounds.png", dpi=110)


if __name__ == "__main__":
    np.set_printoptions(precision=4)
    main()
