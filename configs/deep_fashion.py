"""Layers of z on two grids for grey images of 8 bits."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Fashion-MNIST in 8 bits, one layer of z on 14x14 places and three on 7x7, along one path",
        data=Data(dataset="fashion_mnist", binarisation="none"),
        model=Model(
            network="grid",
            hidden=(16, 32),
            activation="silu",
            latent_layers=(1, 3),
            latent_size=8,
            likelihood="logistic_mixture",
        ),
        objective=Objective(beta_warmup=0.1),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine", warmup_steps=500, clip_norm=1000.0),
        train=Train(epochs=20, batch_size=100, average_decay=0.999),
        evaluate=Evaluate(evaluation_samples=100),
    )
