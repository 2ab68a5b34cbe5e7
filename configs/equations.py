"""The Grammar-VAE on arithmetic expressions."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Strings, Train


def get_config() -> Experiment:
    return Experiment(
        description="100,000 expressions as derivations of a grammar, 25 dimensions, 20 epochs",
        system="strings",
        data=Data(dataset="equations", binarisation="none"),
        model=Model(hidden=(64, 128), activation="relu", latent_size=25, likelihood="categorical"),
        # With β = 1 the code stays all but empty: these strings are random, and the grammar alone tells most of them.
        objective=Objective(beta=0.1),
        strings=Strings(grammar="equations", valid_as="equations", recurrent_size=128, rule_embedding=0),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", clip_norm=100.0),
        train=Train(epochs=20, batch_size=256),
        evaluate=Evaluate(evaluation_samples=100),
    )
