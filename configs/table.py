from vae_jax.config.fields import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="a table of columns, each of its own kind: 30 measures of 569 biopsies, or --dataset my.csv",
        data=Data("cancer", binarisation="none"),
        model=Model(hidden=(64, 64), latent_size=5, activation="silu", likelihood="columns"),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", clip_norm=10.0),
        train=Train(epochs=300, batch_size=64),
        evaluate=Evaluate(evaluation_samples=1000),
    )
