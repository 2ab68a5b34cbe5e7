"""The Frey faces of Kingma and Welling: 200 tanh units and a Gaussian decoder with means in 0..1, estimator B.

By Adam: under the paper's Adagrad the code of two dimensions stays unused.
"""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="Frey faces, Kingma and Welling's model: 560-200-z, Gaussian decoder, M = 100, L = 1, Adam",
        data=Data(dataset="frey_faces", binarisation="none"),
        model=Model(hidden=(200,), latent_size=10, likelihood="bounded_normal", likelihood_scale="predicted"),
        objective=Objective(bound="elbo", estimator="analytic", num_samples=1),
        optimizer=Optimizer(learning_rate=1e-3),
        train=Train(epochs=1000, batch_size=100),
        evaluate=Evaluate(evaluation_samples=100),
    )
