"""Burda et al.'s model of two stochastic layers and recipe, as in the paper."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, two-layer IWAE of Burda et al. (100 and 50) with the paper's recipe, k = 50, 3280 epochs",
        data=Data(dataset="mnist", validation_size=0),
        model=Model(hidden=(200, 200), latent_size=100, upper_latent_sizes=(50,), upper_hidden=(100, 100)),
        objective=Objective(bound="iwae", estimator="total", num_samples=50),
        optimizer=Optimizer(learning_rate=1e-3, schedule="ladder", adam_epsilon=1e-4),
        train=Train(epochs=3280, batch_size=20),
        evaluate=Evaluate(evaluation_samples=5000),
    )
