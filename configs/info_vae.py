"""InfoVAE: half the KL of each example, and an MMD of all."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, InfoVAE, alpha = 0.5, lambda = 500, MMD",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        codes=Codes(info_alpha=0.5, info_lambda=500.0),
        # Without a warm-up one run of three on Fashion-MNIST loses its code in the first epoch.
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine", warmup_steps=1000),
        train=Train(epochs=20, batch_size=100),
        system="info",
    )
