"""An autoencoder that repairs its input."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, denoising autoencoder: 30% salt and pepper",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20, posterior="point"),
        codes=Codes(corruption="salt_pepper", corruption_level=0.3),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="autoencoder",
    )
