import dataclasses

import numpy as np

from tests.runs import changed, experiment
from vae_jax.measure.fingerprint import fingerprint

X, PARAMS = np.zeros((3, 2), np.float32), {"w": np.ones(2, np.float32)}


def test_what_decides_a_number_is_in_it_and_nothing_else() -> None:
    config = experiment()
    found = fingerprint(config, PARAMS, X)
    assert found == fingerprint(changed(config, "evaluate", evaluation_samples=7), PARAMS, X)
    assert found == fingerprint(changed(config, "compute", accumulate=2), PARAMS, X)
    assert found == fingerprint(changed(config, "train", track=("tensorboard",)), PARAMS, X)
    others = (
        (changed(config, "model", latent_size=3), PARAMS, X),
        (changed(config, "model", latent_layers=(2,)), PARAMS, X),
        (dataclasses.replace(config, system="info"), PARAMS, X),
        (config, {"w": np.array([1.0, 2.0], np.float32)}, X),
        (config, PARAMS, X[:2]),
    )
    assert found not in {fingerprint(*each) for each in others}
