"""What is measured of a run's codes: what they are good for, whether they separate known factors, which are used."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data.labels import labelled_rows
from vae_jax.distributions import Certain
from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.disentanglement import beta_vae_score, dci, factor_vae_score, mig, modularity, sap
from vae_jax.evaluate.representation import linear_probe, reconstruction_errors
from vae_jax.evaluate.unsupervised import gaussian_total_correlation
from vae_jax.measure import coder, data_key, encode_one, measured_examples, prepared
from vae_jax.model import VAE, Autoencoder, Params
from vae_jax.quantize import perplexity
from vae_jax.systems.quantisers import codebook_size
from vae_jax.train.run import Run

# A linear probe is trained on this many examples.
_PROBE_EXAMPLES = 10_000


def representation(run: Run, params: Params) -> dict[str, Any]:
    """How well the codes reconstruct x, and tell the classes where there are labels.

    `reconstruction_error`: mean squared error of an element, in what the model sees, from the mean code.
    `probe_accuracy`: of a linear probe, trained on at most `probe_examples` examples (on the labelled ones where the
    config has few labels). `accuracy`: of the system's own classifier. What a model has no answer for is left out: the
    first two for conditional models and for several layers.
    """
    model, x = coder(run), measured_examples(run)
    test = run.dataset.test.take(slice(run.config.evaluate.evaluation_size))
    result: dict[str, Any] = {}
    if run.system.classify is not None and test.label is not None:
        classify = run.system.classify
        seen = run.dataset.prepare(data_key(run), run.dataset.test.batch())["x"][: len(test.x)]
        logits = map_batches(lambda i, x: classify(params, x), seen)
        result["accuracy"] = float(np.mean(np.argmax(logits, axis=1) == test.label))
    code = _mean_code(model, params, x)
    if code is None:
        return result
    if hasattr(type(jax.eval_shape(lambda z: model.decode(params, z), code)), "mean"):
        errors = reconstruction_errors(model, params, x) / run.dataset.most**2
        result["reconstruction_error"] = float(np.mean(errors, dtype=np.float64))
    train = run.dataset.train
    if not is_vector(code) or train.label is None or test.label is None or len(np.unique(train.label)) < 2:
        return result
    few = run.config.labels.labelled
    rows = slice(_PROBE_EXAMPLES) if few is None else labelled_rows(train.label, few, run.config.labels.label_seed)
    train = train.take(rows)
    codes = [
        map_batches(lambda i, x: jnp.ravel(model.encode(params, x).mean), x)
        for x in (prepared(run, run.dataset, train), x)
    ]
    result["probe_accuracy"] = linear_probe(codes[0], np.asarray(train.label), codes[1], test.label)
    result["probe_examples"] = len(codes[0])
    return result


def disentanglement(run: Run, params: Params) -> dict[str, Any]:
    """Scores of the mean codes of the test split against its known factors; nothing where there are none.

    Left out too for a model without a mean code, and for factors that do not vary in the test split.
    """
    factors = run.dataset.test.factors
    model, x = coder(run), measured_examples(run)
    if factors is None or not is_vector(_mean_code(model, params, x)):
        return {}
    codes = map_batches(lambda i, x: jnp.ravel(model.encode(params, x).mean), x)
    return score_varying(codes, factors[: len(codes)])


def _mean_code(model: VAE | Autoencoder, params: Params, x: Any) -> Any:
    """The mean code of one of the examples, abstract; None where the posterior has none, and for conditional models."""
    # The code of a conditional model is told the condition, and would tell it to the probe.
    if isinstance(x, dict) or not hasattr(type(encode_one(model, params, x)), "mean"):
        return None
    return jax.eval_shape(lambda x: model.encode(params, x).mean, jax.tree.map(lambda leaf: leaf[0], x))


def is_vector(code: Any) -> bool:
    """Whether a code is one array of real numbers; the numbers of codes in a codebook are names, not sizes."""
    return hasattr(code, "dtype") and jnp.issubdtype(code.dtype, jnp.inexact)


def code_use(run: Run, params: Params) -> dict[str, Any]:
    """How many of the codes of each grid the test examples use, and their perplexity; {} without a codebook."""
    model, x = coder(run), measured_examples(run)
    if encode_one(model, params, x).__class__ is not Certain:
        return {}
    size = codebook_size(run.config.quantisation)
    codes = map_batches(lambda i, x: model.encode(params, x).mean, x)
    counts = [np.bincount(np.ravel(grid), minlength=size) for grid in jax.tree.leaves(codes)]
    return {
        "codebook_size": size,
        "codes_used": [int(np.count_nonzero(each)) for each in counts],
        "code_perplexity": [float(perplexity(jnp.asarray(each, jnp.float32))) for each in counts],
    }


def score_varying(codes: Any, factors: Any) -> dict[str, Any]:
    """`score` against those factors that vary; nothing where fewer than two do."""
    factors = factors[:, (factors != factors[0]).any(axis=0)]
    return score(codes, factors) if factors.shape[1] > 1 else {}


def score(codes: Any, factors: Any) -> dict[str, Any]:
    """Every score of codes `[n, d]` against factors `[n, f]`, f at least 2, by name."""
    importance = dci(codes, factors)
    return {
        "mig": mig(codes, factors),
        "sap": sap(codes, factors),
        **importance._asdict(),
        "modularity": modularity(codes, factors),
        "factor_vae_score": factor_vae_score(codes, factors),
        "beta_vae_score": beta_vae_score(codes, factors),
        "gaussian_total_correlation": gaussian_total_correlation(codes),
        "factors": int(np.shape(factors)[1]),
        "scored_examples": len(codes),
    }
