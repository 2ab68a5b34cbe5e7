"""A dataset: three fixed splits in host memory, and how stored values become what a model sees."""

import zlib
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config.fields import Binarisation
from vae_jax.core.bits import bernoulli
from vae_jax.core.trees import first_example
from vae_jax.core.types import Key
from vae_jax.data.augment import augmented
from vae_jax.data.columns import Column
from vae_jax.data.rows import Rows, blocks, first_rows, joined, taken
from vae_jax.data.units import Units
from vae_jax.data.values import are_shares, scale_fault
from vae_jax.languages.grammar import Grammar

# The edge of a drawing is below this, in the median over so many images.
_EMPTY, _LOOKED_AT = 0.1, 1000
BINARISATIONS: tuple[str, ...] = get_args(Binarisation)


class Split(NamedTuple):
    """`x`: `[n, …]`, counts as integers (uint8 where they fit) or float32; `Rows` where they stay where they are.

    `label`: int32 `[n]`, −1 where the class of an example is not known. `condition`: float32 `[n, c]`. `factors`:
    numbers `[n, f]`, the values that an example was made from. Codes are measured by them; training never sees them.
    Each is None where the data have none.
    """

    x: np.ndarray | Any
    label: np.ndarray | None
    condition: np.ndarray | None = None
    factors: np.ndarray | None = None

    def take(self, rows: Any) -> "Split":
        """The given rows."""
        return Split._make(None if array is None else taken(array, rows) for array in self)

    def in_memory(self) -> "Split":
        """The same, with all examples read."""
        return self._replace(x=np.asarray(self.x))

    def batch(self) -> dict[str, np.ndarray]:
        """The split as the batch that systems see (before `Dataset.prepare`): `x`, `label` and `condition` if there."""
        return {name: array for name, array in self._asdict().items() if array is not None and name != "factors"}

    def followed_by(self, other: "Split") -> "Split":
        """Both, one after the other. An array that one of them lacks is left out."""
        pairs = zip(self, other, strict=True)
        return Split._make(None if a is None or b is None else joined(a, b) for a, b in pairs)


@dataclass(frozen=True)
class Dataset:
    """Three splits and their protocol.

    `levels`: values are counts 0..levels (255 for images, 16 for the digits, 1 for bits); None where they are real
    numbers. `binarisation`: "dynamic" (bits drawn afresh from the key each time), "static"
    (drawn once, here, from `seed`) or "none".
    """

    name: str
    train: Split
    validation: Split
    test: Split
    levels: int | None
    binarisation: Binarisation
    seed: int
    source_levels: int | None = None
    """What `levels` was before static binarisation replaced the counts by bits."""
    as_counts: bool = False
    """Whether the model sees the counts themselves, integers 0..levels, and not shares of the largest."""
    grammar: Grammar | None = None
    """Of strings: what the numbers `[T]` of an example are rules of."""
    photographs: bool = False
    """Whether images fill their frame, as drawings do not, whose edges are mostly empty."""
    classes: tuple[str, ...] | tuple[int, ...] | None = None
    """The names of the classes by number; None where labels are numbers by themselves."""
    columns: tuple[Column, ...] | None = None
    """Of a table whose columns have families of their own: what each is."""
    names: tuple[str, ...] | None = None
    """Of a table of plain numbers: its columns, in the order of x."""
    units: Units | None = None
    """What networks see real numbers in; None where they see them as they are."""
    span: tuple[float, float] = (0.0, 1.0)
    """Of images of real numbers: what is black and what is white."""
    mirror: bool = False
    shift: int = 0
    """How images of the training split may be changed (`vae_jax.data.augment`)."""

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Training, validation and test."""
        return self.train, self.validation, self.test

    @property
    def scale_fault(self) -> str | None:
        """Why networks learn badly from real numbers of this scale, and what to do; None where they learn well."""
        if self.levels is not None or self.columns is not None:
            return None
        return scale_fault(self.name, first_rows(self.train.x), self.units)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.x.shape[1:]

    @property
    def is_image(self) -> bool:
        """Whether one example is a picture: `(H, W, C)`, grey or of three colours."""
        return len(self.shape) == 3 and self.shape[2] in (1, 3)

    @property
    def most(self) -> int:
        """What the model's values are divided by for a picture: the largest count, or 1 where it sees no counts."""
        return self.levels if self.as_counts and self.levels is not None else 1

    def shades(self, x: Any) -> Any:
        """Values that the model sees as shades 0..1 of a picture."""
        least, most = (0, self.most) if self.as_counts else self.span
        return (x - least) / (most - least)

    @property
    def is_binary(self) -> bool:
        """Whether the model sees only zeros and ones."""
        return self.binarisation != "none" or self.levels == 1

    def intensities(self, x: Any) -> jax.Array:
        """Stored values as float32: counts become 0..1, real numbers stay."""
        x = jnp.asarray(x)
        return x.astype(jnp.float32) if self.levels is None else x.astype(jnp.float32) / self.levels

    def shown(self, x: Any) -> jax.Array:
        """What a model without binarisation sees of stored values: int32 counts where `as_counts`, else intensities."""
        return jnp.asarray(x, jnp.int32) if self.as_counts else self.intensities(x)

    def mean(self) -> np.ndarray:
        """The mean training example, counts as shares of the largest: float32 of `shape`."""
        if self.units is not None:
            return self.units.centre
        scale = 1.0 if self.levels is None else float(self.levels)
        return (self.train.x.mean(axis=0, dtype=np.float64) / scale).astype(np.float32)

    def prepare(self, key: Key, batch: dict[str, Any]) -> dict[str, Any]:
        """What the model sees of a stored batch. Pure; with dynamic binarisation it draws the bits from `key`."""
        x = self.shown(batch["x"])
        if self.binarisation == "dynamic":
            # Drawn flat: XLA on CPU vectorises badly over a last axis of one colour.
            bits = bernoulli(key, x.reshape(x.shape[0], -1))
            x = bits.astype(jnp.float32).reshape(x.shape)
        return {**batch, "x": x}

    def prepare_alone(self, key: Key, batch: dict[str, Any]) -> dict[str, Any]:
        """The same with bits that an example draws by its own values, wherever it stands among others."""
        digests = np.array([zlib.crc32(np.ascontiguousarray(x).tobytes()) for x in batch["x"]], np.uint32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, digests)

        def alone(key: Key, example: Any) -> Any:
            return first_example(self.prepare(key, jax.tree.map(lambda leaf: leaf[None], example)))

        return jax.vmap(alone)(keys, batch)

    def prepare_training(self, key: Key, batch: dict[str, Any]) -> dict[str, Any]:
        """The same for a step of training, where images may be mirrored and moved."""
        if not (self.mirror or self.shift):
            return self.prepare(key, batch)
        change_key, key = jax.random.split(key)
        x = augmented(change_key, jnp.asarray(batch["x"]), mirror=self.mirror, shift=self.shift)
        return self.prepare(key, {**batch, "x": x})

    def protocol(self) -> dict[str, Any]:
        """What a number measured on this dataset must carry with it."""
        return {
            "dataset": self.name,
            "binarisation": self.binarisation,
            "levels": self.source_levels,
            "data_seed": self.seed,
            "train_examples": len(self.train.x),
            "validation_examples": len(self.validation.x),
            "test_examples": len(self.test.x),
        }


def binarised(dataset: Dataset, binarisation: Binarisation) -> Dataset:
    """The dataset under a binarisation; "static" draws the bits here, once, from the dataset's seed.

    ValueError for real numbers, which are no probabilities, and for static bits of data that do not fit the memory.
    """
    if binarisation not in BINARISATIONS:
        raise ValueError(f"binarisation must be one of {', '.join(BINARISATIONS)}, got {binarisation!r}.")
    levels = dataset.levels
    dataset = replace(dataset, source_levels=levels)
    if binarisation == "none":
        dataset = replace(dataset, binarisation=binarisation, span=_span(dataset))
        return replace(dataset, photographs=_has_photographs(dataset))
    if levels is None and not all(are_shares(split.x) for split in dataset.splits):
        raise ValueError(
            f"binarisation {binarisation!r} draws bits from counts, or from values between 0 and 1, but the values of "
            f"{dataset.name} are real numbers. Use --binarisation none --likelihood normal."
        )
    if binarisation == "dynamic":
        return replace(dataset, binarisation=binarisation)
    if isinstance(dataset.train.x, Rows):
        raise ValueError(
            f"static binarisation draws the bits of all examples at once, and those of {dataset.name} do not fit the "
            "memory. Use --binarisation dynamic."
        )
    random = np.random.default_rng(dataset.seed)

    def draw(split: Split) -> Split:
        bits = np.empty(split.x.shape, np.uint8)
        first = 0
        # The generator goes on from block to block: the bits are those of one draw, without a float for each.
        for some in blocks(split.x):
            bits[first : first + len(some)] = random.random(some.shape, dtype=np.float32) * (levels or 1) < some
            first += len(some)
        return split._replace(x=bits)

    drawn = [draw(split) for split in dataset.splits]
    return replace(dataset, train=drawn[0], validation=drawn[1], test=drawn[2], levels=1, binarisation=binarisation)


def _span(dataset: Dataset) -> tuple[float, float]:
    """Black and white of real numbers: 0 and 1, or what lies farther out."""
    if not dataset.is_image or dataset.levels is not None or not len(dataset.train.x):
        return 0.0, 1.0
    x = first_rows(dataset.train.x)
    return min(0.0, float(x.min())), max(1.0, float(x.max()))


def _has_photographs(dataset: Dataset) -> bool:
    if not dataset.is_image or dataset.levels == 1 or not len(dataset.train.x):
        return False
    x = dataset.train.x[:_LOOKED_AT]
    x = dataset.shades(x) if dataset.levels is None else x / dataset.levels
    edges = [x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]]
    return bool(np.median(np.concatenate([edge.ravel() for edge in edges])) > _EMPTY)


def own_test_order(size: int, seed: int) -> np.ndarray:
    """The order, by `seed`, of a test split of the user's own, which may be sorted."""
    return np.random.default_rng(seed).permutation(size)


def check_spread(dataset: Dataset) -> None:
    """ValueError for a test split of one example, whose numbers have no spread."""
    if len(dataset.test.x) == 1:
        raise ValueError(
            f"{dataset.name}: the test split has one example, and errors and active units take two or more. Give more, "
            "or none: then a fifth of the examples is cut off."
        )


def split_rows(split: Split, sizes: tuple[int, int], seed: int) -> tuple[Split, Split, Split]:
    """Shuffle by `seed` and cut: (the rest for training, `sizes[0]` for validation, `sizes[1]` for test)."""
    order = np.random.default_rng(seed).permutation(len(split.x))
    validation, test = sizes
    cut = len(order) - validation - test
    if cut < 1:
        tenth = " --validation-size None takes a tenth for validation." if validation > len(order) // 10 else ""
        raise ValueError(
            f"{len(order)} examples cannot give {validation} for validation and {test} for test and leave one for "
            f"training.{tenth}"
        )
    parts = (order[:cut], order[cut : cut + validation], order[cut + validation :])
    train, validation_split, test_split = (split.take(rows) for rows in parts)
    # Only training examples may stay where they are: the others are measured at once.
    return train, validation_split.in_memory(), test_split.in_memory()
