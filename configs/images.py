from vae_jax.config import Data, Evaluate, Experiment, Model, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="images of your own, --dataset ./photos, scaled to 32x32; by default sprites of six hues",
        data=Data("colour_sprites", binarisation="none", image_size=32),
        model=Model(network="conv", hidden=(16, 32, 64), activation="silu", latent_size=16, likelihood="normal"),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", clip_norm=10.0),
        train=Train(epochs=100, batch_size=32),
        # The inference gaps take a thousand steps for each image, which may be more than the training.
        evaluate=Evaluate(evaluation_samples=100, evaluation_size=1000, gap_examples=0),
    )
