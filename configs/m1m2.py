"""M1 + M2 with 100 labels."""

from vae_jax.config import Data, Experiment, Labels, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, M1 + M2: semi-supervised VAE on features of a VAE, 100 labels",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20, upper_hidden=(200, 200)),
        labels=Labels(labelled=100, classifier_weight=100.0),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
        system="m1m2",
    )
