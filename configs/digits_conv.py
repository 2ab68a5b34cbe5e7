"""The digits with the convolutional pair and more latent dimensions."""

from vae_jax.config import Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="8x8 digits (embedded), convolutional networks, eight latent dimensions, closed-form KL",
        data=Data(dataset="digits"),
        model=Model(network="conv", hidden=(32, 64), activation="silu", latent_size=8),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=100, batch_size=64, patience=30),
    )
