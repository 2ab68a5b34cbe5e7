"""M1 with 100 labels: a VAE, and a linear classifier on its codes (the linear probe of the evaluation)."""

from vae_jax.config import Data, Experiment, Labels, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, M1: VAE codes and a linear classifier from 100 labels",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        labels=Labels(labelled=100),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
    )
