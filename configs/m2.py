"""M2 with 100 labels."""

from vae_jax.config import Data, Experiment, Labels, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, M2: semi-supervised VAE, 100 labels, class summed over",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        labels=Labels(labelled=100, classifier_weight=100.0),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="m2",
    )
