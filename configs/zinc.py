"""The Grammar-VAE on molecules."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Strings, Train


def get_config() -> Experiment:
    return Experiment(
        description="ZINC 250k as derivations of a grammar of SMILES, 56 dimensions, 3 epochs",
        system="strings",
        data=Data(dataset="zinc", binarisation="none", validation_size=5000),
        model=Model(hidden=(64, 128, 128), activation="relu", latent_size=56, likelihood="categorical"),
        # Between an ELBO, under which this decoder needs little of z, and an autoencoder, which the prior tells little.
        objective=Objective(beta=0.1, beta_warmup=0.3),
        # Hardly a molecule is longer, and every step costs the same.
        strings=Strings(
            grammar="smiles_zinc", valid_as="molecules", recurrent_size=256, max_rules=100, skip_strings=True
        ),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", clip_norm=100.0),
        train=Train(epochs=3, batch_size=128),
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=1000),
    )
