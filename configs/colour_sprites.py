"""Sprites in colour, 64×64, with the networks of the faces."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Colour sprites (drawn here) 64x64, convolutional networks, one learned sigma",
        data=Data(dataset="colour_sprites", binarisation="none", image_size=64),
        model=Model(network="conv", hidden=(32, 64, 128, 256), activation="relu", latent_size=16, likelihood="normal"),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=5, batch_size=64),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=1000),
    )
