"""The one ordered list of measurements, and the file that their numbers are kept in."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError, DamagedError, RequestError
from vae_jax.core.files import write_json
from vae_jax.core.modules import load_from
from vae_jax.measure.annealed import ANNEALED
from vae_jax.measure.codes import ACCURACY, CODE_USE, DIMENSION_KL, DISENTANGLEMENT, LAYER_KL, PROBE, RECONSTRUCTION
from vae_jax.measure.constant import CONSTANT
from vae_jax.measure.diagnostics import DIAGNOSTICS
from vae_jax.measure.likelihood import CERTAIN_LIKELIHOOD, CONDITIONAL_LIKELIHOOD, LIKELIHOOD
from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.strings import STRINGS
from vae_jax.measure.subject import Subject
from vae_jax.train.files import evaluation_file, read_evaluation

# What every training and every sweep ends with.
_FIRST = (
    *(CERTAIN_LIKELIHOOD, CONDITIONAL_LIKELIHOOD, LIKELIHOOD, CONSTANT, CODE_USE, DIMENSION_KL, LAYER_KL),
    *(RECONSTRUCTION, STRINGS, ACCURACY, DISENTANGLEMENT, PROBE),
)
# What others look at.
_NEEDED = tuple(one.name for one in (CERTAIN_LIKELIHOOD, CONDITIONAL_LIKELIHOOD, LIKELIHOOD))
# What every evaluation looks for, and the next one may not find.
_SOUGHT = ("warning", "worse_than_constant", "constant_log_prob", "active_units", "latent_size")
# What `vae-jax evaluate` adds.
FURTHER = (DIAGNOSTICS, ANNEALED)


def first_measurements(config: Experiment) -> tuple[Measurement, ...]:
    """What every training ends with: the shipped measurements, then the user's own of `--measurements`."""
    own = (load_from(Path(path), "MEASUREMENT", Measurement) for path in config.evaluate.measurements)
    return (*_FIRST, *own)


def measurements_of(config: Experiment) -> tuple[Measurement, ...]:
    """Every measurement, in order."""
    return (*first_measurements(config), *FURTHER)


def evaluate(
    subject: Subject, measurements: Sequence[Measurement], options: Options, found: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The protocol, what was `found` before, and the numbers of those measurements that answer, by name.

    RequestError where a measurement gives a number another name has already.
    """
    result = subject.protocol(seed=options.seed) | (found or {})
    for measurement in measurements:
        if measurement.answers(subject):
            numbers = _numbers(measurement, subject, options, result)
            if twice := sorted(set(numbers) & set(result)):
                raise RequestError(
                    f"the measurement {measurement.name!r} gives {', '.join(twice)}, which is measured already: give "
                    "its numbers names of their own."
                )
            result |= numbers
    return result


def _numbers(measurement: Measurement, subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a measurement; none, with a warning, where examples do not suit one that the others can spare."""
    try:
        return measurement.measure(subject, options, found)
    except (ConfigError, RequestError):
        raise
    except ValueError as error:
        if measurement.name in _NEEDED:
            raise
        warnings.warn(f"{measurement.name} was not measured: {error}", stacklevel=3)
        return {}


def own_evaluation(subject: Subject) -> dict[str, Any]:
    """What RUN/evaluation.json says of these parameters; {} where it was measured with others, or not at all."""
    found = read_evaluation(subject.run.directory)
    # The data, of which the fingerprint is too, are not asked for.
    return found if found.get("parameters_of_epoch") == subject.progress["parameters_of_epoch"] else {}


def write_evaluation(subject: Subject, result: dict[str, Any]) -> Path:
    """RUN/evaluation.json, or evaluation-epoch-N.json of a snapshot.

    What an earlier evaluation of the same parameters and examples, with the same seed, found and this one did not look
    at, stays.
    """
    path = evaluation_file(subject.run.directory, subject.snapshot)
    try:
        before = read_evaluation(subject.run.directory, subject.snapshot)
    except DamagedError:
        # It is replaced.
        before = {}
    is_same = all(before.get(name) == result[name] for name in ("measured", "evaluation_seed"))
    kept = {name: value for name, value in before.items() if is_same and name not in _SOUGHT}
    write_json(path, kept | result)
    return path
