"""VQ-VAE-2: codes on grids of 14x14 and 7x7, then a prior over both."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Quantisation, Stages, Train


def get_config() -> Experiment:
    return Experiment(
        description="Fashion-MNIST, VQ-VAE-2: 14x14 and 7x7 codes of 256, running means; then a prior over both",
        data=Data(dataset="fashion_mnist", binarisation="none"),
        model=Model(network="grid", hidden=(32,), activation="relu", latent_size=16, likelihood="logistic"),
        optimizer=Optimizer(learning_rate=3e-3, schedule="cosine", clip_norm=1000.0),
        train=Train(epochs=8, batch_size=100),
        quantisation=Quantisation(grids=2, codebook_size=256, code_prior_layers=5, code_prior_width=32),
        stages=Stages(second_stage_at=0.6),
        # The posterior is certain of its code: every sample is the same.
        evaluate=Evaluate(evaluation_samples=1),
        system="vq",
    )
