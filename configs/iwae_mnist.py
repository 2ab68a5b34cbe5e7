"""The one-layer model of Burda et al. on MNIST, by a recipe that needs a fortieth of the paper's passes."""

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Optimizer, Train


def get_config() -> Experiment:
    return Experiment(
        description="MNIST, one-layer IWAE of Burda et al., DReG and Muon, k = 5 growing to 20, 80 epochs",
        data=Data(dataset="mnist", validation_size=0),
        model=Model(hidden=(200, 200), latent_size=50),
        objective=Objective(bound="iwae", estimator="dreg", num_samples=5, grow_to=(20,), grow_at=(0.75,)),
        optimizer=Optimizer(optimizer="muon", learning_rate=1.2e-2, schedule="cosine"),
        train=Train(epochs=80, batch_size=100),
        evaluate=Evaluate(evaluation_samples=5000),
    )
