"""The textbook VAE on MNIST."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, 784-500-20, dynamic binarisation, ELBO with closed-form KL, 10 epochs",
        data=Data(dataset="mnist"),
        model=Model(hidden=(500,), latent_size=20),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine"),
        train=Train(epochs=10, batch_size=128),
        evaluate=Evaluate(evaluation_samples=100),
    )
