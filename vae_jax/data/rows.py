"""Examples that stay where they are, and are read a few rows at a time: for data that do not fit the memory."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from vae_jax.core.memory import host_memory

# A block has at most so many bytes. As float64 it has eight times as many, and statistics make some copies of it.
_BLOCK_BYTES = 2**24
# Arrays of more than this share of the memory are not read at once.
_MOST_SHARE = 0.25


def is_large(num_bytes: int) -> bool:
    """Whether so many bytes are too many to be read into the memory at once."""
    most = host_memory()
    return most is not None and num_bytes > _MOST_SHARE * most


class Stored(Protocol):
    """Where rows may stay: a memory map, or examples that are decoded when they are asked for (`Examples`)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, …)`."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of their numbers."""
        ...

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """The rows of these numbers, an integer or an array of any shape."""
        ...


class Rows:
    """Rows that stay where they are `stored`: like an array `[n, …]`, of which no more is read than is asked for.

    `order`: the numbers of its rows, in this order. `dtype`: what they are read as. An index is one of the first axis;
    it gives an array.
    """

    def __init__(self, stored: Stored, order: np.ndarray | None = None, dtype: Any = None) -> None:
        self.stored = stored
        self.order = np.arange(stored.shape[0]) if order is None else order
        self.dtype = np.dtype(dtype or stored.dtype)
        self.shape = (len(self.order), *stored.shape[1:])
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape))
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self.stored[self.order[index]]).astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it, in memory."""
        del copy
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, rows: Any) -> "Rows":
        """Some of the rows, which stay where they are too."""
        return Rows(self.stored, self.order[rows], self.dtype)

    def astype(self, dtype: Any) -> "Rows":
        """The same, read as other numbers."""
        return Rows(self.stored, self.order, dtype)

    def min(self) -> Any:
        """The least element."""
        return min(block.min() for block in blocks(self))

    def max(self) -> Any:
        """The largest element."""
        return max(block.max() for block in blocks(self))

    def mean(self, axis: int = 0, dtype: Any = np.float64) -> np.ndarray:
        """The mean example. `axis` is the first one."""
        assert axis == 0, "the mean of rows is over rows"
        total = np.zeros(self.shape[1:], dtype)
        for block in blocks(self):
            total += block.sum(axis=0, dtype=dtype)
        return total / len(self)


def taken(x: Any, rows: Any) -> Any:
    """Some rows of an array, or of rows in a file, where they stay."""
    return x.take(rows) if isinstance(x, Rows) else x[rows]


def joined(x: Any, other: Any) -> Any:
    """One after the other, as an array; rows of one file stay there."""
    if isinstance(x, Rows) and isinstance(other, Rows) and x.stored is other.stored and x.dtype == other.dtype:
        return Rows(x.stored, np.concatenate([x.order, other.order]), x.dtype)
    return np.concatenate([x, other])


def first_rows(x: Any) -> np.ndarray:
    """An array as it is; of rows in a file as many as are read at once."""
    return next(blocks(x)) if isinstance(x, Rows) else x


def blocks(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """An array `[n, …]` in parts that are small enough for the memory, in their order; one of no rows where n is 0."""
    row_bytes = max(1, int(np.prod(x.shape[1:])) * x.dtype.itemsize)
    step = max(1, _BLOCK_BYTES // row_bytes)
    for first in range(0, max(len(x), 1), step):
        yield x[first : first + step]
