"""An experiment as a trial of a minute."""

import dataclasses

from vae_jax.config.fields import Experiment


def quick(config: Experiment) -> Experiment:
    """The same experiment for a few steps on a small embedded stand-in for its data."""
    replace = dataclasses.replace
    return replace(
        config,
        data=replace(config.data, stand_in=True),
        train=replace(config.train, epochs=2, batch_size=min(config.train.batch_size, 16)),
        evaluate=replace(
            config.evaluate,
            evaluation_samples=min(config.evaluate.evaluation_samples, 25),
            evaluation_size=min(config.evaluate.evaluation_size or 100, 100),
            gap_examples=min(config.evaluate.gap_examples, 5),
        ),
    )
