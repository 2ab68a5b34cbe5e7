"""Burda et al.'s one-layer model and recipe, as in the paper."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, one-layer IWAE of Burda et al. with the paper's recipe, k = 50, 3280 epochs",
        data=Data(dataset="mnist", validation_size=0),
        model=Model(hidden=(200, 200), latent_size=50),
        objective=Objective(bound="iwae", estimator="total", num_samples=50),
        optimizer=Optimizer(learning_rate=1e-3, schedule="ladder", adam_epsilon=1e-4),
        train=Train(epochs=3280, batch_size=20),
        evaluate=Evaluate(evaluation_samples=5000),
    )
