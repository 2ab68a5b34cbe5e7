"""The one-layer model of Burda et al. on MNIST, trained as a plain VAE: the ELBO of one sample."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, one-layer VAE of Burda et al., closed-form KL, k = 1, 200 epochs",
        data=Data(dataset="mnist", validation_size=0),
        model=Model(hidden=(200, 200), latent_size=50),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine"),
        train=Train(epochs=200, batch_size=100, average_decay=0.998, snapshots=(1, 5, 10, 20, 50, 100)),
        evaluate=Evaluate(evaluation_samples=5000),
    )
