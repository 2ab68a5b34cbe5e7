"""Faces in colour, 64×64."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="CelebA cut to 148 pixels and scaled to 64x64, convolutional networks, one learned sigma",
        data=Data(dataset="celeb_a", binarisation="none", image_size=64, image_crop=148, label="Smiling"),
        model=Model(network="conv", hidden=(32, 64, 128, 256), activation="relu", latent_size=128, likelihood="normal"),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=128),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=1000),
    )
