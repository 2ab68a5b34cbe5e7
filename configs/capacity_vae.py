"""A VAE whose rate is held at a capacity that rises during training."""

from vae_jax.config import Data, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, VAE with a capacity rising to 25 nats",
        data=Data(dataset="mnist"),
        model=Model(hidden=(200, 200), activation="relu", latent_size=20),
        # Enough to hold the rate, where a nat of it saves about one of distortion; more only makes the steps noisy.
        objective=Objective(beta=3.0, capacity=25.0, beta_warmup=0.5),
        optimizer=Optimizer(learning_rate=1e-3, schedule="cosine"),
        train=Train(epochs=20, batch_size=100),
    )
