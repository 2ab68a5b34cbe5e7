"""A deep hierarchy of the embedded digits, small enough to train while one waits."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="digits, four layers of z along one path from the top down",
        data=Data(dataset="digits"),
        model=Model(network="grid", hidden=(16, 32), activation="silu", latent_layers=(2, 2), latent_size=4),
        objective=Objective(beta_warmup=0.2),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", warmup_steps=100, skip_norm=500.0),
        train=Train(epochs=60, batch_size=64),
        evaluate=Evaluate(evaluation_samples=200),
    )
