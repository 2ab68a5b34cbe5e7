"""The VAE that VQ-VAE is compared with: the same networks, a normal code at each place."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Fashion-MNIST, VAE with the networks of vq_vae: 7x7 places of 16 normal dimensions",
        data=Data(dataset="fashion_mnist", binarisation="none"),
        model=Model(network="grid", hidden=(32, 32), activation="relu", latent_size=16, likelihood="logistic"),
        # With the KL at its full weight from the start, the code of MNIST goes out of use and stays so.
        objective=Objective(beta_warmup=0.5),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine", clip_norm=1000.0),
        train=Train(epochs=8, batch_size=100),
        evaluate=Evaluate(evaluation_samples=100),
    )
