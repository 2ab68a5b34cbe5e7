"""What a model of real numbers must exceed: the log-density of one normal for each element, whatever the example."""

from typing import Any

import numpy as np

from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.subject import Subject

# No element has a smaller standard deviation than this share of the largest: a constant has none.
_LEAST_SPREAD = 0.01


def constant(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`constant_log_prob`: nats per test example, of normals with the moments of the training examples.

    `worse_than_constant`: why the model finds the data less likely, where it does.
    """
    del options
    dataset = subject.run.dataset
    train = dataset.train.x.astype(np.float64)
    spread = train.std(axis=0)
    spread = np.maximum(spread, max(_LEAST_SPREAD * spread.max(), np.finfo(np.float32).tiny))
    z = (np.asarray(subject.examples, np.float64) - train.mean(axis=0)) / spread
    log_prob = -0.5 * np.square(z) - np.log(spread) - 0.5 * np.log(2.0 * np.pi)
    value = float(log_prob.reshape(len(z), -1).sum(axis=1).mean())
    result: dict[str, Any] = {"constant_log_prob": value}
    if found["log_marginal"] < value:
        fault = dataset.scale_fault
        cause = "Train for longer." if fault is None else f"The likely cause: {fault}"
        result["worse_than_constant"] = (
            f"the model is worse than a constant: {found['log_marginal']:.4g} nats, where one normal for each element "
            f"has {value:.4g}. {cause}"
        )
    return result


CONSTANT = Measurement(
    "constant",
    lambda subject: subject.has_density and subject.is_of_reals,
    constant,
    rows=(
        (
            "likelihood, nats per test example",
            (("a constant", "{constant_log_prob:.3f}", "one normal for each element: what log p(x) must exceed"),),
        ),
    ),
    summary=(("warning", "{worse_than_constant}"),),
)
