"""Layers of z on two grids, along one path: a deep convolutional hierarchy."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, two layers of z on 14x14 places and three on 7x7, along one path",
        data=Data(dataset="mnist", validation_size=0),
        model=Model(network="grid", hidden=(16, 32), activation="silu", latent_layers=(2, 3), latent_size=4),
        objective=Objective(beta_warmup=0.1),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine", warmup_steps=500, skip_norm=1000.0),
        train=Train(epochs=45, batch_size=128, average_decay=0.999),
        evaluate=Evaluate(evaluation_samples=100),
    )
