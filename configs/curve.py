"""Points around a curve in the plane: the low-dimensional manifold that a latent variable can find."""

from vae_jax.config import Data, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="points around a sine wave in the plane (made), one latent dimension, IWAE k=20, DReG",
        data=Data(dataset="curve", binarisation="none"),
        model=Model(hidden=(64, 64), latent_size=1, likelihood="normal", likelihood_scale="shared", initial_scale=0.3),
        objective=Objective(bound="iwae", estimator="dreg", num_samples=20),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine"),
        train=Train(epochs=300, batch_size=100),
    )
