"""The Grammar-VAE on molecules."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Strings, Train


def get_config() -> Experiment:
    return Experiment(
        description="ZINC 250k as derivations of a grammar of SMILES, 56 dimensions, 5 epochs",
        system="strings",
        data=Data(dataset="zinc", binarisation="none", validation_size=5000),
        model=Model(hidden=(64, 128, 128), activation="relu", latent_size=56, likelihood="categorical"),
        objective=Objective(beta_warmup=0.5),
        strings=Strings(grammar="smiles", valid_as="molecules", recurrent_size=256),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", clip_norm=100.0),
        train=Train(epochs=5, batch_size=256),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=1000),
    )
