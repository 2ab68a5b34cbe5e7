"""Runs whose model, data or optimiser were made in Python, not by a config."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from vae_jax.config.compute import Compute
from vae_jax.config.fields import Data, Evaluate, Experiment, Model, Optimizer, Train, sections
from vae_jax.config.files import absolute_path
from vae_jax.config.rules import check_ranges, check_rules, check_types
from vae_jax.core.checks import check_count
from vae_jax.core.errors import ConfigError
from vae_jax.core.seal import sealed
from vae_jax.core.trees import first_example
from vae_jax.core.types import Key, Params
from vae_jax.data import Dataset, Reading, Split, binarised, load
from vae_jax.data.dataset import split_rows
from vae_jax.data.examples import Examples
from vae_jax.data.labels import numbered
from vae_jax.data.named import named_splits
from vae_jax.data.own import own_path
from vae_jax.data.reals import as_reals
from vae_jax.data.rows import Rows, blocks, is_large
from vae_jax.distributions import Bernoulli, Observed
from vae_jax.distributions.kinds import known_parts
from vae_jax.models.vae import VAE
from vae_jax.objectives.bounds import elbo
from vae_jax.objectives.estimators import Estimate, is_estimate, score, total
from vae_jax.systems.parts.objective import bound_loss, mean_loss
from vae_jax.systems.registry import IN_PYTHON, check_patience, spec_of
from vae_jax.systems.system import System
from vae_jax.train.devices import check_compute
from vae_jax.train.directory import came_to_nothing, write_start
from vae_jax.train.files import ARRAYS, CONFIG, MADE, read_config
from vae_jax.train.made import check_made, check_numbers, made_of, numbers_of
from vae_jax.train.outline import check_same
from vae_jax.train.run import Run, assembled
from vae_jax.train.stream import check_stream

# What is maximised where nothing else is said.
BY_DEFAULT = total(elbo)
# Shares of the examples that are cut off for test and validation.
_TEST, _VALIDATION = 5, 10
# A device has integers of 32 bits.
_LEAST, _MOST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


def as_system(
    vae: VAE,
    params: Params | Callable[..., Params],
    *,
    estimate: Estimate = BY_DEFAULT,
    num_samples: int = 1,
    parts: int = 1,
) -> System:
    """A model as the trainer takes it, with what is maximised.

    `params`: its initial parameters, or `(key, batch) -> params` where they shall depend on the seed of a run.
    `estimate`: any estimator of any bound, with `num_samples` draws of z for each example. `parts`: a batch is computed
    in so many, one after the other, in less memory. ConfigError for a bound without an estimator.
    """
    check_count("as_system", "num_samples", num_samples)
    if not is_estimate(estimate):
        name = getattr(estimate, "__name__", "bound")
        raise ConfigError(
            f"estimate must be an estimator of a bound, such as vj.dreg(vj.iwae), got {name}: vj.total({name})."
        )
    # A model that is a tree of arrays may be callable itself; a `Partial` is a function with some.
    holds_arrays = any(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(params))
    is_init = callable(params) and (not holds_arrays or isinstance(params, jax.tree_util.Partial))
    init: Any = params if is_init else lambda key, batch: params
    return System(init=init, loss=mean_loss(vae, bound_loss(estimate, num_samples=num_samples), parts=parts), vae=vae)


def as_dataset(data: Any, *, seed: int = 0, shuffle_test: bool = True, gap_words: bool = True) -> Dataset:
    """Data as the trainer takes them: arrays, a name or a path for `load`, or a `Dataset` as it is.

    Arrays are `[n, …]`, or a dict of them: `x`, and `label`, `condition` or `factors` if there are any, all of them
    with the ending `_val` or `_test` for splits of your own, and by the other names that an `.npz` file may have.
    Without these, a fifth of the examples becomes the test split, and a tenth of the others the validation split, drawn
    by `seed`. A source of single examples, each x, a tuple of x or of x and label, or a dict (Grain's `MapDataset` and
    `DataSource`, PyTorch's map-style datasets), is read whole; where its x do not fit the memory, the training examples
    are asked for when they are needed, in each epoch again, by another thread. The model sees x as it is given, but
    integers beyond 32 bits as float32. ValueError for others, and where arrays do not fit together.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str | Path):
        return load(source_of(data), Reading(gap_words=gap_words), seed=seed, shuffle_test=shuffle_test)
    if any(isinstance(part, Observed) for part in (data, *(data.values() if isinstance(data, Mapping) else ()))):
        raise ValueError(
            "data with gaps are an array [n, …] with NaN for each, got Observed: numpy.where(x.mask, x.value, "
            "numpy.nan). p(x | z) is then vj.Columns, which leaves them out."
        )
    if isinstance(data, tuple) and any(np.ndim(part) for part in data):
        raise ValueError("data are one array [n, …] or a dict of them, got a tuple: {'x': …, 'label': …}.")
    data = _read(data) if _is_source(data) else data
    arrays = {
        str(name): array if isinstance(array, Rows) else np.asarray(array)
        for name, array in (data if isinstance(data, Mapping) else {"x": data}).items()
    }
    found = named_splits("the data", arrays, arrays.__getitem__)
    labels, classes = numbered("the data", [split.label for split in found.values()])
    splits = {
        part: _as_given(part, split)._replace(label=label)
        for (part, split), label in zip(found.items(), labels, strict=True)
    }
    size = len(splits["train"].x)
    test_size = 0 if "test" in splits else max(2, size // _TEST)
    validation_size = 0 if "validation" in splits else (size - test_size) // _VALIDATION
    train, validation, test = split_rows(splits["train"], (validation_size, test_size), seed)
    # Copied, as the training split is: the caller may write into them before they are measured.
    own = {part: Split(*map(_copied, split)) for part, split in splits.items() if part != "train"}
    kept = (train, own.get("validation", validation), own.get("test", test))
    whole = all(split.x.dtype.kind in "bui" and not (len(split.x) and split.x.min() < 0) for split in kept)
    bits = not whole and all(np.isin(some, (0, 1)).all() for split in kept for some in blocks(split.x))
    levels = max(1, *(int(split.x.max()) for split in kept if len(split.x))) if whole or bits else None
    dataset = Dataset(ARRAYS, *kept, levels, "none", seed, as_counts=whole, classes=classes)
    return binarised(dataset, "none")


def _is_source(data: Any) -> bool:
    """Whether these are examples to be asked for one by one."""
    return all(hasattr(data, name) for name in ("__len__", "__getitem__")) and not (
        hasattr(data, "__array__") or isinstance(data, Mapping | list | tuple)
    )


def _read(source: Any) -> Mapping[str, Any]:
    """The arrays of a source of single examples; x stays there where it is too large for the memory."""
    if len(source) == 0:
        raise ValueError("the source of data holds no examples.")
    examples = (_fields(source[i]) for i in range(len(source)))
    first = _fields(source[0])
    if "x" not in first or not is_large(len(source) * np.asarray(first["x"]).nbytes):
        return _stacked(list(examples))

    def read(numbers: list[int]) -> np.ndarray:
        return _column("x", [first["x"], *(_fields(source[i])["x"] for i in numbers)])[1:]

    # Who wrote the source may not have thought of threads.
    left = Examples(len(source), read, threads=1)
    if not (beside := [name for name in first if name != "x"]):
        return {"x": Rows(left)}
    return {"x": Rows(left), **_stacked([{name: one[name] for name in beside} for one in examples])}


def _fields(example: Any) -> Mapping[str, Any]:
    """The parts of an example by name; a tuple is x, or x and its label, as PyTorch's datasets have them."""
    if isinstance(example, Mapping):
        return example
    if not isinstance(example, tuple):
        return {"x": example}
    if len(example) > 2:
        raise ValueError(
            f"an example of the source is a tuple of {len(example)}: give x alone, (x, label), or a dict with the "
            "names x, label, condition."
        )
    return dict(zip(("x", "label"), example, strict=False))


def _stacked(examples: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return {name: _column(name, [example[name] for example in examples]) for name in examples[0]}


def _column(name: str, values: list[Any]) -> np.ndarray:
    arrays = [np.asarray(value) for value in values]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"{name} must be of one shape in every example of the source, got {sorted(shapes)[:3]}.")
    return np.stack(arrays)


def _copied(array: Any) -> Any:
    return array.copy() if isinstance(array, np.ndarray) else array


def _as_given(part: str, split: Split) -> Split:
    """The split with real numbers as float32, and integers that are too large for 32 bits as real numbers."""
    x, condition = split.x, split.condition
    # Smaller ones need no look at all of them.
    wide = x.dtype.kind in "ui" and x.dtype.itemsize >= 4 and len(x)
    if x.dtype.kind == "f" or (wide and (x.min() < _LEAST or x.max() > _MOST)):
        x = as_reals(f"the {part} examples", x)
    if condition is not None and condition.dtype.kind == "f":
        condition = as_reals(f"the {part} conditions", condition)
    return split._replace(x=x, condition=condition)


def python_run(
    model: System | None,
    dataset: Dataset,
    directory: Path,
    *,
    name: str = IN_PYTHON,
    source: str = ARRAYS,
    optimizer: optax.GradientTransformation | Optimizer | None = None,
    train: Train,
    evaluate: Evaluate,
    compute: Compute,
    parts: Mapping[str, Any],
) -> Run:
    """The run of a directory: a new one, or the one that is there, to go on with.

    `name`: the system of its config, a path with a function where `model` is None. `parts`: by name what the
    config does not say. ConfigError where the directory holds another run.
    """
    if isinstance(optimizer, Optimizer):
        rule, settings = None, optimizer
    else:
        rule, settings = optimizer, Optimizer()
    data = Data(source, binarisation=dataset.binarisation, data_seed=dataset.seed)
    config = Experiment(
        "a model made in Python",
        data,
        Model(),
        optimizer=settings,
        train=train,
        evaluate=evaluate,
        compute=compute,
        system=name,
    )
    check_types(config)
    check_ranges(config)
    run = assembled(config, directory, dataset, system=model, optimizer=rule)
    made = made_of({**parts, "optimiser": rule})
    if (directory / CONFIG).is_file() and not came_to_nothing(directory):
        _check_same_run(read_config(directory), config, directory)
        check_same(directory, dataset)
        check_made(directory, made)
        check_numbers(directory, run)
        return run
    check_rules(config)
    check_patience(train.patience, dataset, run.system)
    check_compute(run)
    check_stream(compute.stream, dataset.train.batch())
    _check_bits(run)
    write_start(directory, config, dataset, {MADE: sealed({**made, "numbers": numbers_of(run)})})
    return run


def _check_bits(run: Run) -> None:
    """ConfigError where a model of bits is given other numbers, of which a Bernoulli is no distribution."""
    vae, dataset = run.system.vae, run.dataset
    if not isinstance(vae, VAE) or dataset.is_binary:
        return

    def decoded(params: Params, key: Key, x: Any) -> Any:
        return vae.decode(params, vae.encode(params, x).sample(key))

    key = jax.random.key(0)
    x = first_example(run.system.example(dataset.prepare(key, dataset.train.take(slice(1)).batch())))
    parts = known_parts(jax.eval_shape(decoded, run.abstract().train.params, key, x))
    if parts and all(isinstance(part, Bernoulli) for part in parts):
        raise ConfigError(
            "p(x | z) is a Bernoulli, of bits, but x has other values than 0 and 1. " + _instead_of_bits(run)
        )


def _instead_of_bits(run: Run) -> str:
    """What to give a model of bits, or what to decode to, by the range of the data."""
    dataset, source = run.dataset, run.config.data.dataset
    if dataset.levels is not None and source != ARRAYS:
        return f"Read them with bits: vae_jax.data.load({source!r}, binarisation='dynamic') is data for vj.fit."
    values = [np.asarray(leaf) for leaf in jax.tree.leaves(dataset.train.x)]
    if min(np.nanmin(leaf) for leaf in values) < 0:
        return "They are real numbers: decode to a vj.DiagNormal."
    largest = max(np.nanmax(leaf) for leaf in values)
    shares = "x" if largest <= 1 else f"x / {largest:g}"
    return (
        f"Give bits of their shares, numpy.random.default_rng(0).random(x.shape) < {shares}, or decode to a "
        f"vj.ContinuousBernoulli and give {shares}."
    )


def _check_same_run(before: Experiment, now: Experiment, directory: Path) -> None:
    # Version 0.2.0 kept paths as they were given.
    before = dataclasses.replace(before, data=dataclasses.replace(before.data, dataset=source_of(before.data.dataset)))
    # A run may be looked at with another k, and go on on other devices.
    free = {"evaluate": before.evaluate, "compute": before.compute, "description": before.description}
    if dataclasses.replace(now, **free) != before:
        changed = [
            f"{section}.{field}"
            for section, part in sections(before).items()
            for field, value in dataclasses.asdict(part).items()
            if section not in free and getattr(getattr(now, section), field) != value
        ]
        raise ConfigError(
            f"{directory} holds a run with other settings ({', '.join(changed) or 'its system'}). Name another "
            "directory."
        )


def check_optimizer(name: str, optimizer: Any) -> None:
    """ConfigError where the optimiser of a model that the command line can open is one that it cannot make."""
    if name != IN_PYTHON and optimizer is not None and not isinstance(optimizer, Optimizer):
        raise ConfigError(
            "with build=… the command line can resume the run, so its optimiser must be one that a config can name: "
            "optimizer=vae_jax.config.Optimizer(learning_rate=1e-3)."
        )


def source_of(data: Any) -> str:
    """What the config of a run calls its data: a file or folder by its whole path."""
    if not isinstance(data, str | Path):
        return ARRAYS
    path = own_path(str(data))
    return str(data) if path is None else str(path.expanduser().absolute())


def system_from(
    model: VAE | System | None,
    params: Params | Callable[..., Params] | None,
    build: str | None,
    estimate: Estimate,
    num_samples: int,
    parts: int = 1,
) -> System:
    """The system of a model, or of the function of a file. ConfigError where neither or both are given."""
    if (model is None) == (build is None):
        raise ConfigError("give a model, or the path of a function that builds one: build='my_model.py:build'.")
    if (build is not None or isinstance(model, System)) and (estimate is not BY_DEFAULT or num_samples != 1):
        raise ConfigError(
            "estimate and num_samples are for a VAE: a System has its own. Say them where it is made: "
            "vj.as_system(vae, params, estimate=…, num_samples=…)."
        )
    if parts > 1 and (build is not None or isinstance(model, System)):
        raise ConfigError(
            "accumulate is for a VAE: the loss of a System is its own. Give it a loss with mean_loss(vae, …, parts=…)."
        )
    if build is not None:
        return spec_of(absolute(build)).build(None, None)  # pyright: ignore[reportArgumentType]
    if isinstance(model, System):
        return model
    assert model is not None
    if params is None:
        raise ConfigError("a VAE needs the parameters that it starts from: params=….")
    return as_system(model, params, estimate=estimate, num_samples=num_samples, parts=parts)


def system_to_open(
    model: VAE | System | None, params: Params | Callable[..., Params] | None, build: str | None
) -> System:
    """The same of a run that is there, whose estimate is not given again."""
    # With `score` any model opens: `total` refuses discrete ones.
    return system_from(model, params, build, score(elbo) if isinstance(model, VAE) else BY_DEFAULT, 1)


def absolute(build: str) -> str:
    """`my_model.py:build` with the whole path of the file. ConfigError for another form."""
    if ".py:" not in build:
        raise ConfigError(f"build must be a file and its function, as my_model.py:build, got {build!r}.")
    return absolute_path(build, Path())
