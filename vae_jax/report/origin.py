"""What a run is of, and how it was made, in the words of the command line where a command made it."""

from vae_jax.config.fields import Experiment
from vae_jax.config.naming import command_of, description_of, nearest_config
from vae_jax.train.files import is_of_a_command


def title_of(config: Experiment) -> str:
    """A config's own description, or, where its data or other fields are changed, which."""
    return description_of(config, nearest_config(config)) if is_of_a_command(config) else config.description


def made_by(config: Experiment) -> str:
    """The command that trains it."""
    return command_of(config) if is_of_a_command(config) else "made in Python, by vj.fit"
