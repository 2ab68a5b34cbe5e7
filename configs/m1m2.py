"""M1 + M2 with 100 labels."""

from vae_jax.config import Codes, Data, Experiment, Labels, Model, Optimizer, Stages, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, M1 + M2: semi-supervised VAE on features of a VAE, 100 labels",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20, upper_hidden=(500,), upper_latent_sizes=(3,)),
        labels=Labels(labelled=100, label_weight=0.01, classifier_weight=3.0),
        # Noise on the features that the classifier sees in training: with a hundred labels it would know them by heart.
        codes=Codes(corruption="gaussian", corruption_level=0.3),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine", clip_norm=10.0),
        train=Train(epochs=40, batch_size=100),
        stages=Stages(second_stage_at=0.4, second_stage_rate=3e-3),
        system="m1m2",
    )
