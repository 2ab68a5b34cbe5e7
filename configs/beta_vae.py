"""The β-VAE on the systems' common network."""

from vae_jax.config import Data, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, beta-VAE, beta = 4",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        objective=Objective(beta=4.0, beta_warmup=0.3),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
    )
