"""The first experiment of Kingma and Welling: MNIST, 500 tanh units, estimator B, Adagrad."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, Kingma and Welling's model: 784-500-z, M = 100, L = 1, estimator B, Adagrad",
        data=Data(dataset="mnist"),
        model=Model(hidden=(500,), latent_size=20),
        objective=Objective(bound="elbo", estimator="analytic", num_samples=1),
        optimizer=Optimizer(optimizer="adagrad", learning_rate=2e-2),
        train=Train(epochs=100, batch_size=100),
        evaluate=Evaluate(evaluation_samples=100),
    )
