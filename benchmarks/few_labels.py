"""A hundred labels of MNIST: M2 and M1 + M2 against the same classifiers without unlabelled examples.

    python benchmarks/few_labels.py RUNS DATA_DIR [--configs m2 m1m2] [--draws 3]

Trains what RUNS lacks (an interrupted run goes on), for several draws of the labelled examples, and M2's classifier on
the labelled examples alone: the same network, corruption, learning rates and number of steps. Accuracy on all 10,000
test images, by the parameters that a run measured; mean ± standard error over the draws.
"""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from founding_curves import trained

from vae_jax.config import Experiment
from vae_jax.config.files import load_config
from vae_jax.data import Dataset, load
from vae_jax.evaluate.batched import map_batches
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.optimizers.rules import make_optimizer
from vae_jax.systems.m2 import classifier, few_labels
from vae_jax.systems.parts.families import corruption_of
from vae_jax.train.run import load_state, open_run


def accuracy(classify: Any, dataset: Dataset) -> float:
    """On the test split, each image binarised once."""
    x = dataset.prepare(jax.random.key(0), {"x": dataset.test.x})["x"]
    logits = map_batches(lambda i, x: classify(x), x)
    return float(np.mean(np.argmax(logits, axis=1) == dataset.test.label))


def of_run(config: str, draw: int, runs: Path, data_dir: Path) -> float:
    directory = runs / f"{config}-{draw}"
    arguments = [config, "--label-seed", str(draw), "--seed", str(draw), "--data-dir", str(data_dir)]
    trained([*arguments, "--evaluation-samples", "50", "--evaluation-size", "500"], directory)
    run = open_run(directory)
    classify, params = run.system.classify, load_state(run).best_params
    assert classify is not None
    return accuracy(lambda x: classify(params, x), run.dataset)


def labelled_alone(config: Experiment, dataset: Dataset, draw: int) -> float:
    """The classifier of M2, trained by its cross-entropy only."""
    config = dataclasses.replace(config, labels=dataclasses.replace(config.labels, label_seed=draw))
    network, batches = classifier(config, dataset), few_labels(config, dataset)
    corrupt = corruption_of(config.codes, dataset)
    judge, key = linen_apply(network), jax.random.key(draw)
    steps = config.train.epochs * (len(dataset.train.x) // config.train.batch_size)
    tx = make_optimizer(config.optimizer, steps)

    def loss(params: Any, key: Any) -> Any:
        batch_key, corrupt_key = jax.random.split(key)
        x, y = batches(batch_key)
        keys = jax.random.split(corrupt_key, len(y))
        logits = jax.vmap(lambda key, x: judge(params, corrupt(key, x)))(keys, x)
        return jnp.mean(optax.softmax_cross_entropy(logits, y))

    def step(carry: Any, i: Any) -> Any:
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, jax.random.fold_in(key, i)), state, params)
        return (optax.apply_updates(params, updates), state), None

    params = from_linen(network, key, jnp.zeros(dataset.shape)).params
    (params, _), _ = jax.jit(lambda start: jax.lax.scan(step, start, jnp.arange(steps)))((params, tx.init(params)))
    return accuracy(lambda x: judge(params, x), dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--configs", nargs="*", default=["m2", "m1m2"])
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    config = load_config("m2")
    data = load("mnist", data_dir=options.data_dir, binarisation=config.data.binarisation)
    arms = {"m2's classifier, labelled alone": lambda draw: labelled_alone(config, data, draw)}
    for name in options.configs:
        arms[name] = lambda draw, name=name: of_run(name, draw, options.runs, options.data_dir)
    for name, arm in arms.items():
        found = np.asarray([arm(draw) for draw in range(options.draws)])
        error = f" ± {found.std(ddof=1) / math.sqrt(len(found)):.2%}" if len(found) > 1 else ""
        print(f"{name:32} {found.mean():.2%}{error}   ({', '.join(f'{one:.2%}' for one in found)})", flush=True)


if __name__ == "__main__":
    main()
