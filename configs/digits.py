"""The main job: scikit-learn's digits, a plane of codes, trained in well under a minute."""

from vae_jax.config import Data, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="8x8 digits (embedded), two latent dimensions, IWAE k=10 with DReG gradients",
        data=Data(dataset="digits"),
        model=Model(hidden=(200, 200), latent_size=2),
        objective=Objective(bound="iwae", estimator="dreg", num_samples=10),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine"),
        train=Train(epochs=300, batch_size=64, patience=60),
    )
