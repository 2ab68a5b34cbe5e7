"""Training: one compiled program, and the run around it that saves and validates. Imports systems and rooms above."""

from vae_jax.objectives.assign import assign
from vae_jax.optimizers.rules import make_optimizer, make_schedule
from vae_jax.train.program import Prepare, TrainState, fit, initial_state, mean_metrics, train_step, train_until

__all__ = [
    "Prepare",
    "TrainState",
    "assign",
    "fit",
    "initial_state",
    "make_optimizer",
    "make_schedule",
    "mean_metrics",
    "train_step",
    "train_until",
]
