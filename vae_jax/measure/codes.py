"""What codes are good for: reconstruction, telling classes, separating known factors; and which of them are used."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data.labels import is_labelled, labelled_rows
from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.disentanglement import beta_vae_score, dci, factor_vae_score, mig, modularity, sap
from vae_jax.evaluate.representation import linear_probe, reconstruction_errors
from vae_jax.evaluate.unsupervised import gaussian_total_correlation
from vae_jax.evaluate.usage import kl_per_dimension, kl_per_layer, latent_means
from vae_jax.measure.measurement import Measurement, Options, Section
from vae_jax.measure.subject import Subject, stream
from vae_jax.objectives.quantise import perplexity
from vae_jax.systems.parts.quantisers import codebook_size

# A linear probe is trained on this many examples.
_PROBE_EXAMPLES = 10_000


def mean_codes(subject: Subject, x: Any) -> np.ndarray:
    """`[n, d]`: the mean code of every example of `x`, of a posterior that has a mean."""
    # The key is for posteriors without one.
    means = latent_means(subject.coder, subject.params, jax.random.key(0), x)
    return means.reshape(len(means), -1)


def accuracy(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`accuracy`: of the system's own classifier, on test labels."""
    del options, found
    run, classify = subject.run, subject.run.system.classify
    label = run.dataset.test.label
    assert classify is not None
    assert label is not None
    label = label[: run.config.evaluate.evaluation_size]
    x = run.dataset.prepare(subject.data_key, run.dataset.test.batch())["x"][: len(label)]
    logits = map_batches(lambda i, x: classify(subject.params, x), x)
    right = np.argmax(logits, axis=1) == label
    known = is_labelled(label)
    return {"accuracy": float(np.mean(right[known])), "labelled_test_examples": int(known.sum())}


def reconstruction(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`reconstruction_error`: mean squared error of an element, from the mean code; counts in shares of the largest."""
    del options, found
    errors = reconstruction_errors(subject.coder, subject.params, subject.examples) / subject.run.dataset.most**2
    return {"reconstruction_error": float(np.mean(errors, dtype=np.float64))}


def _has_test_labels(subject: Subject) -> bool:
    label = subject.run.dataset.test.label
    return label is not None and bool(is_labelled(label[: subject.run.config.evaluate.evaluation_size]).any())


def _has_classes(subject: Subject) -> bool:
    label = subject.run.dataset.train.label
    return label is not None and len(np.unique(label[is_labelled(label)])) > 1 and _has_test_labels(subject)


def probe(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`probe_accuracy`: of a linear probe, on test labels.

    It is trained on at most `probe_examples` examples (on the labelled ones where the config has few labels).
    """
    del options, found
    run = subject.run
    train, test = run.dataset.train, run.dataset.test.take(slice(run.config.evaluate.evaluation_size))
    assert train.label is not None
    assert test.label is not None
    few = run.config.labels.labelled
    known = np.flatnonzero(is_labelled(train.label))[:_PROBE_EXAMPLES]
    rows = known if few is None else labelled_rows(train.label, few, run.config.labels.label_seed)
    train, tested = train.take(rows), is_labelled(test.label)
    codes = [mean_codes(subject, x) for x in (subject.prepared(run.dataset, train), subject.examples)]
    score = linear_probe(codes[0], np.asarray(train.label), codes[1][tested], test.label[tested])
    return {"probe_accuracy": score, "probe_examples": len(codes[0])}


def dimension_kl(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`kl_per_dimension`, nats; nothing where the KL is no sum over dimensions, or has no closed form."""
    del options, found
    average = kl_per_dimension(subject.density, subject.params, subject.examples)
    return {} if average is None else {"kl_per_dimension": average.tolist()}


def layer_kl(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`kl_per_layer`, nats, the lowest first."""
    del found
    key = stream(options.seed, "layers")
    return {"kl_per_layer": kl_per_layer(subject.density, subject.params, key, subject.examples).tolist()}


def disentanglement(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """Scores of the mean codes of the test split against its known factors, those of them that vary there.

    Nothing where fewer than two factors vary.
    """
    del options, found
    codes = mean_codes(subject, subject.examples)
    factors = subject.run.dataset.test.factors
    assert factors is not None
    factors = factors[: len(codes)]
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


def code_use(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """How many of the codes of each grid the test examples use, and their perplexity."""
    del options, found
    size = codebook_size(subject.run.config.quantisation)
    codes = latent_means(subject.coder, subject.params, jax.random.key(0), subject.examples)
    counts = [np.bincount(np.ravel(grid), minlength=size) for grid in jax.tree.leaves(codes)]
    return {
        "codebook_size": size,
        "codes_used": [int(np.count_nonzero(each)) for each in counts],
        "code_perplexity": [float(perplexity(jnp.asarray(each, jnp.float32))) for each in counts],
    }


_GOOD_FOR = "what the codes are good for"
_USED = "{codes_used} of {codebook_size}, perplexity {code_perplexity:.0f}"

SCORES: Section = (
    "codes against known factors, 1 is best",
    (
        ("MIG", "{mig:.4f}", "gap of mutual information: {factors} factors, {scored_examples} examples"),
        ("SAP", "{sap:.4f}", "gap between the two codes that tell a factor best"),
        ("DCI disentanglement", "{disentanglement:.4f}", "whether a code serves one factor"),
        ("DCI completeness", "{completeness:.4f}", "whether a factor is served by one code"),
        ("DCI informativeness", "{informativeness:.4f}", "how much better than chance all codes tell a factor"),
        ("modularity", "{modularity:.4f}", "whether a code speaks of one factor"),
        ("FactorVAE score", "{factor_vae_score:.4f}", "of votes on which factor was held still"),
        ("β-VAE score", "{beta_vae_score:.4f}", "of linear guesses of which factor pairs share"),
        ("total correlation", "{gaussian_total_correlation:.4f} nats", "of the codes as a normal; 0 is best"),
    ),
)

RECONSTRUCTION = Measurement(
    "reconstruction",
    lambda subject: subject.has_mean and subject.decodes_to_mean,
    reconstruction,
    rows=(
        (
            _GOOD_FOR,
            (("reconstruction", "{reconstruction_error:.5f}", "mean square of an element's error; counts as shares"),),
        ),
    ),
    summary=(("reconstruction", "mean squared error of an element {reconstruction_error:.5f}"),),
    scores=(("squared error", "reconstruction_error", ".4f"),),
)
PROBE = Measurement(
    "linear probe",
    lambda subject: subject.has_real_mean and _has_classes(subject),
    probe,
    rows=(
        (
            _GOOD_FOR,
            (
                (
                    "linear probe",
                    "{probe_accuracy:.2%}",
                    "of test labels, by logistic regression on {probe_examples} training codes",
                ),
            ),
        ),
    ),
    summary=(
        (
            "linear probe",
            "{probe_accuracy:.2%} accurate on the codes, trained on {probe_examples} labelled training examples",
        ),
    ),
)
ACCURACY = Measurement(
    "accuracy",
    lambda subject: subject.run.system.classify is not None and _has_test_labels(subject),
    accuracy,
    rows=((_GOOD_FOR, (("accuracy", "{accuracy:.2%}", "of test labels, by q(y | x)"),)),),
    summary=(("accuracy", "{accuracy:.2%} of {labelled_test_examples} test examples, by q(y | x)"),),
)
LAYER_KL = Measurement(
    "KL of each layer",
    lambda subject: subject.has_layers and not subject.is_certain and not subject.is_conditional,
    layer_kl,
    rows=(("code, nats", (("rate of z1 + z2 + …", "{kl_per_layer:.2f}", "of each layer; z1 is nearest to x"),)),),
    summary=(("rate of z1 + …", "{kl_per_layer:.2f}"),),
)
DIMENSION_KL = Measurement("KL of each dimension", lambda subject: subject.has_density, dimension_kl)
DISENTANGLEMENT = Measurement(
    "disentanglement",
    lambda subject: subject.has_real_mean and subject.run.dataset.test.factors is not None,
    disentanglement,
    rows=(SCORES,),
    summary=(("known factors", "MIG {mig:.3f}, DCI disentanglement {disentanglement:.3f}"),),
    scores=(
        ("MIG", "mig", ".3f"),
        ("SAP", "sap", ".3f"),
        ("DCI", "disentanglement", ".3f"),
        ("FactorVAE", "factor_vae_score", ".3f"),
    ),
)
CODE_USE = Measurement(
    "codes used",
    lambda subject: subject.is_certain,
    code_use,
    rows=(("code, nats", (("codes used", _USED, "by the test examples; of each grid, the lowest first"),)),),
    summary=(("codes used", _USED),),
)
