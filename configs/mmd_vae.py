"""MMD-VAE: InfoVAE without the KL of each example."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, MMD-VAE: InfoVAE with alpha = 1, lambda = 500",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        codes=Codes(info_alpha=1.0, info_lambda=500.0),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="info",
    )
