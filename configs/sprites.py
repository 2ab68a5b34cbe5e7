"""Sprites, whose factors are known: the VAE that disentangling is measured against; --beta 4 is the β-VAE."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Sprites (drawn here) 32x32, 5 known factors",
        data=Data(dataset="sprites"),
        model=Model(hidden=(128, 128), activation="relu", latent_size=10),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine"),
        train=Train(epochs=8, batch_size=64),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=5000),
    )
