"""The β-TCVAE on sprites: a weight on the total correlation alone."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Sprites (drawn here) 32x32, beta-TCVAE, beta = 4",
        data=Data(dataset="sprites"),
        model=Model(hidden=(128, 128), activation="relu", latent_size=10),
        objective=Objective(beta=4.0),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine"),
        train=Train(epochs=8, batch_size=64),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=5000),
        system="tc",
    )
