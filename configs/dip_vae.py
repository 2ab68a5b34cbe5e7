"""DIP-VAE-I on sprites: the covariance of codes made the identity; --covariance-of codes is DIP-VAE-II."""

from vae_jax.config import Codes, Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Sprites (drawn here) 32x32, DIP-VAE-I",
        data=Data(dataset="sprites"),
        model=Model(hidden=(128, 128), activation="relu", latent_size=10),
        codes=Codes(off_diagonal_weight=10.0, diagonal_weight=100.0),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine"),
        train=Train(epochs=8, batch_size=64),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=5000),
        system="dip",
    )
