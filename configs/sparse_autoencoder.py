"""An autoencoder whose units are on for a tenth of the examples."""

from vae_jax.config import Codes, Data, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, sparse autoencoder: KL of the mean activation, 200 units",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=200, posterior="unit_point"),
        codes=Codes(penalty="kl_sparsity", penalty_weight=1.0, sparsity=0.1),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="autoencoder",
    )
