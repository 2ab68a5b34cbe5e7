"""The figure of the gradient estimators: what sticks the landing, and whose signal survives many samples.

    python benchmarks/gradients.py [OUT.png]

A linear-Gaussian model, whose posterior is known. Left: log p(x, z) − log q(z | x) of a few draws of the noise while
the encoder's parameters φ go in a straight line through the true ones: there it is log p(x) for every z. Middle:
training the encoder alone by SGD from the same start; at the truth the path derivative is silent and the total
derivative is not. Right: the signal-to-noise ratio of the encoder's gradient against k.
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import vae_jax as vj
from vae_jax.evaluate.gradients import gradient_moments, signal_to_noise
from vae_jax.models.linear_gaussian import Decoder, Encoder, LinearGaussian, exact_encoder, linear_gaussian, marginal

DRAWN = 25
STEPS, RATE = 400, 0.005
KS, DRAWS = [1, 2, 4, 8, 16, 32, 64, 128, 256], 20_000
MODEL = linear_gaussian()


def problem() -> tuple[LinearGaussian, LinearGaussian, Any]:
    """`(parameters off the posterior, parameters at it, x)`: ten observed, four latent dimensions."""
    weight = jax.random.normal(jax.random.key(0), (10, 4)) * 0.7
    decoder = Decoder(weight, jnp.zeros(10), jnp.array(0.8))
    exact = exact_encoder(decoder)
    off = Encoder(exact.weight, exact.bias + 0.3, 1.2 * exact.scale_tril)
    x = marginal(decoder).sample(jax.random.key(1))
    return LinearGaussian(decoder, off), LinearGaussian(decoder, exact), x


def through_the_truth(off: LinearGaussian, exact: LinearGaussian, x: Any) -> tuple[Any, Any]:
    """Positions on the line (0 is the truth), and log w `[positions, DRAWN]` with the same noise at each."""
    positions = jnp.linspace(-1.0, 1.0, 81)

    def log_w(t: Any) -> Any:
        encoder = jax.tree.map(lambda a, b: a + t * (b - a), exact.encoder, off.encoder)
        return vj.log_weights(MODEL, exact._replace(encoder=encoder), jax.random.key(2), x, num_samples=DRAWN)

    return positions, jax.jit(jax.vmap(log_w))(positions)


def landing(estimate: Any, off: LinearGaussian, exact: LinearGaussian, x: Any) -> Any:
    """KL(q ‖ posterior) before each step of SGD on the encoder."""
    posterior = MODEL.encode(exact, x)

    def step(encoder: Encoder, key: Any) -> tuple[Encoder, Any]:
        params = off._replace(encoder=encoder)
        slope = jax.grad(lambda p: estimate(MODEL, p, key, x, num_samples=1))(params).encoder
        encoder = jax.tree.map(lambda leaf, s: leaf + RATE * s, encoder, slope)
        return encoder, vj.kl(MODEL.encode(params, x), posterior)

    return jax.jit(lambda keys: jax.lax.scan(step, off.encoder, keys)[1])(jax.random.split(jax.random.key(3), STEPS))


def ratio(estimate: Any, params: LinearGaussian, x: Any, k: int) -> float:
    """Signal-to-noise ratio of the encoder's gradient."""

    def moments(key: Any) -> Any:
        found = gradient_moments(estimate, MODEL, params, key, x, num_samples=k, num_draws=DRAWS, batch_size=500)
        return signal_to_noise(found._replace(mean=found.mean.encoder, variance=found.variance.encoder))

    return float(jax.jit(moments)(jax.random.key(k)))


def main() -> None:
    off, exact, x = problem()
    log_p = float(marginal(off.decoder).log_prob(x))
    figure = Figure(figsize=(14, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)

    positions, log_w = through_the_truth(off, exact, x)
    spread = np.asarray(log_w.std(axis=1))
    print(f"log p(x) = {log_p:.4f}; log w at the true φ: {log_w[40].mean():.4f}, spread {spread[40]:.1e}")
    left.plot(positions, log_w, color="C0", linewidth=0.6, alpha=0.6)
    left.axhline(log_p, color="black", linestyle="--", linewidth=1)
    left.axvline(0.0, color="0.6", linestyle=":")
    left.set(xlabel="position of φ on a line through the true φ (at 0)", ylabel="nats")
    left.set_xticks([-1.0, -0.5, 0.0, 0.5, 1.0])
    left.set_title(f"log p(x, z) − log q(z | x), {DRAWN} draws of the noise; dashed: log p(x)", fontsize=10)

    for name, estimate, colour in (("total(elbo)", vj.total(vj.elbo), "C0"), ("stl(elbo)", vj.stl(vj.elbo), "C2")):
        gap = np.maximum(np.asarray(landing(estimate, off, exact, x)), 1e-8)
        print(f"{name:12} KL to the posterior after {STEPS} steps of SGD: {gap[-50:].mean():.2e}")
        middle.plot(gap, label=name, color=colour)
    middle.set(yscale="log", xlabel="step of SGD, one draw each", ylabel="KL(q, posterior), nats")
    middle.set_title("training the encoder: the path derivative lands", fontsize=10)
    middle.legend(frameon=False)

    for name, estimate, colour in (
        ("total(iwae)", vj.total(vj.iwae), "C0"),
        ("dreg(iwae)", vj.dreg(vj.iwae), "C2"),
        ("piwae, 4 groups", vj.piwae(vj.iwae, vj.miwae(4)), "C4"),
    ):
        ks = [k for k in KS if k >= 4 or not name.startswith("piwae")]
        found = [ratio(estimate, off, x, k) for k in ks]
        print(f"{name:16}", *(f"k={k}: {value:.3f}" for k, value in zip(ks, found, strict=True)))
        right.plot(ks, found, marker="o", markersize=4, label=name, color=colour)
    right.set(xscale="log", yscale="log", xlabel="samples k", ylabel="|mean| / standard deviation")
    right.set_title(f"signal-to-noise of the encoder's gradient, {DRAWS:,} draws", fontsize=10)
    right.set_xticks(KS, labels=[str(k) for k in KS])
    right.minorticks_off()
    right.legend(frameon=False)
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "docs/gradients.png", dpi=110)


if __name__ == "__main__":
    main()
