"""Why a bound is what it is: the rate taken apart, the joint KL and its splits, and the inference gaps."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.trees import num_examples
from vae_jax.evaluate.batched import CHUNK, encode_dataset, examples_at_once, map_batches
from vae_jax.evaluate.elbo_surgery import coding, joint_kl, marginal_kl
from vae_jax.evaluate.gaps import inference_gaps
from vae_jax.evaluate.statistics import standard_error
from vae_jax.measure.measurement import Measurement, Options, Section
from vae_jax.measure.subject import Subject, stream
from vae_jax.train.progress import waiting

# Draws in all for the splits of the rate.
_CODE_DRAWS = 10_000
# Examples for the splits, whose time grows with their square, and where the density of a code is dear.
_MOST, _FEW = 10_000, 500
_GAPS = {"num_samples": 1000, "num_steps": 1000}


def diagnostics(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """The rate taken apart, the joint KL and its splits, and the inference gaps.

    What a model has no answer for is left out: total correlation for a posterior that does not factorise, the joint KL
    where x is not discrete, repeats, or has a condition, or is more than 10,000 examples, the gaps where the posterior
    is of no simple family. The rate is taken apart on the first 10,000 examples, or 500 where the density of a code is
    dear, as that of a flow.
    """
    vae, params, x = subject.density, subject.params, subject.examples
    code_key, split_key, gap_key = jax.random.split(stream(options.seed, "diagnostics"), 3)
    total = num_examples(x)
    size = min(total, _MOST if subject.has_family else _FEW)
    x = jax.tree.map(lambda leaf: leaf[:size], x)
    # Few examples get more draws each, so that the noise does not depend on their number.
    draws = max(1, _CODE_DRAWS // size)
    with waiting(options.console, "diagnostics"):
        codes = jax.jit(lambda params, x: coding(vae, params, code_key, x, num_samples=draws))(params, x)
    result: dict[str, Any] = {"most_index_code": math.log(size), "index_code_examples": size}
    for position, name in ((2, "index_code"), (3, "marginal_kl")):
        result[name] = float(getattr(codes, name))
        result[f"{name}_error"] = float(codes.standard_errors[position])
    if subject.factorises:
        posteriors, prior = encode_dataset(vae, params, x), vae.prior(params)
        split = jax.jit(lambda posteriors: marginal_kl(posteriors, prior, split_key, num_samples=draws))(posteriors)
        result["total_correlation"] = float(split.total_correlation)
        result["dimension_wise_kl"] = float(jnp.sum(split.dimension_wise))
    # Of x given a condition there is no joint density with the data's own.
    comparable = size == total and subject.is_discrete and not subject.is_conditional
    if comparable and len(np.unique(x.reshape(size, -1), axis=0)) == size:
        joint = joint_kl(codes, jnp.asarray(found["log_marginal"]), num_examples=size)
        result |= {f"joint_kl_{name}".removesuffix("_joint"): float(v) for name, v in joint._asdict().items()}
    with waiting(options.console, "inference gaps"):
        count = min(subject.run.config.evaluate.gap_examples, size)
        return result | (_gaps(subject, gap_key, count) if subject.has_family else {})


def _gaps(subject: Subject, key: Any, count: int) -> dict[str, Any]:
    if count == 0:
        return {}
    gaps = map_batches(
        lambda i, x: inference_gaps(subject.density, subject.params, jax.random.fold_in(key, i), x, **_GAPS),
        jax.tree.map(lambda leaf: leaf[:count], subject.examples),
        batch_size=examples_at_once(subject.examples, CHUNK),
    )
    result: dict[str, Any] = {"gap_examples": count, "gap_k": _GAPS["num_samples"], "gap_steps": _GAPS["num_steps"]}
    for name in ("approximation", "amortisation"):
        values = np.asarray(getattr(gaps, name), np.float64)
        result |= {f"{name}_gap": float(values.mean()), f"{name}_gap_error": float(standard_error(values))}
    return result


_ROWS: tuple[Section, ...] = (
    (
        "code, nats",
        (
            (
                "index code",
                "{index_code:.3f} ± {index_code_error:.3f}",
                "information of code and example, at most {most_index_code:.3f}: of {index_code_examples} examples",
            ),
            (
                "marginal KL",
                "{marginal_kl:.3f} ± {marginal_kl_error:.3f}",
                "KL(q(z), p(z)) = total correlation + dimension-wise KL",
            ),
            ("total correlation", "{total_correlation:.3f}", "KL(q(z), product of q(z_j))"),
            ("dimension-wise KL", "{dimension_wise_kl:.3f}", "sum of KL(q(z_j), p(z_j))"),
        ),
    ),
    (
        "joint KL(q(x, z), p(x, z)) = -ELBO - log N, nats",
        (
            ("joint", "{joint_kl:.3f}", "of the {evaluated_examples} examples and the model"),
            (
                "data + posterior",
                "{joint_kl_data:.3f} + {joint_kl_posterior:.3f}",
                "KL(q(x), p(x)) + E KL(q(z|x), p(z|x))",
            ),
            (
                "latent + conditional",
                "{joint_kl_latent:.3f} + {joint_kl_conditional:.3f}",
                "KL(q(z), p(z)) + E KL(q(x|z), p(x|z))",
            ),
        ),
    ),
    (
        "inference, nats: log p(x) - ELBO = approximation + amortisation gap",
        (
            (
                "approximation gap",
                "{approximation_gap:.3f} ± {approximation_gap_error:.3f}",
                "the best q(z) of the family: {gap_examples} examples, k = {gap_k}, {gap_steps} steps",
            ),
            (
                "amortisation gap",
                "{amortisation_gap:.3f} ± {amortisation_gap_error:.3f}",
                "the encoder instead of the best q(z)",
            ),
        ),
    ),
)

DIAGNOSTICS = Measurement(
    "diagnostics",
    # A hierarchy carries its networks, of which there would be one for each example.
    lambda subject: subject.has_density and not subject.is_certain and subject.code in ("vector", "choices"),
    diagnostics,
    _ROWS,
)
