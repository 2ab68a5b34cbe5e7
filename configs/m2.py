"""M2 with 100 labels."""

from vae_jax.config import Codes, Data, Experiment, Labels, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, M2: semi-supervised VAE, 100 labels, class summed over, convolutional classifier",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        labels=Labels(labelled=100, label_weight=0.01, classifier_weight=10.0, classifier_channels=(32, 64)),
        # What the classifier sees in training: with a hundred labels it would know them by heart.
        codes=Codes(corruption="dropout", corruption_level=0.5, corruption_shift=2),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=10, batch_size=100),
        system="m2",
    )
