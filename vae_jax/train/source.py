"""The examples that a config names, as its model sees them."""

import dataclasses
import warnings
from typing import Any

from vae_jax.config.fields import Data, Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.data import Dataset, Reading, Square, is_own, is_strings, load, load_strings, stand_in, stand_in_strings
from vae_jax.data import settled as settle
from vae_jax.data.look import faults
from vae_jax.data.own import is_decoded, is_of_datasets
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.parts.families import prior_name
from vae_jax.systems.parts.legality import is_biased
from vae_jax.systems.registry import is_made
from vae_jax.train.files import ARRAYS


def square_of(data: Data) -> Square | None:
    """The square that the images of a config are cut and scaled to, or None."""
    return None if data.image_size is None else Square(data.image_size, data.image_crop)


def settled(config: Experiment) -> Experiment:
    """The config as a new run keeps it: with what the user's own data are written out.

    ValueError where the data do not tell it.
    """
    data = config.data
    if not is_own(data.dataset):
        return config
    kept, standardise = settle(data.dataset, reading_of(config), standardise=data.standardise)
    known = {"levels": kept.levels, "columns": kept.columns, "standardise": standardise}
    return dataclasses.replace(config, data=dataclasses.replace(data, **known))


def reading_of(config: Experiment) -> Reading:
    """How the data of a config are read."""
    data = config.data
    # A model made in Python says by itself what it is for.
    kind = None if is_made(config.system) else LIKELIHOODS[config.model.likelihood].of
    return Reading(kind, data.levels, square_of(data), data.image_colour, data.label, data.columns)


def load_data(config: Experiment, *, shuffle_test: bool = True, gap_words: bool = True) -> Dataset:
    """The dataset of a config. ConfigError where it cannot be had, or not be changed as the config says.

    `shuffle_test` and `gap_words` are false for runs that were made before (`vae_jax.train.outline.manner_of`).
    """
    data = config.data
    if data.dataset == ARRAYS:
        raise ConfigError(
            "the data of this run were given in Python as arrays: open it there with vj.open_run(RUN, model, data, "
            "params=params), or save them as an .npz and train on its path."
        )
    dataset = _strings(config) if is_strings(data.dataset) else _examples(config, shuffle_test, gap_words)
    if (data.mirror or data.shift) and not dataset.is_image:
        raise ConfigError(
            f"--mirror and --shift are for images, but an example of {dataset.name} has the shape {dataset.shape}."
        )
    return dataclasses.replace(dataset, mirror=data.mirror, shift=data.shift)


def _strings(config: Experiment) -> Dataset:
    data, strings = config.data, config.strings
    if data.stand_in:
        return stand_in_strings(data.dataset, grammar=strings.grammar, seed=data.data_seed)
    return load_strings(
        data.dataset,
        grammar=strings.grammar,
        data_dir=data.data_dir,
        validation_size=data.validation_size,
        most=strings.max_rules,
        skip=strings.skip_strings,
        seed=data.data_seed,
    )


def _examples(config: Experiment, shuffle_test: bool, gap_words: bool) -> Dataset:
    """Examples of numbers, as counts where the likelihood is one of counts."""
    data = config.data
    reading = reading_of(config)._replace(gap_words=gap_words)
    shown: dict[str, Any] = {
        "binarisation": data.binarisation,
        "standardise": bool(data.standardise),
        "seed": data.data_seed,
    }
    if data.stand_in:
        dataset = stand_in(data.dataset, reading, **shown)
    else:
        sizes = {"data_dir": data.data_dir, "validation_size": data.validation_size}
        dataset = load(data.dataset, reading, **sizes, **shown, shuffle_test=shuffle_test)
    return dataclasses.replace(dataset, as_counts=LIKELIHOODS[config.model.likelihood].sees_counts)


def check_reading(config: Experiment, dataset: Dataset) -> None:
    """ConfigError where a new config says how data are read, but these are not read so."""
    data, own = config.data, is_own(config.data.dataset)
    if data.image_colour is not None and not (own and is_decoded(data.dataset)):
        raise ConfigError(
            f"--image-colour {data.image_colour} has no effect on {dataset.name}: it is for a folder of images, and "
            "for hf: data."
        )
    if data.standardise and dataset.units is None:
        raise ConfigError(f"--standardise True has no effect on {dataset.name}: it is for real numbers.")
    has_columns = is_of_datasets(data.dataset) or dataset.columns is not None or dataset.names is not None
    if data.label is not None and own and not has_columns:
        raise ConfigError(f"--label {data.label} has no effect on {dataset.name}, which has no columns to choose from.")


def warn_of_faults(config: Experiment, dataset: Dataset) -> None:
    """Warnings of what can be trained, but hardly is what was meant: a scale of the data, a gradient with a bias."""
    # What ships is as it is meant to be.
    for fault in faults(dataset) if is_own(config.data.dataset) else ():
        warnings.warn(fault, stacklevel=2)
    model, objective = config.model, config.objective
    reason = is_biased(model.posterior, prior_name(model), objective.bound, objective.estimator)
    several = max((objective.num_samples, *objective.grow_to)) > 1
    if reason is not None and objective.estimator == "stl" and objective.bound != "elbo" and several:
        warnings.warn(
            f"--bound {objective.bound} --estimator stl is biased: {reason}. Unbiased: --estimator dreg.", stacklevel=2
        )
