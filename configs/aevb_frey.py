"""The Frey faces of Kingma and Welling: 200 tanh units and a Gaussian decoder, estimator B, Adagrad."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Frey faces, Kingma and Welling's model: 560-200-z, Gaussian decoder, M = 100, L = 1, Adagrad",
        data=Data(dataset="frey_faces", binarisation="none"),
        model=Model(hidden=(200,), latent_size=10, likelihood="normal", likelihood_scale="predicted"),
        objective=Objective(bound="elbo", estimator="analytic", num_samples=1),
        optimizer=Optimizer(optimizer="adagrad", learning_rate=2e-2),
        train=Train(epochs=1000, batch_size=100),
        evaluate=Evaluate(evaluation_samples=100),
    )
