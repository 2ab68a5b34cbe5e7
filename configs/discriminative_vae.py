"""A VAE whose images must look like the data to a classifier too."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, VAE with discriminative regularisation: the layers of a classifier see what is decoded",
        data=Data(dataset="mnist"),
        model=Model(network="conv", hidden=(32, 64), activation="silu", latent_size=20),
        codes=Codes(critic_hidden=(200, 200), critic_weight=0.2),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="discriminative",
    )
