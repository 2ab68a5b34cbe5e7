"""Five layers of z along one path of vectors: a ladder of fully connected networks."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, five layers of 32 along one path of fully connected networks",
        data=Data(dataset="mnist", validation_size=0),
        model=Model(hidden=(256,), activation="silu", latent_layers=(5,), latent_size=32),
        objective=Objective(beta_warmup=0.1),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine", warmup_steps=500, skip_norm=1000.0),
        train=Train(epochs=600, batch_size=128, average_decay=0.999),
        evaluate=Evaluate(evaluation_samples=200),
    )
