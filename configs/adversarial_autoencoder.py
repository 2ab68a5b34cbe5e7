"""An adversarial autoencoder."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, adversarial autoencoder: a critic matches the codes to the prior",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20, posterior="point"),
        codes=Codes(critic_weight=10.0),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="adversarial",
    )
