"""An autoencoder whose code moves little when the input does."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, contractive autoencoder: Jacobian of the encoder",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20, posterior="point"),
        codes=Codes(penalty="contractive", penalty_weight=0.1),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="autoencoder",
    )
