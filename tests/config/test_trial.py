import dataclasses

from vae_jax.config import Data, Evaluate, Experiment, Train
from vae_jax.config.trial import quick


def test_quick_is_the_same_experiment_for_a_few_steps_and_never_a_longer_one() -> None:
    config = Experiment("a test", Data("mnist", data_dir="somewhere"))
    short = quick(config)
    assert short.data == dataclasses.replace(config.data, stand_in=True)
    assert short.train == dataclasses.replace(config.train, epochs=2, batch_size=16)
    assert short.evaluate == Evaluate(evaluation_samples=25, evaluation_size=100, gap_examples=5)
    assert short.model == config.model
    few = Evaluate(evaluation_samples=3, evaluation_size=7, gap_examples=0)
    small = dataclasses.replace(config, train=Train(epochs=2, batch_size=4), evaluate=few, data=short.data)
    assert quick(small) == small
