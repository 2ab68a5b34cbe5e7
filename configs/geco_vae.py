"""GECO: the least rate for a reconstruction that is asked for."""

from vae_jax.config import Data, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, GECO: a distortion of at most 80 nats",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        objective=Objective(most_distortion=80.0),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
    )
