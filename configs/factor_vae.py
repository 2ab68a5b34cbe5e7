"""FactorVAE on sprites: total correlation by a critic."""

from vae_jax.config import Codes, Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Sprites (drawn here) 32x32, FactorVAE, gamma = 7",
        data=Data(dataset="sprites"),
        model=Model(hidden=(128, 128), activation="relu", latent_size=10),
        codes=Codes(critic_weight=7.0, critic_rate=1e-3),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine"),
        train=Train(epochs=8, batch_size=64),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=5000),
        system="factor",
    )
