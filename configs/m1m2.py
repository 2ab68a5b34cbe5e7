"""M1 + M2 with 100 labels."""

from vae_jax.config import Codes, Data, Experiment, Labels, Model, Optimizer, Stages, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, M1 + M2: semi-supervised VAE on features of a VAE, 100 labels",
        data=Data(dataset="mnist"),
        # Few enough dimensions that M1 uses all of them: M2 would see the others as noise.
        model=Model(hidden=(200, 200), activation="tanh", latent_size=20, upper_hidden=(300,), upper_latent_sizes=(5,)),
        labels=Labels(labelled=100, label_weight=0.01, classifier_weight=3.0),
        # What the classifier sees in training: with a hundred labels it would know them by heart. A larger shift
        # leaves what the features were learned from.
        codes=Codes(corruption="gaussian", corruption_level=0.3, corruption_shift=1),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", clip_norm=100.0),
        train=Train(epochs=120, batch_size=100),
        stages=Stages(second_stage_at=0.5, second_stage_rate=2e-3),
        system="m1m2",
    )
